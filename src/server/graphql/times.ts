import { TYPES } from "postgraphile/@dataplan/pg";
import { type SQL, sql } from "postgraphile/pg-sql2";

const toChar = TYPES.timestamptz.castFromPg;

/**
 * Makes PostGraphile format infinite times and times BC like Postgres. `to_char` alone turns infinity into null, which makes non-null fields fail, and
 * omits the BC. All other times are unchanged. Applies to the whole process.
 */
export function showUnboundedTimes(): void {
  TYPES.timestamptz.castFromPg = (time: SQL, guaranteedNotNull?: boolean) =>
    sql`case when isfinite(${time}) and ${time} >= '0001-01-01Z'::timestamptz then ${toChar?.(time, guaranteedNotNull) ?? time} else to_json(${time}) #>> '{}' end`;
}
