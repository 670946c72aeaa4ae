/** A JSON Schema as `z.toJSONSchema` writes it. */
type Schema = boolean | { readonly [keyword: string]: unknown };

/**
 * Returns the TypeScript type for a JSON Schema, for `legwork types`. Bounds, patterns and formats cannot be expressed as types and are left out. A
 * recursive schema becomes `unknown` below its first level. This is not a dependency, because the packages for it depend on a code formatter. It
 * supports only what zod generates.
 */
export function schemaToType(schema: unknown): string {
  return typeOf(schema as Schema, { root: schema as Schema, within: [] });
}

interface Scope {
  readonly root: Schema;
  /** The references that lead to the current schema. */
  readonly within: readonly string[];
}

const PRIMITIVES: Readonly<Record<string, string>> = {
  string: "string",
  number: "number",
  integer: "number",
  boolean: "boolean",
  null: "null",
};

function typeOf(schema: Schema | undefined, scope: Scope): string {
  if (schema === undefined || typeof schema === "boolean") return schema === false ? "never" : "unknown";
  if (typeof schema.$ref === "string") return typeOfReference(schema.$ref, scope);
  if ("const" in schema) return JSON.stringify(schema.const);
  if (Array.isArray(schema.enum)) return union(schema.enum.map((value) => JSON.stringify(value)));
  const options = schema.anyOf ?? schema.oneOf;
  if (Array.isArray(options)) return union(options.map((option: Schema) => typeOf(option, scope)));
  if (Array.isArray(schema.allOf)) {
    return schema.allOf.map((part: Schema) => grouped(typeOf(part, scope))).join(" & ");
  }
  if (Array.isArray(schema.type)) return union(schema.type.map((type: unknown) => typeOf({ ...schema, type }, scope)));
  if (schema.type === "array") return typeOfArray(schema, scope);
  if (schema.type === "object") return typeOfObject(schema, scope);
  return PRIMITIVES[String(schema.type)] ?? "unknown";
}

/** Resolves a reference to the whole schema (`#`) or into it (`#/$defs/name`). */
function typeOfReference(reference: string, scope: Scope): string {
  if (scope.within.includes(reference) || !reference.startsWith("#")) return "unknown";
  const steps = reference.split("/").slice(1);
  const target = steps.reduce<unknown>(
    (value, step) => (value as Record<string, unknown> | undefined)?.[step.replaceAll("~1", "/").replaceAll("~0", "~")],
    scope.root,
  );
  return typeOf(target as Schema | undefined, { ...scope, within: [...scope.within, reference] });
}

function typeOfArray(schema: Exclude<Schema, boolean>, scope: Scope): string {
  const rest = schema.items === undefined ? undefined : `${grouped(typeOf(schema.items as Schema, scope))}[]`;
  if (!Array.isArray(schema.prefixItems)) return rest ?? "unknown[]";
  const first = schema.prefixItems.map((item: Schema) => typeOf(item, scope));
  return `[${[...first, ...(rest === undefined ? [] : [`...${rest}`])].join(", ")}]`;
}

function typeOfObject(schema: Exclude<Schema, boolean>, scope: Scope): string {
  const properties = Object.entries((schema.properties ?? {}) as Record<string, Schema>);
  const required = new Set(Array.isArray(schema.required) ? schema.required : []);
  const { additionalProperties: others } = schema;
  const fields = properties.map(
    ([name, field]) => `${propertyName(name)}${required.has(name) ? "" : "?"}: ${typeOf(field, scope)}`,
  );
  const open = `Record<string, ${typeOf((others ?? true) as Schema, scope)}>`;
  if (fields.length === 0) return others === false ? "Record<string, never>" : open;
  const closed = `{ ${fields.join("; ")} }`;
  return others === undefined || others === false ? closed : `${closed} & ${open}`;
}

/** A property name for a type: quoted unless it is an identifier. */
export function propertyName(name: string): string {
  return /^[A-Za-z_$][\w$]*$/.test(name) ? name : JSON.stringify(name);
}

function union(types: readonly string[]): string {
  const distinct = [...new Set(types)];
  return distinct.includes("unknown") ? "unknown" : distinct.join(" | ") || "never";
}

function grouped(type: string): string {
  return /[|&]/.test(type) ? `(${type})` : type;
}
