import { useMutation, useQueryClient } from "@tanstack/react-query";
import { rest } from "../../../api/request.ts";
import { tell } from "../../../components/toasts.tsx";

export interface JobAction {
  path: string;
  method?: "POST" | "PUT";
  body?: unknown;
  /** The message that is shown when the action is done. */
  done: string | ((answer: never) => string);
  undo?: (answer: never) => void;
}

/** Runs an action over REST, shows a message, and refetches everything that may have changed. */
export function useJobAction() {
  const client = useQueryClient();
  return useMutation({
    mutationFn: async (action: JobAction) => await rest<never>(action.method ?? "POST", action.path, action.body),
    onSuccess: async (answer, { done, undo }) => {
      tell(typeof done === "string" ? done : done(answer), undo === undefined ? {} : { undo: () => undo(answer) });
      await client.invalidateQueries();
    },
    onError: (error) => tell(error.message, { kind: "error" }),
  });
}
