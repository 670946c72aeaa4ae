import { beforeEach, describe, expect, it } from "vitest";
import { getJob } from "../../src/jobs/read-jobs.ts";
import { listSteps, type StepRow } from "../../src/jobs/read-steps.ts";
import { testDatabase } from "../support/database.ts";
import { empty } from "../support/empty.ts";
import { plainJobs } from "../support/plain-jobs.ts";
import { until } from "../support/until.ts";
import { directoryOf, workerOver, workerProcess } from "../support/worker.ts";

const database = testDatabase();
const { reaches, state } = plainJobs(database);

beforeEach(async () => {
  await database.pool.query("delete from graphile_worker._private_jobs");
  await empty(
    database.pool,
    "legwork_private.finished_jobs, legwork_private.failed_attempts, legwork_private.task_definitions, legwork_private.job_steps, legwork_private.child_ends",
  );
  await database.pool.query("create table if not exists did (job_id bigint, what text, pid integer)");
  await database.pool.query("create table if not exists gates (name text primary key)");
  await empty(database.pool, "did, gates");
});

const sql = async (text: string, values: unknown[] = []) => (await database.pool.query(text, values)).rows;
const one = async (text: string, values: unknown[] = []): Promise<unknown> =>
  Object.values((await sql(text, values))[0] as object)[0];

async function add(payload: unknown = {}, options = ""): Promise<string> {
  return (await one(`select id from graphile_worker.add_job('t', $1${options})`, [JSON.stringify(payload)])) as string;
}

async function did(what: string): Promise<number> {
  return (await one("select count(*)::int from did where what = $1", [what])) as number;
}

const steps = async (id: string): Promise<Record<string, Partial<StepRow>>> =>
  Object.fromEntries((await listSteps(database.pool, id)).map((step) => [step.name, step]));

const children = async (id: string): Promise<{ id: string; state: string }[]> =>
  await sql("select id::text, state from legwork.jobs where parent_id = $1 order by id", [id]);

const task = (body: string, options = ""): string => `
  import { appendFileSync } from "node:fs";
  import { defineTask, JobNotCompleted, SignalTimeout, StepError } from "legwork";
  export default defineTask({ retry: { attempts: 3, backoff: "fixed", delay: 1 }, ${options} async run(payload, { step, job, sql, signal }) {
    const note = (what) => sql\`insert into did values (\${job.id}, \${what}, \${process.pid})\`;
    const gate = async (name) => {
      while ((await sql\`select from gates where name = \${name}\`).length === 0) {
        if (signal.aborted) throw signal.reason;
        await new Promise((wake) => setTimeout(wake, 20));
      }
    };
    ${body}
  } });`;

const open = (gate: string): Promise<unknown> => database.pool.query("insert into gates values ($1)", [gate]);

/** A task that doubles a number once its gate is open, fails for any other value, and records each run. */
const CHILD = task(
  `
  await note("child");
  if (payload.gate) await gate(payload.gate);
  if (typeof payload.n !== "number") throw new Error("not a number: " + payload.n);
  return { n: 2 * payload.n, card: payload.card };`,
  `redact: ["card"],`,
);

