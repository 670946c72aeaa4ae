import type { UseQueryResult } from "@tanstack/react-query";
import { useState } from "react";
import { useMay } from "../../api/me.ts";
import { rest } from "../../api/request.ts";
import { ExactTime, Time } from "../../components/time/time.tsx";
import { Button } from "../../components/button.tsx";
import { FormDialog } from "../../components/dialog.tsx";
import { Field } from "../../components/field.tsx";
import { Empty, Failure } from "../../components/notice.tsx";
import { Card } from "../../components/page.tsx";
import { QueryResult } from "../../components/query-result.tsx";
import { type Silence, useAlertAction, useRules } from "./alerts-api.ts";
import { Sentence } from "../../components/sentence.tsx";
import { common } from "../../components/words.ts";
import { Table } from "../../components/table/table.tsx";
import { words } from "./words.ts";

/** The active silences, which can be removed before they end. */
export function Silences({ query }: { query: UseQueryResult<Silence[]> }) {
  const may = useMay("operator", { everybody: true });
  const end = useAlertAction(
    ({ id }: Silence) => rest("POST", `/silences/${id}/end`),
    () => words.silenceEnded,
  );
  return (
    <Card>
      {end.isError && <Failure error={end.error} />}
      <QueryResult query={query} rows={3}>
        {(silences) =>
          silences.length === 0 ? (
            <Empty title={words.noSilences}>{words.noSilencesHint}</Empty>
          ) : (
            <Table
              label={common.tableOf(words.views.silences)}
              rows={silences}
              rowKey={({ id }) => id}
              columns={[
                { id: "rule", head: words.rule, kind: "name", render: ({ rule }) => rule ?? words.everyRule },
                { id: "target", head: words.target, render: ({ target }) => target ?? words.everything },
                { id: "ends", head: words.ends, render: ({ until }) => <ExactTime at={until} /> },
                { id: "reason", head: words.reason, render: ({ reason }) => reason ?? <span className="muted">–</span> },
                {
                  id: "by",
                  head: words.createdBy,
                  render: ({ silencedBy, silencedAt }) => (
                    <Sentence text={words.by} slots={{ by: silencedBy, at: <Time at={silencedAt} /> }} />
                  ),
                },
                may && {
                  id: "actions",
                  head: common.actions,
                  kind: "actions",
                  render: (silence) => (
                    <Button
                      kind="quiet"
                      busy={end.isPending && end.variables.id === silence.id}
                      onClick={() => end.mutate(silence)}
                    >
                      {words.endSilence}
                    </Button>
                  ),
                },
              ]}
            />
          )
        }
      </QueryResult>
    </Card>
  );
}

/** Silences notifications for a period: for one target, one rule, or everything. */
export function SilenceDialog({ rule = "", target = "", onClose }: { rule?: string; target?: string; onClose: () => void }) {
  const rules = useRules();
  const [form, setForm] = useState({ duration: "1h", rule, target, reason: "" });
  const silence = useAlertAction(
    () =>
      rest("POST", "/silences", {
        duration: form.duration,
        ...(form.rule === "" ? {} : { rule: form.rule }),
        ...(form.target.trim() === "" ? {} : { target: form.target.trim() }),
        ...(form.reason.trim() === "" ? {} : { reason: form.reason.trim() }),
      }),
    () => words.silencedFor(form.duration as keyof typeof words.durations),
    onClose,
  );
  return (
    <FormDialog
      title={words.silenceQuestion}
      submit={words.silence}
      onClose={onClose}
      onSubmit={() => silence.mutate(undefined)}
      busy={silence.isPending}
      error={silence.error}
    >
      <p className="muted">{words.silenceExplained}</p>
      <Field label={words.duration}>
        <select value={form.duration} onChange={(event) => setForm({ ...form, duration: event.target.value })}>
          {Object.entries(words.durations).map(([value, name]) => (
            <option key={value} value={value}>
              {name}
            </option>
          ))}
        </select>
      </Field>
      <Field label={words.rule}>
        <select value={form.rule} onChange={(event) => setForm({ ...form, rule: event.target.value })}>
          <option value="">{words.everyRuleOption}</option>
          {[...new Set([...(rules.data ?? []).map(({ name }) => name), ...(rule === "" ? [] : [rule])])].map((name) => (
            <option key={name}>{name}</option>
          ))}
        </select>
      </Field>
      <Field label={words.target} hint={words.targetHint}>
        <input value={form.target} maxLength={512} onChange={(event) => setForm({ ...form, target: event.target.value })} />
      </Field>
      <Field label={common.reason}>
        <input value={form.reason} maxLength={1_000} onChange={(event) => setForm({ ...form, reason: event.target.value })} />
      </Field>
    </FormDialog>
  );
}
