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

/** The silences that hold, and their end before time. */
export function Silences({ query }: { query: UseQueryResult<Silence[]> }) {
  const may = useMay("operator", { everybody: true });
  const end = useAlertAction(
    ({ id }: Silence) => rest("POST", `/silences/${id}/end`),
    () => "The silence has ended: whoever is to be told of alerts is told again.",
  );
  return (
    <Card>
      {end.isError && <Failure error={end.error} />}
      <QueryResult query={query} rows={3}>
        {(silences) =>
          silences.length === 0 ? (
            <Empty title="No silence holds.">Whoever is to be told of alerts is told of all of them.</Empty>
          ) : (
            <div className="table-scroll" tabIndex={0} role="region" aria-label="Silences, table">
              <table className="table">
                <thead>
                  <tr>
                    <th scope="col">Rule</th>
                    <th scope="col">Of</th>
                    <th scope="col">Ends</th>
                    <th scope="col">Why</th>
                    <th scope="col">By</th>
                    {may && <th scope="col">Do</th>}
                  </tr>
                </thead>
                <tbody>
                  {silences.map((silence) => (
                    <tr key={silence.id}>
                      <td>{silence.rule ?? "every rule"}</td>
                      <td>{silence.target ?? "everything"}</td>
                      <td>
                        <ExactTime at={silence.until} />
                      </td>
                      <td>{silence.reason ?? <span className="muted">–</span>}</td>
                      <td>
                        {silence.silencedBy}, <Time at={silence.silencedAt} />
                      </td>
                      {may && (
                        <td>
                          <Button
                            kind="quiet"
                            busy={end.isPending && end.variables.id === silence.id}
                            onClick={() => end.mutate(silence)}
                          >
                            End it
                          </Button>
                        </td>
                      )}
                    </tr>
                  ))}
                </tbody>
              </table>
            </div>
          )
        }
      </QueryResult>
    </Card>
  );
}

const DURATIONS = { "30m": "30 minutes", "1h": "1 hour", "4h": "4 hours", "1d": "1 day", "7d": "7 days" } as const;

/** Tells nobody of alerts for some time: of one thing, of a rule, or of everything. */
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
    () => `Nobody is told for ${DURATIONS[form.duration as keyof typeof DURATIONS]}.`,
    onClose,
  );
  return (
    <FormDialog
      title="Tell nobody for some time?"
      submit="Silence"
      onClose={onClose}
      onSubmit={() => silence.mutate(undefined)}
      busy={silence.isPending}
      error={silence.error}
    >
      <p className="muted">Alerts are raised and resolved all the same. What is still open afterwards is told of then.</p>
      <Field label="For">
        <select value={form.duration} onChange={(event) => setForm({ ...form, duration: event.target.value })}>
          {Object.entries(DURATIONS).map(([value, name]) => (
            <option key={value} value={value}>
              {name}
            </option>
          ))}
        </select>
      </Field>
      <Field label="Rule">
        <select value={form.rule} onChange={(event) => setForm({ ...form, rule: event.target.value })}>
          <option value="">Every rule</option>
          {[...new Set([...(rules.data ?? []).map(({ name }) => name), ...(rule === "" ? [] : [rule])])].map((name) => (
            <option key={name}>{name}</option>
          ))}
        </select>
      </Field>
      <Field label="Of" hint="A task, queue, schedule, check or host. Empty for everything.">
        <input value={form.target} maxLength={512} onChange={(event) => setForm({ ...form, target: event.target.value })} />
      </Field>
      <Field label="Why">
        <input value={form.reason} maxLength={1_000} onChange={(event) => setForm({ ...form, reason: event.target.value })} />
      </Field>
    </FormDialog>
  );
}
