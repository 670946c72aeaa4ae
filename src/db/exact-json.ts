import { parseToShow } from "../json.ts";
import type { Queryable } from "./pool.ts";

/** Pools and clients whose rows are only displayed, never used in calculations. */
const exact = new WeakSet<Queryable>();

/**
 * From now on, keeps every digit of payloads and results that are read through this pool or client: numbers that JavaScript would write differently
 * become `JSON.rawJSON`, and values that are nested too deeply become `{"legwork:text": "…"}`. Use this for values that are only passed on as JSON.
 */
export function keepDigits<Q extends Queryable>(client: Q): Q {
  exact.add(client);
  return client;
}

/** Whether the rows of a pool or client are only displayed. */
export function isToShow(client: Queryable): boolean {
  return exact.has(client);
}

/** Parses columns of this client's rows that were selected as text. */
export function readJson<Row extends object>(client: Queryable, rows: Row[], columns: readonly (keyof Row)[]): Row[] {
  const parse = exact.has(client) ? parseToShow : (text: string): unknown => JSON.parse(text);
  for (const row of rows) {
    for (const column of columns) {
      const text = row[column];
      if (typeof text === "string") row[column] = parse(text) as Row[keyof Row];
    }
  }
  return rows;
}
