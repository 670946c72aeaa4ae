import { readFile } from "node:fs/promises";
import { expect, it, onTestFinished } from "vitest";
import type { ImportReport } from "../../src/import/import-report.ts";
import { PgBossSource } from "../../src/import/pg-boss/pg-boss-source.ts";
import { runImport } from "../../src/import/run-import.ts";
import type { ImportSource } from "../../src/import/source.ts";
import { legwork } from "../support/cli.ts";
import { testDatabase, type TestDatabase } from "../support/database.ts";

/** A database with both pg-boss and Legwork. */
const shared = testDatabase();
/** Legwork's database, and another one with pg-boss. */
const [own, other] = [testDatabase(), testDatabase()];

const id = (n: number): string => `00000000-0000-4000-8000-${String(n).padStart(12, "0")}`;
const MAPPING = { email: "notify/email", report: "report/daily", short: "short", "one-at-a-time": "one", dead: null };

/** Replays the statements that pg-boss itself has sent (scripts/try-import.ts). */
async function installPgBoss({ pool }: TestDatabase, version: string): Promise<void> {
  const statements = JSON.parse(await readFile(new URL(`fixtures/pg-boss-${version}.json`, import.meta.url), "utf8")) as [
    string,
    unknown[]?,
  ][];
  const client = await pool.connect();
  try {
    await client.query("drop schema if exists pgboss cascade");
    for (const [text, values] of statements) await client.query(text, values);
  } finally {
    client.release();
  }
}

async function registerTasks({ pool }: TestDatabase): Promise<void> {
  const names = ["notify/email", "report/daily", "one", "short"].map((name) => ({ name }));
  await pool.query("select legwork_private.register_tasks($1)", [JSON.stringify(names)]);
}

async function rows({ pool }: TestDatabase, text: string): Promise<Record<string, unknown>[]> {
  return (await pool.query(text)).rows;
}

/** An import whose source has `change` applied to its methods, to stop it at the point where it is killed. */
async function importing(
  from: TestDatabase,
  to: TestDatabase,
  change: (source: ImportSource) => Partial<ImportSource> = () => ({}),
): Promise<ImportReport> {
  const client = await from.pool.connect();
  try {
    const source = await PgBossSource.open(client, "pgboss", from === to);
    const changed = change(source);
    const proxy = new Proxy<ImportSource>(source, {
      get: (target, name: keyof ImportSource) => {
        const value = changed[name] ?? target[name];
        return typeof value === "function" ? (value as () => unknown).bind(target) : value;
      },
    });
    return await runImport(to.pool, proxy, { mapping: MAPPING, apply: true });
  } finally {
    await client.query("rollback");
    client.release();
  }
}

const JOBS = `select split_part(correlation_id, ':', 3) as id, task, state::text, priority, max_attempts as attempts, payload::text as payload, job_key, serial_key
  from legwork.jobs order by 1`;

