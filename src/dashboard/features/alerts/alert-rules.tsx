import { Pencil, Trash2 } from "lucide-react";
import { useState } from "react";
import { useMay } from "../../api/me.ts";
import { rest } from "../../api/request.ts";
import { formatDuration } from "../../components/time/format-times.ts";
import { Button } from "../../components/button.tsx";
import { FormDialog } from "../../components/dialog.tsx";
import { Failure } from "../../components/notice.tsx";
import { Card } from "../../components/page.tsx";
import { QueryResult } from "../../components/query-result.tsx";
import { type AlertRule, useAlertAction, useRules } from "./alerts-api.ts";
import { formatValue, intervalSeconds, KINDS } from "./kinds.ts";
import { RuleDialog } from "./rule-dialog.tsx";

/** What raises an alert, from which value on, and for how long it must be so. */
export function Rules() {
  const may = useMay("operator", { everybody: true });
  const query = useRules();
  const [editing, setEditing] = useState<AlertRule>();
  const [dropping, setDropping] = useState<AlertRule>();
  const enable = useAlertAction(
    ({ name, isEnabled }: AlertRule) => rest("PUT", `/alert-rules/${encodeURIComponent(name)}`, { enabled: !isEnabled }),
    ({ name, isEnabled }) => (isEnabled ? `Nobody looks at ${name} any more.` : `${name} is looked after again.`),
  );
  return (
    <Card>
      {enable.isError && <Failure error={enable.error} />}
      <QueryResult query={query}>
        {(rules) => (
          <div className="table-scroll" tabIndex={0} role="region" aria-label="Rules, table">
            <table className="table alerts-table">
              <thead>
                <tr>
                  <th scope="col">Rule</th>
                  <th scope="col" className="end">
                    Warning from
                  </th>
                  <th scope="col" className="end">
                    Critical from
                  </th>
                  <th scope="col" className="end">
                    Period
                  </th>
                  <th scope="col">Raised, resolved after</th>
                  <th scope="col">Tells</th>
                  {may && <th scope="col">Do</th>}
                </tr>
              </thead>
              <tbody>
                {rules.map((rule) => (
                  <tr key={rule.name} data-off={!rule.isEnabled}>
                    <td className="alerts-message">
                      <p>
                        <strong>{rule.name}</strong>
                        {!rule.isEnabled && <span className="chip alerts-off">off</span>}
                      </p>
                      <p className="muted">
                        {KINDS[rule.kind]?.what ?? rule.kind}, {ofWhat(rule)}
                        {rule.atLeast > 1 && `, of ${rule.atLeast} attempts or more`}
                      </p>
                    </td>
                    <td className="end" data-label="Warning from">
                      {formatValue(rule.kind, rule.warning)}
                    </td>
                    <td className="end" data-label="Critical from">
                      {formatValue(rule.kind, rule.critical)}
                    </td>
                    <td className="end" data-label="Period">
                      {formatDuration(intervalSeconds(rule.period))}
                    </td>
                    <td data-label="Raised, resolved after">
                      {atOnce(rule.raiseAfter)}, {atOnce(rule.resolveAfter)}
                    </td>
                    <td data-label="Tells">{rule.channels === null ? "as all do" : `${rule.channels} of its own`}</td>
                    {may && (
                      <td>
                        <div className="alerts-do">
                          <Button
                            kind="quiet"
                            aria-pressed={rule.isEnabled}
                            aria-label={`${rule.isEnabled ? "On" : "Off"}: ${rule.name}`}
                            busy={enable.isPending && enable.variables.name === rule.name}
                            onClick={() => enable.mutate(rule)}
                          >
                            {rule.isEnabled ? "On" : "Off"}
                          </Button>
                          <Button
                            kind="quiet"
                            icon={<Pencil aria-hidden="true" />}
                            aria-label={`Edit ${rule.name}`}
                            onClick={() => setEditing(rule)}
                          />
                          <Button
                            kind="quiet"
                            icon={<Trash2 aria-hidden="true" />}
                            aria-label={`Drop ${rule.name}`}
                            onClick={() => setDropping(rule)}
                          />
                        </div>
                      </td>
                    )}
                  </tr>
                ))}
              </tbody>
            </table>
          </div>
        )}
      </QueryResult>
      {editing !== undefined && <RuleDialog rule={editing} onClose={() => setEditing(undefined)} />}
      {dropping !== undefined && <DropDialog rule={dropping} onClose={() => setDropping(undefined)} />}
    </Card>
  );
}

function ofWhat({ kind, target }: AlertRule): string {
  if (target !== null) return `of ${target} only`;
  const of = KINDS[kind]?.of ?? "thing";
  return of === "system" ? "of the whole" : `of each ${of}`;
}

function atOnce(interval: string): string {
  const seconds = intervalSeconds(interval);
  return seconds === 0 ? "at once" : formatDuration(seconds);
}

function DropDialog({ rule, onClose }: { rule: AlertRule; onClose: () => void }) {
  const drop = useAlertAction(
    () => rest("DELETE", `/alert-rules/${encodeURIComponent(rule.name)}`),
    () => `${rule.name} is gone.`,
    onClose,
  );
  return (
    <FormDialog
      title={`Drop ${rule.name}?`}
      submit="Drop the rule"
      kind="danger"
      onClose={onClose}
      onSubmit={() => drop.mutate(undefined)}
      busy={drop.isPending}
      error={drop.error}
    >
      <p>Its open alerts are resolved. To keep its values for later, switch it off instead.</p>
      <p className="muted">
        A rule that Legwork came with is brought back by <code>select legwork.restore_alert_rules()</code>.
      </p>
    </FormDialog>
  );
}
