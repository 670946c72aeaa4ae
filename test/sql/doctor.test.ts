import { beforeEach, describe, expect, inject, it, onTestFinished } from "vitest";
import { diagnose, type Finding } from "../../src/health/doctor.ts";
import { migrate } from "../../src/db/migrate.ts";
import { schemaFiles } from "../../src/db/schema-files.ts";
import { createPool, type PoolClient } from "../../src/db/pool.ts";
import { testDatabase, testLog } from "../support/database.ts";
import { empty } from "../support/empty.ts";
import { until } from "../support/until.ts";

const database = testDatabase();

beforeEach(async () => {
  if (inject("serverUrl") === "") return;
  await database.pool.query("delete from graphile_worker._private_jobs");
  await empty(database.pool, "legwork_private.worker_processes, legwork_private.failed_attempts, legwork_private.finished_jobs");
});

/** The findings of one check, from the doctor or from one of its parts with other thresholds. */
async function findings(check: string, call = "legwork.doctor()", client: PoolClient | typeof database.pool = database.pool): Promise<Finding[]> {
  return (await client.query(`select * from ${call} d where d."check" = $1`, [check])).rows;
}

/** Some tests need their own connection, which is closed when the test has finished. */
async function connection(): Promise<PoolClient> {
  const client = await database.pool.connect();
  onTestFinished(() => client.release(true));
  return client;
}

async function run(...statements: string[]): Promise<void> {
  for (const statement of statements) await database.pool.query(statement);
}

/** Runs whether the test passes or not. */
function undo(...statements: string[]): void {
  onTestFinished(() => run(...statements));
}

const beat = (task: string, running = "{}"): Promise<unknown> =>
  database.pool.query("select legwork_private.worker_beat('w1', 'host', 7, 4, array[$1], $2)", [task, running]);
const job = (task: string, age = "0 s"): Promise<unknown> =>
  database.pool.query("select graphile_worker.add_job($1, run_at => now() - $2::interval)", [task, age]);

it("every check has a finding, and a finding with the severity ok has no fix", async () => {
  await beat("t");
  const { rows } = await database.pool.query('select distinct "check" from legwork.doctor() order by 1');
  expect(rows.map((row) => row.check)).toEqual([
    "abandoned", "autovacuum", "confined_logins", "connections", "dead_rows", "definitions", "enqueue_on", "failed", "ids", "index_bloat", "locks", "notify_queue", "partitions", "pauses", "pooler",
    "prepared_transactions", "recording", "replication_slots", "restarts", "schedules", "set_aside", "settings", "tasks", "transaction_ids", "transactions", "triggers", "unlogged",
    "versions", "waiting", "waiting_room", "workers",
  ]);
  const all: Finding[] = (await database.pool.query("select * from legwork.doctor()")).rows;
  for (const row of all) expect(row.fix === null).toBe(row.severity === "ok");
  for (const row of all) expect(row.finding).toMatch(/\w.*\.$/s);
  // Durations are written in words.
  for (const row of all) expect(row.finding).not.toMatch(/\d\d:\d\d/);
});

