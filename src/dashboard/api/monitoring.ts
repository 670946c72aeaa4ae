import type { Health } from "../../contract/alerts.ts";
import type { workerStartSchema } from "../../contract/statistics.ts";
import type { failedGroupSchema } from "../../contract/bulk.ts";
import type { workerSchema } from "../../contract/queues.ts";
import type { Json } from "../../contract/rows.ts";
import type { alertSchema } from "../../contract/alerts.ts";
import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { useMay } from "./me.ts";
import { rest, withQuery } from "./request.ts";

/** A row of GET /alerts. */
export type Alert = Json<typeof alertSchema>;

/** A row of GET /workers. Shares lie between 0 and 1; sizes are bytes, as text. */
export type Worker = Json<typeof workerSchema>;

/** A row of GET /failed-groups. */
export type FailedGroup = Json<typeof failedGroupSchema>;

/** What nobody looks after first, of that what is critical, of that what is newest. */
export function byUrgency(a: Alert, b: Alert): number {
  return rank(a) - rank(b) || (a.raisedAt < b.raisedAt ? 1 : -1);
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
    refetchInterval: 5_000,
  });
}

/** A row of GET /statistics/worker-starts: workers of one machine that started together. */
type WorkerStart = Json<typeof workerStartSchema>;

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
