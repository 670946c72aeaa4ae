import fc from "fast-check";
import { z } from "zod";

export type Schema = Record<string, unknown>;

export interface Operation {
  method: string;
  /** The path, with its parameters in braces. */
  path: string;
  parameters: { in: "path" | "query" | "header"; name: string; required: boolean; schema: Schema }[];
  body: { schema: Schema; example: unknown; required: boolean } | undefined;
  /** The role that a token needs. */
  role: string;
  /** Whether the operation rejects a tenant's token. */
  everybody: boolean;
  /** Validators of the responses, by status and content type. */
  answers: Map<string, z.ZodType>;
}

export interface OpenApi {
  paths: Record<string, Record<string, DocumentedOperation>>;
  components: { schemas: Record<string, Schema> };
}

interface Media {
  schema: Schema;
  example?: unknown;
  examples?: Record<string, { value: unknown }>;
}

interface DocumentedOperation {
  summary?: string;
  security?: unknown;
  "x-role": string;
  "x-all-tenants"?: boolean;
  parameters?: Operation["parameters"];
  requestBody?: { required?: boolean; content: Record<string, Media> };
  responses: Record<string, { description?: string; content?: Record<string, { schema: Schema }> }>;
}

/** Every operation of an OpenAPI document, with all references resolved. */
export function operationsOf(document: OpenApi): Operation[] {
  const resolve = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(resolve);
    if (typeof value !== "object" || value === null) return value;
    const { $ref } = value as { $ref?: string };
    if (typeof $ref === "string") return resolve(document.components.schemas[$ref.split("/").at(-1) ?? ""]);
    return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, resolve(inner)]));
  };
  return Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => {
      const body = operation.requestBody?.content["application/json"];
      const schema = body === undefined ? undefined : (resolve(body.schema) as Schema);
      const [example] = [
        ...((schema?.examples ?? []) as unknown[]),
        ...(body?.example === undefined ? [] : [body.example]),
        ...Object.values(body?.examples ?? {}).map(({ value }) => value),
      ];
      const answers = new Map<string, z.ZodType>();
      for (const [status, { content }] of Object.entries(operation.responses)) {
        for (const [type, answer] of Object.entries(content ?? {}))
          answers.set(`${status} ${type}`, z.fromJSONSchema(resolve(answer.schema) as never));
        if (content === undefined || Object.keys(content).length === 0) answers.set(`${status} `, z.any());
      }
      return {
        method: method.toUpperCase(),
        path,
        role: operation["x-role"],
        everybody: operation["x-all-tenants"] ?? false,
        parameters: (operation.parameters ?? []).map(({ in: part, name, required, schema: of }) => ({
          in: part,
          name,
          required: required ?? false,
          schema: resolve(of) as Schema,
        })),
        body: schema === undefined ? undefined : { schema, example, required: operation.requestBody?.required ?? false },
        answers,
      };
    }),
  );
}

/** Values that an attacker, or a client with a bug, may send. */
export const HOSTILE: readonly unknown[] = [
  "",
  " ",
  "\u0000",
  "a\u0000b",
  "\ud800",
  "x".repeat(20_000),
  "'; drop table legwork_private.finished_jobs; --",
  "$1",
  "%s%n",
  "../../etc/passwd",
  "<script>alert(1)</script>",
  "9".repeat(40),
  "-1",
  "1e9",
  "infinity",
  "NaN",
  "2026-13-45T99:99:99Z",
  "0000-01-01T00:00:00Z",
  "9999-12-31T23:59:59.999999999Z",
  "null",
  "\u202e\u0645\u{1f4a9}",
  -1,
  0,
  1.5,
  1e308,
  -1e308,
  2 ** 31,
  2 ** 63,
  Number.MAX_SAFE_INTEGER,
  true,
  null,
  [],
  {},
  [[]],
  { toString: 1, constructor: { prototype: 1 } },
  Array.from({ length: 300 }).reduce((inner: unknown) => [inner], "deep"),
];

/** Values that match a schema. Formats and patterns are supported only where that is easy. */
export function fitting(schema: Schema): fc.Arbitrary<unknown> {
  const { anyOf, oneOf, allOf, enum: values, const: only, examples, type } = schema as Record<string, never[]>;
  if (only !== undefined) return fc.constant(only);
  if (values !== undefined) return fc.constantFrom(...values);
  const union = (anyOf ?? oneOf) as Schema[] | undefined;
  if (union !== undefined) return fc.oneof(...union.map(fitting));
  if (allOf !== undefined) return fitting(Object.assign({}, ...(allOf as Schema[])));
  const known = examples === undefined || (type as unknown) === "object" ? [] : examples.map((example) => fc.constant(example));
  return fc.oneof(...known, ofType(schema));
}

function ofType(schema: Schema): fc.Arbitrary<unknown> {
  const number = (name: string, otherwise: number): number => (typeof schema[name] === "number" ? schema[name] : otherwise);
  switch (schema.type) {
    case "boolean":
      return fc.boolean();
    case "integer":
      return fc.integer({
        min: Math.max(number("minimum", -1000), -(2 ** 31)),
        max: Math.min(number("maximum", 1000), 2 ** 31 - 1),
      });
    case "number":
      return fc.double({ min: number("minimum", -1e6), max: number("maximum", 1e6), noNaN: true });
    case "null":
      return fc.constant(null);
    case "array":
      return fc.array(fitting((schema.items ?? {}) as Schema), { minLength: number("minItems", 0), maxLength: 4 });
    case "object": {
      const properties = (schema.properties ?? {}) as Record<string, Schema>;
      const required = (schema.required ?? []) as string[];
      return fc.record(Object.fromEntries(Object.entries(properties).map(([name, of]) => [name, fitting(of)])), {
        requiredKeys: required.filter((name) => name in properties),
      });
    }
    case "string":
      if (schema.format === "date-time")
        return fc.date({ min: new Date(0), max: new Date("2100-01-01"), noInvalidDate: true }).map((at) => at.toISOString());
      if (typeof schema.pattern === "string" && !schema.pattern.includes("\\u0000"))
        return fc.stringMatching(new RegExp(schema.pattern));
      return fc.string({ minLength: number("minLength", 0), maxLength: Math.min(number("maxLength", 30), 30), unit: "grapheme" });
    default:
      return fc.jsonValue();
  }
}

/** Values that match a schema, except for hostile values in random places. */
export function nearly(schema: Schema): fc.Arbitrary<unknown> {
  const hostile = fc.constantFrom(...HOSTILE);
  if (schema.type !== "object") return fc.oneof({ weight: 3, arbitrary: fitting(schema) }, { weight: 1, arbitrary: hostile });
  const properties = (schema.properties ?? {}) as Record<string, Schema>;
  const required = (schema.required ?? []) as string[];
  const record = fc.record(Object.fromEntries(Object.entries(properties).map(([name, of]) => [name, nearly(of)])), {
    requiredKeys: required.filter((name) => name in properties),
  });
  const some = record.chain((all) =>
    fc
      .subarray(Object.keys(all))
      .map((kept) => Object.fromEntries(Object.entries(all).filter(([name]) => kept.includes(name) || required.includes(name)))),
  );
  return fc.oneof(
    { weight: 6, arbitrary: some },
    { weight: 1, arbitrary: fc.dictionary(fc.string({ maxLength: 8 }), hostile, { maxKeys: 3 }) },
    { weight: 1, arbitrary: hostile },
  );
}
