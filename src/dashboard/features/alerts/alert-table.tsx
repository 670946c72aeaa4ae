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
import { CellDetail, Table } from "../../components/table/table.tsx";
import { words } from "./words.ts";

/** Alerts, with actions on those that are open. */
export function AlertTable({ alerts }: { alerts: readonly Alert[] }) {
  const may = useMay("operator", { everybody: true });
  const [acting, setActing] = useState<{ on: Alert; how: "acknowledge" | "silence" }>();
  return (
    <>
      <Table
        label={common.tableOf(words.title)}
        corner
        rows={alerts}
        rowKey={({ id }) => id}
        columns={[
          { id: "severity", head: words.severity, render: ({ severity }) => <Status status={severity} /> },
          {
            id: "problem",
            head: words.problem,
            kind: "long",
            render: (alert) => (
              <>
                <p>{alert.message}</p>
                <p className="muted">
                  {alert.rule} · <Target alert={alert} /> ·{" "}
                  {words.threshold(formatValue(alert.kind, alert.value), formatValue(alert.kind, alert.threshold))}
                </p>
              </>
            ),
          },
          {
            id: "state",
            head: common.state,
            render: ({ state, acknowledgedBy, note, silenced }) => (
              <>
                <Status status={state} />
                {state === "acknowledged" && (
                  <CellDetail>
                    {acknowledgedBy}
                    {words.noteOf(note)}
                  </CellDetail>
                )}
                {silenced && <CellDetail>{words.silenced}</CellDetail>}
              </>
            ),
          },
          { id: "since", head: words.since, render: ({ raisedAt }) => <Time at={raisedAt} /> },
          {
            id: "for",
            head: words.for,
            kind: "number",
            render: ({ raisedAt, resolvedAt }) => <Duration from={raisedAt} to={resolvedAt} />,
          },
          may && {
            id: "actions",
            head: common.actions,
            kind: "actions",
            render: (alert) => (
              <>
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
              </>
            ),
          },
        ]}
      />
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
