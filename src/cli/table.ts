import truncatedWidth from "fast-string-truncated-width";

/** The narrowest width to which a column of text is shortened. */
const LEAST = 12;

/** The gap between two columns. */
const GAP = "  ";

/** Columns that are never shortened, because users copy their values. */
const WHOLE = /^(ID|LAST ID|JOB|FINGERPRINT)$/;

/** Ends the colors of a shortened text. */
const UNCOLORED = "\u001b[39m\u001b[22m";

/**
 * A table as lines of text. With `columns`, the width of a terminal, every line fits it: columns without content are left out, the widest columns are
 * shortened with `…`, then the columns in `spare` are left out, in this order. Without `columns`, nothing is shortened. Cells may be colored.
 */
export function tableLines(
  head: readonly string[],
  rows: readonly (readonly string[])[],
  { columns, spare = [], style = (title) => title }: TableOptions = {},
): string[] {
  const cells = rows.map((row) => row.map((cell) => cell.replaceAll(/\s+/g, " ")));
  const all = head.map((title, index) => ({
    index,
    title,
    isEmpty: cells.every((row) => (row[index] ?? "") === ""),
    width: Math.max(widthOf(title), ...cells.map((row) => widthOf(row[index] ?? ""))),
  }));
  const shown = columns === undefined ? all : fit(all, columns, spare);
  return [head.map((title) => style(title)), ...cells].map((row) => {
    const line = shown.map(({ index, width }, place) => {
      const cell = cut(row[index] ?? "", width);
      return place === shown.length - 1 ? cell : cell + " ".repeat(width - widthOf(cell));
    });
    return cutLine(line.join(GAP).trimEnd(), columns);
  });
}

interface TableOptions {
  columns?: number | undefined;
  spare?: readonly string[] | undefined;
  style?: (title: string) => string;
}

interface Column {
  readonly index: number;
  readonly title: string;
  readonly isEmpty: boolean;
  readonly width: number;
}

/** How many terminal columns a text occupies: colors occupy none, wide characters two. */
function widthOf(text: string): number {
  return truncatedWidth(text).width;
}

/** A text cut to a width, with `…` at its end if it is longer. */
function cut(text: string, width: number): string {
  const { index, truncated } = truncatedWidth(text, { limit: width, ellipsis: "…", ellipsisWidth: 1 });
  if (!truncated) return text;
  return `${text.slice(0, index).trimEnd()}…${text.includes("\u001b[") ? UNCOLORED : ""}`;
}

/** A line cut to the width of a terminal, or unchanged without a width. */
export function cutLine(line: string, columns: number | undefined): string {
  return columns === undefined ? line : cut(line, columns);
}

/** The columns that fit, with their widths. */
function fit(all: readonly Column[], columns: number, spare: readonly string[]): Column[] {
  if (sizeOf(all, Infinity) <= columns) return [...all];
  let left = all.filter(({ isEmpty }) => !isEmpty);
  for (const title of spare) {
    if (sizeOf(left, LEAST) <= columns) break;
    left = left.filter((column) => column.title !== title);
  }
  let cap = columns;
  while (cap > 1 && sizeOf(left, cap) > columns) cap -= 1;
  return left.map(({ index, title, isEmpty, ...column }) => ({
    index,
    title,
    isEmpty,
    width: capped({ index, title, isEmpty, ...column }, cap),
  }));
}

/** The width of a line whose columns are at most `cap` wide. */
function sizeOf(list: readonly Column[], cap: number): number {
  return list.reduce((sum, column) => sum + capped(column, cap), GAP.length * Math.max(0, list.length - 1));
}

function capped({ title, width }: Column, cap: number): number {
  return WHOLE.test(title) ? width : Math.min(width, Math.max(cap, 1));
}
