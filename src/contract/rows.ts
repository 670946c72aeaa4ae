import { z } from "zod";
import { LegworkError } from "../errors.ts";
import { snakeCase } from "../snake-case.ts";

/** An answer as JSON: times are text. */
export type Json<Schema extends z.ZodType> = z.input<Schema>;
/** An answer in TypeScript: times are Dates. */
export type Answer<Schema extends z.ZodType> = z.output<Schema>;

type SnakeCase<Name extends string> = Name extends `${infer First}${infer Rest}`
  ? `${First extends Lowercase<First> ? First : `_${Lowercase<First>}`}${SnakeCase<Rest>}`
  : Name;

/** What a query of SQL gives for an answer: the same under the names of columns. */
export type Row<Value> = Value extends Date
  ? Value
  : Value extends readonly (infer Item)[]
    ? Row<Item>[]
    : Value extends object
      ? { [Key in keyof Value as Key extends string ? SnakeCase<Key> : Key]: Row<Value[Key]> }
      : Value;

/** An object of an answer that later versions may add fields to. */
export function row<Shape extends z.ZodRawShape>(shape: Shape): z.ZodObject<Shape> {
  return z.looseObject(shape);
}

/** Columns that do not have the name of their field in snake_case. */
const columns = z.registry<{ column: string }>();

/** A field that is read from the column of that name. */
export function fromColumn<Schema extends z.ZodType>(column: string, schema: Schema): Schema {
  columns.add(schema, { column });
  return schema;
}

type Convert = (value: unknown) => unknown;

/** What a schema makes of a value; undefined where it leaves values as they are. Only what the schema names is looked at: the rest is the user's. */
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
 * A row as the answer that the schema describes: its columns, which are listed there, in camelCase. What is in a payload, a result or the fields of a log line has the
 * names that the user gave.
 */
export function fromRow<Schema extends z.ZodType>(schema: Schema, value: Row<z.output<Schema>>): z.output<Schema> {
  const convert = converter(schema, () => undefined, ofRows);
  return (convert === undefined ? value : convert(value)) as z.output<Schema>;
}

/** The same for rows of one kind. */
export function rowReader<Schema extends z.ZodType>(schema: Schema): (row: Row<z.output<Schema>>) => z.output<Schema> {
  return (one) => fromRow(schema, one);
}

/** The same for several rows. */
export function fromRows<Schema extends z.ZodType>(schema: Schema, rows: readonly Row<z.output<Schema>>[]): z.output<Schema>[] {
  return rows.map((one) => fromRow(schema, one));
}

/** An answer that came as JSON: what the schema says is a time becomes a Date. Does not check it, for a newer server may say more. */
export function parseAnswer<Schema extends z.ZodType>(schema: Schema, json: unknown): z.output<Schema> {
  const convert = converter(schema, toTime, ofJson);
  return (convert === undefined ? json : convert(json)) as z.output<Schema>;
}

function toTime(schema: z.core.$ZodType): Convert | undefined {
  if (!(schema instanceof z.ZodCodec)) return undefined;
  const { transform } = schema.def as { transform: (value: unknown, payload: unknown) => unknown };
  return (value) => (typeof value === "string" || value === null ? transform(value, undefined) : value);
}

/**
 * JSON that somebody wrote, under the names that SQL's functions take: the fields that are listed, in snake_case. Others stay as they are, for the function to refuse.
 * Throws LW400 for a field that is written in snake_case.
 */
export function toColumns(fields: readonly string[], value: unknown): unknown {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return value;
  const columnOf = new Map(fields.map((field) => [field, snakeCase(field)]));
  const fieldOf = new Map([...columnOf].map(([field, column]) => [column, field]));
  return Object.fromEntries(
    Object.entries(value).map(([key, inner]) => {
      const field = fieldOf.get(key);
      if (field !== undefined && field !== key) {
        throw new LegworkError("LW400", `There is no field '${key}'.`, {
          hint: `Write ${field}: JSON is in camelCase, SQL in snake_case.`,
        });
      }
      return [columnOf.get(key) ?? key, inner];
    }),
  );
}
