/** Characters that move the cursor, change colors or reverse the writing direction: all control characters except line feeds and tabs. */
// oxlint-disable-next-line no-control-regex -- this pattern matches control characters on purpose
const CONTROLS = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]/g;

/** Fields that hold users' JSON values. They are printed by `jsonText`. */
const VALUES: ReadonlySet<string> = new Set(["payload", "result", "fields", "before", "after"]);

/** A text with its control characters escaped, such as \u001b, so that data cannot control the terminal. */
export function visible(text: string): string {
  return text.replaceAll(CONTROLS, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

/** A value as JSON in which the control characters that JSON permits are also escaped. It parses to the same value. */
export function jsonText(value: unknown, indent?: number): string {
  // Only the indentation contains line feeds: within strings, JSON has escaped them.
  return visible(JSON.stringify(value, null, indent) ?? "null");
}

/** Rows in which `visible` has been applied to every text except users' JSON values. */
export function visibleRows<T>(value: T, name = ""): T {
  if (typeof value === "string") return visible(value) as T;
  if (VALUES.has(name)) return value;
  if (Array.isArray(value)) return value.map((item) => visibleRows(item, name)) as T;
  if (typeof value !== "object" || value === null || value instanceof Date) return value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, visibleRows(inner, key)])) as T;
}