describe("workers and jobs", () => {
  it("a missing worker is a warning, and is critical when jobs have been waiting for a minute", async () => {
    expect(await findings("workers")).toMatchObject([{ severity: "warning", finding: "No Legwork worker is running. No job is waiting." }]);
    await job("t", "2 minutes");
    expect(await findings("workers")).toMatchObject([{ severity: "critical", finding: expect.stringContaining("No Legwork worker is running, and 1 job has been waiting for 2 minutes") }]);
    await beat("t");
    expect(await findings("workers")).toMatchObject([{ severity: "ok" }]);
  });

  it("a silent worker is named", async () => {
    await beat("t");
    await run("update legwork_private.worker_processes set seen_at = seen_at - interval '30 seconds'");
    expect(await findings("workers")).toMatchObject([
      { severity: "warning", finding: "No Legwork worker is running. No job is waiting." },
      { severity: "warning", finding: expect.stringMatching(/^Worker w1 \(host, pid 7\) has sent no heartbeat for 3\d seconds\.$/) },
    ]);
  });

  it("a task that no worker has is named with the most similar task, and is critical after ten minutes", async () => {
    await beat("notify/email");
    await job("notify/emial", "20 seconds");
    // Even during the first minute, the severity is not ok.
    expect(await findings("tasks")).toMatchObject([
      { severity: "warning", fix: expect.stringMatching(/^If a worker is just being replaced, wait a minute\. .*'notify\/email'\?/) },
    ]);
    await run("update graphile_worker._private_jobs set run_at = now() - interval '2 minutes'");
    await job("later", "-1 hour");
    expect(await findings("tasks")).toMatchObject([
      {
        severity: "warning",
        finding: expect.stringContaining("1 job for task 'notify/emial' has been waiting for 2 minutes"),
        fix: expect.stringContaining("did you mean 'notify/email'?"),
        detail: { task: "notify/emial", jobs: 1 },
      },
    ]);
    await job("notify/emial", "11 minutes");
    await job("notify/email", "11 minutes");
    expect(await findings("tasks")).toMatchObject([{ severity: "critical", detail: { jobs: 2 } }]);
    expect(await findings("waiting")).toMatchObject([{ detail: { jobs: 1 } }]);
  });

  it("a task that no worker has is found behind a backlog with a lower priority value", async () => {
    await beat("t");
    await job("t");
    await job("unknown", "2 minutes");
    await run(
      "update graphile_worker._private_jobs set priority = 5 where run_at < now() - interval '1 minute'",
      `insert into graphile_worker._private_jobs (task_id, run_at) select (select id from graphile_worker._private_tasks where identifier = 't'),
        now() - interval '3 minutes' from generate_series(1, 6000)`,
    );
    expect(await findings("tasks")).toMatchObject([{ severity: "warning", detail: { task: "unknown", jobs: 1 } }]);
    expect(await findings("waiting")).toMatchObject([{ finding: expect.stringContaining("5,000 or more jobs are waiting") }]);
  });

  it("a disabled trigger of enqueue_on is a warning with the statement that enables it, and legwork.enqueue_triggers lists them all", async () => {
    await run("create table public.people (id bigint, name text)", `select legwork_private.register_tasks('[{"name": "crm/sync"}]')`);
    undo("drop table public.people");
    await run(`select legwork.enqueue_on('people', 'insert or update', 'crm/sync', payload => '{"person": "id"}', columns => array['name'])`);
    const list = async () => (await database.pool.query("select * from legwork.enqueue_triggers()")).rows;
    const one = { table: "public.people", task: "crm/sync", is_enabled: true, options: { payload: { person: "id" } } };
    expect(await list()).toMatchObject([
      { ...one, event: "insert", columns: null },
      { ...one, event: "update", columns: ["name"] },
    ]);
    expect(await findings("enqueue_on")).toMatchObject([{ severity: "ok", finding: "All 2 triggers of enqueue_on are enabled." }]);
    await run("alter table public.people disable trigger all");
    expect((await list()).map((row) => row.is_enabled)).toEqual([false, false]);
    const disabled = await findings("enqueue_on");
    expect(disabled).toMatchObject([
      { severity: "warning", finding: "The trigger that enqueues 'crm/sync' on each insert in public.people is disabled, so these changes enqueue no jobs." },
      { severity: "warning" },
    ]);
    for (const { fix } of disabled) await run(fix!.split(". ")[0]!);
    expect(await findings("enqueue_on")).toMatchObject([{ severity: "ok" }]);
  });

  it("jobs that wait for minutes are a warning, and are critical if the workers are idle", async () => {
    await beat("t", "{1}");
    await job("t", "1 minute");
    expect(await findings("waiting")).toMatchObject([{ severity: "ok", detail: { jobs: 1, tasks: { t: 1 } } }]);
    await job("t", "6 minutes");
    expect(await findings("waiting")).toMatchObject([{ severity: "warning", finding: expect.stringMatching(/^2 jobs are waiting, the oldest for 6 minutes( \d seconds?)?\.$/) }]);
    await beat("t");
    expect(await findings("waiting")).toMatchObject([{ severity: "critical", finding: expect.stringContaining("and the workers are idle") }]);
  });

  it("jobs and serial keys that an unknown worker holds are reported with the way to release them", async () => {
    await run(
      "select graphile_worker.add_job('t', queue_name => 's')",
      "update graphile_worker._private_jobs set locked_by = 'old''one', locked_at = now() - interval '2 hours'",
      "update graphile_worker._private_job_queues set locked_by = 'old''one', locked_at = now() - interval '2 hours' where queue_name = 's'",
    );
    const [found] = await findings("abandoned");
    expect(found).toMatchObject({ severity: "warning", detail: { worker: "old'one", jobs: 1, serial_keys: 1 } });
    await run(/select [^.]+\.[^.]+\)/.exec(found?.fix ?? "")?.[0] ?? "");
    expect(await findings("abandoned")).toMatchObject([{ severity: "ok" }]);
  });

  it("an accumulation of failures is reported with the task and its error", async () => {
    await run("select graphile_worker.add_job('t', max_attempts => 1) from generate_series(1, 3)");
    await run("select graphile_worker.permanently_fail_jobs(array(select id from graphile_worker._private_jobs), 'no such host')");
    expect(await findings("failed")).toMatchObject([{ severity: "ok", detail: { jobs: 3 } }]);
    expect(await findings("failed", "legwork.doctor_jobs(failures => 3)")).toMatchObject([
      { severity: "warning", finding: "3 jobs failed permanently within the last hour. The task with the most failures is 't': no such host" },
    ]);
    await run("update legwork_private.finished_jobs set finished_at = now() - interval '2 hours'");
    expect(await findings("failed")).toMatchObject([{ severity: "ok", detail: { jobs: 0 } }]);
  });
});

