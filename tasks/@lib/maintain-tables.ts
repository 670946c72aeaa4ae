import { PayloadError, type Sql, type TaskContext } from "legwork";
import { z } from "zod";
import { longStatement } from "./long-statement.ts";
import { namedTables, type NamedTable, tableName } from "./named-table.ts";

export const maintainedTables = z
  .array(tableName)
  .min(1)
  .max(100)
  .describe("The names of the tables, as written in SQL. Tables are processed one after the other, including their partitions.");

const size = z.strictObject({
  tableBytes: z.int().describe("The size of the table with TOAST, without indexes."),
  indexBytes: z.int(),
  liveRows: z.int().describe("According to Postgres's statistics."),
  deadRows: z.int().describe("According to Postgres's statistics."),
});
type Size = z.output<typeof size>;

export const maintainedResult = z.strictObject({
  tables: z.array(z.strictObject({ table: z.string(), milliseconds: z.number(), before: size, after: size })),
});

/** Returns a table's size, including all of its partitions. */
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

/** Throws a PayloadError for a table that the worker's role may not maintain. Postgres itself would skip the table with a warning. */
export async function assertMaintainable(sql: Sql, table: NamedTable): Promise<void> {
  // The privilege maintain was added in Postgres 17; older versions reject the word.
  const [version] = await sql<{ since17: boolean }>`select current_setting('server_version_num')::int >= 170000 as since17`;
  const privilege = version?.since17 === true ? "or has_table_privilege(c.oid, 'maintain')" : "";
  const [row] = await sql.query<{ may: boolean }>(
    `select pg_has_role(c.relowner, 'usage') or pg_has_role(d.datdba, 'usage') ${privilege} as may
     from pg_catalog.pg_class c, pg_catalog.pg_database d where c.oid = $1::oid and d.datname = current_database()`,
    [table.id],
  );
  if (row?.may === true) return;
  throw new PayloadError(`tables: the worker's role is not allowed to maintain '${table.full}'.`, {
    hint: "Make the role the table's owner, or grant it maintain on the table (Postgres 17 or later).",
  });
}

/** Runs a statement on each table, one after the other, and measures the table before and after. */
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
    log.info(
      { event: "table_maintained", table: table.full, milliseconds, before, after },
      `Maintenance of ${table.full} is complete.`,
    );
    done.push({ table: table.full, milliseconds, before, after });
  }
  return { tables: done };
}
