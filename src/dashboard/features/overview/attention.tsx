import { Link } from "wouter";
import { type Alert, byUrgency, type FailedGroup, useAlerts, useFailedGroups } from "../../api/monitoring.ts";
import { useMay } from "../../api/me.ts";
import { formatCount } from "../../components/numbers.ts";
import { Time } from "../../components/time/time.tsx";
import { Failure } from "../../components/notice.tsx";
import { Card } from "../../components/page.tsx";
import { Status } from "../../components/state-badge.tsx";
import { common } from "../../components/words.ts";
import { Sentence } from "../../components/sentence.tsx";
import { words } from "./words.ts";

/** Groups and alerts that are shown here; their own pages have the rest. */
const SHOWN = 6;

/** What needs attention now: open alerts, and failed jobs by error. Renders nothing without them. */
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
        <Card title={words.openAlerts} actions={<Link href="/alerts">{words.allAlerts}</Link>}>
          <ul className="attention">
            {open.slice(0, SHOWN).map((alert) => (
              <AlertLine key={alert.id} alert={alert} />
            ))}
          </ul>
          <Rest count={open.length - SHOWN} text={words.moreAlerts} href="/alerts" />
        </Card>
      )}
      {failed.length > 0 && (
        <Card title={words.topErrors} actions={<Link href="/failed">{words.allFailed}</Link>}>
          <ul className="attention">
            {failed.slice(0, SHOWN).map((group) => (
              <GroupLine key={group.fingerprint} group={group} />
            ))}
          </ul>
          <Rest count={failed.length - SHOWN} text={words.moreErrors} href="/failed" />
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
          {alert.state === "acknowledged" ? words.acknowledgedBy(alert.acknowledgedBy) : words.unacknowledged}
          {alert.silenced && words.silenced} · <Sentence text={words.raised} slots={{ at: <Time at={alert.raisedAt} /> }} />
        </p>
      </div>
    </li>
  );
}

function GroupLine({ group }: { group: FailedGroup }) {
  const error = group.lastError?.split("\n", 1)[0] ?? common.noMessage;
  // Jobs that failed before fingerprints existed are identified by their task.
  const which: Record<string, string> = group.fingerprint === null ? { task: group.task } : { fingerprint: group.fingerprint };
  return (
    <li>
      <strong className="number attention-count">{formatCount(group.jobs)}</strong>
      <div>
        <p className="attention-error">
          <Link href={`/failed?${new URLSearchParams(which)}`}>{error}</Link>
        </p>
        <p className="muted">
          <code>{group.task}</code> · <Sentence text={words.lastSeen} slots={{ at: <Time at={group.lastAt} /> }} /> ·{" "}
          <Link href={`/jobs/${group.lastId}`}>{words.latestJob(group.lastId)}</Link>
        </p>
      </div>
    </li>
  );
}

function Rest({ count, text, href }: { count: number; text: (count: number) => string; href: string }) {
  if (count <= 0) return null;
  return (
    <p className="attention-rest">
      <Link href={href}>{text(count)}</Link>
    </p>
  );
}