it("pg-boss 12's waiting jobs and schedules are previewed, imported once, and never imported again", async () => {
  await installPgBoss(shared, "12");
  await registerTasks(shared);
  const run = (...more: string[]) =>
    legwork(
      [
        "import",
        "pg-boss",
        ...Object.entries(MAPPING).flatMap(([name, task]) => (task === null ? ["--skip", name] : ["--task", `${name}=${task}`])),
        ...more,
      ],
      {
        DATABASE_URL: shared.url,
      },
    );
  const before = await rows(shared, "select * from pgboss.job order by id");
  const preview = await run("--json");
  expect(preview).toMatchObject({ code: 0, stderr: "" });
  expect(await rows(shared, "select * from pgboss.job order by id")).toEqual(before);
  expect(await rows(shared, "select from legwork_private.imported_jobs")).toEqual([]);
  expect((await run()).stdout).toMatch(
    /^PG-BOSS +TASK +PENDING +SCHEDULED +RETRYING +BLOCKED +NOT IMPORTED\nemail +notify\/email +3 +1 +1/,
  );

  const applied = await run("--apply", "--json");
  expect(applied).toMatchObject({ code: 0, stderr: "" });
  const report = JSON.parse(applied.stdout) as ImportReport;
  expect({ ...report, applied: false }).toEqual(JSON.parse(preview.stdout));
  expect(report).toMatchObject({ from: "pg-boss", applied: true, jobs: 11, resumed: 0, left: [], unmapped: [] });
  expect(report.schedules.map(({ name, obstacle }) => [name, obstacle?.slice(0, 28) ?? null])).toEqual([
    ["report", null],
    ["report:rule", "It is a recurrence rule (RRU"],
  ]);
  expect(report.options.map(({ name, option, jobs }) => `${name} ${option} ${jobs}`)).toEqual(
    expect.arrayContaining([
      "email retryDelay 5",
      "email priority 1",
      "report expireInSeconds 1",
      "report deadLetter 3",
      "one-at-a-time policy singleton 2",
    ]),
  );
  const job = (
    n: number,
    task: string,
    state: string,
    priority: number,
    attempts: number,
    payload: string,
    keys: object = {},
  ) => ({ id: id(n), task, state, priority, attempts, payload, job_key: null, serial_key: null, ...keys });
  expect(await rows(shared, JOBS)).toEqual([
    job(1, "notify/email", "pending", 0, 5, '{"to": "a@b.c", "amount": 0.1}'),
    job(2, "notify/email", "pending", -5, 5, String.raw`{"to": "x'\"\\ é ${"\u{1F600}"} ${"${7}"} {{x}}; drop table users"}`),
    job(3, "notify/email", "scheduled", 0, 5, "{}"),
    // The first attempt was in pg-boss. A priority below the minimum becomes the minimum.
    job(4, "notify/email", "scheduled", -32_768, 4, '{"fails": true}'),
    job(5, "report/daily", "pending", 0, 3, '{"day": 1}'),
    job(6, "one", "pending", 0, 3, '{"n": 1}', { serial_key: "one-at-a-time:k" }),
    job(7, "one", "pending", 0, 3, '{"n": 2}', { serial_key: "one-at-a-time:k" }),
    job(8, "short", "pending", 0, 3, '{"n": 1}', { job_key: "short:k" }),
    job(20, "report/daily", "pending", 0, 3, '{"part": "a"}'),
    job(21, "notify/email", "pending", 0, 5, '{"part": "b"}'),
    job(22, "report/daily", "blocked", 0, 3, '{"part": "both"}'),
  ]);
  expect(await rows(shared, "select count(*)::int as n from legwork_private.dependencies")).toEqual([{ n: 2 }]);
  expect(await rows(shared, "select count(*)::int as n from legwork_private.expirations")).toEqual([{ n: 11 }]);
  expect(
    await rows(shared, "select name, task, cron, timezone, priority, max_attempts, missed, payload::text from legwork.schedules"),
  ).toEqual([
    {
      name: "report",
      task: "report/daily",
      cron: "0 3 * * *",
      timezone: "Europe/Berlin",
      priority: -3,
      max_attempts: 2,
      missed: "none",
      payload: '{"nightly": true}',
    },
  ]);
  expect(await rows(shared, "select state::text, count(*)::int as n from pgboss.job group by 1 order by 1")).toEqual([
    { state: "active", n: 1 },
    { state: "cancelled", n: 11 },
    { state: "completed", n: 1 },
  ]);

  // If an application creates its schedules again at its start, or a job is started again in pg-boss, nothing changes in Legwork.
  await shared.pool.query("insert into pgboss.schedule (name, cron) values ('report', '0 3 * * *')");
  await shared.pool.query("update pgboss.job set state = 'created' where id = $1", [id(1)]);
  await shared.pool.query('select legwork.cancel_jobs(\'{"task": "notify/email"}\')');
  const again = JSON.parse((await run("--apply", "--json")).stdout) as ImportReport;
  expect(again).toMatchObject({
    jobs: 0,
    left: [{ name: "email", jobs: 1, reason: "It was imported before, and has since been enqueued again in the source system." }],
  });
  expect(await rows(shared, "select name, key from pgboss.schedule")).toEqual([{ name: "report", key: "rule" }]);
  expect(await rows(shared, "select count(*)::int as n from legwork.jobs")).toEqual([{ n: 11 }]);
});

it("an import from another database that is killed at any point is completed by the next one, and no job is lost or runs twice", async () => {
  await registerTasks(own);
  for (const version of ["10", "11"]) {
    await installPgBoss(other, version);
    await own.pool.query("delete from legwork_private.imported_jobs");
    await own.pool.query("select legwork.cancel_jobs('{}')");
    const waiting = async () => (await rows(own, "select from legwork.jobs where state in ('pending', 'scheduled')")).length;
    const still = async () => (await rows(other, "select from pgboss.job where state < 'active'")).length;
    const killed = new Error("killed");
    const kill = () => Promise.reject(killed);

    // Killed after the jobs have been staged: pg-boss keeps them, and runs one of them.
    await expect(importing(other, own, () => ({ take: kill }))).rejects.toThrow(killed);
    expect([await waiting(), await still()]).toEqual([0, 8]);
    expect(await rows(own, "select from legwork_private.imported_jobs where imported_at is null and spec ? 'task'")).not.toEqual(
      [],
    );
    await other.pool.query("update pgboss.job set state = 'completed', completed_on = now() where id = $1", [id(1)]);

    // Killed after they have been taken: pg-boss no longer runs them, and its maintenance keeps them.
    await expect(
      importing(other, own, (source) => ({
        take: async (units, client) => {
          await source.take(units, client);
          throw killed;
        },
      })),
    ).rejects.toThrow(killed);
    expect([await waiting(), await still()]).toEqual([0, 4]);

    // Killed after they have been enqueued.
    await expect(importing(other, own, () => ({ settle: kill }))).rejects.toThrow(killed);
    const report = await importing(other, own);
    expect(report.unmapped).toEqual([]);
    expect([await waiting(), await still()]).toEqual([7, 0]);
    expect(await rows(own, "select from legwork_private.imported_jobs where imported_at is null")).toEqual([]);
    const ids = await rows(
      own,
      "select correlation_id as id from legwork.jobs where state in ('pending', 'scheduled') order by 1",
    );
    expect(new Set(ids.map((row) => row.id)).size).toBe(7);
    expect(ids).not.toContainEqual({ id: `pg-boss:email:${id(1)}` });
    // Version 10 has no such column: it keeps jobs in an archive.
    const kept = version === "10" ? "604800" : "deletion_seconds";
    expect(await rows(other, `select distinct ${kept} as seconds from pgboss.job`)).toEqual([{ seconds: 604_800 }]);
    expect((await importing(other, own)).jobs).toBe(0);
  }
});

