import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useMay } from "../../api/me.ts";
import { rest } from "../../api/request.ts";
import { tell } from "../../components/toasts.tsx";
import { type Ruled, routeOf, type Target } from "./limits.ts";

interface Change {
  method: "POST" | "PUT" | "DELETE";
  /** The path below the route of the queue or task. */
  path: string;
  body?: unknown;
  /** The message that is shown when the change is done. */
  done: string;
  undo?: () => unknown;
}

/** Changes a setting of a queue or a task. The response contains the new state, which the pages show at once. */
export function useRuleChange(target: Target, onDone?: () => void) {
  const client = useQueryClient();
  return useMutation({
    mutationFn: ({ method, path, body }: Change) => rest<Ruled>(method, routeOf(target, path), body),
    onSuccess: (row, { done, undo }) => {
      client.setQueryData([target.scope, target.name], row);
      void client.invalidateQueries({ queryKey: [`${target.scope}s`] });
      void client.invalidateQueries({ queryKey: ["limit-use", target.scope, target.name] });
      tell(done, undo === undefined ? {} : { undo });
      onDone?.();
    },
  });
}

/** Whether the token may change settings of queues and tasks, which apply to all tenants. */
export function useMayRule(): boolean {
  return useMay("operator", { everybody: true });
}
