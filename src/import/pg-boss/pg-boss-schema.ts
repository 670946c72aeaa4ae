import type { Queryable } from "../../db/pool.ts";
import { LegworkError } from "../../errors.ts";

/** The differences between versions of pg-boss's schema. */
export interface PgBossSchema {
  /** Quoted for use in statements. */
  readonly name: string;
  readonly hasFlows: boolean;
  readonly hasScheduleKeys: boolean;
  readonly hasScheduleKinds: boolean;
  readonly hasArchive: boolean;
  /** From version 11 on, each job has its own deletion time. */
  readonly hasDeletion: boolean;
}

/** Inspects pg-boss's tables. Throws LW404 for a schema without them, LW510 for the tables of a version before 10. */
export async function readPgBossSchema(client: Queryable, schema: string): Promise<PgBossSchema> {
  const { rows } = await client.query(
    `select c.relname as relation, array_agg(a.attname::text) as columns, format('%I', n.nspname) as quoted
     from pg_class c join pg_namespace n on n.oid = c.relnamespace
     join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
     where n.nspname = $1 and c.relname in ('job', 'queue', 'schedule', 'archive', 'job_dependency')
     group by 1, 3`,
    [schema],
  );
  const columns = new Map<string, readonly string[]>(rows.map((row) => [row.relation, row.columns]));
  const job = columns.get("job");
  if (job === undefined) {
    const others = await client.query(
      `select n.nspname as name from pg_class c join pg_namespace n on n.oid = c.relnamespace
       where c.relname = 'job' and exists (select from pg_class q where q.relnamespace = n.oid and q.relname = 'queue')
         and exists (select from pg_class q where q.relnamespace = n.oid and q.relname = 'subscription') order by 1`,
    );
    const names = others.rows.map((row) => String(row.name));
    throw new LegworkError("LW404", `The schema '${schema}' does not contain pg-boss's tables.`, {
      hint:
        names.length > 0
          ? `pg-boss's tables exist in ${names.map((name) => `'${name}'`).join(", ")}: select it with --schema.`
          : "Name another database with --source-url, or another schema with --schema.",
    });
  }
  if (!job.includes("start_after") || !columns.has("queue")) {
    throw new LegworkError("LW510", `The schema '${schema}' belongs to a version of pg-boss before 10.`, {
      hint: "Upgrade pg-boss to version 10, 11 or 12 first, which migrates its schema.",
    });
  }
  return {
    name: String(rows[0]?.quoted),
    hasFlows: job.includes("blocked") && columns.has("job_dependency"),
    hasScheduleKeys: columns.get("schedule")?.includes("key") === true,
    hasScheduleKinds: columns.get("schedule")?.includes("kind") === true,
    hasArchive: columns.has("archive"),
    hasDeletion: job.includes("deletion_seconds"),
  };
}
