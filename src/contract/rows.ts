import { z } from "zod";
import { LegworkError } from "../errors.ts";
import { snakeCase } from "../snake-case.ts";

/** A response as JSON: times are text. */
export type Json<Schema extends z.ZodType> = z.input<Schema>;
/** A response in TypeScript: times are Dates. */
export type Answer<Schema extends z.ZodType> = z.output<Schema>;

type SnakeCase<Name extends string> = Name extends `${infer First}${infer Rest}`
  ? `${First extends Lowercase<First> ? First : `_${Lowercase<First>}`}${SnakeCase<Rest>}`
  : Name;

/** The row of a SQL query that holds a response: the same values under their column names. */
export type Row<Value> = Value extends Date
  ? Value
  : Value extends readonly (infer Item)[]
    ? Row<Item>[]
    : Value extends object
      ? { [Key in keyof Value as Key extends string ? SnakeCase<Key> : Key]: Row<Value[Key]> }
      : Value;

/** An object in a response, to which later versions may add fields. */
export function row<Shape extends z.ZodRawShape>(shape: Shape): z.ZodObject<Shape> {
  return z.looseObject(shape);
}

/** Columns whose names are not simply their fields' names in snake_case. */
const columns = z.registry<{ column: string }>();

/** Declares the column that a field is read from. */
export function fromColumn<Schema extends z.ZodType>(column: string, schema: Schema): Schema {
  columns.add(schema, { column });
  return schema;
}

/** Whole numbers of 64 bits, which JSON numbers may not hold exactly and are therefore text on the wire. */
const counts = z.registry<object>();

/** A whole number of 64 bits, as text. `countsToNumbers` finds it. */
export function countText(description = "A number, as text."): z.ZodString {
  return z.string().describe(description).register(counts, {});
}

type Convert = (value: unknown) => unknown;

/**
 * The function that converts a value by a schema; undefined if the schema leaves values unchanged. Only named fields are converted: the rest is
 * user data.
 */
function converter(
  schema: z.core.$ZodType,
  leaf: (schema: z.core.$ZodType) => Convert | undefined,
  known: WeakMap<object, Convert>,
): Convert | undefined {
  const made = leaf(schema);
  if (made !== undefined) return made;
  if (schema instanceof z.ZodNullable || schema instanceof z.ZodOptional || schema instanceof z.ZodDefault) {
    const inner = converter(schema.unwrap(), leaf, known);
    return inner && ((value) => (value === null || value === undefined ? value : inner(value)));
  }
  if (schema instanceof z.ZodArray) {
    const item = converter(schema.element, leaf, known);
    return item && ((value) => (Array.isArray(value) ? value.map(item) : value));
  }
  if (!(schema instanceof z.ZodObject)) return undefined;
  const found = known.get(schema);
  if (found !== undefined) return found;
  const fields = Object.entries(schema.shape as Record<string, z.ZodType>).map(([key, field]) => ({
    key,
    column: columns.get(field)?.column ?? snakeCase(key),
    convert: converter(field, leaf, known),
  }));
  const convert: Convert = (value) => {
    if (typeof value !== "object" || value === null) return value;
    const given = value as Record<string, unknown>;
    const answer: Record<string, unknown> = {};
    for (const { key, column, convert: inner } of fields) {
      const field = key in given ? given[key] : given[column];
      if (field !== undefined) answer[key] = inner === undefined ? field : inner(field);
    }
    return answer;
  };
  known.set(schema, convert);
  return convert;
}

const ofRows = new WeakMap<object, Convert>();
const ofJson = new WeakMap<object, Convert>();

/**
 * Converts a row to the response that the schema describes: the schema's fields, with column names in camelCase. The content of payloads, results and
 * log fields keeps the user's names.
 */
export function fromRow<Schema extends z.ZodType>(schema: Schema, value: Row<z.output<Schema>>): z.output<Schema> {
  const convert = converter(schema, () => undefined, ofRows);
  return (convert === undefined ? value : convert(value)) as z.output<Schema>;
}

/** Returns `fromRow` for one schema. */
export function rowReader<Schema extends z.ZodType>(schema: Schema): (row: Row<z.output<Schema>>) => z.output<Schema> {
  return (one) => fromRow(schema, one);
}

/** Converts several rows like `fromRow`. */
export function fromRows<Schema extends z.ZodType>(schema: Schema, rows: readonly Row<z.output<Schema>>[]): z.output<Schema>[] {
  return rows.map((one) => fromRow(schema, one));
}

/** Parses a JSON response: times of the schema become Dates. Does not validate, because a newer server may send more fields. */
export function parseAnswer<Schema extends z.ZodType>(schema: Schema, json: unknown): z.output<Schema> {
  const convert = converter(schema, toTime, ofJson);
  return (convert === undefined ? json : convert(json)) as z.output<Schema>;
}

function toTime(schema: z.core.$ZodType): Convert | undefined {
  if (!(schema instanceof z.ZodCodec)) return undefined;
  const { transform } = schema.def as { transform: (value: unknown, payload: unknown) => unknown };
  return (value) => (typeof value === "string" || value === null ? transform(value, undefined) : value);
}

const ofCounts = new WeakMap<object, Convert>();

/** Converts the counts of a response, which are text, to numbers. A count that a JSON number cannot hold exactly stays text. */
export function countsToNumbers(schema: z.ZodType, value: unknown): unknown {
  const convert = converter(schema, toNumber, ofCounts);
  return convert === undefined ? value : convert(value);
}

function toNumber(schema: z.core.$ZodType): Convert | undefined {
  if (!counts.has(schema)) return undefined;
  return (value) => (typeof value === "string" && Number.isSafeInteger(Number(value)) ? Number(value) : value);
}

/**
 * Renames the listed fields of a user's JSON to snake_case, as SQL functions expect them. Other fields stay unchanged, and the function rejects them.
 * Throws LW400 for a field that is already written in snake_case.
 */
export function toColumns(fields: readonly string[], value: unknown): unknown {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return value;
  const columnOf = new Map(fields.map((field) => [field, snakeCase(field)]));
  const fieldOf = new Map([...columnOf].map(([field, column]) => [column, field]));
  return Object.fromEntries(
    Object.entries(value).map(([key, inner]) => {
      const field = fieldOf.get(key);
      if (field !== undefined && field !== key) {
        throw new LegworkError("LW400", `Unknown field '${key}'.`, {
          hint: `Use ${field}: field names are in camelCase in JSON, and in snake_case in SQL.`,
        });
      }
      return [columnOf.get(key) ?? key, inner];
    }),
  );
}
