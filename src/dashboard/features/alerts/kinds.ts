import { formatBytes, formatCount, formatShare } from "../../components/numbers.ts";
import { formatDuration } from "../../components/time/format-times.ts";

interface Kind {
  /** The kind of object to which such a rule applies. */
  of: string;
  unit: "count" | "share" | "seconds" | "severity" | "bytes";
}

/** The targets and units of each kind of rule; words.ts describes what each kind measures. */
export const KINDS: Readonly<Record<string, Kind>> = {
  consecutive_failures: { of: "task", unit: "count" },
  error_rate: { of: "task", unit: "share" },
  failed_jobs: { of: "task", unit: "count" },
  slow_runs: { of: "task", unit: "seconds" },
  stuck_jobs: { of: "task", unit: "seconds" },
  backlog_age: { of: "queue", unit: "seconds" },
  schedule_late: { of: "schedule", unit: "seconds" },
  no_worker: { of: "system", unit: "seconds" },
  database: { of: "check", unit: "severity" },
  host_cpu: { of: "host", unit: "share" },
  host_memory: { of: "host", unit: "share" },
  host_disk: { of: "host", unit: "share" },
  worker_memory: { of: "worker", unit: "bytes" },
};

/** A value of a rule, formatted in the rule's unit. */
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
      return Number.isInteger(value) ? formatCount(value) : String(value);
  }
}

/** The length of an interval in Postgres's format (00:15:00, 1 day, 2 days 03:00:00) in seconds. */
export function intervalSeconds(interval: string): number {
  const days = /(-?\d+) days?/.exec(interval)?.[1] ?? "0";
  const [, hours = "0", minutes = "0", seconds = "0"] = /(\d+):(\d+):(\d+(?:\.\d+)?)/.exec(interval) ?? [];
  return Number(days) * 86_400 + Number(hours) * 3_600 + Number(minutes) * 60 + Number(seconds);
}

/** A duration in the server's format: 900 s becomes 15m. */
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