it("jobs that cannot be imported are left in pg-boss and named: with unknown names, locked by a worker, rejected by the task or the database", async () => {
  await installPgBoss(other, "12");
  await own.pool.query("delete from legwork_private.imported_jobs");
  const run = (...more: string[]) =>
    legwork(["import", "pg-boss", "--source-url", other.url, ...more], { DATABASE_URL: own.url });
  const nothing = async () => expect(await rows(own, "select from legwork_private.imported_jobs")).toEqual([]);
  const unmapped = await run("--apply", "--task", "email=notify/email", "--task", "report=report/daily");
  expect(unmapped).toMatchObject({ code: 1, stdout: "" });
  expect(unmapped.stderr).toMatch(
    /^legwork: 1 name of pg-boss has no task: 'one-at-a-time' \(2\)\. \(LW404\)\nhint: .*--task one-at-a-time=TASK/,
  );
  expect((await run("--task", "email=notify/emial")).stderr).toMatch(/LW404\)\nhint: Did you mean 'notify\/email'\?/);
  expect((await run("--only", "emial")).stderr).toMatch(
    /--only: the queue 'emial' does not exist\. \(LW404\)\nhint: Did you mean 'email'\?/,
  );
  expect((await run("--schema", "boss")).stderr).toMatch(
    /does not contain pg-boss's tables\. \(LW404\)\nhint: pg-boss's tables exist in 'pgboss'/,
  );
  expect((await run("--task", "email")).stderr).toMatch(/Expected a name and a task/);
  await nothing();

  await own.pool.query("select legwork_private.register_tasks($1)", [
    JSON.stringify([
      { name: "notify/email", payload_schema: { type: "object", properties: { to: { type: "string" } }, required: ["to"] } },
    ]),
  ]);
  await other.pool.query("update pgboss.job set start_after = 'infinity' where id = $1", [id(8)]);
  await other.pool.query("update pgboss.job set keep_until = now() where id = $1", [id(7)]);
  const worker = await other.pool.connect();
  onTestFinished(() => worker.release());
  await worker.query("begin");
  await worker.query("select from pgboss.job where id = $1 for update", [id(5)]);
  const report = await importing(other, own);
  await worker.query("rollback");
  expect(
    report.left.map(({ name, reason, jobs, examples }) => [name, reason.slice(0, 30), jobs, examples[0]?.slice(-2)]),
  ).toEqual([
    ["email", "The payload does not match tas", 3, expect.any(String)],
    ["one-at-a-time", "Its retention period has passe", 1, "07"],
    // This job depends on job 20 and on job 21, whose payload is rejected.
    ["report", "It depends on a job that stays", 1, "22"],
    ["report", "It has been started or changed", 1, "05"],
    ["short", "It cannot be stored: run_at is", 1, "08"],
  ]);
  const ids = await rows(
    own,
    "select right(source_id, 2) as id from legwork_private.imported_jobs where job_id is not null order by 1",
  );
  expect(ids.map((row) => row.id)).toEqual(["02", "01", "06", "20"].toSorted());
  expect(await rows(other, "select state::text from pgboss.job where id = '" + id(22) + "'")).toEqual([{ state: "created" }]);
});

it("two imports of one source do not run at the same time", async () => {
  const client = await own.pool.connect();
  onTestFinished(() => client.release());
  await client.query("begin");
  await client.query("select pg_advisory_xact_lock(hashtextextended('pg-boss:pgboss', 74))");
  await expect(importing(other, own)).rejects.toThrow("Another import from pg-boss (pg-boss:pgboss) is running.");
  await client.query("rollback");
});
