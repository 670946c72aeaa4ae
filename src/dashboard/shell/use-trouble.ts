import { useQuery } from "@tanstack/react-query";
import { useEffect } from "react";
import { alertsQuery } from "../api/monitoring.ts";
import { useMay } from "../api/me.ts";
import { setTrouble } from "../components/title.ts";

/** How often critical alerts are fetched (ms), also in background tabs, because their title and icon are visible. */
const LOOK_MS = 15_000;

/** Shows the number of open critical alerts in the tab's title, with a red dot on its icon. */
export function useTrouble(): void {
  const may = useMay("viewer", { everybody: true });
  const { data } = useQuery({ ...alertsQuery(), enabled: may, refetchInterval: LOOK_MS, refetchIntervalInBackground: true });
  const count =
    data?.filter(({ state, severity, silenced }) => state === "open" && severity === "critical" && !silenced).length ?? 0;
  useEffect(() => {
    setTrouble(count);
    return () => setTrouble(0);
  }, [count]);
}
