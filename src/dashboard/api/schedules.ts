import type { Json } from "../../contract/rows.ts";
import type { scheduleSchema, previewPage } from "../../contract/schedules.ts";
import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { rest } from "./request.ts";

/** A schedule of GET /schedules. Intervals are in Postgres's format; counts are text. */
export type Schedule = Json<typeof scheduleSchema>;

/** The timing of a schedule, in the format of the PUT and preview requests. */
export interface Timing {
  cron?: string;
  every?: string;
  at?: string;
  timezone: string;
  startsAt?: string;
  endsAt?: string;
}

export function timingOf(schedule: Schedule): Timing {
  const { cron, every, at, timezone, startsAt, endsAt } = schedule;
  return {
    ...(cron === null ? (every === null ? { at: at ?? "" } : { every }) : { cron }),
    timezone,
    // Without a start, intervals are counted from the next occurrence.
    ...((startsAt ?? (every === null ? null : schedule.nextAt)) === null
      ? {}
      : { startsAt: (startsAt ?? schedule.nextAt) as string }),
    ...(endsAt === null ? {} : { endsAt }),
  };
}

export type Preview = Json<typeof previewPage>;

/** The description and the next occurrences of a timing, starting at `from` (default: now). Disabled while `timing` is undefined. */
export function usePreview(timing: Timing | undefined, options: { count: number; from?: string }) {
  return useQuery({
    queryKey: ["preview", timing, options],
    queryFn: ({ signal }) => rest<Preview>("POST", "/schedules/preview", { ...timing, ...options }, signal),
    enabled: timing !== undefined,
    placeholderData: keepPreviousData,
    retry: false,
  });
}

export function useSchedules() {
  return useQuery({
    queryKey: ["schedules"],
    queryFn: ({ signal }) => allSchedules(signal),
    refetchInterval: 5_000,
  });
}

async function allSchedules(signal: AbortSignal): Promise<Schedule[]> {
  const all: Schedule[] = [];
  for (let cursor: string | null = ""; cursor !== null;) {
    const path: string = `/schedules?limit=500${cursor === "" ? "" : `&cursor=${cursor}`}`;
    const page: { items: Schedule[]; nextCursor: string | null } = await rest("GET", path, undefined, signal);
    all.push(...page.items);
    cursor = page.nextCursor;
  }
  return all;
}

export function scheduleRoute(name: string, below = ""): string {
  return `/schedules/${encodeURIComponent(name)}${below}`;
}
