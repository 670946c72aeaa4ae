import type { Health } from "../../contract/alerts.ts";
import type { workerStartSchema } from "../../contract/statistics.ts";
import type { failedGroupSchema } from "../../contract/bulk.ts";
import type { workerSchema } from "../../contract/queues.ts";
import type { Json } from "../../contract/rows.ts";
import type { alertSchema } from "../../contract/alerts.ts";
import { keepPreviousData, queryOptions, useQuery } from "@tanstack/react-query";
import { useMay } from "./me.ts";
import { rest, withQuery } from "./request.ts";

/** A row of GET /alerts. */
export type Alert = Json<typeof alertSchema>;

/** A row of GET /workers. Shares are between 0 and 1; sizes are in bytes, as text. */
export type Worker = Json<typeof workerSchema>;

/** A row of GET /failed-groups. */
export type FailedGroup = Json<typeof failedGroupSchema>;

/** Orders alerts: unacknowledged before acknowledged, then critical before warning, then newest first. */
export function byUrgency(a: Alert, b: Alert): number {
  return rank(a) - rank(b) || (a.raisedAt < b.raisedAt ? 1 : -1);
}

function rank({ state, severity }: Alert): number {
  return (state === "open" ? 0 : 2) + (severity === "critical" ? 0 : 1);
}

async function items<T>(path: string, signal: AbortSignal): Promise<T[]> {
  return (await rest<{ items: T[] }>("GET", path, undefined, signal)).items;
}

/** Alerts, newest first: only the open ones, or with `all` the last `limit` alerts in any state. */
export function alertsQuery(all = false, limit = 200) {
  return queryOptions({
    queryKey: ["alerts", { all, limit }],
    queryFn: ({ signal }) => items<Alert>(withQuery("/alerts", { all: all ? "true" : null, limit }), signal),
  });
}

/** Polls `alertsQuery`. Disabled for tokens limited to one tenant. */
export function useAlerts(all = false, limit = 200) {
  return useQuery({
    ...alertsQuery(all, limit),
    enabled: useMay("viewer", { everybody: true }),
    refetchInterval: 5_000,
  });
}

/** The health of the system and its parts: the system first, then the least healthy parts. Disabled for tokens limited to one tenant. */
export function useHealth() {
  return useQuery({
    queryKey: ["health"],
    queryFn: ({ signal }) => items<Health>("/health", signal),
    enabled: useMay("viewer", { everybody: true }),
    refetchInterval: 5_000,
  });
}

/** Online workers, oldest first. Disabled for tokens limited to one tenant. */
export function useWorkers() {
  return useQuery({
    queryKey: ["workers"],
    queryFn: ({ signal }) => items<Worker>("/workers", signal),
    enabled: useMay("viewer", { everybody: true }),
    refetchInterval: 5_000,
  });
}

/** Failed jobs that match the filter and can be retried, grouped by error, largest group first. */
export function useFailedGroups(filter: { error?: string | undefined; failedSince?: string | undefined } = {}) {
  return useQuery({
    queryKey: ["failed-groups", filter],
    queryFn: ({ signal }) => items<FailedGroup>(withQuery("/failed-groups", filter), signal),
    refetchInterval: 5_000,
    placeholderData: keepPreviousData,
  });
}

/** A row of GET /statistics/worker-starts: workers on one host that started together. */
type WorkerStart = Json<typeof workerStartSchema>;

/** Worker starts since a time (ISO), newest first. Disabled for tokens limited to one tenant. */
export function useWorkerStarts(since: string) {
  return useQuery({
    queryKey: ["worker-starts", since],
    queryFn: ({ signal }) => items<WorkerStart>(withQuery("/statistics/worker-starts", { from: since }), signal),
    enabled: useMay("viewer", { everybody: true }),
    refetchInterval: 30_000,
    placeholderData: keepPreviousData,
  });
}
