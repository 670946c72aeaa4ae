import { parseToShow } from "../json.ts";
import type { Queryable } from "./pool.ts";

/** Pools and clients whose rows are shown and not computed with. */
const exact = new WeakSet<Queryable>();

/**
 * From now on what is read over this pool or client has every digit of payloads and results: numbers that JavaScript would write in another way are
 * `JSON.rawJSON`, and what is nested too deeply is `{"legwork:text": "…"}`. For what goes on to somebody as JSON.
 */
export function keepDigits<Q extends Queryable>(client: Q): Q {
  exact.add(client);
  return client;
}

/** Reads those columns, which were selected as text, of rows that came over this client. */
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
