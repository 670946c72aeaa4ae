import { useQuery } from "@tanstack/react-query";
import { CircleAlert } from "lucide-react";
import { useMay } from "../../api/me.ts";
import { rest } from "../../api/request.ts";
import { Status } from "../../components/state-badge.tsx";

interface Health {
  scope: string;
  name: string;
  status: "healthy" | "degraded" | "unhealthy";
  reasons: string[];
}

/** How everything is, by the alert rules; undefined for a token of one tenant, which is not told. */
function useHealth(): Health[] | undefined {
  const may = useMay("viewer", { everybody: true });
  return useQuery({
    queryKey: ["health"],
    queryFn: ({ signal }) => rest<{ items: Health[] }>("GET", "/health", undefined, signal),
    enabled: may,
    refetchInterval: 10_000,
  }).data?.items;
}

export function useHealthOf(scope: string): (name: string) => Health | undefined {
  const all = useHealth();
  return (name) => all?.find((one) => one.scope === scope && one.name === name);
}

export function HealthStatus({ health }: { health: Health | undefined }) {
  if (health === undefined) return <span className="muted">–</span>;
  return <Status status={health.status} title={health.reasons.join("\n")} />;
}

/** What is wrong with it, as a notice; nothing while all is well. */
export function HealthNotice({ health }: { health: Health | undefined }) {
  if (health === undefined || health.status === "healthy") return null;
  return (
    <div className="notice health-notice" data-status={health.status}>
      <CircleAlert aria-hidden="true" />
      <div>
        <p>
          <Status status={health.status} />
        </p>
        <ul>
          {health.reasons.map((reason) => (
            <li key={reason}>{reason}</li>
          ))}
        </ul>
      </div>
    </div>
  );
}
