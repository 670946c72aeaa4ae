import { useQuery } from "@tanstack/react-query";
import type { bulkActionSchema, bulkPreviewSchema } from "../../contract/bulk-actions.ts";
import type { Json } from "../../contract/rows.ts";
import { rest } from "./request.ts";

/** A row of GET /bulk-actions. */
export type BulkActionRow = Json<typeof bulkActionSchema>;

/** The response of POST /bulk-actions/preview. */
export type BulkPreview = Json<typeof bulkPreviewSchema>;

/** One bulk action, read every second while it is running. */
export function useBulkAction(id: string) {
  return useQuery({
    queryKey: ["bulk-actions", id],
    queryFn: ({ signal }) => rest<BulkActionRow>("GET", `/bulk-actions/${encodeURIComponent(id)}`, undefined, signal),
    refetchInterval: ({ state }) => (state.data?.state === "running" || state.data === undefined ? 1_000 : false),
  });
}

/** The last bulk actions, newest first. */
export function useBulkActions() {
  return useQuery({
    queryKey: ["bulk-actions"],
    queryFn: async ({ signal }) =>
      (await rest<{ items: BulkActionRow[] }>("GET", "/bulk-actions?limit=100", undefined, signal)).items,
    refetchInterval: 3_000,
  });
}
