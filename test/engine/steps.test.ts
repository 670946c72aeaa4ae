import { beforeEach, describe, expect, it } from "vitest";
import { getJob } from "../../src/jobs/read-jobs.ts";
import { listSteps, type StepRow } from "../../src/jobs/read-steps.ts";
import { testDatabase } from "../support/database.ts";
import { empty } from "../support/empty.ts";
import { until } from "../support/until.ts";
import { directoryOf, workerProcess } from "../support/worker.ts";

const database = testDatabase();

beforeEach(async () => {
  await database.pool.query("create table if not exists did (job_id bigint, what text, pid integer)");
  await database.pool.query("create table if not exists gates (name text primary key)");
  await empty(database.pool, "did, gates");
});

async function add(): Promise<string> {
  return (await database.pool.query("select id from graphile_worker.add_job('t')")).rows[0].id;
}

async function completes(id: string): Promise<void> {
  await until(`job ${id} completes`, async () => (await getJob(database.pool, id)).state === "completed", 15_000);
}

async function did(id: string): Promise<string[]> {
  const { rows } = await database.pool.query("select what from did where job_id = $1 order by ctid", [id]);
  return rows.map((row) => row.what);
}

async function steps(id: string): Promise<Record<string, Partial<StepRow>>> {
  return Object.fromEntries((await listSteps(database.pool, id)).map((step) => [step.name, step]));
}

/** The first attempt stays in step b until the gate is opened. */
const STEPS = `
  import { defineTask } from "legwork";
  export default defineTask({ async run(payload, { step, job, sql }) {
    const note = (what) => sql\`insert into did values (\${job.id}, \${what}, \${process.pid})\`;
    await step.run("a", () => note("a"));
    await step.run("b", async () => {
      await note("b begins");
      while (job.attempts === 1 && (await sql\`select from gates\`).length === 0) await new Promise((wake) => setTimeout(wake, 20));
      await note("b ends");
      return process.pid;
    });
    await step.run("c", () => note("c"));
  } });`;

describe("a worker", () => {
  it("that is killed between steps leaves its completed steps, and only the remaining ones run elsewhere", async () => {
    const tasks = await directoryOf({ "t.ts": STEPS });
    const victim = await workerProcess(database, tasks);
    const id = await add();
    await until("step b has begun", async () => (await did(id)).includes("b begins"));
    const other = await workerProcess(database, tasks);
    victim.kill("SIGKILL");
    await completes(id);
    expect(await did(id)).toEqual(["a", "b begins", "b begins", "b ends", "c"]);
    expect(await steps(id)).toMatchObject({ a: { attempt: 1 }, b: { attempt: 2, result: other.pid }, c: { attempt: 2 } });
  });

  it("that was suspended for longer than its lease records no step and begins no other", async () => {
    const tasks = await directoryOf({ "t.ts": STEPS });
    const sleeper = await workerProcess(database, tasks);
    const id = await add();
    await until("step b has begun", async () => (await did(id)).includes("b begins"));
    const other = await workerProcess(database, tasks);
    sleeper.kill("SIGSTOP");
    await completes(id);
    await database.pool.query("insert into gates values ('b')");
    sleeper.kill("SIGCONT");
    await until(
      "the task has continued after step b",
      async () => (await did(id)).filter((what) => what === "b ends").length === 2,
    );
    await until("the attempt has ended", async () => {
      const { rows } = await database.pool.query("select running from legwork.workers where pid = $1", [sleeper.pid]);
      return rows.length === 1 && !rows[0].running.includes(id);
    });
    expect(await did(id)).toEqual(["a", "b begins", "b begins", "b ends", "c", "b ends"]);
    expect(await steps(id)).toMatchObject({ b: { attempt: 2, result: other.pid }, c: { attempt: 2 } });
  });
});
