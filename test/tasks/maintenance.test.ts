import { describe, expect, it } from "vitest";
import { createSql } from "../../src/db/sql.ts";
import { assertMaintainable } from "../../tasks/@lib/maintain-tables.ts";
import { testDatabase } from "../support/database.ts";
import { connection } from "../support/connections.ts";
import { endedJob, type EndedJob, runJob, TASKS } from "../support/job.ts";
import { until } from "../support/until.ts";
import { workerOver } from "../support/worker.ts";

const database = testDatabase();

async function bloated(name: string): Promise<string> {
  const client = await connection(database);
  await client.query(
    `create table ${name} (id int primary key, word text) with (autovacuum_enabled = off);
     insert into ${name} select n, md5(n::text) from generate_series(1, 20000) n`,
  );
  await client.query(`delete from ${name} where id > 2000`);
  // If these statistics were flushed late, they would be added to the results of a later vacuum or analyze.
  await client.query("select pg_stat_force_next_flush()");
  return name;
}

describe("maintenance", () => {
  it("vacuum removes dead rows and returns sizes before and after", async () => {
    const table = await bloated("vacuumed");
    const vacuum = async (): Promise<EndedJob["result"]> => {
      const job = await runJob(database, "maintenance/vacuum", { tables: [table, `public.${table}`], analyze: true });
      expect(job).toMatchObject({ state: "completed", result: { tables: [{ table: "public.vacuumed" }] } });
      return job.result.tables[0];
    };
    let { before, after } = await vacuum();
    expect(before.tableBytes).toBeGreaterThan(1_000_000);
    // Rows remain as long as an older transaction may see them, and a table that another session reads is not truncated.
    await until("all dead rows are removed", async () => {
      if (after.tableBytes < before.tableBytes / 2) return true;
      ({ after } = await vacuum());
      return false;
    });
    expect(after).toMatchObject({ liveRows: 2_000, deadRows: 0 });
    expect((await runJob(database, "maintenance/vacuum", { tables: [table] })).state).toBe("completed");
  });

  it("analyze gathers statistics", async () => {
    const table = await bloated("analyzed");
    const job = await runJob(database, "maintenance/analyze", { tables: [table] });
    expect(job.result.tables[0].after.liveRows).toBe(2_000);
    const { rows } = await database.pool.query("select reltuples from pg_class where relname = $1", [table]);
    expect(rows).toEqual([{ reltuples: 2_000 }]);
  });

  it("reindex rebuilds every index, repairs an invalid one, and drops what interrupted rebuilds have left", async () => {
    const table = await bloated("indexed");
    await database.pool.query(`create index indexed_word on ${table} (word)`);
    await database.pool.query("create index indexed_word_ccnew on indexed (word)");
    await database.pool.query("create extension if not exists btree_gist").catch(() => undefined);
    await database.pool.query("alter table indexed add column during int4range, add exclude using gist (during with &&)");
    await database.pool.query(
      "update pg_index set indisvalid = false where indexrelid in ('indexed_word'::regclass, 'indexed_word_ccnew'::regclass)",
    );
    await database.pool.query(`vacuum ${table}`);
    const job = await runJob(database, "maintenance/reindex", { tables: [table] });
    expect(job).toMatchObject({
      state: "completed",
      result: {
        indexes: [
          { index: "public.indexed_pkey", wasInvalid: false },
          { index: "public.indexed_word", wasInvalid: true },
        ],
        removed: ["public.indexed_word_ccnew"],
        skipped: [{ index: "public.indexed_during_excl" }],
      },
    });
    expect(job.result.indexes[0].afterBytes).toBeLessThan(job.result.indexes[0].beforeBytes);
    const { rows } = await database.pool.query(
      "select indexrelid::regclass::text as index, indisvalid as valid from pg_index where indrelid = 'indexed'::regclass order by 1",
    );
    expect(rows).toEqual([
      { index: "indexed_during_excl", valid: true },
      { index: "indexed_pkey", valid: true },
      { index: "indexed_word", valid: true },
    ]);
  });

  it("reindex drops its own incomplete index when it fails", async () => {
    await database.pool.query("create table doubled (a int); create unique index doubled_a on doubled (a)");
    // This simulates the state after a damaged index.
    await database.pool.query("update pg_index set indisunique = false where indexrelid = 'doubled_a'::regclass");
    const writer = await connection(database);
    await writer.query("insert into doubled values (1), (1)");
    await database.pool.query("update pg_index set indisunique = true where indexrelid = 'doubled_a'::regclass");
    const job = await runJob(database, "maintenance/reindex", { tables: ["doubled"] });
    expect(job.error).toContain("could not create unique index");
    const { rows } = await database.pool.query("select from pg_index where indrelid = 'doubled'::regclass");
    expect(rows).toHaveLength(1);
  });

  it("a cancelled job cancels its statement in the database", async () => {
    const table = await bloated("cancelled");
    const holder = await connection(database);
    await holder.query(`begin; lock table ${table} in share update exclusive mode`);
    await workerOver(database.url, [TASKS]);
    const { rows } = await database.pool.query("select legwork.enqueue('maintenance/vacuum', $1) as id", [
      JSON.stringify({ tables: [table] }),
    ]);
    const waits =
      "select from pg_stat_activity where wait_event_type = 'Lock' and query like '%vacuum (%' and datname = current_database()";
    await until("the vacuum waits", async () => (await database.pool.query(waits)).rows.length === 1);
    await database.pool.query("select legwork.cancel_job($1)", [rows[0].id]);
    await until("the job ends", () => endedJob(database, rows[0].id));
    await until("the vacuum has ended", async () => (await database.pool.query(waits)).rows.length === 0);
  });

  it("a role that may not maintain a table gets an error", async () => {
    await database.pool.query("create table foreign_to_me (a int)");
    const { rows } = await database.pool.query("select quote_ident('other_' || md5(current_database())) as role");
    await database.pool.query(`create role ${rows[0].role} superuser`);
    try {
      // A worker needs the owner's rights for Legwork itself, so only the check is tested here.
      await database.pool.query(`alter role ${rows[0].role} nosuperuser`);
      const client = await connection(database);
      await client.query(`set role ${rows[0].role}`);
      const { rows: ids } = await client.query("select 'foreign_to_me'::regclass::oid::text as id");
      const pool = { connect: async () => Object.assign(client, { release: () => undefined }) };
      const table = { id: ids[0].id, full: "public.foreign_to_me" };
      await expect(assertMaintainable(createSql(pool as never), table as never)).rejects.toThrow(
        "the worker's role is not allowed to maintain 'public.foreign_to_me'",
      );
      await client.query("reset role");
      await expect(assertMaintainable(createSql(pool as never), table as never)).resolves.toBeUndefined();
    } finally {
      await database.pool.query(`drop role ${rows[0].role}`);
    }
  });
});
