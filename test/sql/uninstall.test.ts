import { runMigrations } from "graphile-worker";
import { describe, expect, it } from "vitest";
import { migrate } from "../../src/db/migrate.ts";
import { uninstall } from "../../src/db/uninstall.ts";
import { type TestDatabase, testDatabase, testLog } from "../support/database.ts";
import { HandWorker } from "../support/hand-worker.ts";
import { quietLogger, runDueJobs } from "../support/plain-worker.ts";
import { schemaDump, schemaState } from "../support/schema-state.ts";

/** Legwork is installed in this database and uninstalled. The other databases are copies of a migrated one, which is faster. */
const database = testDatabase({ empty: true });
const held = testDatabase();
const expired = testDatabase();
const crashed = testDatabase();

type Row = Record<string, unknown>;
const runIn = async ({ pool }: TestDatabase, sql: string): Promise<Row[]> => (await pool.query(sql)).rows;
const run = (sql: string): Promise<Row[]> => runIn(database, sql);

const APP_ROLE = `legwork_test_app_${process.pid}`;
const CONFINED_LOGIN = `legwork_test_confined_${process.pid}`;

/** Objects that a user may have created before Legwork was installed. */
async function useGraphileWorker(): Promise<void> {
  await run(`
    do $$ begin create role ${APP_ROLE}; exception when duplicate_object then null; end $$;
    grant usage on schema graphile_worker to ${APP_ROLE};
    grant select (id, payload), update (payload) on graphile_worker._private_jobs to ${APP_ROLE};
    grant execute on function graphile_worker.complete_jobs to ${APP_ROLE};
    create schema shop;
    create table shop.orders (id int primary key);
    create function shop.note() returns trigger language plpgsql as $$ begin perform graphile_worker.add_job('noted'); return null; end $$;
    create trigger note after update on shop.orders for each row execute function shop.note();
    create trigger watch after delete on graphile_worker._private_jobs for each statement execute function shop.note();
    alter table graphile_worker._private_jobs disable trigger watch;
    create index mine on graphile_worker._private_jobs (created_at);
    comment on table graphile_worker._private_jobs is 'Jobs of the shop.'`);
}

/** Uses every feature of Legwork that leaves something in the database. */
async function useLegwork(): Promise<void> {
  await run("select legwork.create_roles()");
  await run(`do $$ begin create role ${CONFINED_LOGIN} login; exception when duplicate_object then null; end $$`);
  await run(`select legwork.confine_login('${CONFINED_LOGIN}', 'acme')`);
  await run(`select legwork_private.register_tasks('[{"name": "a"}, {"name": "b"}, {"name": "limited", "queue": "q"}, {"name": "paused"}]')`);
  await run(`select legwork.limit_concurrency(1, queue => 'q'), legwork.limit_rate(1, '1 minute', task => 'limited'), legwork.pause_task('paused')`);
  await run("select legwork.enqueue_on('shop.orders', 'insert', 'a'), legwork.enqueue_on('shop.orders', 'update', 'b')");
  await run("select legwork.schedule('nightly', 'a', cron => '0 3 * * *')");
  await run("select legwork.enqueue('limited') from generate_series(1, 3)");
  await run("select legwork.enqueue('paused', tenant => 'acme', job_key => 'k', serial_key => 's'), legwork.enqueue('a', expires_at => now() + interval '1 hour')");
  await run("select legwork.enqueue('b', depends_on => array[legwork.enqueue('a')])");
  await run(`select legwork.start_workflow('w', '[{"name": "one", "task": "a"}, {"name": "two", "task": "b", "depends_on": ["one"]}]')`);
  await run(`select legwork.enqueue_batch('[{"task": "a"}, {"task": "b"}]', callback => '{"task": "a"}')`);
  await run("insert into shop.orders values (1)");
}

