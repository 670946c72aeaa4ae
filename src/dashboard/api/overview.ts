import type { Json } from "../../contract/rows.ts";
import type { overviewSchema } from "../../contract/system.ts";
import { useQuery } from "@tanstack/react-query";
import { rest } from "./request.ts";

/** GET /overview: the state of the whole system. Counts are text. */
export type Overview = Json<typeof overviewSchema>;

export function useOverview() {
  return useQuery({
    queryKey: ["overview"],
    queryFn: ({ signal }) => rest<Overview>("GET", "/overview", undefined, signal),
    refetchInterval: 5_000,
  });
}
