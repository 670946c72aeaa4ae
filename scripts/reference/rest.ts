import type { OpenApi } from "../../test/support/openapi.ts";
import { code, prose, sentence, table } from "./markdown.ts";

type Schema = Record<string, unknown>;

/** Parameters that many routes share, with the remark that replaces their description. The page explains each of them once. */
const COMMON = new Map([
  ["cursor", "Paged."],
  ["limit", "Paged."],
  ["idempotency-key", "Accepts an `Idempotency-Key`."],
]);

interface Documented {
  readonly summary?: string;
  readonly description?: string;
  readonly tags?: readonly string[];
  readonly deprecated?: boolean;
  readonly "x-role"?: string;
  readonly "x-all-tenants"?: boolean;
  readonly parameters?: readonly { in: string; name: string; required?: boolean; description?: string; schema?: Schema }[];
  readonly requestBody?: { required?: boolean; content: Readonly<Record<string, { schema: Record<string, unknown> }>> };
}

/** Describes every route with its required role, its parameters and the fields of its body, from the server's OpenAPI document at /docs/json. */
export function rest(document: OpenApi): string {
  const routes = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({
      method: method.toUpperCase(),
      path,
      operation: operation as Documented,
    })),
  );
  const byTag = Map.groupBy(
    routes.filter(
      ({ operation, path }) => operation["x-role"] !== undefined && operation.deprecated !== true && path.startsWith("/api/v1/"),
    ),
    ({ operation }) => operation.tags?.[0] ?? "other",
  );
  return [...byTag]
    .map(
      ([tag, all]) =>
        `### ${tag.charAt(0).toUpperCase()}${tag.slice(1)}\n\n${all.map((route) => describe(document, route)).join("\n\n")}`,
    )
    .join("\n\n");
}

function describe(
  document: OpenApi,
  { method, path, operation }: { method: string; path: string; operation: Documented },
): string {
  const role = operation["x-role"] === "any" ? "any" : operation["x-role"];
  const tenants = operation["x-all-tenants"] === true ? ", not confined to a tenant" : "";
  const common = (operation.parameters ?? []).flatMap(({ name }) => COMMON.get(name) ?? []);
  const remarks = [operation.summary ?? "", operation.description ?? ""].map((text) => prose(sentence(text)));
  const parts = [
    `**\`${method} ${path.slice("/api/v1".length)}\`** ${[...remarks, ...new Set(common)].join(" ")} *Role: ${role}${tenants}.*`.replaceAll(
      / +/g,
      " ",
    ),
  ];
  const rows = [
    ...(operation.parameters ?? [])
      .filter(({ in: part, name }) => part !== "path" && !COMMON.has(name))
      .map(({ in: part, name, required, description, schema }) => [
        code(name),
        part,
        `${meaning(document, description, schema)}${required === true ? " Required." : ""}`.trim(),
      ]),
    ...fieldsOf(document, operation),
  ];
  if (rows.length > 0) parts.push(table(["parameter", "in", "meaning"], rows));
  return parts.join("\n\n");
}

/** Returns a parameter's description and allowed values, or the format of its value. */
function meaning(document: OpenApi, description: string | undefined, given: Schema = {}): string {
  const schema = resolve(document, given);
  const described = [description, given.description, schema.description].find((text) => typeof text === "string");
  const values = valuesOf(document, schema);
  const listed = values.length === 0 || values.length > 12 ? "" : `One of ${values.map(code).join(", ")}.`;
  if (described !== undefined) return `${prose(described)} ${listed}`.trim();
  return listed || (typeof schema.format === "string" ? `A ${schema.format}.` : "");
}

/** Returns the strings that a schema allows, including those within a union or a list. */
function valuesOf(document: OpenApi, given: Schema): string[] {
  const schema = resolve(document, given);
  if (Array.isArray(schema.enum)) return schema.enum.filter((value) => typeof value === "string");
  const inner = (schema.anyOf ?? schema.oneOf ?? (schema.items === undefined ? [] : [schema.items])) as Schema[];
  return [...new Set(inner.flatMap((each) => valuesOf(document, each)))];
}

function fieldsOf(document: OpenApi, operation: Documented): string[][] {
  const given = operation.requestBody?.content["application/json"]?.schema;
  if (given === undefined) return [];
  const schema = resolve(document, given);
  const properties = (schema.properties ?? {}) as Record<string, Record<string, unknown>>;
  const required = (schema.required ?? []) as string[];
  return Object.entries(properties).map(([name, field]) => [
    code(name),
    "body",
    `${meaning(document, undefined, field)}${required.includes(name) ? " Required." : ""}`.trim(),
  ]);
}

function resolve(document: OpenApi, schema: Schema): Schema {
  const reference = schema.$ref;
  if (typeof reference !== "string") return schema;
  return resolve(document, document.components.schemas[reference.split("/").at(-1) ?? ""] ?? {});
}
