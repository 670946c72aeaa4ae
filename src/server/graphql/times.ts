import { TYPES } from "postgraphile/@dataplan/pg";
import { type SQL, sql } from "postgraphile/pg-sql2";

const toChar = TYPES.timestamptz.castFromPg;

/**
 * Lets PostGraphile write infinite times and those before Christ as Postgres does. With `to_char` alone it makes null of infinity, for which a
 * field that is never null then fails, and leaves out the BC. All other times are written as before. Holds for the whole process.
 */
export function showUnboundedTimes(): void {
  TYPES.timestamptz.castFromPg = (time: SQL, guaranteedNotNull?: boolean) =>
    sql`case when isfinite(${time}) and ${time} >= '0001-01-01Z'::timestamptz then ${toChar?.(time, guaranteedNotNull) ?? time} else to_json(${time}) #>> '{}' end`;
}
