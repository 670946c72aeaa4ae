export interface ReportFormat {
  head(columns: readonly string[], title: string): string;
  row(columns: readonly string[], values: readonly unknown[], isFirst: boolean): string;
  foot(found: { rows: number; truncated: boolean }): string;
}

/** Matches text that a spreadsheet would run as a formula. Numbers, including negative ones, do not match. */
const FORMULA = /^[=+\-@\t\r]/;
const NUMBER = /^[+-]?\d+(\.\d+)?(e[+-]?\d+)?$/i;

/** RFC 4180. Text that a spreadsheet would read as a formula is prefixed with an apostrophe, which the spreadsheet hides. */
const csv: ReportFormat = {
  head: (columns) => `${columns.map(csvCell).join(",")}\r\n`,
  row: (_columns, values) => `${values.map((value) => csvCell(textOf(value))).join(",")}\r\n`,
  foot: () => "",
};

function csvCell(text: string): string {
  const safe = FORMULA.test(text) && !NUMBER.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

/** A JSON array of objects, one per line. If columns have the same name, the last one wins. */
const json: ReportFormat = {
  head: () => "[",
  row: (columns, values, isFirst) =>
    `${isFirst ? "\n" : ",\n"}${JSON.stringify(Object.fromEntries(columns.map((name, index) => [name, values[index]])))}`,
  foot: ({ rows }) => (rows === 0 ? "]\n" : "\n]\n"),
};

const html: ReportFormat = {
  head: (columns, title) =>
    `<!doctype html>\n<html><head><meta charset="utf-8"><title>${escaped(title)}</title></head><body>\n<h1>${escaped(title)}</h1>\n<table>\n` +
    `<thead><tr>${columns.map((name) => `<th>${escaped(name)}</th>`).join("")}</tr></thead>\n<tbody>\n`,
  row: (_columns, values) => `<tr>${values.map((value) => `<td>${escaped(textOf(value))}</td>`).join("")}</tr>\n`,
  foot: ({ rows, truncated }) =>
    `</tbody>\n</table>\n<p>${rows} ${rows === 1 ? "row" : "rows"}${truncated ? ", and more that are not shown" : ""}</p>\n</body></html>\n`,
};

const ENTITIES: Record<string, string> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;" };

function escaped(text: string): string {
  return text.replaceAll(/[&<>"']/g, (character) => ENTITIES[character] ?? character);
}

/** Formats a value: empty for null, times as ISO 8601, JSON and arrays as JSON. */
function textOf(value: unknown): string {
  if (value === null || value === undefined) return "";
  if (typeof value === "string") return value;
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? "" : value.toISOString();
  if (Buffer.isBuffer(value)) return `\\x${value.toString("hex")}`;
  // Everything else is written as JSON: numbers and booleans stay as they are.
  return JSON.stringify(value);
}

export const REPORT_FORMATS = { csv, json, html } as const satisfies Record<string, ReportFormat>;
