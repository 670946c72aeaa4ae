import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { rest } from "../../api/request.ts";
import { tell } from "../../components/toasts.tsx";

/** A row of GET /alert-rules; intervals as Postgres writes them. */
export interface AlertRule {
  name: string;
  kind: string;
  target: string | null;
  warning: number | null;
  critical: number | null;
  period: string;
  at_least: number;
  raise_after: string;
  resolve_after: string;
  channels: number | null;
  is_enabled: boolean;
}

/** A row of GET /silences. */
export interface Silence {
  id: string;
  rule: string | null;
  target: string | null;
  until: string;
  reason: string | null;
  silenced_by: string;
  silenced_at: string;
}

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

/** Does something to alerts and then tells of it; everything about them is read again. */
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
