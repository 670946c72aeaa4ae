import { CircleAlert } from "lucide-react";
import type { Health } from "../../../contract/alerts.ts";
import { useHealth } from "../../api/monitoring.ts";
import { useOverview } from "../../api/overview.ts";
import { Status } from "../../components/state-badge.tsx";
import { words } from "./words.ts";

/** The health of one queue or task according to the alert rules; undefined for tokens limited to one tenant, which may not read it. */
export function useHealthOf(scope: string): (name: string) => Health | undefined {
  const { data: all } = useHealth();
  return (name) => all?.find((one) => one.scope === scope && one.name === name);
}

/** The health of a queue or task. While all jobs are stopped, it is shown as stopped instead of healthy. */
export function HealthStatus({ health }: { health: Health | undefined }) {
  const { data: overview } = useOverview();
  if ((overview?.stoppedAt ?? null) !== null && (health === undefined || health.status === "healthy")) {
    return <Status status={words.stopped} title={words.allStopped} />;
  }
  if (health === undefined) return <span className="muted">–</span>;
  return <Status status={health.status} title={health.reasons.join("\n")} />;
}

/** The reasons why a queue or task is not healthy, as a notice. Renders nothing while it is healthy. */
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