describe("step.invoke", () => {
  it("runs another job once, occupies no worker in the meantime, and returns the same result in every attempt", async () => {
    await workerOver(
      database.url,
      {
        "child.ts": CHILD,
        "t.ts": task(`
        const first = await step.invoke("first", "child", { n: 4, gate: "go", card: "4111" });
        await note("after first: " + first.card);
        if (job.attempts === 1) throw new Error("again");
        const second = await step.invoke("second", "child", { n: first.n }, { priority: -5 });
        return second.n;`),
      },
      { concurrency: 1, localQueueSize: 1 },
    );
    const id = await add({}, ", flags => array['tenant:acme', 'correlation:c']");
    const [child] = await until("the child is running", async () => {
      const found = await children(id);
      return found[0]?.state === "running" ? found : undefined;
    });
    await reaches(id, "blocked");
    expect(await steps(id)).toMatchObject({ first: { kind: "invoke", state: "waiting", child_id: child?.id } });
    expect((await sql("select reason, detail, fix from legwork.explain_job($1)", [id]))[0]).toEqual({
      reason: "waits_for_invoked_job",
      detail: expect.stringMatching(
        `^Its task has been waiting since .+ for job ${child?.id} \\(child\\), which was invoked by step 'first' and is running\\.$`,
      ),
      fix: `See why that job has not ended: \`select * from legwork.explain_job(${child?.id});\``,
    });
    await open("go");
    expect(await reaches(id, "completed")).toMatchObject({ attempts: 2, result: 16 });
    expect([await did("child"), await did("after first: [redacted]")]).toEqual([2, 3]);
    expect(await steps(id)).toMatchObject({
      first: { state: "completed", result: { n: 8, card: "[redacted]" } },
      second: { state: "completed", result: { n: 16 } },
    });
    expect(
      await sql("select distinct tenant, correlation_id, parent_id::text from legwork.jobs where parent_id is not null"),
    ).toEqual([{ tenant: "acme", correlation_id: "c", parent_id: id }]);
    const timeline = await sql("select kind, label, state from legwork.job_timeline($1) where kind in ('invoke', 'child')", [id]);
    expect(timeline).toEqual(
      expect.arrayContaining([
        { kind: "invoke", label: `Waiting for job ${child?.id} in step 'first'`, state: null },
        { kind: "child", label: `Job ${child?.id} (child)`, state: "completed" },
      ]),
    );
    expect(await one("select count(*)::int from legwork_private.step_secrets")).toBe(0);
  });

  it("throws a StepError if the job does not complete, which either fails the parent at once or is caught in every attempt", async () => {
    await workerOver(database.url, {
      "child.ts": CHILD,
      "t.ts": task(`
        if (payload.catches) {
          try { await step.invoke("it", "child", { n: "x" }); }
          catch (error) {
            if (!(error instanceof StepError)) throw error;
            await note([error.code, error.cause instanceof JobNotCompleted, error.cause.state, error.cause.reason].join());
            if (job.attempts === 1) throw new Error("again");
            return error.cause.jobId;
          }
        }
        return (await step.invoke("it", "child", payload)).n;`),
    });
    const caught = await add({ catches: true });
    const { result } = await reaches(caught, "completed");
    expect(await children(caught)).toEqual([{ id: result, state: "failed" }]);
    expect(await did("LW424,true,failed,not a number: x")).toBe(2);
    const id = await add({ n: "y" });
    const [failed] = await until("both jobs have failed", async () =>
      (await state(id)) === "failed" ? await children(id) : undefined,
    );
    expect(await getJob(database.pool, id)).toMatchObject({
      attempts: 1,
      error: `Step 'it': Job ${failed?.id} has failed: not a number: y`,
    });
    // A retry of the parent invokes another job. If the child is retried and completes, the parent uses its result.
    await database.pool.query("select legwork.retry_job($1)", [id]);
    const [, again] = await until("another job has failed", async () => {
      const found = await children(id);
      return (await state(id)) === "failed" && found.length === 2 ? found : undefined;
    });
    await database.pool.query("update graphile_worker._private_jobs set payload = '{\"n\": 21}' where id = $1", [again?.id]);
    await database.pool.query("select legwork.retry_job($1)", [again?.id]);
    await reaches(again?.id ?? "", "completed");
    await database.pool.query("select legwork.retry_job($1)", [id]);
    expect(await reaches(id, "completed")).toMatchObject({ result: 42 });
    expect((await children(id)).length).toBe(2);
  });

  it("continues when the job is cancelled, expires or is deleted; cancelling the parent cancels the jobs it waits for", async () => {
    await workerOver(database.url, {
      "child.ts": CHILD,
      "middle.ts": task(`return await step.invoke("below", "child", { n: 1, gate: "never" });`),
      "t.ts": task(`
        try { return await step.invoke("it", payload.task ?? "child", { n: 1, gate: "never" }, payload.options && { expiresAt: new Date(Date.now() + 1_500) }); }
        catch (error) { if (error instanceof StepError) return error.cause.state + ": " + error.cause.reason; throw error; }`),
    });
    await database.pool.query("select legwork.pause_task('child')");
    const begun = async (payload: object = {}): Promise<[string, string]> => {
      const id = await add(payload);
      const [child] = await until("the parent waits", async () =>
        (await state(id)) === "blocked" ? await children(id) : undefined,
      );
      return [id, child?.id ?? ""];
    };
    const [cancelled, deleted, expired] = [await begun(), await begun(), await begun({ options: true })];
    await database.pool.query("select legwork.cancel_job($1, 'no')", [cancelled[1]]);
    await database.pool.query("delete from graphile_worker._private_jobs where id = $1", [deleted[1]]);
    expect((await reaches(cancelled[0], "completed")).result).toMatch(/^cancelled: Cancelled by .*no/);
    expect((await reaches(deleted[0], "completed")).result).toMatch(/^cancelled: Removed by /);
    expect((await reaches(expired[0], "completed")).result).toMatch(/^expired: It had not started by /);
    // The end of this child is hidden from triggers.
    const unseen = await begun();
    await database.pool.query(
      `begin; set local session_replication_role = replica; delete from graphile_worker._private_jobs where id = ${unseen[1]}; commit`,
    );
    expect(await state(unseen[0])).toBe("blocked");
    expect(await sql("select problem, job_id::text from legwork.reconcile()")).toContainEqual({
      problem: "an invoked job whose end was not recorded",
      job_id: unseen[1],
    });
    expect((await reaches(unseen[0], "completed")).result).toBe("cancelled: The job no longer exists.");
    const failed = await begun();
    await database.pool.query(
      `begin; set local session_replication_role = replica;
      update graphile_worker._private_jobs set attempts = max_attempts, last_error = 'never opens' where id = ${failed[1]};
      update legwork_private.task_definitions set redact = '{gate}' where name = 'child'; commit`,
    );
    expect(await sql("select job_id::text from legwork.reconcile()")).toContainEqual({ job_id: failed[1] });
    expect((await reaches(failed[0], "completed")).result).toBe("failed: [redacted] opens");
    await database.pool.query("update legwork_private.task_definitions set redact = null where name = 'child'");
    // There are two levels of children, and the lower one is running.
    await database.pool.query("select legwork.resume_task('child')");
    const [top, middle] = await begun({ task: "middle" });
    const [below] = await until("the job below is running", async () => {
      const found = await children(middle);
      return found[0]?.state === "running" ? found : undefined;
    });
    await database.pool.query("select legwork.cancel_job($1)", [top]);
    for (const id of [top, middle, below?.id ?? ""]) await reaches(id, "cancelled");
    expect((await getJob(database.pool, middle)).error).toBe(
      `Cancelled because job ${top}, which has invoked it, was cancelled.`,
    );
  });

  it("waits until a pause ends, works while the parent's row is locked, and works in a thread", async () => {
    const files = {
      "child.ts": CHILD,
      "t.ts": task(`return (await step.invoke("it", "child", { n: 3 })).n;`, `isolate: "thread", timeout: "20s",`),
    };
    await workerOver(database.url, files);
    await database.pool.query("select legwork.pause_task('child')");
    const id = await add();
    const [child] = await until("the parent waits", async () =>
      (await state(id)) === "blocked" ? await children(id) : undefined,
    );
    expect(child?.state).toBe("paused");
    // An open transaction has locked the parent's row while the child ends, so a worker notifies the parent later.
    const client = await database.pool.connect();
    await client.query("begin");
    await client.query("select from graphile_worker._private_jobs where id = $1 for update", [id]);
    await database.pool.query("select legwork.resume_task('child')");
    await reaches(child?.id ?? "", "completed");
    expect(await one("select is_delivered from legwork_private.child_ends")).toBe(false);
    await client.query("commit");
    client.release();
    expect(await reaches(id, "completed")).toMatchObject({ result: 6, attempts: 1 });
  });

  it("invokes one job however often its worker is killed", async () => {
    const directory = await directoryOf({
      "child.ts": CHILD,
      "t.ts": task(
        `
        if (payload.kill === "before") { await note("here"); if ((await sql\`select from did where what = 'here' and job_id = \${job.id}\`).length === 1) process.kill(process.pid, "SIGKILL"); }
        // At this moment, the child is committed, but the parent is not suspended yet.
        if (payload.kill === "between") void (async () => {
          while ((await sql\`select from legwork.jobs where parent_id = \${job.id}\`).length === 0);
          if ((await sql\`select from did where what = 'killed' and job_id = \${job.id}\`).length === 0) { await note("killed"); process.kill(process.pid, "SIGKILL"); }
        })();
        const results = [step.invoke("it", "child", { n: 5, gate: payload.kill })];
        if (payload.kill === "between") results.push(step.run("slow", () => gate("between")));
        const [{ n }] = await step.all(results);
        if (payload.kill === "after") { await note("after"); if ((await sql\`select from did where what = 'after' and job_id = \${job.id}\`).length === 1) process.kill(process.pid, "SIGKILL"); }
        return n;`,
      ),
    });
    let isOver = false;
    const keep = async (): Promise<void> => {
      while (!isOver) {
        const worker = await workerProcess(database, directory);
        // The worker may be killed before workerProcess() resolves.
        if (worker.exitCode === null && worker.signalCode === null)
          await new Promise((resolve) => void worker.once("exit", resolve));
      }
    };
    void keep();
    try {
      // The jobs run one after another, because jobs that run while two workers die are treated as suspects.
      for (const [kill, evidence] of [
        ["before", "here"],
        ["between", "killed"],
        ["after", "after"],
      ] as const) {
        const id = await add({ kill });
        if (kill === "after") await open(kill);
        await until(`a worker was killed (${kill})`, async () => (await did(evidence)) > 0, 30_000);
        if (kill !== "after") await open(kill);
        const job = await until(
          `job ${id} has completed`,
          async () => {
            const found = await getJob(database.pool, id);
            return found.finished_at === null ? undefined : found;
          },
          30_000,
        );
        expect([job.state, job.error, job.result, (await children(id)).length]).toEqual(["completed", null, 10, 1]);
      }
    } finally {
      // Otherwise, after a failure, these workers would also run the jobs of other tests.
      isOver = true;
    }
  }, 150_000);
});