/** Runs the due jobs with a plain worker. Returns the tasks that it ran. */
async function runPlainWorker(on: TestDatabase): Promise<string[]> {
  const ran: string[] = [];
  const task = async (_payload: unknown, { job }: { job: { task_identifier: string } }): Promise<void> =>
    void ran.push(job.task_identifier);
  await runDueJobs(on, { a: task, b: task, limited: task, paused: task });
  return ran.toSorted();
}

const major = async (): Promise<number> =>
  Number((await run("select current_setting('server_version_num')::int / 10000 as major"))[0]?.major);

describe("uninstalling", () => {
  it("restores the previous state of the whole database except its rows, and a plain worker runs every remaining job", async () => {
    await runMigrations({ pgPool: database.pool, logger: quietLogger });
    await useGraphileWorker();
    const before = await schemaState(database.pool);
    const dumpBefore = await schemaDump(database.url, await major());
    await migrate(database.pool, testLog);
    await useLegwork();
    expect(await schemaState(database.pool)).not.toEqual(before);

    const result = await uninstall(database.pool);
    expect(result).toEqual({
      removed: true,
      releasedJobs: 6,
      expiredJobs: 0,
      roles: ["legwork_admin", "legwork_enqueuer", "legwork_operator", "legwork_reader", "legwork_worker"],
    });
    expect(await schemaState(database.pool)).toEqual(before);
    expect(await schemaDump(database.url, await major())).toBe(dumpBefore);
    // No privileges or ownership in this database would prevent Legwork's roles from being dropped.
    expect(
      await run(`select refobjid::regrole from pg_shdepend
        where dbid = (select oid from pg_database where datname = current_database()) and refclassid = 'pg_authid'::regclass and refobjid::regrole::text like 'legwork\\_%'
          and refobjid::regrole::text not like 'legwork\\_test\\_%'`),
    ).toEqual([]);

    expect(await run("select from graphile_worker.jobs where run_at > now() or locked_at is not null")).toEqual([]);
    await run("insert into shop.orders values (2)");
    expect(await runPlainWorker(database)).toEqual(["a", "a", "a", "a", "a", "a", "b", "b", "b", "limited", "limited", "limited", "paused"]);
    expect(await run("select from graphile_worker.jobs")).toEqual([]);
    expect(await uninstall(database.pool)).toMatchObject({ removed: false });
  });

  it("is rejected while a Legwork worker runs, and while users' objects depend on Legwork", async () => {
    await runIn(held, "create schema shop");
    await runIn(held, "create view shop.failed as select id from legwork.jobs where state = 'failed'");
    await runIn(held, "create table shop.states (state legwork.job_state)");
    await expect(uninstall(held.pool)).rejects.toMatchObject({
      code: "LW409",
      message: "These objects depend on Legwork and would be dropped with it: column state of table shop.states, view shop.failed.",
    });
    await runIn(held, "drop schema shop cascade");
    await runIn(held, "insert into legwork_private.worker_processes (id, host, pid, concurrency, tasks) values ('w', 'h', 7, 1, '{}')");
    await expect(uninstall(held.pool)).rejects.toMatchObject({ code: "LW409", message: expect.stringContaining("pid 7") });
    expect(await runIn(held, "select from legwork.migrations limit 1")).toHaveLength(1);
    await runIn(held, "delete from legwork_private.worker_processes");
  });

  it("gives blocked jobs their start times, and leaves every other job unchanged", async () => {
    await runIn(held, "select graphile_worker.add_job('mine', run_at => 'infinity', flags => array['expires:1', 'step:x', 'mine'])");
    await runIn(held, "select legwork_private.register_tasks('[{\"name\": \"c\"}]')");
    await runIn(held, "select graphile_worker.add_job('a', run_at => '2099-05-05Z'), graphile_worker.add_job('b', run_at => '2099-01-01Z')");
    await runIn(held, "select legwork.pause_task('a')");
    await runIn(held, "select legwork.enqueue('c', run_at => '2098-01-01Z', depends_on => array(select id from graphile_worker.jobs where task_identifier = 'b'))");
    expect(await uninstall(held.pool)).toMatchObject({ releasedJobs: 2 });
    expect(await runIn(held, "select task_identifier as task, run_at::text, flags from graphile_worker.jobs order by 1")).toEqual([
      { task: "a", run_at: expect.stringMatching(/^2099-05-05/), flags: null },
      { task: "b", run_at: expect.stringMatching(/^2099-01-01/), flags: null },
      { task: "c", run_at: expect.stringMatching(/^2098-01-01/), flags: null },
      { task: "mine", run_at: "infinity", flags: { "expires:1": true, "step:x": true, mine: true } },
    ]);
  });

  it("deletes waiting jobs that have expired, and removes the flags that only Legwork uses", async () => {
    await runIn(expired, `select legwork_private.register_tasks('[{"name": "a"}, {"name": "b"}]')`);
    const [first] = await runIn(expired, "select legwork.enqueue('a', expires_at => clock_timestamp() + interval '50 milliseconds') as id");
    await runIn(expired, "select pg_sleep(0.06)");
    await runIn(expired, "select legwork.enqueue('b', expires_at => now() + interval '1 hour', tenant => 'acme', correlation_id => 'c')");
    await runIn(expired, `select legwork.start_workflow('w', '[{"name": "one", "task": "a"}]')`);
    await runIn(expired, `select legwork.enqueue_batch('[{"task": "a"}]', callback => '{"task": "b"}')`);
    expect(await uninstall(expired.pool)).toMatchObject({ expiredJobs: 1 });
    const left = await runIn(expired, "select id, flags from graphile_worker.jobs");
    expect(left.map(({ id }) => id)).not.toContain(first?.id);
    const flags = left.flatMap((job) => Object.keys(job.flags ?? {}));
    expect(flags.filter((flag) => !/^(tenant|correlation):/.test(flag))).toEqual([]);
    expect(flags).toContain("tenant:acme");
  });

  it("unlocks the jobs of dead Legwork workers, with the attempts that they have left", async () => {
    const dead = new HandWorker("dead");
    await runIn(crashed, "select graphile_worker.add_job('a', job_key => k, queue_name => k, max_attempts => 1) from unnest(array['ran', 'fetched']) k");
    await runIn(crashed, "select graphile_worker.add_job('b', job_key => 'plain')");
    await dead.fetch(crashed.pool, 2);
    await new HandWorker("plain").fetch(crashed.pool, 1);
    await runIn(crashed, 
      `insert into legwork_private.worker_processes (id, host, pid, concurrency, tasks, running, seen_at)
       values ('dead', 'h', 1, 1, '{a}', array(select id from graphile_worker.jobs where key = 'ran'), now() - interval '1 minute')`,
    );
    await uninstall(crashed.pool);
    expect(await runIn(crashed, "select key, attempts, locked_by from graphile_worker.jobs order by key")).toEqual([
      { key: "fetched", attempts: 0, locked_by: null },
      { key: "plain", attempts: 1, locked_by: "plain" },
      { key: "ran", attempts: 0, locked_by: null },
    ]);
    expect(await runPlainWorker(crashed)).toEqual(["a", "a"]);
  });

  it("restores users' index settings, and works even after graphile-worker's schema was dropped", async () => {
    await run("alter index graphile_worker.jobs_pkey1 set (fillfactor = 70)");
    await run("drop index graphile_worker.jobs_no_queue_index");
    const before = await schemaState(database.pool);
    await migrate(database.pool, testLog);
    await uninstall(database.pool);
    expect(await schemaState(database.pool)).toEqual(before);
    await migrate(database.pool, testLog);
    await run("drop schema graphile_worker cascade");
    expect(await uninstall(database.pool)).toMatchObject({ removed: true });
    expect(await run("select nspname::text from pg_namespace where nspname like 'legwork%'")).toEqual([]);
  });
});
