import { TYPES } from "postgraphile/@dataplan/pg";
import { type SQL, sql } from "postgraphile/pg-sql2";

const toChar = TYPES.timestamptz.castFromPg;

/**
 * PostGraphile writes a time with `to_char`, which makes null of infinity, for which a field that is never null then fails, and leaves the BC of a
 * time before Christ out. Those are written as Postgres does; all others as before.
 */
TYPES.timestamptz.castFromPg = (time: SQL, guaranteedNotNull?: boolean) =>
  sql`case when isfinite(${time}) and ${time} >= '0001-01-01Z'::timestamptz then ${toChar?.(time, guaranteedNotNull) ?? time} else to_json(${time}) #>> '{}' end`;
