import type { Json } from "../../contract/rows.ts";
import type { overviewSchema } from "../../contract/system.ts";
import { useQuery } from "@tanstack/react-query";
import { rest } from "./request.ts";

/** GET /stats: how the whole system is. Counts are text. */
export type Stats = Json<typeof overviewSchema>;

export function useStats() {
  return useQuery({
    queryKey: ["stats"],
    queryFn: ({ signal }) => rest<Stats>("GET", "/stats", undefined, signal),
    refetchInterval: 5_000,
  });
}
