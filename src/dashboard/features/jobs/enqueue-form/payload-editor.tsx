import { useState } from "react";
import type { FieldProblem } from "../../../api/problem.ts";
import { Button } from "../../../components/button.tsx";
import { Field } from "../../../components/field.tsx";
import { parseJson, SchemaForm } from "./schema-form.tsx";
import { isFormable, problemsOf } from "./schema.ts";
import "./enqueue.css";

/** A payload: as a form where its task says what it takes, and as JSON. */
export function PayloadEditor({
  schema,
  value,
  onChange,
  fields,
}: {
  schema: unknown;
  value: unknown;
  /** Told what it is, and whether it is JSON at all. */
  onChange: (value: unknown, isValid: boolean) => void;
  fields: readonly FieldProblem[] | undefined;
}) {
  const canForm =
    isFormable(schema) && (value === undefined || (typeof value === "object" && value !== null && !Array.isArray(value)));
  const [isJson, setJson] = useState(false);
  const [text, setText] = useState(() => JSON.stringify(value ?? {}, null, 2));
  const parsed = parseJson(text);
  const isForm = canForm && !isJson;
  const problems = problemsOf(fields);
  return (
    <div className="payload-editor">
      <div className="tool-bar" role="group" aria-label="Payload as">
        <strong>Payload</strong>
        {canForm && (
          <>
            <Button
              kind="quiet"
              aria-pressed={isForm}
              disabled={isJson && parsed.problem !== undefined}
              onClick={() => setJson(false)}
            >
              Form
            </Button>
            <Button
              kind="quiet"
              aria-pressed={!isForm}
              onClick={() => {
                setText(JSON.stringify(value ?? {}, null, 2));
                setJson(true);
              }}
            >
              JSON
            </Button>
          </>
        )}
        {!isFormable(schema) && <span className="muted">The task has not said what it takes.</span>}
      </div>
      {isForm ? (
        <SchemaForm schema={schema} value={value} onChange={(next) => onChange(next, true)} problems={problems} />
      ) : (
        <Field
          label="Payload as JSON"
          problem={
            parsed.problem ??
            ([...problems].map(([path, message]) => (path === "" ? message : `${path}: ${message}`)).join("; ") || undefined)
          }
        >
          <textarea
            value={text}
            rows={10}
            spellCheck={false}
            onChange={({ target }) => {
              setText(target.value);
              const next = parseJson(target.value);
              onChange(next.value ?? {}, next.problem === undefined);
            }}
          />
        </Field>
      )}
    </div>
  );
}
