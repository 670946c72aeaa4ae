import type { FieldProblem } from "../../../api/problem.ts";
import { words } from "../words.ts";

/** The part of JSON Schema that forms support. Values of other schemas are edited as JSON. */
export interface Schema {
  type?: string | string[];
  title?: string;
  description?: string;
  default?: unknown;
  enum?: unknown[];
  const?: unknown;
  properties?: Record<string, Schema>;
  required?: string[];
  items?: Schema;
  prefixItems?: unknown;
  anyOf?: Schema[];
  oneOf?: Schema[];
  format?: string;
  minimum?: number;
  maximum?: number;
  minLength?: number;
  maxLength?: number;
  pattern?: string;
}

export type Kind = "string" | "number" | "integer" | "boolean" | "choice" | "object" | "array" | "json";

/** The kind of control that is used for values of a schema. */
export function kindOf(schema: Schema): Kind {
  if (schema.const !== undefined) return "choice";
  if (schema.enum !== undefined)
    return schema.enum.every((each) => typeof each !== "object" || each === null) ? "choice" : "json";
  switch (schema.type) {
    case "string":
    case "number":
    case "integer":
    case "boolean":
      return schema.type;
    case "object":
      return schema.properties === undefined ? "json" : "object";
    case "array":
      return schema.items === undefined || schema.prefixItems !== undefined ? "json" : "array";
    default:
      return "json";
  }
}

/** Removes null from a schema of the form "X or null". In a form, leaving out an optional field means null. */
export function withoutNull(schema: Schema): { schema: Schema; isNullable: boolean } {
  const either = schema.anyOf ?? schema.oneOf;
  const [one, ...others] = either?.filter(({ type }) => type !== "null") ?? [];
  if (either !== undefined && one !== undefined && others.length === 0 && either.length === 2) {
    return { schema: { ...one, description: schema.description ?? one.description }, isNullable: true };
  }
  return { schema, isNullable: false };
}

/** The alternatives of a schema, if there are several and each has a different kind of control; otherwise an empty list. */
export function variantsOf(schema: Schema): readonly { words: string; schema: Schema }[] {
  const all = (schema.anyOf ?? schema.oneOf ?? []).map((each) => ({
    words: words.enqueue.types[kindOf(each) as keyof typeof words.enqueue.types] as string | undefined,
    schema: each,
  }));
  const isClear = all.every(({ words }) => words !== undefined) && new Set(all.map(({ words }) => words)).size === all.length;
  return isClear && all.length > 1 ? (all as { words: string; schema: Schema }[]) : [];
}

/** Whether a value has the kind of a schema. */
export function isOfKind(value: unknown, schema: Schema): boolean {
  const kind = kindOf(schema);
  if (kind === "array") return Array.isArray(value);
  if (kind === "object") return typeof value === "object" && value !== null && !Array.isArray(value);
  if (kind === "choice") return (schema.enum ?? [schema.const]).includes(value);
  return typeof value === (kind === "integer" ? "number" : kind);
}

/** Whether a form can be rendered for a schema: the payload must be an object. */
export function isFormable(schema: unknown): schema is Schema {
  return typeof schema === "object" && schema !== null && kindOf(schema) === "object";
}

/** The initial value of a form: defaults and required fields. */
export function initialValue(schema: Schema): unknown {
  if (schema.default !== undefined) return schema.default;
  if (schema.const !== undefined) return schema.const;
  switch (kindOf(schema)) {
    case "object":
      return Object.fromEntries(
        Object.entries(schema.properties ?? {}).flatMap(([name, inner]) => {
          const value = (schema.required ?? []).includes(name) || inner.default !== undefined ? initialValue(inner) : undefined;
          return value === undefined ? [] : [[name, value]];
        }),
      );
    case "array":
      return [];
    case "boolean":
      return false;
    case "string":
      return "";
    case "choice":
      return schema.enum?.[0];
    default:
      return variantsOf(schema).length > 0 ? initialValue(variantsOf(schema)[0]?.schema ?? {}) : undefined;
  }
}

/** The server's messages about invalid fields, by path within the payload. */
export function problemsOf(fields: readonly FieldProblem[] | undefined): ReadonlyMap<string, string> {
  return new Map(
    (fields ?? []).flatMap(({ field, message }) =>
      field === "payload" || field.startsWith("payload.") ? [[field.slice("payload.".length), message] as const] : [],
    ),
  );
}
