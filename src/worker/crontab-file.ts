import { existsSync, readFileSync } from "node:fs";
import { parseCrontab, type ParsedCronItem } from "graphile-worker";
import { LegworkError, toError } from "../errors.ts";
import type { CrontabEntry } from "../schedules/register-crontab.ts";

/** Parses a crontab into graphile-worker's items and the entries to register. */
export function readCrontab(path: string | undefined): { items: ParsedCronItem[]; entries: CrontabEntry[] } {
  if (path === undefined || !existsSync(path)) return { items: [], entries: [] };
  try {
    const text = readFileSync(path, "utf8");
    const items = parseCrontab(text);
    // There is one item for each line that is neither empty nor a comment, in order. Items do not contain the text of their line.
    const lines = text.split(/\r?\n/).map((line) => line.trim());
    const times = lines
      .filter((line) => line !== "" && !line.startsWith("#"))
      .map((line) => line.split(/\s+/).slice(0, 5).join(" "));
    const entries = items.map(({ identifier, task, payload, match }, index) => ({
      identifier,
      task,
      payload,
      match,
      cron: times[index] ?? "",
    }));
    return { items, entries };
  } catch (error) {
    throw new LegworkError("LW514", `The crontab ${path} cannot be read: ${toError(error).message}.`, {
      hint: "Lines have graphile-worker's format: minute hour day month weekday task ?options {payload}.",
      cause: error,
    });
  }
}
