import { PayloadError, type SqlTag } from "legwork";
import { z } from "zod";
import { asPayload } from "./named-table.ts";

/** An age as a payload has it; Postgres reads it. */
export const age = z.string().min(1).max(100);

/** The moment before which something is too old, as Postgres writes it. Throws a PayloadError for what is no time ago. */
export async function cutoffOf(sql: SqlTag, field: string, olderThan: string): Promise<{ text: string; milliseconds: number }> {
  const [row] = await asPayload(
    `${field}: '${olderThan}' cannot be read as an age such as '30 days'.`,
    () =>
      sql<{ cutoff: string; past: boolean; milliseconds: number }>`
      select (now() - age)::text as cutoff, now() - age < now() and isfinite(age) as past,
        (extract(epoch from now() - age) * 1000)::float8 as milliseconds
      from (select ${olderThan}::interval as age) i`,
  );
  if (row?.past !== true) {
    throw new PayloadError(`${field}: '${olderThan}' is not a time ago.`, {
      hint: "It must be more than nothing, such as '30 days': only what is older than that goes.",
    });
  }
  return { text: row.cutoff, milliseconds: row.milliseconds };
}
