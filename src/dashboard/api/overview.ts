import { useQuery } from "@tanstack/react-query";
import { rest } from "./request.ts";

/** GET /overview: how the whole system is. Counts are text. */
export interface Overview {
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

export function useOverview() {
  return useQuery({
    queryKey: ["overview"],
    queryFn: ({ signal }) => rest<Overview>("GET", "/overview", undefined, signal),
    refetchInterval: 5_000,
  });
}
