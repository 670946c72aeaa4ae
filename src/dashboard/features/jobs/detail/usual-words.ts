import { formatDuration } from "../../../components/time/format-times.ts";
import type { Usual } from "./use-job.ts";
import { words } from "../words.ts";

/** The typical times of a task, as a sentence. */
export function usualWords(usual: Usual | null): string {
  if (usual === null || usual.runP50 === null) return words.detail.noTypical;
  const wait = usual.waitP95 === null ? undefined : formatDuration(usual.waitP95);
  return words.detail.typical(formatDuration(usual.runP50), formatDuration(usual.runP95), wait);
}
