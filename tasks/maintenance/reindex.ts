import { defineTask, type Sql } from "legwork";
import { z } from "zod";
import { longStatement } from "../@lib/long-statement.ts";
import { assertMaintainable, maintainedTables } from "../@lib/maintain-tables.ts";
import { namedTables, type NamedTable } from "../@lib/named-table.ts";

export default defineTask({
  description: "Rebuilds the indexes of tables without blocking readers and writers, and reports their sizes before and after.",
  queue: "maintenance",
  payload: z.strictObject({ tables: maintainedTables }),
  result: z.strictObject({
    indexes: z.array(
      z.strictObject({
        index: z.string(),
        table: z.string(),
        beforeBytes: z.int(),
        afterBytes: z.int(),
        milliseconds: z.number(),
        wasInvalid: z
          .boolean()
          .describe("Whether the index was invalid before, such as after an interrupted create index concurrently."),
      }),
    ),
    removed: z.array(z.string()).describe("The indexes left behind by interrupted rebuilds. They were dropped."),
    skipped: z.array(z.strictObject({ index: z.string(), reason: z.string() })),
  }),
  /**
   * An interrupted rebuild leaves behind an index that is updated but never used (…_ccnew, …_ccold). The tables' leftover indexes are dropped before
   * and after. Concurrent rebuilds of the same table wait for each other on its lock.
   */
  async run(payload, { sql, job, log, signal, progress }) {
    const tables = await namedTables({ sql, job }, "tables", payload.tables);
    for (const table of tables) await assertMaintainable(sql, table);
    const done = [];
    const skipped = [];
    const removed: string[] = [];
    const dropLeftovers = async (table: NamedTable): Promise<void> => {
      for (const { index, quoted, isLeftover } of await indexesOf(sql, table)) {
        if (!isLeftover) continue;
        await longStatement(sql, signal, `drop index concurrently if exists ${quoted}`);
        removed.push(index);
        log.warn({ event: "invalid_index_dropped", index }, `${index} was left by an interrupted rebuild and was dropped.`);
      }
    };
    for (const [position, table] of tables.entries()) {
      await dropLeftovers(table);
      for (const found of await indexesOf(sql, table)) {
        const { index, quoted, bytes, isValid, isExclusion } = found;
        if (isExclusion) {
          skipped.push({ index, reason: "Postgres cannot rebuild the index of an exclusion constraint concurrently." });
          continue;
        }
        progress((100 * position) / tables.length, index);
        const startedAt = performance.now();
        try {
          await longStatement(sql, signal, `reindex index concurrently ${quoted}`);
        } catch (error) {
          // A stopping worker has no time to wait for other sessions' transactions; the next run drops the leftover index.
          if (!signal.aborted) await dropLeftovers(table);
          throw error;
        }
        const milliseconds = Math.round(performance.now() - startedAt);
        const [after] = await sql<{ bytes: number }>`select pg_relation_size(to_regclass(${quoted}))::float8 as bytes`;
        const result = {
          index,
          table: found.table,
          beforeBytes: bytes,
          afterBytes: after?.bytes ?? 0,
          milliseconds,
          wasInvalid: !isValid,
        };
        log.info({ event: "index_rebuilt", ...result }, `${index} was rebuilt.`);
        done.push(result);
      }
    }
    return { indexes: done, removed, skipped };
  },
});

interface IndexRow {
  index: string;
  table: string;
  quoted: string;
  bytes: number;
  isValid: boolean;
  isExclusion: boolean;
  isLeftover: boolean;
}

/** Returns the indexes of a table and of its partitions, without those of its TOAST table. */
async function indexesOf(sql: Sql, table: NamedTable): Promise<IndexRow[]> {
  return await sql<IndexRow>`
    with recursive family as (
      select ${table.id}::oid as id
      union
      select i.inhrelid from pg_catalog.pg_inherits i join family f on i.inhparent = f.id where ${table.partitioned}
    )
    select n.nspname || '.' || x.relname as index, tn.nspname || '.' || t.relname as table, format('%I.%I', n.nspname, x.relname) as quoted,
      pg_relation_size(x.oid)::float8 as bytes, i.indisvalid as "isValid", i.indisexclusion as "isExclusion",
      not i.indisvalid and x.relname ~ '_cc(new|old)[0-9]*$' as "isLeftover"
    from family f
    join pg_catalog.pg_index i on i.indrelid = f.id
    join pg_catalog.pg_class x on x.oid = i.indexrelid and x.relkind = 'i'
    join pg_catalog.pg_namespace n on n.oid = x.relnamespace
    join pg_catalog.pg_class t on t.oid = i.indrelid
    join pg_catalog.pg_namespace tn on tn.oid = t.relnamespace
    order by t.relname, x.relname`;
}
