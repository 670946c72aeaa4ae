/** `job_key` as `jobKey`. */
type Camel<Name extends string> = Name extends `${infer First}_${infer Next}${infer Rest}`
  ? `${First}${Uppercase<Next>}${Camel<Rest>}`
  : Name;

/** An object's fields under their TypeScript names. */
export type CamelCased<T> = { [Name in keyof T as Camel<Name & string>]: T[Name] };

/** An object's fields under the names they have in SQL. Their values, such as a payload, stay as they are. */
export function toSnakeCase(fields: object): Record<string, unknown> {
  return renamed(fields, (name) => name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`));
}

/** The same backwards. */
export function toCamelCase<T extends object>(fields: T): CamelCased<T> {
  return renamed(fields, (name) => name.replaceAll(/_[a-z]/g, (letter) => letter.slice(1).toUpperCase())) as CamelCased<T>;
}

function renamed(fields: object, rename: (name: string) => string): Record<string, unknown> {
  return Object.fromEntries(Object.entries(fields).map(([name, value]) => [rename(name), value]));
}