describe("the history", () => {
  it("a missing partition and misplaced rows are reported, and maintenance fixes both", async () => {
    const { rows } = await database.pool.query("select partition::text from legwork_private.history_partitions() where parent = 'legwork_private.finished_jobs'::regclass");
    await run(...rows.map(({ partition }) => `drop table ${partition}`));
    await job("t");
    await run("delete from graphile_worker._private_jobs");
    const texts = (await findings("partitions")).map(({ severity, finding }) => `${severity}: ${finding}`);
    expect(texts).toEqual([
      expect.stringMatching(/^warning: legwork_private\.finished_jobs has no partition for 20/),
      expect.stringMatching(/^warning: legwork_private\.finished_jobs has no partition for 20/),
      "warning: The default partition legwork_private.finished_jobs_default has 1 row.",
    ]);
    await run("select legwork.maintain_history()");
    expect(await findings("partitions")).toMatchObject([{ severity: "ok" }]);
  });

  it("a partition that retention could not drop is reported", async () => {
    await run("create table legwork.finished_jobs_old partition of legwork_private.finished_jobs for values from ('2020-01-01Z') to ('2020-02-01Z')");
    undo("drop table if exists legwork.finished_jobs_old");
    expect(await findings("partitions")).toMatchObject([{ severity: "warning", finding: expect.stringContaining("legwork.finished_jobs_old should have been dropped") }]);
  });

  it("a disabled or missing trigger is critical", async () => {
    await run("alter table graphile_worker._private_jobs disable trigger _legwork_record_finished");
    undo("alter table graphile_worker._private_jobs enable trigger _legwork_record_finished");
    const [found] = await findings("triggers");
    expect(found).toMatchObject({ severity: "critical", detail: { trigger: "_legwork_record_finished" } });
    await run(/alter table \S+ enable trigger \w+/.exec(found?.fix ?? "")?.[0] ?? "");
    expect(await findings("triggers")).toMatchObject([{ severity: "ok" }]);
  });
});

