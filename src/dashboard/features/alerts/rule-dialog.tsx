import { type ReactElement, useState } from "react";
import { Problem } from "../../api/problem.ts";
import { rest } from "../../api/request.ts";
import { FormDialog } from "../../components/dialog.tsx";
import { Field } from "../../components/field.tsx";
import { type AlertRule, useAlertAction } from "./alerts-api.ts";
import { intervalSeconds, KINDS, toDuration } from "./kinds.ts";
import { common } from "../../components/words.ts";
import { words } from "./words.ts";

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

/** Creates or edits a rule. */
export function RuleDialog({ rule, onClose }: { rule?: AlertRule; onClose: () => void }) {
  const [form, setForm] = useState(() => toForm(rule));
  const save = useAlertAction(
    () => rest("PUT", `/alert-rules/${encodeURIComponent(form.name.trim())}`, toBody(form)),
    () => words.saved(form.name.trim()),
    onClose,
  );
  const problems = save.error instanceof Problem ? save.error.fields : [];
  const kind = KINDS[form.kind];
  const unit = kind === undefined ? "" : words.units[kind.unit];

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
      title={rule === undefined ? words.newRule : words.ruleTitle(rule.name)}
      submit={common.save}
      onClose={onClose}
      onSubmit={() => save.mutate(undefined)}
      busy={save.isPending}
      error={save.error}
      disabled={form.name.trim() === "" || (form.warning.trim() === "" && form.critical.trim() === "")}
    >
      {rule === undefined && (
        <>
          {field("name", common.name, words.nameHint, { required: true })}
          <Field label={words.watch} hint={words.kinds[form.kind]}>
            <select value={form.kind} onChange={(event) => setForm({ ...form, kind: event.target.value })}>
              {Object.keys(KINDS).map((each) => (
                <option key={each}>{each}</option>
              ))}
            </select>
          </Field>
        </>
      )}
      {rule !== undefined && <p className="muted">{words.watching(words.kinds[rule.kind] ?? rule.kind)}</p>}
      {(rule === undefined || rule.target !== null) &&
        field(
          "target",
          words.onlyPart(words.parts[kind?.of ?? "target"] ?? ""),
          rule === undefined ? words.onlyPartHint : undefined,
        )}
      <div className="alerts-pair">
        {field("warning", words.warningFrom, unit, { inputMode: "decimal" })}
        {field("critical", words.criticalFrom, unit, { inputMode: "decimal" })}
        {field("period", words.period, words.periodHint)}
        {field("atLeast", words.minAttempts, words.minAttemptsHint, { inputMode: "numeric" })}
        {field("raiseAfter", words.raiseAfter, words.raiseAfterHint)}
        {field("resolveAfter", words.resolveAfter, words.resolveAfterHint)}
      </div>
      <p className="muted">{words.channelsHint}</p>
    </FormDialog>
  );
}
