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
import { CellDetail, Table } from "../../components/table/table.tsx";
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
          <Table
            label={common.tableOf(words.views.rules)}
            corner
            className="alerts-rules"
            rows={rules}
            rowKey={({ name }) => name}
            isOff={({ isEnabled }) => !isEnabled}
            columns={[
              { id: "rule", head: words.rule, kind: "name", render: (rule) => <RuleName rule={rule} /> },
              {
                id: "warning",
                head: words.warningFrom,
                kind: "number",
                render: ({ kind, warning }) => formatValue(kind, warning),
              },
              {
                id: "critical",
                head: words.criticalFrom,
                kind: "number",
                render: ({ kind, critical }) => formatValue(kind, critical),
              },
              {
                id: "period",
                head: words.period,
                kind: "number",
                render: ({ period }) => formatDuration(intervalSeconds(period)),
              },
              {
                id: "delays",
                head: words.firesClears,
                render: ({ raiseAfter, resolveAfter }) => words.delays(delay(raiseAfter), delay(resolveAfter)),
              },
              {
                id: "notifies",
                head: words.notifies,
                render: ({ channels }) => (channels === null ? words.defaultChannels : words.ownChannels(channels)),
              },
              may && {
                id: "actions",
                head: common.actions,
                kind: "actions",
                render: (rule) => (
                  <>
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
                  </>
                ),
              },
            ]}
          />
        )}
      </QueryResult>
      {editing !== undefined && <RuleDialog rule={editing} onClose={() => setEditing(undefined)} />}
      {dropping !== undefined && <DropDialog rule={dropping} onClose={() => setDropping(undefined)} />}
    </Card>
  );
}

function RuleName({ rule }: { rule: AlertRule }) {
  return (
    <>
      {rule.name}
      {!rule.isEnabled && <span className="chip alerts-off">{words.offChip}</span>}
      <CellDetail>{words.watches(words.kinds[rule.kind] ?? rule.kind, scopeOf(rule), rule.atLeast)}</CellDetail>
    </>
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
