import type { Queryable } from "./pool.ts";
import { fromDatabaseError } from "./translate-error.ts";

/** Rows that are read at a time: the first few, and then these. Each may have megabytes, and all of them are held together. */
const FIRST_ROWS = 4;
const ROWS = 16;

/**
 * The rows of a query up to the one that brings them to `maxBytes` of text, and whether there may be more. What comes after is not read by the database
 * either. The client must be in a transaction. Throws as `selectRows`.
 */
export async function selectWithin(
  client: Queryable,
  text: string,
  values: unknown[],
  maxBytes: number,
  // oxlint-disable-next-line typescript/no-explicit-any -- the shape of node-postgres's own rows
): Promise<{ rows: any[]; isMore: boolean }> {
  // oxlint-disable-next-line typescript/no-explicit-any -- as above
  const rows: any[] = [];
  let isMore = false;
  try {
    await client.query(`declare legwork_page no scroll cursor for ${text}`, values);
    for (let bytes = 0, count = FIRST_ROWS; ; count = ROWS) {
      const read = (await client.query(`fetch ${count} from legwork_page`)).rows;
      rows.push(...read);
      if (read.length < count) break;
      for (const row of read) bytes += sizeOf(row);
      if (bytes >= maxBytes) {
        isMore = true;
        break;
      }
    }
    await client.query("close legwork_page");
  } catch (error) {
    throw fromDatabaseError(error);
  }
  return { rows, isMore };
}

function sizeOf(row: object): number {
  let bytes = 0;
  for (const value of Object.values(row)) if (typeof value === "string") bytes += Buffer.byteLength(value);
  return bytes;
}
