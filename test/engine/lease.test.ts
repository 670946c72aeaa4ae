import type { ChildProcess } from "node:child_process";
import { beforeEach, describe, expect, it, onTestFinished } from "vitest";
import { getJob } from "../../src/jobs/read-jobs.ts";
import { testDatabase } from "../support/database.ts";
import { until } from "../support/until.ts";
import { directoryOf, workerOver, workerProcess } from "../support/worker.ts";

const database = testDatabase();

beforeEach(async () => {
  await database.pool.query("delete from graphile_worker._private_jobs");
  // Not truncate: a worker of the test before may still be at it, which would be a deadlock.
  for (const table of ["finished_jobs", "failed_attempts", "worker_processes"])
    await database.pool.query(`delete from legwork.${table}`);
  await database.pool.query("create table if not exists runs (job_id bigint, pid integer, aborted text)");
  await database.pool.query("create table if not exists gates (name text primary key)");
  await database.pool.query("truncate runs, gates");
});

async function add(task: string, payload: unknown = {}, options = ""): Promise<string> {
  const { rows } = await database.pool.query(`select id from graphile_worker.add_job($1, $2${options})`, [
    task,
    JSON.stringify(payload),
  ]);
  return rows[0].id;
}

async function state(id: string): Promise<string> {
  return (await getJob(database.pool, id)).state;
}

async function runsOf(id: string): Promise<number[]> {
  const { rows } = await database.pool.query("select pid from runs where job_id = $1 order by ctid", [id]);
  return rows.map((row) => row.pid);
}

/** Whether the worker of a process has said of these jobs that it runs them. */
async function saysThatItRuns(pid: number | undefined, ids: readonly string[]): Promise<boolean> {
  const { rows } = await database.pool.query("select from legwork.workers where pid = $1 and running @> $2::bigint[]", [
    pid,
    ids,
  ]);
  return rows.length > 0;
}

/** Keeps one worker going, as a supervisor does: one that ends is followed by another. */
function supervised(tasks: string, environment: Record<string, string>): { readonly deaths: number } {
  const counter = { deaths: 0 };
  let isOver = false;
  onTestFinished(() => void (isOver = true));
  const start = async (): Promise<void> => {
    // A worker whose first job kills it may be gone before it is seen.
    const child = await workerProcess(database, tasks, environment).catch(() => undefined);
    if (child === undefined) return;
    const exited = child.exitCode !== null || child.signalCode !== null;
    if (!exited) await new Promise((resolve) => child.once("exit", resolve));
    if (isOver) return;
    counter.deaths += 1;
    await start();
  };
  void start();
  return counter;
}

const RECORDED = `
  import { defineTask } from "legwork";
  export default defineTask({ run: async (payload, { job, sql, signal }) => {
    await sql\`insert into runs (job_id, pid) values (\${job.id}, \${process.pid})\`;`;

/** Runs until its gate is opened, whatever its signal says; notes why that aborted. */
const GATED = `${RECORDED}
    signal.addEventListener("abort", () => void sql\`update runs set aborted = \${signal.reason.name} where job_id = \${job.id} and pid = \${process.pid}\`.catch(() => {}));
    while ((await sql\`select from gates where name = \${payload.gate}\`).length === 0) await new Promise((wake) => setTimeout(wake, 20));
    return process.pid;
  } });`;

const POISON = `
  import { defineTask } from "legwork";
  export default defineTask({ run: async ({ after }) => {
    if (after > 0) await new Promise((wake) => setTimeout(wake, after));
    process.exit(3);
  } });`;

const SHORT = `${RECORDED}
    await new Promise((wake) => setTimeout(wake, 100));
  } });`;

const open = (gate: string): Promise<unknown> => database.pool.query("insert into gates values ($1)", [gate]);

