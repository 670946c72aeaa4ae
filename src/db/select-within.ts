import type { Queryable } from "./pool.ts";
import { fromDatabaseError } from "./translate-error.ts";

/**
 * The number of rows read at a time: first `FIRST_ROWS`, then up to `ROWS`, depending on the size of the rows so far. A row may have several
 * megabytes, and all rows of one read are in memory together.
 */
const FIRST_ROWS = 4;
const ROWS = 16;

/**
 * Returns the rows of a query until their text reaches `maxBytes`, and whether there may be more. The database does not read later rows either. The
 * client must be in a transaction. Throws like `selectRows`.
 */
export async function selectWithin(
  client: Queryable,
  text: string,
  values: unknown[],
  maxBytes: number,
  // oxlint-disable-next-line typescript/no-explicit-any -- the type of node-postgres's own rows
): Promise<{ rows: any[]; isMore: boolean }> {
  // oxlint-disable-next-line typescript/no-explicit-any -- as above
  const rows: any[] = [];
  let isMore = false;
  try {
    await client.query(`declare legwork_page no scroll cursor for ${text}`, values);
    for (let bytes = 0, count = FIRST_ROWS; ;) {
      const read = (await client.query(`fetch ${count} from legwork_page`)).rows;
      rows.push(...read);
      if (read.length < count) break;
      for (const row of read) bytes += sizeOf(row);
      if (bytes >= maxBytes) {
        isMore = true;
        break;
      }
      count = Math.max(1, Math.min(ROWS, Math.floor(((maxBytes - bytes) * rows.length) / Math.max(1, bytes))));
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
