import type { Json } from "../../../../../contract/rows.ts";
import type { timelineEntrySchema } from "../../../../../contract/timeline.ts";
import { type TimelineKind, WAIT_KINDS } from "../../../../../contract/timeline-kinds.ts";
import { useQuery } from "@tanstack/react-query";
import { rest } from "../../../../api/request.ts";
import { isFinished } from "../../../../components/state-badge.tsx";
import type { Job } from "../use-job.ts";
import type { Interval } from "./scale.ts";

export type TimelineEntry = Json<typeof timelineEntrySchema>;

/** How often the timeline of a job that has not ended is fetched (ms). */
const POLL_MS = 3_000;

export function useTimeline(job: Job) {
  return useQuery({
    queryKey: ["job timeline", job.id],
    queryFn: async ({ signal }) =>
      (await rest<{ items: TimelineEntry[] }>("GET", `/jobs/${job.id}/timeline`, undefined, signal)).items,
    refetchInterval: isFinished(job.state) ? false : POLL_MS,
  });
}

const WAITS: ReadonlySet<TimelineKind> = new Set<TimelineKind>([...WAIT_KINDS, "signal", "sleep", "invoke"]);

/** Whether the entry is a wait, during which the job did nothing. */
export function isWait({ kind }: TimelineEntry): boolean {
  return WAITS.has(kind);
}

/** Whether the entry is a moment without a duration. */
export function isEvent(entry: TimelineEntry): boolean {
  return entry.endedAt === entry.startedAt && !isWait(entry);
}

/** The interval of an entry. It ends now if the entry has not ended. */
export function intervalOf(entry: TimelineEntry, now: number): Interval {
  const from = Date.parse(entry.startedAt);
  return { from, to: Math.max(from, entry.endedAt === null ? now : Date.parse(entry.endedAt)) };
}

/** A key that stays the same while an entry continues. */
export function keyOf(entry: TimelineEntry): string {
  return `${entry.kind} ${entry.startedAt} ${entry.label}`;
}

/** The page of the object that an entry refers to; undefined for an entry without such an object. */
export function pageOf({ targetType, target }: TimelineEntry): string | undefined {
  if (target === null) return undefined;
  switch (targetType) {
    case "job":
      return `/jobs/${target}`;
    case "queue":
      return `/queues/${encodeURIComponent(target)}`;
    case "task":
      return `/tasks/${encodeURIComponent(target)}`;
    default:
      return undefined;
  }
}
