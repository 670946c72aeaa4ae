import { keepPreviousData, useQuery } from "@tanstack/react-query";
import type { Health } from "./health.ts";
import { useMay } from "./me.ts";
import { rest, withQuery } from "./request.ts";

/** A row of GET /alerts. */
export interface Alert {
  id: string;
  rule: string;
  kind: string;
  target: string;
  state: "open" | "acknowledged" | "resolved";
  severity: "warning" | "critical";
  message: string;
  value: number;
  threshold: number;
  raised_at: string;
  resolved_at: string | null;
  acknowledged_at: string | null;
  acknowledged_by: string | null;
  note: string | null;
  silenced: boolean;
}

/** A row of GET /workers. Shares lie between 0 and 1; sizes are bytes, as text. */
export interface Worker {
  id: string;
  host: string;
  pid: number;
  concurrency: number;
  tasks: string[];
  running: string[];
  started_at: string;
  seen_at: string;
  suspected: boolean;
  cpu: number | null;
  memory: number | null;
  memory_total: string | null;
  disk: number | null;
  disk_total: string | null;
  heap_bytes: string | null;
  host_seen_at: string | null;
}

/** A row of GET /failed-groups. */
export interface FailedGroup {
  fingerprint: string | null;
  task: string;
  queue: string;
  jobs: string;
  first_at: string;
  last_at: string;
  last_id: string;
  last_error: string | null;
}

/** What nobody looks after first, of that what is critical, of that what is newest. */
export function byUrgency(a: Alert, b: Alert): number {
  return rank(a) - rank(b) || (a.raised_at < b.raised_at ? 1 : -1);
}

function rank({ state, severity }: Alert): number {
  return (state === "open" ? 0 : 2) + (severity === "critical" ? 0 : 1);
}

async function items<T>(path: string, signal: AbortSignal): Promise<T[]> {
  return (await rest<{ items: T[] }>("GET", path, undefined, signal)).items;
}

/** Alerts, the newest first: the open ones, or with `all` the last so many whatever became of them. Not for a token of one tenant. */
export function useAlerts(all = false, limit = 200) {
  return useQuery({
    queryKey: ["alerts", { all, limit }],
    queryFn: ({ signal }) => items<Alert>(withQuery("/alerts", { all: all ? "true" : null, limit }), signal),
    enabled: useMay("viewer", { everybody: true }),
    refetchInterval: 5_000,
  });
}

/** How everything is: the system first, then what is worst. Not for a token of one tenant. */
export function useHealth() {
  return useQuery({
    queryKey: ["health"],
    queryFn: ({ signal }) => items<Health>("/health", signal),
    enabled: useMay("viewer", { everybody: true }),
    refetchInterval: 5_000,
  });
}

/** The workers that live, the oldest first. Not for a token of one tenant. */
export function useWorkers() {
  return useQuery({
    queryKey: ["workers"],
    queryFn: ({ signal }) => items<Worker>("/workers", signal),
    enabled: useMay("viewer", { everybody: true }),
    refetchInterval: 5_000,
  });
}

/** Failed jobs that can be retried, by what went wrong, the largest group first. */
export function useFailedGroups() {
  return useQuery({
    queryKey: ["failed-groups"],
    queryFn: ({ signal }) => items<FailedGroup>("/failed-groups", signal),
    refetchInterval: 10_000,
  });
}

/** A row of GET /statistics/worker-starts: workers of one machine that started together. */
interface WorkerStart {
  started_at: string;
  host: string;
  workers: string;
}

/** When workers started since then (ISO), the newest first. Not for a token of one tenant. */
export function useWorkerStarts(since: string) {
  return useQuery({
    queryKey: ["worker-starts", since],
    queryFn: ({ signal }) => items<WorkerStart>(withQuery("/statistics/worker-starts", { from: since }), signal),
    enabled: useMay("viewer", { everybody: true }),
    refetchInterval: 30_000,
    placeholderData: keepPreviousData,
  });
}