describe("transactions and locks", () => {
  it("an open transaction is named with its age and the way to end it", async () => {
    const client = await connection();
    await client.query("set application_name = 'forgetful'; begin isolation level repeatable read; select 1");
    const [{ pid }] = (await client.query("select pg_backend_pid() as pid")).rows;
    const found = await until("the transaction is idle", async () =>
      (await findings("transactions", "legwork.doctor_transactions('0 s')")).find((row) => (row.detail as { state?: string })?.state === "idle in transaction"),
    );
    expect(found).toMatchObject({ severity: "warning", detail: { pid, application: "forgetful" }, fix: expect.stringContaining(`pg_terminate_backend(${pid})`) });
    expect(await findings("transactions", "legwork.doctor_transactions('0 s', '0 s')")).toMatchObject([{ severity: "critical" }]);
    expect(await findings("transactions")).toMatchObject([{ severity: "ok" }]);
  });

  it("a session that waits for a lock on the tables is named, together with the session that holds the lock", async () => {
    const [holder, waiter] = [await connection(), await connection()];
    await holder.query("set application_name = 'holder'; begin; lock table graphile_worker._private_jobs in share mode");
    await waiter.query("set application_name = 'waiter'");
    const blocked = waiter.query("select graphile_worker.add_job('t')");
    const [found] = await until("the session waits for the lock", async () => {
      const rows = await findings("locks", "legwork.doctor_transactions('0 s')");
      return rows[0]?.severity !== "ok" && rows;
    });
    expect(found).toMatchObject({ severity: "warning", finding: expect.stringMatching(/^'waiter' \(pid \d+\) has been waiting .* behind 'holder' \(pid \d+, idle in transaction\)\.$/) });
    await holder.query("rollback");
    await blocked;
  });

  it("a table that is locked exclusively does not block the doctor, and all other checks still report", async () => {
    const holder = await connection();
    await holder.query("begin; lock table graphile_worker._private_jobs in access exclusive mode");
    const { rows } = await database.pool.query("select * from legwork.doctor()");
    expect(rows.filter((row) => row.severity === "critical")).toContainEqual(
      expect.objectContaining({ check: "waiting", finding: "Another session holds a lock that blocks access to the tables that this check reads." }),
    );
    expect(rows).toContainEqual(expect.objectContaining({ check: "connections" }));
    await holder.query("rollback");
  });

  it("a prepared transaction is named with the way to end it", async ({ skip }) => {
    const { rows } = await database.pool.query("select from pg_settings where name = 'max_prepared_transactions' and setting <> '0'");
    if (rows.length === 0) skip("The server allows no prepared transactions.");
    await run("begin; update legwork.settings set value = value; prepare transaction 'legwork_test'");
    undo("rollback prepared 'legwork_test'");
    expect(await findings("prepared_transactions", "legwork.doctor_transactions('0 s')")).toMatchObject([
      { severity: "warning", fix: expect.stringContaining("rollback prepared 'legwork_test'") },
    ]);
  });
});

