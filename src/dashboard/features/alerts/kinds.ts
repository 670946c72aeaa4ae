import { formatBytes, formatShare } from "../../components/numbers.ts";
import { formatDuration } from "../../components/time/format-times.ts";

interface Kind {
  /** What is looked at, after "when". */
  what: string;
  of: string;
  unit: "count" | "share" | "seconds" | "severity" | "bytes";
}

/** What each kind of rule looks at, as docs/guides/alerts.md has it. */
export const KINDS: Readonly<Record<string, Kind>> = {
  consecutive_failures: { what: "attempts that have failed since the last success", of: "task", unit: "count" },
  error_rate: { what: "the share of attempts that failed within the period", of: "task", unit: "share" },
  failed_jobs: { what: "jobs that failed for good within the period", of: "task", unit: "count" },
  slow_runs: { what: "how long 95 of 100 attempts took at most", of: "task", unit: "seconds" },
  stuck_jobs: { what: "how long the longest running job has run", of: "task", unit: "seconds" },
  backlog_age: { what: "how long a job has been due that may start", of: "queue", unit: "seconds" },
  schedule_late: { what: "how late the last occurrence was", of: "schedule", unit: "seconds" },
  no_worker: { what: "how long a job has been due while no worker lives", of: "system", unit: "seconds" },
  database: { what: "the worst finding of a check: 1 for a warning, 2 for a critical one", of: "check", unit: "severity" },
  host_cpu: { what: "the share of its processors in use", of: "host", unit: "share" },
  host_memory: { what: "the share of its memory in use", of: "host", unit: "share" },
  host_disk: { what: "the share of its disk in use", of: "host", unit: "share" },
  worker_memory: { what: "what the objects of the process take", of: "worker", unit: "bytes" },
};

export const UNITS: Readonly<Record<Kind["unit"], string>> = {
  count: "a number",
  share: "a share, from 0 to 1",
  seconds: "seconds",
  severity: "1 or 2",
  bytes: "bytes",
};

/** A value of that kind in its unit. */
export function formatValue(kind: string, value: number | null): string {
  if (value === null) return "–";
  switch (KINDS[kind]?.unit) {
    case "share":
      return formatShare(value);
    case "seconds":
      return formatDuration(value);
    case "bytes":
      return formatBytes(value);
    default:
      return String(value);
  }
}

/** Seconds of an interval as Postgres writes it: 00:15:00, 1 day, 2 days 03:00:00. */
export function intervalSeconds(interval: string): number {
  const days = /(-?\d+) days?/.exec(interval)?.[1] ?? "0";
  const [, hours = "0", minutes = "0", seconds = "0"] = /(\d+):(\d+):(\d+(?:\.\d+)?)/.exec(interval) ?? [];
  return Number(days) * 86_400 + Number(hours) * 3_600 + Number(minutes) * 60 + Number(seconds);
}

/** As the server takes it: 900 s are 15m. */
export function toDuration(seconds: number): string {
  for (const [unit, size] of [
    ["d", 86_400],
    ["h", 3_600],
    ["m", 60],
  ] as const) {
    if (seconds >= size && seconds % size === 0) return `${seconds / size}${unit}`;
  }
  return `${seconds}s`;
}
