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
import { Sentence } from "../../components/sentence.tsx";
import { common } from "../../components/words.ts";
import { words } from "./words.ts";

/** The alert rules: their thresholds and delays. */
export function Rules() {
  const may = useMay("operator", { everybody: true });
  const query = useRules();
  const [editing, setEditing] = useState<AlertRule>();
  const [dropping, setDropping] = useState<AlertRule>();
  const enable = useAlertAction(
    ({ name, isEnabled }: AlertRule) => rest("PUT", `/alert-rules/${encodeURIComponent(name)}`, { enabled: !isEnabled }),
    ({ name, isEnabled }) => (isEnabled ? words.turnedOff(name) : words.turnedOn(name)),
  );
  return (
    <Card>
      {enable.isError && <Failure error={enable.error} />}
      <QueryResult query={query}>
        {(rules) => (
          <div className="table-scroll" tabIndex={0} role="region" aria-label={common.tableOf(words.views.rules)}>
            <table className="table alerts-table">
              <thead>
                <tr>
                  <th scope="col">{words.rule}</th>
                  <th scope="col" className="end">
                    {words.warningFrom}
                  </th>
                  <th scope="col" className="end">
                    {words.criticalFrom}
                  </th>
                  <th scope="col" className="end">
                    {words.period}
                  </th>
                  <th scope="col">{words.firesClears}</th>
                  <th scope="col">{words.notifies}</th>
                  {may && <th scope="col">{common.actions}</th>}
                </tr>
              </thead>
              <tbody>
                {rules.map((rule) => (
                  <tr key={rule.name} data-off={!rule.isEnabled}>
                    <td className="alerts-message">
                      <p>
                        <strong>{rule.name}</strong>
                        {!rule.isEnabled && <span className="chip alerts-off">{words.offChip}</span>}
                      </p>
                      <p className="muted">{words.watches(words.kinds[rule.kind] ?? rule.kind, scopeOf(rule), rule.atLeast)}</p>
                    </td>
                    <td className="end" data-label={words.warningFrom}>
                      {formatValue(rule.kind, rule.warning)}
                    </td>
                    <td className="end" data-label={words.criticalFrom}>
                      {formatValue(rule.kind, rule.critical)}
                    </td>
                    <td className="end" data-label={words.period}>
                      {formatDuration(intervalSeconds(rule.period))}
                    </td>
                    <td data-label={words.firesClears}>{words.delays(delay(rule.raiseAfter), delay(rule.resolveAfter))}</td>
                    <td data-label={words.notifies}>
                      {rule.channels === null ? words.defaultChannels : words.ownChannels(rule.channels)}
                    </td>
                    {may && (
                      <td>
                        <div className="alerts-do">
                          <Button
                            kind="quiet"
                            aria-pressed={rule.isEnabled}
                            aria-label={rule.isEnabled ? words.onOf(rule.name) : words.offOf(rule.name)}
                            busy={enable.isPending && enable.variables.name === rule.name}
                            onClick={() => enable.mutate(rule)}
                          >
                            {rule.isEnabled ? words.on : words.off}
                          </Button>
                          <Button
                            kind="quiet"
                            icon={<Pencil aria-hidden="true" />}
                            aria-label={words.editOf(rule.name)}
                            onClick={() => setEditing(rule)}
                          />
                          <Button
                            kind="quiet"
                            icon={<Trash2 aria-hidden="true" />}
                            aria-label={words.removeOf(rule.name)}
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

function scopeOf({ kind, target }: AlertRule): string {
  if (target !== null) return words.only(target);
  const of = KINDS[kind]?.of ?? "target";
  return of === "system" ? words.wholeSystem : words.perPart(words.parts[of] ?? of);
}

function delay(interval: string): string {
  return formatDuration(intervalSeconds(interval));
}

function DropDialog({ rule, onClose }: { rule: AlertRule; onClose: () => void }) {
  const drop = useAlertAction(
    () => rest("DELETE", `/alert-rules/${encodeURIComponent(rule.name)}`),
    () => words.removed(rule.name),
    onClose,
  );
  return (
    <FormDialog
      title={words.removeQuestion(rule.name)}
      submit={words.removeRule}
      kind="danger"
      onClose={onClose}
      onSubmit={() => drop.mutate(undefined)}
      busy={drop.isPending}
      error={drop.error}
    >
      <p>{words.removeExplained}</p>
      <p className="muted">
        <Sentence text={words.restoreHint} slots={{ statement: <code>select legwork.restore_alert_rules()</code> }} />
      </p>
    </FormDialog>
  );
}
