/** What moves a cursor, changes a colour or turns the direction of writing: everything but line feeds and tabs. */
// oxlint-disable-next-line no-control-regex -- these characters are what it is about
const CONTROLS = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]/g;

/** Fields that hold a value of the user's. They are printed as JSON, by `jsonText`. */
const VALUES: ReadonlySet<string> = new Set(["payload", "result", "fields", "before", "after"]);

/** A text with its control characters as escapes, such as \u001b: what came in as data must not command a terminal. */
export function visible(text: string): string {
  return text.replaceAll(CONTROLS, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

/** A value as JSON that is plain to see: also what JSON itself leaves as it is. The same value for whatever reads it. */
export function jsonText(value: unknown, indent?: number): string {
  // Line feeds of the indentation are left alone; within texts JSON has escaped them.
  return visible(JSON.stringify(value, null, indent) ?? "null");
}

/** Rows for people: all texts in them as `visible` has them, but for values of the user's. */
export function visibleRows<T>(value: T, name = ""): T {
  if (typeof value === "string") return visible(value) as T;
  if (VALUES.has(name)) return value;
  if (Array.isArray(value)) return value.map((item) => visibleRows(item, name)) as T;
  if (typeof value !== "object" || value === null || value instanceof Date) return value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, visibleRows(inner, key)])) as T;
}
