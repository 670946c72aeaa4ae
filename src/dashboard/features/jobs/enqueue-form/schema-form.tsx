import { Plus, Trash2 } from "lucide-react";
import { useState } from "react";
import { isRawNumber, parseExactly } from "../../../api/exact-json.ts";
import { Button } from "../../../components/button.tsx";
import { Field } from "../../../components/field.tsx";
import { initialValue, isOfKind, kindOf, type Schema, variantsOf, withoutNull } from "./schema.ts";
import { Sentence } from "../../../components/sentence.tsx";
import { common } from "../../../components/words.ts";
import { words } from "../words.ts";

interface Part {
  schema: Schema;
  label: string;
  /** The path of the value within the payload, with dots. */
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
  // Required fields come first. Otherwise, the order is that of the stored schema, in which Postgres has sorted the names.
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
            <Sentence text={words.enqueue.unknownField} slots={{ name: <code>{name}</code> }} />
          </span>
          <Button
            kind="quiet"
            icon={<Trash2 aria-hidden="true" />}
            onClick={() => onChange(Object.fromEntries(Object.entries(object).filter(([each]) => each !== name)))}
          >
            {words.enqueue.removeField(name)}
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

/** A value that may have one of several types, with a control for choosing the type. */
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
        aria-label={words.enqueue.typeOf(part.label)}
        value={chosen}
        onChange={({ target }) => {
          setChosen(Number(target.value));
          part.onChange(part.isRequired ? initialValue(variants[Number(target.value)]?.schema ?? {}) : undefined);
        }}
      >
        {variants.map(({ words: name }, index) => (
          <option key={name} value={index}>
            {name}
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
  const name = isRequired ? label : words.enqueue.optional(label);
  const hint =
    [schema.description, isNullable && isRequired ? words.enqueue.emptyIsNull : undefined].filter(Boolean).join(" ") || undefined;
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
            {words.enqueue.addField(label)}
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
            {words.enqueue.removeField(label)}
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
          {(optional || typeof value !== "boolean") && (
            <option value="">{optional ? words.enqueue.notSet : words.enqueue.choose}</option>
          )}
          <option value="true">{words.enqueue.yes}</option>
          <option value="false">{words.enqueue.no}</option>
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
          {(optional || chosen < 0) && <option value="">{optional ? words.enqueue.notSet : words.enqueue.choose}</option>}
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
          placeholder={schema.format === "date-time" ? words.enqueue.timeExample : undefined}
          spellCheck={false}
          onChange={type}
        />
      )}
    </Field>
  );
}

type Described = { label: string; hint: string | undefined; problem: string | undefined };

/** A number. Incomplete input is kept as text until it is a number. */
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
        ? words.enqueue.needsNumber
        : isWhole && !Number.isInteger(number)
          ? words.enqueue.needsWhole
          : isWhole && !Number.isSafeInteger(number)
            ? words.enqueue.tooLarge
            : undefined;
  return (
    <Field {...field} problem={problem ?? field.problem}>
      <input
        inputMode="decimal"
        value={text}
        onChange={({ target }) => {
          setText(target.value);
          // Invalid input is sent unchanged, and the server reports it.
          const typed = Number(target.value);
          onChange(target.value.trim() === "" ? none : Number.isNaN(typed) ? target.value : typed);
        }}
      />
    </Field>
  );
}

/** A value that has no control of its own and is edited as JSON. */
function JsonField({ value, onChange, field, none }: Part & { field: Described; none: null | undefined }) {
  const [text, setText] = useState(value === undefined ? "" : JSON.stringify(value, null, 2));
  const [problem, setProblem] = useState<string>();
  return (
    <Field
      {...field}
      hint={field.hint?.includes("JSON") === true ? field.hint : [field.hint, words.enqueue.asJson].filter(Boolean).join(" ")}
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
    return { problem: common.notJson((error as Error).message) };
  }
}

function Items({ schema, label, path, value, onChange, problems }: Part) {
  const items = Array.isArray(value) ? (value as unknown[]) : [];
  const inner = schema.items ?? {};
  return (
    <>
      {items.map((item, index) => (
        // oxlint-disable-next-line react/no-array-index-key -- items are identified by their position
        <div key={`${items.length} ${index}`} className="schema-item">
          <SchemaField
            schema={inner}
            label={words.enqueue.item(label, index + 1)}
            path={`${path}.${index}`}
            value={item}
            isRequired
            problems={problems}
            onChange={(next) => onChange(items.map((each, at) => (at === index ? (next ?? null) : each)))}
          />
          <Button
            kind="quiet"
            aria-label={words.enqueue.removeField(words.enqueue.item(label, index + 1))}
            icon={<Trash2 aria-hidden="true" />}
            onClick={() => onChange(items.filter((_, at) => at !== index))}
          />
        </div>
      ))}
      <Button icon={<Plus aria-hidden="true" />} onClick={() => onChange([...items, initialValue(inner) ?? null])}>
        {words.enqueue.addItem(label)}
      </Button>
    </>
  );
}
