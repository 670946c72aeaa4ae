import { Check, Search } from "lucide-react";
import { useState } from "react";
import { Link } from "wouter";
import { useMay } from "../../api/me.ts";
import { type Alert, useAlerts, useFailedGroups } from "../../api/monitoring.ts";
import { Button } from "../../components/button.tsx";
import { Failure } from "../../components/notice.tsx";
import { Card } from "../../components/page.tsx";
import { Sentence } from "../../components/sentence.tsx";
import { Status } from "../../components/state-badge.tsx";
import { Time } from "../../components/time/time.tsx";
import { common } from "../../components/words.ts";
import { pathTo } from "../../router/links.ts";
import { AcknowledgeDialog } from "../alerts/acknowledge-dialog.tsx";
import { findProblems, type Problem } from "./problems.ts";
import { words } from "./words.ts";

/** The number of problems that are shown here; the pages Alerts and Failed list all of them. */
const SHOWN = 6;

/** What needs attention now: one row for each affected task or other target, with its alerts and failed jobs. Renders nothing without problems. */
export function Attention() {
  const everybody = useMay("viewer", { everybody: true });
  const alerts = useAlerts();
  const groups = useFailedGroups();
  const [acknowledging, setAcknowledging] = useState<Alert>();
  if (groups.isError && groups.data === undefined) return <Failure error={groups.error} retry={groups.refetch} />;
  const problems = findProblems(everybody ? (alerts.data ?? []) : [], groups.data ?? []);
  if (problems.length === 0) return null;
  return (
    <Card
      title={words.attention}
      actions={
        <span className="overview-links">
          {everybody && <Link href="/alerts">{words.allAlerts}</Link>} <Link href="/failed">{words.allFailed}</Link>
        </span>
      }
    >
      <ul className="attention">
        {problems.slice(0, SHOWN).map((problem) => (
          <ProblemRow key={problem.key} problem={problem} onAcknowledge={setAcknowledging} />
        ))}
      </ul>
      {problems.length > SHOWN && (
        <p className="attention-rest">
          <Link href={everybody ? "/alerts" : "/failed"}>{words.moreProblems(problems.length - SHOWN)}</Link>
        </p>
      )}
      {acknowledging !== undefined && <AcknowledgeDialog alert={acknowledging} onClose={() => setAcknowledging(undefined)} />}
    </Card>
  );
}

function ProblemRow({
  problem: { task, alerts, groups },
  onAcknowledge,
}: {
  problem: Problem;
  onAcknowledge: (alert: Alert) => void;
}) {
  const mayAcknowledge = useMay("operator", { everybody: true });
  const [alert] = alerts;
  const [group] = groups;
  const open = alerts.find(({ state }) => state === "open");
  const error = group === undefined ? undefined : (group.lastError?.split("\n", 1)[0] ?? common.noMessage);
  return (
    <li>
      <Status status={alert?.severity ?? "failed"} />
      <div>
        <p className="attention-error" dir="auto">
          {task !== undefined && (
            <>
              <Link href={pathTo("/tasks", task)} className="plain">
                <strong>{task}</strong>
              </Link>{" "}
            </>
          )}
          {alert?.message ?? error}
        </p>
        {alert !== undefined && error !== undefined && (
          <p className="attention-error muted" dir="auto">
            {error}
          </p>
        )}
        <p className="muted">
          {alert !== undefined && (
            <>
              <Sentence text={words.since} slots={{ at: <Time at={alert.raisedAt} /> }} />
              {alert.state === "acknowledged" && ` · ${words.acknowledgedBy(alert.acknowledgedBy)}`}
              {alert.silenced && ` · ${words.silenced}`}
              {group !== undefined && " · "}
            </>
          )}
          {group !== undefined && (
            <>
              {words.failedJobs(total(groups.map(({ jobs }) => jobs)), groups.length)} ·{" "}
              <Sentence text={words.lastSeen} slots={{ at: <Time at={group.lastAt} /> }} /> ·{" "}
              <Link href={`/jobs/${group.lastId}`}>{words.latestJob(group.lastId)}</Link>
            </>
          )}
        </p>
      </div>
      <div className="attention-actions">
        {open !== undefined && mayAcknowledge && (
          <Button
            kind="quiet"
            icon={<Check aria-hidden="true" />}
            aria-label={words.acknowledgeOf(open.message)}
            onClick={() => onAcknowledge(open)}
          >
            {words.acknowledge}
          </Button>
        )}
        {group !== undefined && task !== undefined && (
          <Link
            href={`/failed?${new URLSearchParams({ task })}`}
            className="button"
            data-kind="quiet"
            aria-label={words.reviewOf(task)}
          >
            <Search aria-hidden="true" />
            {words.review}
          </Link>
        )}
      </div>
    </li>
  );
}

/** Adds up counts. They are text, because they may be too large for a JavaScript number. */
function total(counts: readonly string[]): string {
  return String(counts.reduce((sum, count) => sum + BigInt(count), 0n));
}
