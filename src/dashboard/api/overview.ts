import { useQuery } from "@tanstack/react-query";
import { rest } from "./request.ts";

/** GET /stats: how the whole system is. Counts are text. */
export interface Stats {
  running: string;
  pending: string;
  blocked: string;
  paused: string;
  later: string;
  oldest: string | null;
  failed: string;
  queues: number;
  tasks: number;
  workers: number;
  concurrency: number;
  stopped_at: string | null;
  stopped_by: string | null;
  stop_reason: string | null;
}

export function useStats() {
  return useQuery({
    queryKey: ["stats"],
    queryFn: ({ signal }) => rest<Stats>("GET", "/stats", undefined, signal),
    refetchInterval: 5_000,
  });
}