describe("step.all", () => {
  it("suspends the job once for children, signals and sleeps, and returns their results by name or in order", async () => {
    await workerOver(database.url, {
      "child.ts": CHILD,
      "t.ts": task(`
        await note("start");
        const { a, b, go, nap, now } = await step.all({
          a: step.invoke("a", "child", { n: 1 }),
          b: step.invoke("b", "child", { n: 2, gate: "b" }),
          go: step.waitFor("go"),
          nap: step.sleep("nap", 50),
          now: step.run("now", () => "run"),
        });
        const list = await step.all([1, 2, 3].map((n) => step.invoke("n" + n, "child", { n })));
        return [a.n, b.n, go, nap === undefined, now, list.map(({ n }) => n)];`),
    });
    const id = await add();
    const first = await until("step a has ended", async () => (await children(id)).find(({ state: end }) => end === "completed"));
    await until("the parent waits", async () => (await state(id)) === "blocked");
    await database.pool.query("select legwork.send_signal($1, 'go', '7')", [id]);
    await open("b");
    expect(first).toBeDefined();
    expect(await reaches(id, "completed")).toMatchObject({ result: [2, 4, 7, true, "run", [2, 4, 6]], attempts: 1 });
    // The task began once, and continued after the first and the second group.
    expect(await did("start")).toBe(3);
    expect(await did("child")).toBe(5);
  });

  it("fails with the first step that fails, and a task that catches this continues without the others", async () => {
    await workerOver(database.url, {
      "child.ts": CHILD,
      "t.ts": task(`
        try {
          await step.all([step.invoke("bad", "child", { n: "x" }), step.invoke("late", "child", { n: 1, gate: "late" })]);
        } catch (error) {
          if (payload.catches && error instanceof StepError) { await step.sleep("nap", 10); return "gave up: " + error.cause.reason; }
          throw error;
        }`),
    });
    const [id, catching] = [await add(), await add({ catches: true })];
    expect((await reaches(id, "failed")).error).toMatch(/^Step 'bad': Job \d+ has failed: not a number: x$/);
    expect((await reaches(catching, "completed")).result).toBe("gave up: not a number: x");
    await open("late");
    for (const parent of [id, catching])
      for (const child of await children(parent)) await reaches(child.id, child.state === "failed" ? "failed" : "completed");
  });
});