describe("vacuum", () => {
  it("dead rows that remain are reported until they are vacuumed", async () => {
    const client = await connection();
    await client.query("create table legwork.hot (id int) with (autovacuum_enabled = off)");
    undo("drop table legwork.hot");
    await client.query("insert into legwork.hot select generate_series(1, 1000)");
    await client.query("delete from legwork.hot");
    await client.query("select pg_stat_force_next_flush()");
    const dead = async (limit: number): Promise<Finding | undefined> =>
      (await findings("dead_rows", `legwork.doctor_vacuum(dead_rows => ${limit})`, client)).find(
        (row) => (row.detail as { table?: string }).table === "legwork.hot",
      );
    expect(await dead(1_000)).toMatchObject({
      severity: "warning",
      finding: "legwork.hot has 1,000 dead rows and 0 live rows. Last vacuumed: never.",
      fix: expect.stringContaining("vacuum (analyze) legwork.hot"),
    });
    expect(await dead(50)).toMatchObject({ severity: "critical" });
    expect(await dead(1_001)).toBeUndefined();
    await client.query("vacuum legwork.hot");
    await client.query("select pg_stat_force_next_flush()");
    expect(await dead(1_000)).toBeUndefined();
    expect(await findings("dead_rows")).toMatchObject([{ severity: "ok" }]);
  });

  it("a table without autovacuum is reported, and is critical for the job table", async () => {
    await run("alter table graphile_worker._private_jobs set (autovacuum_enabled = off)");
    undo("alter table graphile_worker._private_jobs reset (autovacuum_enabled)");
    expect(await findings("autovacuum")).toMatchObject([{ severity: "critical", fix: "alter table graphile_worker._private_jobs reset (autovacuum_enabled)" }]);
    await run("alter table graphile_worker._private_jobs reset (autovacuum_enabled)", "alter table legwork_private.worker_processes set (autovacuum_enabled = 0)");
    undo("alter table legwork_private.worker_processes reset (autovacuum_enabled)");
    expect(await findings("autovacuum")).toMatchObject([{ severity: "warning", detail: { table: "legwork_private.worker_processes" } }]);
  });

  it("an index that is much larger than its entries is reported until it is rebuilt", async () => {
    const client = await connection();
    await fill(client);
    const bloat = async () =>
      (await findings("index_bloat", "legwork.doctor_vacuum(bloat_bytes => 100000)", client)).map((row) => (row.detail as { index: string } | null)?.index);
    expect(await bloat()).not.toContain("graphile_worker.jobs_main_index");
    await client.query("delete from graphile_worker._private_jobs");
    await client.query("select pg_stat_force_next_flush()");
    expect(await bloat()).toContain("graphile_worker.jobs_main_index");
    expect(await findings("index_bloat", "legwork.doctor_vacuum(bloat_bytes => 100000)", client)).toContainEqual(
      expect.objectContaining({ severity: "warning", fix: expect.stringContaining("reindex index concurrently graphile_worker.jobs_main_index") }),
    );
    await client.query("vacuum graphile_worker._private_jobs");
    await client.query("reindex index concurrently graphile_worker.jobs_main_index");
    expect(await bloat()).not.toContain("graphile_worker.jobs_main_index");
    expect(await findings("index_bloat")).toMatchObject([{ severity: "ok" }]);
  });

  it("the estimate for an index that was just built is close to its size", async () => {
    const client = await connection();
    await fill(client);
    await client.query("reindex table graphile_worker._private_jobs");
    const { rows } = await client.query("select * from legwork.doctor_vacuum(bloat_bytes => 0) where \"check\" = 'index_bloat' and detail ->> 'index' like 'graphile_worker.jobs\\_%'");
    expect(rows).toEqual([]);
  });

  /** Many jobs, and up-to-date statistics on them. */
  async function fill(client: PoolClient): Promise<void> {
    await job("t");
    await client.query(`insert into graphile_worker._private_jobs (task_id, key, priority)
      select (select min(id) from graphile_worker._private_tasks), 'some/key/' || g, g % 7 from generate_series(1, 5000) g`);
    await client.query("select pg_stat_force_next_flush()");
  }

  it("an unlogged table is critical", async () => {
    await run("alter table legwork_private.worker_processes set unlogged");
    undo("alter table legwork_private.worker_processes set logged");
    expect(await findings("unlogged")).toMatchObject([{ severity: "critical", fix: "alter table legwork_private.worker_processes set logged" }]);
  });
});

