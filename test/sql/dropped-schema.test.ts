import { isDeepStrictEqual } from "node:util";
import { describe, expect, it } from "vitest";
import { describeSchema } from "../../scripts/describe-schema.ts";
import { diagnose } from "../../src/health/doctor.ts";
import { Problems } from "../../src/health/problems.ts";
import { readCatalog } from "../../src/db/definitions.ts";
import { migrate } from "../../src/db/migrate.ts";
import { schemaFiles } from "../../src/db/schema-files.ts";
import { objectsOf } from "../../src/db/schema-objects.ts";
import { splitSql } from "../../src/db/split-sql.ts";
import { legwork } from "../support/cli.ts";
import { testDatabase, testLog } from "../support/database.ts";
import { until } from "../support/until.ts";
import { workerOver } from "../support/worker.ts";

const database = testDatabase();

async function query(text: string, values: unknown[] = []): Promise<Record<string, unknown>[]> {
  return (await database.pool.query(text, values)).rows;
}

describe("splitSql", () => {
  it("keeps bodies, strings, names and comments whole", () => {
    const statements = [
      "create function a() returns text language sql begin atomic select case when true then 'x;' end; select 1; end",
      "do $x$ begin perform $$;$$; end $x$",
      "select E'\\\';', \"a;b\", 'it''s;' -- no; end\n  as x",
      "select case when a then b end",
    ];
    expect(splitSql(`-- first; one\n\n/* ; */ ${statements.join(";\n-- next\n")};\n`)).toEqual(statements);
  });
});

describe("objectsOf", () => {
  it("returns the objects that are left after drops and renames", () => {
    const made = `create table a.t (id int); create index t_id on a.t (id); create trigger g after insert on a.t execute function a.f();
      create function a.f(x int) returns int return 1; create or replace view a.v as select 1; create unique index other on b.u (id);`;
    expect([...objectsOf([made])]).toEqual([
      "table a.t",
      "index a.t_id",
      "trigger g on a.t",
      "function a.f",
      "view a.v",
      "index b.other",
    ]);
    const changed = "drop function if exists a.f(int, text), a.h(); alter view a.v rename to w; drop trigger g on a.t; drop index b.other;";
    expect([...objectsOf([made, changed])]).toEqual(["table a.t", "index a.t_id", "view a.w"]);
    expect([...objectsOf([made, "drop table a.t cascade"])]).toEqual(["function a.f", "view a.v", "index b.other"]);
  });
});

describe("after `drop schema graphile_worker cascade`", () => {
  it("the command line reports what is missing and what to do, and `legwork migrate` repairs it", async () => {
    await query("create table orders (id integer)");
    await query(`select legwork_private.register_tasks('[{"name": "known"}]')`);
    await query("select graphile_worker.add_job('known')");
    await query("select legwork.enqueue_on('orders', 'insert', 'known', payload => '{\"order\": \"id\"}')");
    await query("select legwork.limit_concurrency(2, task => 'known')");
    for (const { id } of await query("select id from graphile_worker.add_job('known'), generate_series(1, 3)")) {
      await query("select graphile_worker.complete_jobs(array[$1::bigint])", [id]);
    }
    const kept = await query("select id, task, state, payload from legwork_private.finished_jobs order by id");
    expect(kept).toHaveLength(1);
    const before = await describeSchema(database.pool);
    await query("drop schema graphile_worker cascade");

    const environment = { DATABASE_URL: database.url };
    const refusals = await Promise.all([["jobs"], ["doctor"]].map(async (command) => await legwork(command, environment)));
    for (const { code, stderr } of refusals) {
      expect(stderr).toContain("lacks objects that Legwork created");
      expect(stderr).toContain("legwork migrate");
      expect(code).toBe(1);
    }
    expect(await diagnose(database.pool)).toMatchObject([{ check: "schema", severity: "critical", fix: "legwork migrate" }]);

    const { repaired, applied } = await migrate(database.pool, testLog);
    expect(applied).toEqual([]);
    expect(repaired).toContain("view legwork.jobs");
    expect(repaired).toContain("trigger _legwork_record_finished on graphile_worker._private_jobs");
    expect(await migrate(database.pool, testLog)).toEqual({ applied: [], definitions: [], repaired: [] });
    expect(await describeSchema(database.pool)).toBe(before);
    expect(await query("select id, task, state, payload from legwork_private.finished_jobs order by id")).toEqual(kept);

    // Ids continue, triggers on users' tables enqueue jobs, limits are enforced, and history is written.
    await query("insert into orders values (1), (2), (3)");
    const jobs = await query("select id, state from legwork.jobs where finished_at is null order by id");
    expect(jobs.map(({ state }) => state)).toEqual(["pending", "pending", "blocked"]);
    expect(Number(jobs[0]?.id)).toBeGreaterThan(Number(kept[0]?.id));
    await query("select graphile_worker.complete_jobs(array[$1::bigint])", [jobs[0]?.id]);
    expect(await query("select state from legwork.jobs where id = $1", [jobs[0]?.id])).toEqual([{ state: "completed" }]);
    expect(await query("select * from legwork.reconcile()")).toEqual([]);
  });

  it("jobs that were enqueued before the repair and have an id that is in the history get another id", async () => {
    const [old] = await query("select id from legwork_private.finished_jobs order by id limit 1");
    await query("drop trigger _legwork_admit on graphile_worker._private_jobs");
    await query(
      `insert into graphile_worker._private_jobs (id, task_id, payload) overriding system value
       select $1, id, '{"n": 1}' from graphile_worker._private_tasks limit 1`,
      [old?.id],
    );
    const { repaired } = await migrate(database.pool, testLog);
    expect(repaired).toEqual(["trigger _legwork_admit on graphile_worker._private_jobs"]);
    const [moved] = await query(`select id from graphile_worker._private_jobs where payload::text = '{"n": 1}'`);
    expect(Number(moved?.id)).toBeGreaterThan(Number(old?.id));
  });

  it("a user's view that reads Legwork's views is kept", async () => {
    await query("create view failures as select id from legwork.jobs where state = 'failed'");
    await query("drop trigger _legwork_admit on graphile_worker._private_jobs");
    expect((await migrate(database.pool, testLog)).repaired).toEqual(["trigger _legwork_admit on graphile_worker._private_jobs"]);
    expect(await query("select * from failures")).toEqual([]);
    await query("drop view failures");
  });
});

