import { once } from "node:events";
import { beforeAll, beforeEach, expect, it } from "vitest";
import { explainJob } from "../../src/jobs/explain-job.ts";
import { WorkerEventHub } from "../../src/jobs/worker-events.ts";
import { drainWorker, listWorkers, quietWorker } from "../../src/operations.ts";
import { legwork } from "../support/cli.ts";
import { testDatabase, testLog } from "../support/database.ts";
import { plainJobs } from "../support/plain-jobs.ts";
import { rest, startRest } from "../support/rest.ts";
import { until } from "../support/until.ts";
import { directoryOf, workerOver, workerProcess } from "../support/worker.ts";

const database = testDatabase();
const { add, ended, reaches, state } = plainJobs(database);

/** A task that runs until its gate is opened in the database. */
const GATED = `
  import { defineTask } from "legwork";
  export default defineTask({ run: async ({ gate }, { sql }) => {
    while ((await sql\`select from gates where name = \${gate}\`).length === 0) await new Promise((wake) => setTimeout(wake, 20));
  } });`;

const open = (gate: string): Promise<unknown> => database.pool.query("insert into gates values ($1)", [gate]);
beforeAll(async () => void (await database.pool.query("create table gates (name text)")));
beforeEach(async () => void (await database.pool.query("delete from graphile_worker._private_jobs")));

const only = async () => (await listWorkers(database.pool))[0];

it("a quiet worker returns the jobs that it has fetched ahead and takes no jobs until it is resumed; a draining worker stops after its last job", async () => {
  let isDraining = false;
  const events = new WorkerEventHub(testLog);
  events.on("worker_draining", () => (isDraining = true));
  const worker = await workerOver(
    database.url,
    { "gated.ts": GATED, "left-out.ts": GATED },
    { concurrency: 1, localQueueSize: 5, except: ["left-out"], slots: { default: 5 }, events },
  );
  const server = await startRest(database);
  const first = await add("gated", { gate: "first" });
  await reaches(first, "running");
  const second = await add("gated", { gate: "second" });
  const alien = await add("elsewhere");
  await until("the second job is fetched ahead", async () => (await state(second)) === "running");

  const name = `${(await only())?.host}:${process.pid}`;
  await quietWorker(database.pool, name);
  await until("the second job is returned to the queue", async () => (await state(second)) === "pending");
  expect(await only()).toMatchObject({
    id: worker.id,
    name,
    state: "quiet",
    quiet_by: "postgres",
    lacks: ["elsewhere"],
    running: [first],
  });
  const { rows: audited } = await database.pool.query(
    "select operation, target, before, after from legwork.audit_log where target_type = 'worker'",
  );
  expect(audited).toEqual([
    {
      operation: "quiet_worker",
      target: worker.id,
      before: { state: "active" },
      after: { state: "quiet", host: name.split(":")[0], pid: process.pid },
    },
  ]);
  expect(await explainJob(database.pool, second)).toMatchObject([
    {
      reason: "workers_quiet",
      detail: expect.stringContaining(`${name} has been quiet since`),
      fix: expect.stringContaining(`resume this one: \`select legwork.resume_worker('${name}');\``),
    },
  ]);
  expect((await explainJob(database.pool, alien))[0]).toMatchObject({ reason: "no_worker" });
  const table = await legwork(["workers"], { DATABASE_URL: database.url });
  expect(table.stdout).toMatch(/WORKER +STATE .*LACKS/);
  expect(table.stdout).toContain("quiet by postgres");
  await open("first");
  await ended(first);
  expect(await state(second)).toBe("pending");

  const resumed = await rest(server, "POST", `/workers/${encodeURIComponent(name)}/resume`);
  expect(resumed.body).toMatchObject({
    id: worker.id,
    state: "active",
    quietSince: null,
    quietBy: null,
    lacks: ["elsewhere"],
    excluded: ["left-out"],
    queueSlots: { default: 5 },
  });
  await reaches(second, "running");
  let isDrained = false;
  void worker.drained.then(() => (isDrained = true));
  expect((await legwork(["workers", "drain", worker.id ?? ""], { DATABASE_URL: database.url })).stdout).toContain(
    "stops when its running jobs have ended",
  );
  // Not only in the database: before it knows, it would take the third job.
  await until("the worker is draining", () => isDraining);
  const third = await add("gated", { gate: "third" });
  expect(isDrained).toBe(false);
  await open("second");
  await worker.drained;
  await worker.stop();
  expect(await state(second)).toBe("completed");
  expect(await state(third)).toBe("pending");
  for (const call of [quietWorker, drainWorker]) {
    await expect(call(database.pool, name)).rejects.toMatchObject({
      code: "LW404",
      message: `There is no running worker named '${name}'.`,
    });
  }
});

it("a worker process that drains exits with code 0, and the next one is not quiet", async () => {
  const tasks = await directoryOf({ "gated.ts": GATED });
  const child = await workerProcess(database, tasks);
  const pid = (): Promise<string> => until("a worker is registered", async () => (await only())?.name);
  await quietWorker(database.pool, await pid());
  await drainWorker(database.pool, await pid());
  expect((await once(child, "exit"))[0]).toBe(0);
  expect(await listWorkers(database.pool)).toEqual([]);
  await workerProcess(database, tasks);
  expect(await only()).toMatchObject({ state: "active" });
});
