import { Link } from "wouter";
import { type Alert, byUrgency, type FailedGroup, useAlerts, useFailedGroups } from "../../api/monitoring.ts";
import { useMay } from "../../api/me.ts";
import { formatCount } from "../../components/numbers.ts";
import { Time } from "../../components/time/time.tsx";
import { Failure } from "../../components/notice.tsx";
import { Card } from "../../components/page.tsx";
import { Status } from "../../components/state-badge.tsx";

/** Groups and alerts that are shown here; the pages of their own have the rest. */
const SHOWN = 6;

/** What somebody has to look at now: open alerts, and failed jobs by what went wrong. Nothing at all while there is nothing. */
export function Attention() {
  const everybody = useMay("viewer", { everybody: true });
  const alerts = useAlerts();
  const groups = useFailedGroups();
  const open = (everybody ? (alerts.data ?? []) : []).toSorted(byUrgency);
  const failed = groups.data ?? [];
  if (groups.isError && groups.data === undefined) return <Failure error={groups.error} retry={groups.refetch} />;
  if (open.length === 0 && failed.length === 0) return null;
  return (
    <div className="grid">
      {open.length > 0 && (
        <Card title="Open alerts" actions={<Link href="/alerts">All alerts</Link>}>
          <ul className="attention">
            {open.slice(0, SHOWN).map((alert) => (
              <AlertLine key={alert.id} alert={alert} />
            ))}
          </ul>
          <Rest count={open.length - SHOWN} what="alerts" href="/alerts" />
        </Card>
      )}
      {failed.length > 0 && (
        <Card title="Failed, by error" actions={<Link href="/failed">All failed jobs</Link>}>
          <ul className="attention">
            {failed.slice(0, SHOWN).map((group) => (
              <GroupLine key={group.fingerprint} group={group} />
            ))}
          </ul>
          <Rest count={failed.length - SHOWN} what="errors" href="/failed" />
        </Card>
      )}
    </div>
  );
}

function AlertLine({ alert }: { alert: Alert }) {
  return (
    <li>
      <Status status={alert.severity} />
      <div>
        <p>{alert.message}</p>
        <p className="muted">
          {alert.state === "acknowledged" ? `${alert.acknowledgedBy ?? "Somebody"} looks after it` : "Nobody looks after it yet"}
          {alert.silenced && ", silenced"} · since <Time at={alert.raisedAt} />
        </p>
      </div>
    </li>
  );
}

function GroupLine({ group }: { group: FailedGroup }) {
  const error = group.lastError?.split("\n", 1)[0] ?? "without a message";
  // Jobs that failed before there were fingerprints are named by their task.
  const which: Record<string, string> = group.fingerprint === null ? { task: group.task } : { fingerprint: group.fingerprint };
  return (
    <li>
      <strong className="number attention-count">{formatCount(group.jobs)}</strong>
      <div>
        <p className="attention-error">
          <Link href={`/failed?${new URLSearchParams(which)}`}>{error}</Link>
        </p>
        <p className="muted">
          <code>{group.task}</code> · last <Time at={group.lastAt} /> ·{" "}
          <Link href={`/jobs/${group.lastId}`}>job {group.lastId}</Link>
        </p>
      </div>
    </li>
  );
}

function Rest({ count, what, href }: { count: number; what: string; href: string }) {
  if (count <= 0) return null;
  return (
    <p className="attention-rest">
      <Link href={href}>
        {formatCount(count)} more {what}
      </Link>
    </p>
  );
}
