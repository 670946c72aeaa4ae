import { Plus, Trash2 } from "lucide-react";
import { useState } from "react";
import { isRawNumber, parseExactly } from "../../../api/exact-json.ts";
import { Button } from "../../../components/button.tsx";
import { Field } from "../../../components/field.tsx";
import { initialValue, isOfKind, kindOf, type Schema, variantsOf, withoutNull } from "./schema.ts";

interface Part {
  schema: Schema;
  label: string;
  /** Within the payload, with dots. */
  path: string;
  value: unknown;
  onChange: (value: unknown) => void;
  isRequired: boolean;
  problems: ReadonlyMap<string, string>;
}

/** The fields of an object, from its schema. */
export function SchemaForm({
  schema,
  value,
  onChange,
  problems,
  path = "",
}: {
  schema: Schema;
  value: unknown;
  onChange: (value: unknown) => void;
  problems: ReadonlyMap<string, string>;
  path?: string;
}) {
  const object = typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : {};
  // What has to be given stands first; otherwise in the schema's order, which Postgres does not keep.
  const isRequired = (name: string): boolean => (schema.required ?? []).includes(name);
  const unknown = Object.keys(object).filter((name) => !(name in (schema.properties ?? {})));
  return (
    <div className="schema-form">
      {Object.entries(schema.properties ?? {})
        .toSorted(([one], [other]) => Number(isRequired(other)) - Number(isRequired(one)))
        .map(([name, inner]) => (
          <SchemaField
            key={name}
            schema={inner}
            label={name}
            path={path === "" ? name : `${path}.${name}`}
            value={object[name]}
            isRequired={isRequired(name)}
            problems={problems}
            onChange={(next) => {
              const { [name]: _, ...others } = object;
              onChange(next === undefined ? others : { ...object, [name]: next });
            }}
          />
        ))}
      {unknown.map((name) => (
        <p key={name} className="schema-unknown">
          <span>
            <code>{name}</code> <span className="muted">is in the payload and not what the task takes.</span>
          </span>
          <Button
            kind="quiet"
            icon={<Trash2 aria-hidden="true" />}
            onClick={() => onChange(Object.fromEntries(Object.entries(object).filter(([each]) => each !== name)))}
          >
            Remove {name}
          </Button>
        </p>
      ))}
    </div>
  );
}

function SchemaField(part: Part) {
  const { schema } = withoutNull(part.schema);
  const variants = variantsOf(schema);
  return variants.length === 0 ? <PlainField {...part} /> : <VariantField {...part} schema={schema} variants={variants} />;
}

/** A value that may be of several kinds: which one first, then the value. */
function VariantField({ variants, ...part }: Part & { variants: readonly { words: string; schema: Schema }[] }) {
  const [chosen, setChosen] = useState(() =>
    Math.max(
      0,
      variants.findIndex(({ schema }) => isOfKind(part.value, schema)),
    ),
  );
  const variant = variants[chosen]?.schema ?? {};
  return (
    <div className="schema-variant">
      <PlainField
        key={chosen}
        {...part}
        schema={{
          ...variant,
          description: [part.schema.description, variant.description].filter(Boolean).join(" ") || undefined,
        }}
      />
      <select
        aria-label={`Kind of ${part.label}`}
        value={chosen}
        onChange={({ target }) => {
          setChosen(Number(target.value));
          part.onChange(part.isRequired ? initialValue(variants[Number(target.value)]?.schema ?? {}) : undefined);
        }}
      >
        {variants.map(({ words }, index) => (
          <option key={words} value={index}>
            {words}
          </option>
        ))}
      </select>
    </div>
  );
}