it("every object that the migration files create exists after a migration, under the name that objectsOf gives it", async () => {
  const { migrations, definitions } = schemaFiles();
  const catalog = await readCatalog(database.pool);
  const made = definitions.filter(({ kind }) => kind !== "comments").map(({ object }) => object);
  expect(made.length).toBeGreaterThan(400);
  expect(made.filter((object) => !catalog.has(object))).toEqual([]);
  const objects = objectsOf(migrations.map(({ sql }) => sql));
  expect(objects.size).toBeGreaterThan(120);
  expect([...objects].filter((object) => !object.startsWith("function ") && !catalog.has(object))).toEqual([]);
  // Conversely, every object that exists is in the files.
  const ours = [...catalog].filter((object) => /^(?:function|view|policy) legwork|^trigger (?:_legwork|sum_|keep_)/.test(object));
  const names = new Set([...objects].map((object) => object));
  expect(ours.filter((object) => !made.includes(object) && !names.has(object.replace(/\(.*$/, "")))).toEqual([]);
});

it("a running worker reports that the schema was dropped, and starts again once `legwork migrate` has created it", async () => {
  const problems = new Problems();
  const named = (name: string): string => `export default async (_payload, helpers) => void (await helpers.query("insert into ran values ('${name}')"));`;
  await query("create table if not exists ran (task text)");
  await query("truncate ran");
  await workerOver(database.url, { "first.mjs": named("first"), "second.mjs": named("second") }, { problems });
  // Because the running worker locks several tables too, this statement may end in a deadlock.
  const drop = (): Promise<boolean> => query("drop schema graphile_worker cascade").then(() => true, () => false);
  await until("the schema is dropped", drop);
  await until("the problem is reported", () => problems.list().some((problem) => problem.includes("the schema graphile_worker were dropped")), 10_000);
  await migrate(database.pool, testLog);
  // In the new tables, the tasks get their numbers again, in this order.
  await query("select graphile_worker.add_job('second')");
  await query("select graphile_worker.add_job('first')");
  await until("both jobs ran", async () => (await query("select from ran")).length === 2, 20_000);
  expect(await query("select task from ran order by task")).toEqual([{ task: "first" }, { task: "second" }]);
  const jobs = (): Promise<unknown> => query("select task, state::text from legwork.jobs where task in ('first', 'second') order by id");
  const ended = ["second", "first"].map((task) => ({ task, state: "completed" }));
  await until("both jobs have completed", async () => isDeepStrictEqual(await jobs(), ended));
  await until("the problem is solved", () => problems.list().length === 0);
});