describe("the server", () => {
  it("a shortage of connections is reported for the limit that is closest to being reached", async () => {
    const { rows: [{ name }] } = await database.pool.query("select current_database() as name");
    await run(`alter database ${name} connection limit 1`);
    undo(`alter database ${name} connection limit -1`);
    expect(await findings("connections")).toMatchObject([{ severity: "critical", finding: expect.stringContaining(`of the 1 connections to database ${name}`) }]);
    await run(`alter database ${name} connection limit -1`);
    expect(await findings("connections", "legwork.doctor_server(connections_used => 0)")).toMatchObject([{ severity: "warning", finding: expect.stringContaining("to the server") }]);
  });

  it("a listener that keeps the notification queue from being emptied is reported", async () => {
    const client = await connection();
    await client.query("listen unread");
    await client.query("begin");
    await run("select count(pg_notify('unread', g || repeat('x', 7000))) from generate_series(1, 200) g");
    expect(await findings("notify_queue", "legwork.doctor_server(notify_used => 0.00001)")).toMatchObject([{ severity: "warning", finding: expect.stringMatching(/0\.\d\d% full/) }]);
    await client.query("rollback");
  });

  it("an unused replication slot is reported with the way to drop it", async () => {
    await run("select pg_create_physical_replication_slot('legwork_test_' || current_database(), true)".replace("'legwork_test_' || current_database()", "'legwork_doctor'"));
    undo("select pg_drop_replication_slot('legwork_doctor')");
    const slots = await findings("replication_slots", "legwork.doctor_server(slot_bytes => 0)");
    expect(slots).toContainEqual(expect.objectContaining({ severity: "warning", fix: expect.stringContaining("pg_drop_replication_slot('legwork_doctor')") }));
  });

  it("a shortage of transaction ids is reported", async () => {
    expect(await findings("transaction_ids")).toMatchObject([{ severity: "ok" }]);
    expect(await findings("transaction_ids", "legwork.doctor_server(transaction_age => 0)")).toMatchObject([{ severity: "warning" }]);
  });

  it("a sequence that is running out is reported", async () => {
    await run("select setval('graphile_worker.job_queues_id_seq', 2000000000)");
    undo("select setval('graphile_worker.job_queues_id_seq', 1000)");
    expect(await findings("ids")).toMatchObject([{ severity: "critical", finding: expect.stringContaining("93.1% of the ids of graphile_worker.job_queues_id_seq") }]);
  });

  it.each([
    ["statement_timeout", "3s", "warning", "statement_timeout is 3000 ms"],
    ["synchronous_commit", "off", "warning", "committed jobs can be lost"],
    ["session_replication_role", "replica", "critical", "nothing is recorded"],
    ["default_transaction_read_only", "on", "critical", "no job can be enqueued"],
    ["default_transaction_isolation", "serializable", "warning", "serialization failures"],
  ])("%s = %s of this user is a finding", async (name, value, severity, text) => {
    const client = await connection();
    await client.query(`set ${name} = '${value}'`);
    const found = (await findings("settings", "legwork.doctor()", client)).find((row) => (row.detail as { setting?: string } | null)?.setting === name);
    expect(found).toMatchObject({ severity, finding: expect.stringContaining(text) });
  });
});

describe("a user with limited rights", () => {
  it("that owns the doctor's function gets the results that its rights allow, and hidden sessions are a finding", async () => {
    const { rows: [{ owner }] } = await database.pool.query("select 'legwork_doctor_' || substr(md5(current_database()), 1, 8) as owner");
    await run(`create role ${owner} login`, `grant usage on schema legwork, legwork_private to ${owner}`, `grant select on legwork_private.worker_processes to ${owner}`);
    undo(`drop owned by ${owner} cascade`, `drop role ${owner}`);
    const hidden = await connection();
    await hidden.query("begin isolation level repeatable read; select 1");
    const client = await connection();
    await client.query(`set role ${owner}`);
    expect(await findings("transactions", "legwork.doctor_transactions()", client)).toContainEqual(
      expect.objectContaining({ severity: "warning", fix: `grant pg_read_all_stats to ${owner}, as a superuser or with equivalent rights.` }),
    );
    await expect(client.query("select * from legwork.doctor()")).rejects.toMatchObject({ code: "42501" });
    await hidden.query("rollback");
    // Simulates that this user has migrated the database, without rights on graphile_worker's tables.
    await run(`alter function legwork.doctor() owner to ${owner}`);
    const { rows: [{ user }] } = await database.pool.query("select current_user as user");
    undo(`alter function legwork.doctor() owner to ${user}`);
    const { rows } = await client.query("select * from legwork.doctor()");
    expect(rows).toContainEqual(expect.objectContaining({ check: "waiting", severity: "warning", finding: expect.stringContaining("permission denied"), fix: expect.stringContaining(owner) }));
    expect(rows).toContainEqual(expect.objectContaining({ check: "connections", severity: "ok" }));
  });

  it("gets a fix that names the missing grant, and needs only the right to call the function", async () => {
    const { rows: [{ name }] } = await database.pool.query("select 'legwork_reader_' || substr(md5(current_database()), 1, 8) as name");
    await run(`create role ${name} login password 'reader'`);
    undo(`drop owned by ${name}`, `drop role ${name}`);
    const url = new URL(database.url);
    url.username = name;
    url.password = "reader";
    const pool = createPool(url.href, { log: testLog });
    onTestFinished(() => pool.end());
    const denied = await diagnose(pool);
    expect(denied.filter(({ severity }) => severity === "critical")).toEqual([]);
    expect(denied).toContainEqual(expect.objectContaining({ check: "database", severity: "warning", fix: expect.stringContaining("Grant this login a Legwork role") }));
    await run(`grant usage on schema legwork to ${name}`, `grant execute on function legwork.doctor() to ${name}`);
    const allowed = await diagnose(pool);
    expect(allowed).toContainEqual(expect.objectContaining({ check: "migrations", severity: "ok" }));
    expect(allowed).toContainEqual(expect.objectContaining({ check: "partitions", severity: "ok" }));
  });
});

