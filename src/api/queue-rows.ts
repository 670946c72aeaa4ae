import type { WorkerStart } from "../health/read-series.ts";
import type { LimitUseRow } from "../queues/limit-use.ts";
import type { LimitUse as LimitUsageRow } from "../queues/limits.ts";
import type { Overview as OverviewRow } from "../queues/overview.ts";
import type { QueueRow, TaskRow, WorkerRow } from "../queues/read-queues.ts";
import { type CamelCased, camelCased } from "./camel-case.ts";

/** How jobs are retried; intervals as Postgres writes them. What is null counts as graphile-worker does it. */
export interface RetryRules {
  attempts: number | null;
  backoff: "fixed" | "linear" | "exponential" | null;
  delay: string | null;
  factor: number | null;
  maxDelay: string | null;
  jitter: boolean;
  on: string[] | null;
}
function toRetryRules(rules: Record<string, unknown> | null): RetryRules | null {
  if (rules === null) return null;
  const { max_delay: maxDelay, retry_on: on, ...others } = rules;
  return { ...others, maxDelay, on } as unknown as RetryRules;
}

const PAUSE = { paused_at: "pausedAt", paused_by: "pausedBy", pause_reason: "pauseReason" } as const;

/** A queue with what waits and runs in it. */
export type Queue = Omit<CamelCased<QueueRow>, "retry"> & { retry: RetryRules | null };
const renameQueue = camelCased<QueueRow>({ ...PAUSE, counted_at: "countedAt" });
export function toQueue(row: QueueRow): Queue {
  return { ...renameQueue(row), retry: toRetryRules(row.retry) };
}

/** A task that a worker has announced or that a job was made for. */
export type TaskDetails = Omit<CamelCased<TaskRow>, "retry"> & { retry: RetryRules | null };
const renameTask = camelCased<TaskRow>({
  ...PAUSE,
  payload_schema: "payloadSchema",
  result_schema: "resultSchema",
  registered_at: "registeredAt",
  updated_at: "updatedAt",
});
export function toTask(row: TaskRow): TaskDetails {
  return { ...renameTask(row), retry: toRetryRules(row.retry) };
}

/** A worker that is alive, or was a moment ago. */
export type Worker = CamelCased<WorkerRow>;
export const toWorker = camelCased<WorkerRow>({
  started_at: "startedAt",
  seen_at: "seenAt",
  memory_total: "memoryTotal",
  disk_total: "diskTotal",
  heap_bytes: "heapBytes",
  host_seen_at: "hostSeenAt",
  blocked_since: "blockedSince",
  blocked_jobs: "blockedJobs",
});

/** Workers of one machine that started together. */
export type WorkersStarted = CamelCased<WorkerStart>;
export const toWorkersStarted = camelCased<WorkerStart>({ started_at: "startedAt" });

/** How much of a limit is in use, by all of its keys. */
export type LimitUsage = CamelCased<LimitUsageRow>;
export const toLimitUsage = camelCased<LimitUsageRow>({ full_keys: "fullKeys", sampled_at: "sampledAt" });

/** How much of a limit one value of its key has used up. */
export type KeyUsage = CamelCased<LimitUseRow>;
export const toKeyUsage = camelCased<LimitUseRow>({
  in_use: "inUse",
  frees_at: "freesAt",
  key_values: "keyValues",
  is_partial: "isPartial",
});

/** How the whole system is, at a glance. */
export type Overview = CamelCased<OverviewRow>;
export const toOverview = camelCased<OverviewRow>({
  counted_at: "countedAt",
  stopped_at: "stoppedAt",
  stopped_by: "stoppedBy",
  stop_reason: "stopReason",
});
