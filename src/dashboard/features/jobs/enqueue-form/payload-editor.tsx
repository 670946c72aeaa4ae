import { useState } from "react";
import type { FieldProblem } from "../../../api/problem.ts";
import { Button } from "../../../components/button.tsx";
import { Field } from "../../../components/field.tsx";
import { parseJson, SchemaForm } from "./schema-form.tsx";
import { isFormable, problemsOf } from "./schema.ts";
import { common } from "../../../components/words.ts";
import { words } from "../words.ts";
import "./enqueue.css";

/** Edits a payload as JSON, or as a form if the task declares a payload schema. */
export function PayloadEditor({
  schema,
  value,
  onChange,
  fields,
}: {
  schema: unknown;
  value: unknown;
  /** Called with the payload, and whether the text is valid JSON. */
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
      <div className="tool-bar" role="group" aria-label={words.enqueue.payloadAs}>
        <strong>{common.payload}</strong>
        {canForm && (
          <>
            <Button
              kind="quiet"
              aria-pressed={isForm}
              disabled={isJson && parsed.problem !== undefined}
              onClick={() => setJson(false)}
            >
              {words.enqueue.form}
            </Button>
            <Button
              kind="quiet"
              aria-pressed={!isForm}
              onClick={() => {
                setText(JSON.stringify(value ?? {}, null, 2));
                setJson(true);
              }}
            >
              {words.enqueue.json}
            </Button>
          </>
        )}
        {!isFormable(schema) && <span className="muted">{words.enqueue.noSchema}</span>}
      </div>
      {isForm ? (
        <SchemaForm schema={schema} value={value} onChange={(next) => onChange(next, true)} problems={problems} />
      ) : (
        <Field
          label={words.enqueue.payloadAsJson}
          problem={
            parsed.problem ??
            ([...problems].map(([path, message]) => (path === "" ? message : `${path}: ${message}`)).join(", ") || undefined)
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