describe("checks that only a client can make", () => {
  it("an inaccurate clock is reported, and is critical when schedules fire in the wrong minute", async () => {
    const clock = async (ahead: number) => (await diagnose(database.pool, { now: () => Date.now() + ahead })).find(({ check }) => check === "clock");
    expect(await clock(0)).toMatchObject({ severity: "ok" });
    expect(await clock(5_000)).toMatchObject({ severity: "warning", finding: "This host's clock is 5.0 s ahead of the database's." });
    expect(await clock(-60_000)).toMatchObject({ severity: "critical", finding: "This host's clock is 60.0 s behind the database's." });
  });

  it("missing, unknown and changed migrations are critical", async () => {
    const files = schemaFiles();
    const [first, ...rest] = files.migrations;
    if (first === undefined) throw new Error("There are migrations.");
    const next = { id: 999, name: "0999_new", sql: "", after: "", checksum: "" };
    const told = async (migrations: readonly (typeof first)[]) =>
      (await diagnose(database.pool, { files: { ...files, migrations } }))
        .filter(({ check }) => check === "migrations")
        .map(({ severity, finding }) => `${severity}: ${finding}`);
    expect(await told(files.migrations)).toEqual([`ok: The database has all migrations of this version (${files.migrations.length}).`]);
    expect(await told([{ ...first, checksum: "other" }, ...rest, next])).toEqual([
      "critical: The database lacks 0999_new.",
      `critical: These files differ from what was applied to the database: ${first.name}.`,
    ]);
    expect(await told([...rest, next])).toContain(`critical: The database was migrated by a newer version of Legwork: this version does not include ${first.name}.`);
  });

  it("reports each function, view and index that was changed manually, with the statement that restores it", async () => {
    await run("create or replace function legwork_private.far_future() returns timestamptz language sql as $$ select now() $$");
    await run("drop index legwork_private.slots_gate");
    await run("create index slots_gate on legwork_private.slots (gate, job_id)");
    const find = async () => (await diagnose(database.pool)).find(({ check }) => check === "definitions");
    try {
      expect(await find()).toMatchObject({
        severity: "warning",
        finding: "Changed manually since Legwork created them: function legwork_private.far_future(), index legwork_private.slots_gate.",
        fix: expect.stringContaining("legwork migrate restores everything except indexes."),
        detail: [
          { object: "function legwork_private.far_future()", statement: expect.stringContaining("create or replace function legwork_private.far_future()") },
          { object: "index legwork_private.slots_gate", statement: "create index slots_gate on legwork_private.slots (gate);" },
        ],
      });
      await run("drop index legwork_private.slots_gate");
      await run("create index slots_gate on legwork_private.slots (gate)");
    } finally {
      expect((await migrate(database.pool, testLog)).repaired).toEqual(["function legwork_private.far_future()"]);
    }
    expect(await find()).toMatchObject({ severity: "ok" });
  });

  it("a schema of another graphile-worker version is critical", async () => {
    await run("insert into graphile_worker.migrations (id) values (21)");
    undo("delete from graphile_worker.migrations where id = 21");
    expect(await diagnose(database.pool)).toContainEqual(
      expect.objectContaining({ check: "graphile_worker", severity: "critical", finding: expect.stringContaining("is at migration 21") }),
    );
  });

  it("a database of a version without the doctor is reported with the advice to migrate, the worst finding first", async () => {
    await run("alter function legwork.doctor() rename to doctor_gone");
    undo("alter function legwork.doctor_gone() rename to doctor");
    const files = schemaFiles();
    const next = { id: 999, name: "0999_new", sql: "", after: "", checksum: "" };
    const found = await diagnose(database.pool, {
      files: { ...files, migrations: [...files.migrations, next], definitions: files.definitions.filter(({ object }) => object !== "function legwork.doctor()") },
    });
    expect(found.map(({ check, severity }) => [check, severity])).toEqual([
      ["migrations", "critical"], ["database", "warning"], ["graphile_worker", "ok"], ["postgres", "ok"], ["clock", "ok"],
    ]);
  });
});

