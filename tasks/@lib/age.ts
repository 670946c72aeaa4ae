import { PayloadError, type SqlTag } from "legwork";
import { z } from "zod";
import { asPayload } from "./named-table.ts";

/** An age in a payload, as a Postgres interval. */
export const age = z.string().min(1).max(100);

/**
 * Returns the time before which something is too old, in Postgres's text format. Throws a PayloadError for an age that is not a positive, finite
 * interval.
 */
export async function cutoffOf(sql: SqlTag, field: string, olderThan: string): Promise<{ text: string; milliseconds: number }> {
  const [row] = await asPayload(
    `${field}: '${olderThan}' is not a valid age. Expected an interval such as '30 days'.`,
    () =>
      sql<{ cutoff: string; past: boolean; milliseconds: number }>`
      select (now() - age)::text as cutoff, now() - age < now() and isfinite(age) as past,
        (extract(epoch from now() - age) * 1000)::float8 as milliseconds
      from (select ${olderThan}::interval as age) i`,
  );
  if (row?.past !== true) {
    throw new PayloadError(`${field}: '${olderThan}' is not a positive age.`, {
      hint: "Give a positive interval such as '30 days': only what is older is removed.",
    });
  }
  return { text: row.cutoff, milliseconds: row.milliseconds };
}