describe("a job that kills its worker three times", () => {
  it.for([
    { kind: "at once", after: 0 },
    { kind: "after a while", after: 400 },
  ])("$kind is quarantined, and the jobs beside it end well", { timeout: 120_000 }, async ({ after }) => {
    const tasks = await directoryOf({ "poison.ts": POISON, "short.ts": SHORT });
    const poison = await add("poison", { after });
    const others: string[] = [];
    for (let n = 0; n < 12; n++) others.push(await add("short"));
    const worker = supervised(tasks, { LEGWORK_CONCURRENCY: "4" });
    await until("the poisonous job has failed", async () => (await state(poison)) === "failed", 80_000);
    expect((await getJob(database.pool, poison)).error).toBe("Quarantined: three workers died while they ran this job.");
    for (const id of others) await until("a job beside it has ended", async () => (await state(id)) === "completed", 20_000);
    expect(worker.deaths).toBeGreaterThanOrEqual(3);
    expect(worker.deaths).toBeLessThanOrEqual(5);
  });

  it("is found out beside a job that runs long, which is not taken for it", async () => {
    const tasks = await directoryOf({ "poison.ts": POISON, "gated.ts": GATED });
    const long = await add("gated", { gate: "long" });
    const worker = supervised(tasks, { LEGWORK_CONCURRENCY: "4" });
    await until("the long job is known to run", async () => {
      const { rows } = await database.pool.query("select from legwork.workers where running = array[$1::bigint]", [long]);
      return rows.length > 0;
    });
    const poison = await add("poison", { after: 0 });
    await until("two workers have died", () => worker.deaths >= 2, 60_000);
    await open("long");
    await until("the poisonous job has failed", async () => (await state(poison)) === "failed", 60_000);
    await until("the long job has completed", async () => (await state(long)) === "completed", 20_000);
    expect(worker.deaths).toBeLessThanOrEqual(5);
  }, 120_000);

  it("is quarantined as well when its task allows one attempt", async () => {
    const tasks = await directoryOf({
      "fragile.ts": GATED.replace("defineTask({", "defineTask({ retry: { attempts: 1 },"),
    });
    const id = await add("fragile", { gate: "never" });
    for (let death = 1; death <= 3; death++) {
      const victim = await workerProcess(database, tasks);
      await until("it runs", () => saysThatItRuns(victim.pid, [id]), 20_000);
      victim.kill("SIGKILL");
    }
    await workerProcess(database, tasks);
    await until("it has failed", async () => (await state(id)) === "failed", 20_000);
    expect(await getJob(database.pool, id)).toMatchObject({ error: "Quarantined: three workers died while they ran this job." });
  }, 90_000);
});

async function stopAndContinue(sleeper: ChildProcess, meanwhile: () => Promise<void>): Promise<void> {
  sleeper.kill("SIGSTOP");
  await meanwhile();
  sleeper.kill("SIGCONT");
}

