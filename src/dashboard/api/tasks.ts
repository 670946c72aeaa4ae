import { useQuery } from "@tanstack/react-query";
import type { taskSchema } from "../../contract/queues.ts";
import type { Json } from "../../contract/rows.ts";
import { rest } from "./request.ts";

/** A task of GET /tasks. */
export type Task = Json<typeof taskSchema>;

/** All tasks by name. Pages that list names share the result with the page Tasks, which keeps it fresh. */
export function useTasks({
  enabled = true,
  refetchInterval = false,
}: { enabled?: boolean; refetchInterval?: number | false } = {}) {
  return useQuery({
    queryKey: ["tasks", "all"],
    queryFn: ({ signal }) => allTasks(signal),
    enabled,
    refetchInterval,
    staleTime: refetchInterval === false ? 60_000 : 2_000,
  });
}

async function allTasks(signal: AbortSignal): Promise<Task[]> {
  const all: Task[] = [];
  for (let cursor: string | null = ""; cursor !== null;) {
    const path: string = `/tasks?limit=500${cursor === "" ? "" : `&cursor=${encodeURIComponent(cursor)}`}`;
    const page: { items: Task[]; nextCursor: string | null } = await rest("GET", path, undefined, signal);
    all.push(...page.items);
    cursor = page.nextCursor;
  }
  return all;
}