function PlainField(part: Part) {
  const { schema: given, label, path, value, onChange, isRequired, problems } = part;
  const { schema, isNullable } = withoutNull(given);
  const kind = kindOf(schema);
  const name = `${label}${isRequired ? "" : " (optional)"}`;
  const hint =
    [schema.description, isNullable && isRequired ? "Left empty it is null." : undefined].filter(Boolean).join(" ") || undefined;
  const field = { label: name, hint, problem: problems.get(path) };
  const none = isNullable && isRequired ? null : undefined;
  const optional = !isRequired || isNullable;

  if (kind === "object" || kind === "array") {
    if (value === undefined || value === null) {
      return (
        <fieldset>
          <legend>{name}</legend>
          {field.problem !== undefined && <p className="field-problem">{field.problem}</p>}
          <Button icon={<Plus aria-hidden="true" />} onClick={() => onChange(initialValue(schema))}>
            Give {label}
          </Button>
        </fieldset>
      );
    }
    return (
      <fieldset>
        <legend>{name}</legend>
        {hint !== undefined && <p className="field-hint">{hint}</p>}
        {field.problem !== undefined && <p className="field-problem">{field.problem}</p>}
        {kind === "object" ? (
          <SchemaForm schema={schema} value={value} onChange={onChange} problems={problems} path={path} />
        ) : (
          <Items {...part} schema={schema} />
        )}
        {optional && (
          <Button kind="quiet" onClick={() => onChange(none)}>
            Leave {label} out
          </Button>
        )}
      </fieldset>
    );
  }
  if (kind === "boolean") {
    return (
      <Field {...field}>
        <select
          value={typeof value === "boolean" ? String(value) : ""}
          onChange={({ target }) => onChange(target.value === "" ? none : target.value === "true")}
        >
          {(optional || typeof value !== "boolean") && <option value="">{optional ? "Not given" : "Choose"}</option>}
          <option value="true">true</option>
          <option value="false">false</option>
        </select>
      </Field>
    );
  }
  if (kind === "choice") {
    const options = schema.enum ?? [schema.const];
    const chosen = options.findIndex((option) => option === value);
    return (
      <Field {...field}>
        <select
          value={chosen < 0 ? "" : String(chosen)}
          onChange={({ target }) => onChange(target.value === "" ? none : options[Number(target.value)])}
        >
          {(optional || chosen < 0) && <option value="">{optional ? "Not given" : "Choose"}</option>}
          {options.map((option, index) => (
            <option key={String(option)} value={index}>
              {String(option)}
            </option>
          ))}
        </select>
      </Field>
    );
  }
  if (kind === "number" || kind === "integer")
    return <NumberField key={path} {...part} field={field} none={none} isWhole={kind === "integer"} />;
  if (kind === "json") return <JsonField {...part} field={field} none={none} />;
  const isLong = (schema.maxLength ?? 0) > 2_000 || (typeof value === "string" && value.includes("\n"));
  const text = typeof value === "string" ? value : "";
  const type = (event: { target: { value: string } }): void =>
    onChange(event.target.value === "" && optional ? none : event.target.value);
  return (
    <Field {...field}>
      {isLong ? (
        <textarea value={text} rows={4} spellCheck={false} onChange={type} />
      ) : (
        <input
          value={text}
          placeholder={schema.format === "date-time" ? "2026-12-24T18:00:00Z" : undefined}
          spellCheck={false}
          onChange={type}
        />
      )}
    </Field>
  );
}

type Described = { label: string; hint: string | undefined; problem: string | undefined };

/** A number, as it is typed: half of one is kept as text until it is whole. */
function NumberField({
  value,
  onChange,
  field,
  none,
  isWhole,
}: Part & { field: Described; none: null | undefined; isWhole: boolean }) {
  const [text, setText] = useState(isRawNumber(value) ? value.rawJSON : typeof value === "number" ? String(value) : "");
  const number = Number(text);
  const problem =
    text.trim() === ""
      ? undefined
      : Number.isNaN(number)
        ? "A number, please."
        : isWhole && !Number.isInteger(number)
          ? "A whole number, please."
          : isWhole && !Number.isSafeInteger(number)
            ? "Too large to be exact: give it as text."
            : undefined;
  return (
    <Field {...field} problem={problem ?? field.problem}>
      <input
        inputMode="decimal"
        value={text}
        onChange={({ target }) => {
          setText(target.value);
          // What is no number is sent as it is, and the server says so.
          const typed = Number(target.value);
          onChange(target.value.trim() === "" ? none : Number.isNaN(typed) ? target.value : typed);
        }}
      />
    </Field>
  );
}

/** What no control is made for. */
function JsonField({ value, onChange, field, none }: Part & { field: Described; none: null | undefined }) {
  const [text, setText] = useState(value === undefined ? "" : JSON.stringify(value, null, 2));
  const [problem, setProblem] = useState<string>();
  return (
    <Field
      {...field}
      hint={field.hint?.includes("JSON") === true ? field.hint : [field.hint, "As JSON."].filter(Boolean).join(" ")}
      problem={problem ?? field.problem}
    >
      <textarea
        value={text}
        rows={3}
        spellCheck={false}
        onChange={({ target }) => {
          setText(target.value);
          const parsed = parseJson(target.value);
          setProblem(parsed.problem);
          if (parsed.problem === undefined) onChange(target.value.trim() === "" ? none : parsed.value);
        }}
      />
    </Field>
  );
}

export function parseJson(text: string): { value?: unknown; problem?: string } {
  if (text.trim() === "") return {};
  try {
    return { value: parseExactly(text) };
  } catch (error) {
    return { problem: `This is not JSON: ${(error as Error).message}` };
  }
}

function Items({ schema, label, path, value, onChange, problems }: Part) {
  const items = Array.isArray(value) ? (value as unknown[]) : [];
  const inner = schema.items ?? {};
  return (
    <>
      {items.map((item, index) => (
        // oxlint-disable-next-line react/no-array-index-key -- its place is what an item is known by
        <div key={`${items.length} ${index}`} className="schema-item">
          <SchemaField
            schema={inner}
            label={`${label} ${index + 1}`}
            path={`${path}.${index}`}
            value={item}
            isRequired
            problems={problems}
            onChange={(next) => onChange(items.map((each, at) => (at === index ? (next ?? null) : each)))}
          />
          <Button
            kind="quiet"
            aria-label={`Remove ${label} ${index + 1}`}
            icon={<Trash2 aria-hidden="true" />}
            onClick={() => onChange(items.filter((_, at) => at !== index))}
          />
        </div>
      ))}
      <Button icon={<Plus aria-hidden="true" />} onClick={() => onChange([...items, initialValue(inner) ?? null])}>
        Add to {label}
      </Button>
    </>
  );
}
