import { PayloadError, type Sql, type TaskContext } from "legwork";
import { z } from "zod";
import { longStatement } from "./long-statement.ts";
import { namedTables, type NamedTable, tableName } from "./named-table.ts";

export const maintainedTables = z
  .array(tableName)
  .min(1)
  .max(100)
  .describe("The tables, as SQL writes them; one after the other. Partitions belong to their table.");

const size = z.strictObject({
  tableBytes: z.int().describe("The table with its TOAST, without indexes."),
  indexBytes: z.int(),
  liveRows: z.int().describe("As the statistics know it."),
  deadRows: z.int().describe("As the statistics know it."),
});
type Size = z.output<typeof size>;

export const maintainedResult = z.strictObject({
  tables: z.array(z.strictObject({ table: z.string(), milliseconds: z.number(), before: size, after: size })),
});

/** A table's size with all of its partitions. */
async function sizeOf(sql: Sql, table: NamedTable): Promise<Size> {
  const [row] = await sql<Size>`
    with recursive family as (
      select ${table.id}::oid as id
      union
      select i.inhrelid from pg_catalog.pg_inherits i join family f on i.inhparent = f.id where ${table.partitioned}
    )
    select coalesce(sum(pg_table_size(id)), 0)::float8 as "tableBytes", coalesce(sum(pg_indexes_size(id)), 0)::float8 as "indexBytes",
      coalesce(sum(pg_stat_get_live_tuples(id)), 0)::float8 as "liveRows", coalesce(sum(pg_stat_get_dead_tuples(id)), 0)::float8 as "deadRows"
    from family`;
  return row ?? { tableBytes: 0, indexBytes: 0, liveRows: 0, deadRows: 0 };
}

/** Throws a PayloadError for a table that the worker's role may not maintain: Postgres itself would pass over it with a warning. */
export async function assertMaintainable(sql: Sql, table: NamedTable): Promise<void> {
  // The privilege came with Postgres 17; older ones do not know the word.
  const [version] = await sql<{ since17: boolean }>`select current_setting('server_version_num')::int >= 170000 as since17`;
  const privilege = version?.since17 === true ? "or has_table_privilege(c.oid, 'maintain')" : "";
  const [row] = await sql.query<{ may: boolean }>(
    `select pg_has_role(c.relowner, 'usage') or pg_has_role(d.datdba, 'usage') ${privilege} as may
     from pg_catalog.pg_class c, pg_catalog.pg_database d where c.oid = $1::oid and d.datname = current_database()`,
    [table.id],
  );
  if (row?.may === true) return;
  throw new PayloadError(`tables: the worker's role may not maintain '${table.full}'.`, {
    hint: "Let it own the table, or since Postgres 17: grant maintain on it.",
  });
}

/** Runs a statement on each of the tables, the one after the other, and measures before and after. */
export async function maintainTables(
  { sql, job, log, signal, progress }: TaskContext,
  names: readonly string[],
  statement: (table: NamedTable) => string,
): Promise<z.input<typeof maintainedResult>> {
  const tables = await namedTables({ sql, job }, "tables", names);
  for (const table of tables) await assertMaintainable(sql, table);
  const done = [];
  for (const [index, table] of tables.entries()) {
    progress((100 * index) / tables.length, table.full);
    const before = await sizeOf(sql, table);
    const startedAt = performance.now();
    await longStatement(sql, signal, statement(table));
    const milliseconds = Math.round(performance.now() - startedAt);
    const after = await sizeOf(sql, table);
    log.info({ event: "table_maintained", table: table.full, milliseconds, before, after }, `${table.full} is done.`);
    done.push({ table: table.full, milliseconds, before, after });
  }
  return { tables: done };
}
