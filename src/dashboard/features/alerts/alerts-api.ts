import type { Json } from "../../../contract/rows.ts";
import type { alertRuleSchema, silenceSchema } from "../../../contract/alerts.ts";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { rest } from "../../api/request.ts";
import { tell } from "../../components/toasts.tsx";

/** A row of GET /alert-rules. Intervals are in Postgres's format. */
export type AlertRule = Json<typeof alertRuleSchema>;

/** A row of GET /silences. */
export type Silence = Json<typeof silenceSchema>;

export function useRules() {
  return useQuery({
    queryKey: ["alert-rules"],
    queryFn: async ({ signal }) => (await rest<{ items: AlertRule[] }>("GET", "/alert-rules", undefined, signal)).items,
  });
}

export function useSilences() {
  return useQuery({
    queryKey: ["silences"],
    queryFn: async ({ signal }) => (await rest<{ items: Silence[] }>("GET", "/silences", undefined, signal)).items,
    refetchInterval: 10_000,
  });
}

/** Runs an action on alerts, shows a message, and refetches all data about alerts. */
export function useAlertAction<T>(act: (given: T) => Promise<unknown>, said: (given: T) => string, onDone?: () => void) {
  const client = useQueryClient();
  return useMutation({
    mutationFn: act,
    onSuccess: async (_answer, given) => {
      tell(said(given));
      onDone?.();
      await Promise.all(
        ["alerts", "alert-rules", "silences", "health"].map((key) => client.invalidateQueries({ queryKey: [key] })),
      );
    },
  });
}