describe("rules", () => {
  const rules = async (): Promise<{ check: string; severity: string; finding: string; fix: string }[]> =>
    (await database.pool.query(`select * from legwork.doctor_rules() order by "check", severity`)).rows;

  it("an emergency stop is critical and names its fix", async () => {
    await database.pool.query("select legwork.emergency_stop('wrong mails')");
    expect(await rules()).toContainEqual(
      expect.objectContaining({
        check: "pauses",
        severity: "critical",
        finding: expect.stringMatching(/^Everything was stopped by postgres .* ago: wrong mails\.$/),
        fix: "Once the reason no longer applies: select legwork.resume_all();",
      }),
    );
    await database.pool.query("select legwork.resume_all()");
    expect((await rules())[0]).toMatchObject({ check: "pauses", severity: "ok", finding: "Nothing is paused." });
  });

  it("a pause becomes a warning after an hour", async () => {
    await database.pool.query("select legwork.pause_queue('default')");
    expect((await rules())[0]).toMatchObject({ severity: "ok" });
    await database.pool.query("update legwork_private.pauses set paused_at = paused_at - interval '2 hours'");
    expect((await rules())[0]).toMatchObject({ severity: "warning", fix: expect.stringContaining("resume_queue('default')") });
    await database.pool.query("select legwork.resume_queue('default')");
  });

  it("a waiting room that no process serves is critical", async () => {
    await database.pool.query("insert into legwork_private.gate_alarms values ('1:', clock_timestamp() - interval '2 minutes')");
    expect(await rules()).toContainEqual(expect.objectContaining({ check: "waiting_room", severity: "critical" }));
    await database.pool.query("delete from legwork_private.gate_alarms");
    expect(await rules()).toContainEqual(expect.objectContaining({ check: "waiting_room", severity: "ok" }));
  });
});

it("a worker that restarts, or cannot record results, is reported with the job that causes it", async () => {
  const { pool } = database;
  await pool.query("select legwork_private.note_worker_fault('host', 7, 'restart', 'its runner ended.', 42) from generate_series(1, 3)");
  await pool.query("select legwork_private.note_worker_fault('host', 7, 'recording', 'value overflows numeric format', 43)");
  await pool.query("update legwork_private.worker_faults set at = at - interval '1 hour' where id in (select min(id) from legwork_private.worker_faults)");
  const { rows } = await pool.query(`select "check", severity, finding, fix from legwork.doctor() where "check" in ('restarts', 'recording') order by 1`);
  expect(rows).toEqual([
    { check: "recording", severity: "critical", finding: "The worker on host (pid 7) cannot record how jobs end: value overflows numeric format", fix: "Job 43 seems to be the cause. To see it: legwork job 43. To cancel it: legwork cancel 43." },
    { check: "restarts", severity: "warning", finding: "The worker on host (pid 7) has restarted twice in 15 minutes: its runner ended.", fix: "Job 42 seems to be the cause. To see it: legwork job 42. To cancel it: legwork cancel 42." },
  ]);
  const metrics = await pool.query("select (legwork_private.read_metrics() ->> 'restarts')::int >= 3 as counted");
  expect(metrics.rows).toEqual([{ counted: true }]);
});
