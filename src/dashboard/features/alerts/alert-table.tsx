import { BellOff, Check } from "lucide-react";
import { useState } from "react";
import { Link } from "wouter";
import { useMay } from "../../api/me.ts";
import type { Alert } from "../../api/monitoring.ts";
import { Duration, Time } from "../../components/time/time.tsx";
import { Button } from "../../components/button.tsx";
import { Status } from "../../components/state-badge.tsx";
import { AcknowledgeDialog } from "./acknowledge-dialog.tsx";
import { formatValue, KINDS } from "./kinds.ts";
import { SilenceDialog } from "./silences.tsx";
import { common } from "../../components/words.ts";
import { words } from "./words.ts";

/** Alerts, with actions on those that are open. */
export function AlertTable({ alerts }: { alerts: readonly Alert[] }) {
  const may = useMay("operator", { everybody: true });
  const [acting, setActing] = useState<{ on: Alert; how: "acknowledge" | "silence" }>();
  return (
    <>
      <div className="table-scroll" tabIndex={0} role="region" aria-label={common.tableOf(words.title)}>
        <table className="table alerts-table">
          <thead>
            <tr>
              <th scope="col">{words.severity}</th>
              <th scope="col">{words.problem}</th>
              <th scope="col">{common.state}</th>
              <th scope="col">{words.since}</th>
              <th scope="col" className="end">
                {words.for}
              </th>
              {may && <th scope="col">{common.actions}</th>}
            </tr>
          </thead>
          <tbody>
            {alerts.map((alert) => (
              <tr key={alert.id}>
                <td>
                  <Status status={alert.severity} />
                </td>
                <td className="alerts-message">
                  <p>{alert.message}</p>
                  <p className="muted">
                    {alert.rule} · <Target alert={alert} /> ·{" "}
                    {words.threshold(formatValue(alert.kind, alert.value), formatValue(alert.kind, alert.threshold))}
                  </p>
                </td>
                <td>
                  <Status status={alert.state} />
                  {alert.state === "acknowledged" && (
                    <p className="muted">
                      {alert.acknowledgedBy}
                      {words.noteOf(alert.note)}
                    </p>
                  )}
                  {alert.silenced && <p className="muted">{words.silenced}</p>}
                </td>
                <td data-label={words.since}>
                  <Time at={alert.raisedAt} />
                </td>
                <td className="end" data-label={words.for}>
                  <Duration from={alert.raisedAt} to={alert.resolvedAt} />
                </td>
                {may && (
                  <td>
                    <div className="alerts-do">
                      {alert.state === "open" && (
                        <Button
                          kind="quiet"
                          icon={<Check aria-hidden="true" />}
                          aria-label={words.acknowledgeOf(alert.message)}
                          onClick={() => setActing({ on: alert, how: "acknowledge" })}
                        >
                          {words.acknowledge}
                        </Button>
                      )}
                      {alert.state !== "resolved" && !alert.silenced && (
                        <Button
                          kind="quiet"
                          icon={<BellOff aria-hidden="true" />}
                          aria-label={words.silenceOf(alert.message)}
                          onClick={() => setActing({ on: alert, how: "silence" })}
                        >
                          {words.silence}
                        </Button>
                      )}
                    </div>
                  </td>
                )}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {acting?.how === "acknowledge" && <AcknowledgeDialog alert={acting.on} onClose={() => setActing(undefined)} />}
      {acting?.how === "silence" && (
        <SilenceDialog rule={acting.on.rule} target={acting.on.target} onClose={() => setActing(undefined)} />
      )}
    </>
  );
}

const PAGES: Readonly<Record<string, string>> = { task: "tasks", queue: "queues", schedule: "schedules" };

function Target({ alert: { kind, target } }: { alert: Alert }) {
  const page = PAGES[KINDS[kind]?.of ?? ""];
  if (page !== undefined) return <Link href={`/${page}/${encodeURIComponent(target)}`}>{target}</Link>;
  return KINDS[kind]?.of === "check" ? <Link href="/database">{target}</Link> : target;
}
