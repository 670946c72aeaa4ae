import { type ReactElement, useState } from "react";
import { Problem } from "../../api/problem.ts";
import { rest } from "../../api/request.ts";
import { FormDialog } from "../../components/dialog.tsx";
import { Field } from "../../components/field.tsx";
import { type AlertRule, useAlertAction } from "./alerts-api.ts";
import { intervalSeconds, KINDS, toDuration, UNITS } from "./kinds.ts";

type Form = Record<
  "name" | "kind" | "target" | "warning" | "critical" | "period" | "atLeast" | "raiseAfter" | "resolveAfter",
  string
>;

function toForm(rule: AlertRule | undefined): Form {
  return {
    name: rule?.name ?? "",
    kind: rule?.kind ?? "consecutive_failures",
    target: rule?.target ?? "",
    warning: rule?.warning?.toString() ?? "",
    critical: rule?.critical?.toString() ?? "",
    period: toDuration(intervalSeconds(rule?.period ?? "00:15:00")),
    atLeast: String(rule?.atLeast ?? 1),
    raiseAfter: toDuration(intervalSeconds(rule?.raiseAfter ?? "00:00:00")),
    resolveAfter: toDuration(intervalSeconds(rule?.resolveAfter ?? "00:02:00")),
  };
}

function toBody(form: Form): object {
  const given = (text: string): string | undefined => (text.trim() === "" ? undefined : text.trim());
  const number = (text: string): number | undefined => (given(text) === undefined ? undefined : Number(text));
  return {
    kind: form.kind,
    target: given(form.target),
    warning: number(form.warning),
    critical: number(form.critical),
    period: given(form.period),
    atLeast: number(form.atLeast),
    raiseAfter: given(form.raiseAfter),
    resolveAfter: given(form.resolveAfter),
  };
}

/** Makes a rule or changes one. */
export function RuleDialog({ rule, onClose }: { rule?: AlertRule; onClose: () => void }) {
  const [form, setForm] = useState(() => toForm(rule));
  const save = useAlertAction(
    () => rest("PUT", `/alert-rules/${encodeURIComponent(form.name.trim())}`, toBody(form)),
    () => `${form.name.trim()} is looked after.`,
    onClose,
  );
  const problems = save.error instanceof Problem ? save.error.fields : [];
  const kind = KINDS[form.kind];
  const unit = kind === undefined ? "" : UNITS[kind.unit];

  function field(
    name: keyof Form,
    label: string,
    hint?: string,
    extra?: { inputMode?: "decimal" | "numeric"; required?: boolean },
  ): ReactElement {
    return (
      <Field label={label} hint={hint} problem={problems.find((each) => each.field === name)?.message}>
        <input
          {...extra}
          value={form[name]}
          maxLength={512}
          onChange={(event) => setForm({ ...form, [name]: event.target.value })}
        />
      </Field>
    );
  }

  return (
    <FormDialog
      title={rule === undefined ? "New rule" : `Rule ${rule.name}`}
      submit="Save"
      onClose={onClose}
      onSubmit={() => save.mutate(undefined)}
      busy={save.isPending}
      error={save.error}
      disabled={form.name.trim() === "" || (form.warning.trim() === "" && form.critical.trim() === "")}
    >
      {rule === undefined && (
        <>
          {field("name", "Name", "Small letters, digits, _ . / and -.", { required: true })}
          <Field label="Looks at" hint={kind?.what}>
            <select value={form.kind} onChange={(event) => setForm({ ...form, kind: event.target.value })}>
              {Object.keys(KINDS).map((each) => (
                <option key={each}>{each}</option>
              ))}
            </select>
          </Field>
        </>
      )}
      {rule !== undefined && <p className="muted">Looks at {kind?.what ?? rule.kind}.</p>}
      {(rule === undefined || rule.target !== null) &&
        field("target", `Only of this ${kind?.of ?? "thing"}`, rule === undefined ? "Empty for each of them." : undefined)}
      <div className="alerts-pair">
        {field("warning", "Warning from", unit, { inputMode: "decimal" })}
        {field("critical", "Critical from", unit, { inputMode: "decimal" })}
        {field("period", "Period", "Such as 15m or 1h.")}
        {field("atLeast", "Attempts at least", "For shares and times.", { inputMode: "numeric" })}
        {field("raiseAfter", "Raised after", "0s for at once.")}
        {field("resolveAfter", "Resolved after", "Of being well again.")}
      </div>
      <p className="muted">
        Whom it tells is set in SQL: legwork.set_alert_rule(…, channels =&gt; …), since addresses are secrets.
      </p>
    </FormDialog>
  );
}