describe("a worker that was stopped for longer than its lease", () => {
  it("is told to stop what another runs by then, and does not complete it", async () => {
    const tasks = await directoryOf({ "gated.ts": GATED });
    const sleeper = await workerProcess(database, tasks);
    const id = await add("gated", { gate: "a" });
    await until("the sleeper runs it", () => saysThatItRuns(sleeper.pid, [id]));
    const other = await workerProcess(database, tasks);
    await stopAndContinue(sleeper, () =>
      until("the other runs it", () => saysThatItRuns(other.pid, [id]), 12_000).then(() => undefined),
    );
    await until("the signal has aborted", async () => {
      const { rows } = await database.pool.query("select aborted from runs where pid = $1", [sleeper.pid]);
      return rows[0]?.aborted === "LeaseLost";
    });
    other.kill("SIGSTOP");
    await open("a");
    await until("the sleeper is idle", async () => {
      const { rows } = await database.pool.query(
        "select from legwork.workers where pid = $1 and running = '{}' and seen_at > clock_timestamp() - interval '500 ms'",
        [sleeper.pid],
      );
      return rows.length > 0;
    });
    expect(await state(id)).toBe("running");
    other.kill("SIGCONT");
    await until("it has completed", async () => (await state(id)) === "completed");
    expect(await getJob(database.pool, id)).toMatchObject({ result: other.pid, attempts: 2 });
  }, 60_000);

  it("does not start what it had only fetched and another has taken", async () => {
    const tasks = await directoryOf({ "gated.ts": GATED });
    const more = await directoryOf({ "gated.ts": GATED, "last.ts": SHORT });
    const sleeper = await workerProcess(database, more, { LEGWORK_CONCURRENCY: "1", LEGWORK_LOCAL_QUEUE_SIZE: "5" });
    // In one statement, so that they are fetched together.
    const { rows: added } = await database.pool.query(
      "select (graphile_worker.add_job('gated', json_build_object('gate', gate))).id from unnest(array['first', 'a', 'a']) gate",
    );
    const [first, ...fetched] = added.map((row) => row.id) as [string, string, string];
    await until("the sleeper runs one and has fetched the others", async () => {
      const { rows } = await database.pool.query("select from graphile_worker._private_jobs where locked_by is not null");
      return rows.length === 3 && (await saysThatItRuns(sleeper.pid, [first]));
    });
    const other = await workerProcess(database, tasks);
    await stopAndContinue(sleeper, () =>
      until("the other runs them", () => saysThatItRuns(other.pid, [first, ...fetched]), 12_000).then(() => undefined),
    );
    await until(
      "the sleeper speaks again",
      async () => (await database.pool.query("select from legwork.workers where pid = $1", [sleeper.pid])).rows.length > 0,
    );
    await open("first");
    await until("the first has completed", async () => (await state(first)) === "completed");
    // The sleeper comes to what it had fetched, one after the other, and then to this, of which the other has no file.
    const last = await add("last");
    await until("the sleeper has come to the end", async () => (await state(last)) === "completed");
    for (const id of fetched) expect(await runsOf(id)).toEqual([other.pid]);
    await open("a");
    for (const id of fetched) await until("it has completed", async () => (await state(id)) === "completed");
  }, 60_000);

  it("does not start a second time what it still runs itself", async () => {
    const tasks = await directoryOf({ "gated.ts": GATED });
    const sleeper = await workerProcess(database, tasks);
    const id = await add("gated", { gate: "a" });
    await until("the sleeper runs it", () => saysThatItRuns(sleeper.pid, [id]));
    // One that looks after the dead and has no such task.
    await workerOver(database.url, { "nothing.ts": SHORT });
    await stopAndContinue(sleeper, () =>
      until("it was given back", async () => (await state(id)) === "pending", 12_000).then(() => undefined),
    );
    await until("its signal has aborted", async () => {
      const { rows } = await database.pool.query("select from runs where aborted = 'LeaseLost'");
      return rows.length > 0;
    });
    // Something that is fetched after it.
    await add("gated", { gate: "b" });
    await open("b");
    await until(
      "a later job has completed",
      async () => (await database.pool.query("select from legwork.finished_jobs")).rows.length === 1,
    );
    expect(await runsOf(id)).toEqual([sleeper.pid]);
    await open("a");
    await until("it has completed", async () => (await state(id)) === "completed", 20_000);
    expect(await runsOf(id)).toEqual([sleeper.pid, sleeper.pid]);
  }, 60_000);
});

it("a database that stalls for longer than the lease costs nobody a job", async () => {
  const tasks = await directoryOf({ "gated.ts": GATED });
  const workers = [await workerProcess(database, tasks), await workerProcess(database, tasks)];
  const ids = [await add("gated", { gate: "a" }), await add("gated", { gate: "a" }), await add("gated", { gate: "a" })];
  await until("all run", async () => (await database.pool.query("select from runs")).rows.length === 3);
  const before = await database.pool.query("select id from legwork.workers order by id");
  const holder = await database.pool.connect();
  await holder.query("begin");
  await holder.query("lock table legwork.worker_processes in access exclusive mode");
  await holder.query("select pg_sleep(8)");
  await holder.query("commit");
  holder.release();
  // Two looks and more.
  const beats = (await database.pool.query("select clock_timestamp() as now")).rows[0].now;
  await until("everybody has spoken for four seconds", async () => {
    const { rows } = await database.pool.query(
      "select min(seen_at) > $1::timestamptz + interval '4 seconds' as yes from legwork.workers",
      [beats],
    );
    return rows[0].yes;
  });
  expect((await database.pool.query("select id from legwork.workers order by id")).rows).toEqual(before.rows);
  await open("a");
  for (const id of ids) {
    await until("it has completed", async () => (await state(id)) === "completed");
    expect(await runsOf(id)).toHaveLength(1);
  }
  expect((await database.pool.query("select from legwork.failed_attempts")).rows).toEqual([]);
  for (const worker of workers) expect(worker.exitCode).toBe(null);
}, 60_000);
