import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { rest } from "./request.ts";

/** A schedule of GET /schedules. Intervals are as Postgres writes them; counts are text. */
export interface Schedule {
  name: string;
  source: "database" | "crontab";
  task: string;
  payload: unknown;
  cron: string | null;
  every: string | null;
  at: string | null;
  timezone: string;
  sentence: string;
  is_enabled: boolean;
  next_at: string | null;
  upcoming: string[] | null;
  last_due_at: string | null;
  last_state: string | null;
  last_job_id: string | null;
  last_outcome: string | null;
  runs: string | null;
  max_runs: number | null;
  starts_at: string | null;
  ends_at: string | null;
  jitter: string | null;
  overlap: "allow" | "skip" | "queue" | "cancel";
  max_instances: number | null;
  missed: "none" | "one" | "all";
  missed_window: string | null;
  requires: Record<string, string> | null;
  requires_wait: string | null;
  tenant: string | null;
  priority: number | null;
  max_attempts: number | null;
  problem: string | null;
  created_at: string | null;
  created_by: string | null;
  updated_at: string;
}

/** When a schedule occurs, as PUT and preview take it. */
export interface Timing {
  cron?: string;
  every?: string;
  at?: string;
  timezone: string;
  starts_at?: string;
  ends_at?: string;
}

export function timingOf(schedule: Schedule): Timing {
  const { cron, every, at, timezone, starts_at, ends_at } = schedule;
  return {
    ...(cron === null ? (every === null ? { at: at ?? "" } : { every }) : { cron }),
    timezone,
    // Without a start, intervals are counted from the next occurrence.
    ...((starts_at ?? (every === null ? null : schedule.next_at)) === null
      ? {}
      : { starts_at: (starts_at ?? schedule.next_at) as string }),
    ...(ends_at === null ? {} : { ends_at }),
  };
}

export interface Preview {
  items: { at: string; local: string }[];
  sentence: string | null;
}

/** When a timing occurs, in the server's words: from a time on, now by default. Disabled while `timing` is undefined. */
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
    queryFn: async ({ signal }) => (await rest<{ items: Schedule[] }>("GET", "/schedules", undefined, signal)).items,
    refetchInterval: 5_000,
  });
}

export function scheduleRoute(name: string, below = ""): string {
  return `/schedules/${encodeURIComponent(name)}${below}`;
}
