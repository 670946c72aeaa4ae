import { useQuery } from "@tanstack/react-query";
import { useMay } from "../../api/me.ts";
import { useFailedGroups } from "../../api/monitoring.ts";
import { rest } from "../../api/request.ts";
import { useSchedules } from "../../api/schedules.ts";
import { useTasks } from "../../api/tasks.ts";
import type { Workflow } from "../../api/workflows.ts";

interface Named {
  name: string;
  queue?: string;
  pausedAt: string | null;
}

/** The names that the palette finds: queues, tasks, schedules, recent workflows, and the tasks with failed jobs. */
export function useNames(isOpen: boolean) {
  const mayAct = useMay("operator");
  const list = <T>(path: string) => ({
    queryKey: ["palette", path],
    queryFn: async ({ signal }: { signal: AbortSignal }) => (await rest<{ items: T[] }>("GET", path, undefined, signal)).items,
    enabled: isOpen,
    staleTime: 10_000,
  });
  const queues = useQuery(list<Named>("/queues"));
  const tasks = useTasks({ enabled: isOpen });
  const workflows = useQuery(list<Workflow>("/workflows?limit=50"));
  const failed = useFailedGroups().data ?? [];
  return {
    queues: queues.data ?? [],
    tasks: tasks.data ?? [],
    schedules: useSchedules().data ?? [],
    workflows: workflows.data ?? [],
    failedTasks: mayAct ? [...new Set(failed.map(({ task }) => task))] : [],
    isLoading: queues.isPending || tasks.isPending || workflows.isPending,
  };
}
