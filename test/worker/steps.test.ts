import { beforeEach, describe, expect, it } from "vitest";
import { getJob } from "../../src/jobs/read-jobs.ts";
import { listSteps, type StepRow } from "../../src/jobs/read-steps.ts";
import { sendSignal } from "../../src/jobs/send-signal.ts";
import { legwork } from "../support/cli.ts";
import { testDatabase } from "../support/database.ts";
import { plainJobs } from "../support/plain-jobs.ts";
import { empty } from "../support/empty.ts";
import { until } from "../support/until.ts";
import { workerOver } from "../support/worker.ts";

const database = testDatabase();
const { reaches } = plainJobs(database);

beforeEach(async () => {
  await database.pool.query("delete from graphile_worker._private_jobs");
  await empty(
    database.pool,
    "legwork_private.finished_jobs, legwork_private.failed_attempts, legwork_private.task_definitions, legwork_private.job_steps",
  );
  await database.pool.query("create table if not exists did (job_id bigint, what text, pid integer)");
  await database.pool.query("create table if not exists gates (name text primary key)");
  await empty(database.pool, "did, gates");
});

async function add(payload: unknown = {}, options = ""): Promise<string> {
  const { rows } = await database.pool.query(`select id from graphile_worker.add_job('t', $1${options})`, [
    JSON.stringify(payload),
  ]);
  return rows[0].id;
}

async function did(id: string): Promise<string[]> {
  const { rows } = await database.pool.query("select what from did where job_id = $1 order by ctid", [id]);
  return rows.map((row) => row.what);
}

async function steps(id: string): Promise<Record<string, Partial<StepRow>>> {
  return Object.fromEntries((await listSteps(database.pool, id)).map((step) => [step.name, step]));
}

/** A task whose `note` records an action, and whose `gate` waits until the test opens it. */
const task = (body: string, options = `retry: { attempts: 5, backoff: "fixed", delay: 1 },`): string => `
  import { defineTask, SignalTimeout } from "legwork";
  export default defineTask({ ${options} async run(payload, { step, job, sql, signal }) {
    const note = (what) => sql\`insert into did values (\${job.id}, \${what}, \${process.pid})\`;
    const gate = async (name) => {
      while ((await sql\`select from gates where name = \${name}\`).length === 0) await new Promise((wake) => setTimeout(wake, 20));
    };
    ${body}
  } });`;

const open = (gate: string): Promise<unknown> => database.pool.query("insert into gates values ($1)", [gate]);

describe("a step", () => {
  it("that an attempt has completed is skipped by later attempts, which get its result", async () => {
    await workerOver(database.url, {
      "t.ts": task(`
        const values = [];
        values.push(await step.run("charge", async () => { await note("charge"); return { at: new Date(0), none: undefined, list: [1, null] }; }));
        values.push(await step.run("nothing", () => {}));
        await note("attempt");
        if (job.attempts < 3) throw new Error("again");
        values.push(await step.run("last", () => "done"));
        return values;`),
    });
    const id = await add();
    expect(await reaches(id, "completed")).toMatchObject({
      attempts: 3,
      result: [{ at: "1970-01-01T00:00:00.000Z", list: [1, null] }, null, "done"],
    });
    expect(await did(id)).toEqual(["charge", "attempt", "attempt", "attempt"]);
    expect(await steps(id)).toMatchObject({
      charge: { kind: "run", state: "completed", attempt: 1, result: { at: "1970-01-01T00:00:00.000Z", list: [1, null] } },
      nothing: { result: null },
      last: { attempt: 3, result: "done" },
    });
  });

  it("resolves to the same value when it has just run and when it is read from the database", async () => {
    await workerOver(database.url, {
      "t.ts": task(`
        const value = await step.run("a", () => ({ at: new Date(5), big: undefined, text: "a\\0b" }));
        const nothing = await step.run("b", () => undefined);
        await note(JSON.stringify([value, nothing === undefined, typeof value.at]));
        if (job.attempts < 2) throw new Error("again");`),
    });
    const id = await add();
    await reaches(id, "completed");
    const [first, second] = await did(id);
    expect(first).toBe('[{"at":"1970-01-01T00:00:00.005Z","text":"a\ufffdb"},true,"string"]');
    expect(second).toBe(first);
  });

  it("that throws is recorded as failed until it completes, and concurrent steps end before the attempt does", async () => {
    await workerOver(database.url, {
      "t.ts": task(
        `
        await Promise.all([
          step.run("slow", async () => { await gate("slow"); await note("slow"); return 1; }),
          step.run("bad", async () => { await note("bad"); if (job.attempts === 1) throw new Error("bad " + payload.card); }),
        ]);`,
        `redact: ["card"], retry: { attempts: 5, backoff: "fixed", delay: 1 },`,
      ),
    });
    const id = await add({ card: "4111-1111" });
    expect((await getJob(database.pool, id)).max_attempts).toBe(5);
    await until("the failing step has run", async () => (await did(id)).includes("bad"));
    expect((await getJob(database.pool, id)).state).toBe("running");
    const { bad } = await until("the failure is recorded", async () => {
      const recorded = await steps(id);
      return recorded.bad === undefined ? undefined : recorded;
    });
    expect(bad).toMatchObject({ state: "failed", attempt: 1, result: null, error: "Error: bad [redacted]" });
    await open("slow");
    expect(await reaches(id, "completed")).toMatchObject({ attempts: 2 });
    expect((await steps(id)).bad).toMatchObject({ state: "completed", attempt: 2, error: null });
    expect((await did(id)).toSorted()).toEqual(["bad", "bad", "slow"]);
  });

  it("in a transaction commits together with its record or not at all", async () => {
    await workerOver(database.url, {
      "t.ts": task(`
        const id = await step.transaction("book", async (sql) => {
          await sql\`insert into did values (\${job.id}, 'booked', 0)\`;
          if (job.attempts === 1) throw new Error("no");
          return job.attempts;
        });
        if (job.attempts < 3) throw new Error("again");
        return id;`),
    });
    const id = await add();
    expect(await reaches(id, "completed")).toMatchObject({ attempts: 3, result: 2 });
    expect(await did(id)).toEqual(["booked"]);
  });

  it.each([
    [
      "whose name was used before",
      `await step.run("a", () => 1); await step.run("a", () => 2);`,
      "The step name 'a' was already used in this attempt.",
    ],
    ["without a name", `await step.run("", () => 1);`, "'' is not a valid step name."],
    [
      "whose result is too large",
      `await step.run("a", () => "x".repeat(300_000));`,
      "The step 'a' returned 300,002 bytes; at most 262,144 can be stored.",
    ],
    [
      "whose result is not JSON",
      `await step.run("a", () => 1n);`,
      "The step 'a' returned a value that is not JSON: Do not know how to serialize a BigInt.",
    ],
    [
      "that waits for an invalid duration",
      `await step.waitFor("a", { timeout: "soon" });`,
      "The step 'a' cannot wait: its duration is 'soon'; it must be a duration between 0 and 100 years.",
    ],
    [
      "that sleeps forever",
      `await step.sleep("a");`,
      "The step 'a' cannot wait: its duration is undefined; it must be a duration between 0 and 100 years.",
    ],
  ])("%s fails its job at once", async (_what, body, message) => {
    await workerOver(database.url, { "t.ts": task(body) });
    const id = await add();
    expect(await reaches(id, "failed")).toMatchObject({ attempts: 1, error: message });
  });

  it("that is still running after its attempt was abandoned is not recorded", async () => {
    await workerOver(database.url, {
      "t.ts": task(
        `try {
           await step.run("late", async () => { if (job.attempts === 1) await gate("late"); return job.attempts; });
           await step.run("next", () => note("next " + job.attempts));
         } catch (error) { await note(error.message); throw error; }`,
        `timeout: "100ms", grace: "50ms", retry: { attempts: 2, backoff: "fixed", delay: 1 },`,
      ),
    });
    const id = await add();
    await reaches(id, "completed");
    await open("late");
    await until("the first attempt continues", async () => (await did(id)).length === 2);
    expect(await did(id)).toEqual(["next 2", "The step 'late' ended after its attempt."]);
    expect((await steps(id)).late).toMatchObject({ attempt: 2, result: 2 });
  });

  it("of a task that redacts values is kept unredacted only for the next attempt, and is never shown unredacted", async () => {
    await workerOver(database.url, {
      "t.ts": task(
        `const charge = await step.run("charge", () => ({ card: payload.card, note: "paid with " + payload.card }));
         const { pin } = await step.waitFor("pin");
         return charge.card.length + pin.length;`,
        `redact: ["card", "pin"],`,
      ),
    });
    const id = await add({ card: "4111-1111" });
    await reaches(id, "blocked");
    await sendSignal(database.pool, id, "pin", { pin: "pin-0815" });
    expect(await reaches(id, "completed")).toMatchObject({ result: 17 });
    expect(await steps(id)).toMatchObject({
      charge: { result: { card: "[redacted]", note: "paid with [redacted]" } },
      pin: { result: { pin: "[redacted]" } },
    });
    const { rows } = await database.pool.query(
      `select concat((select json_agg(r) from legwork_private.job_steps r), (select json_agg(r) from legwork_private.step_secrets r),
        (select json_agg(r) from legwork_private.job_signals r), (select json_agg(r) from legwork_private.finished_jobs r)) as everything`,
    );
    expect(rows[0].everything).not.toMatch(/4111-1111|pin-0815/);
  });
});

describe("waiting for a signal", () => {
  it("occupies no worker, uses no attempt, and continues with the signal's payload", async () => {
    await workerOver(
      database.url,
      {
        "t.ts": task(`
          await step.run("before", () => note("before"));
          const approval = await step.waitFor("approval", { timeout: "1d" });
          await note("after");
          return { approval, attempts: job.attempts };`),
        "other.ts": `import { defineTask } from "legwork"; export default defineTask({ run: () => {} });`,
      },
      { concurrency: 1, localQueueSize: 0 },
    );
    const id = await add();
    await reaches(id, "blocked");
    const { rows } = await database.pool.query("select id from graphile_worker.add_job('other')");
    await reaches(rows[0].id, "completed");
    const shown = await legwork(["job", id], { DATABASE_URL: database.url });
    expect(shown.stdout).toMatch(
      /Steps\n {4}before {2}completed {2}attempt 1 .*\n {4}approval {2}wait waiting {2}attempt 1 {2}until .* \(in (1 d|23 h)\)/,
    );
    const sent = Date.now();
    await sendSignal(database.pool, id, "approval", { by: "ada" });
    const job = await reaches(id, "completed");
    expect(job).toMatchObject({ attempts: 1, error: null, result: { approval: { by: "ada" }, attempts: 1 } });
    expect(job.started_at!.getTime() - sent).toBeLessThan(800);
    expect(await did(id)).toEqual(["before", "after"]);
    expect((await database.pool.query("select from legwork_private.failed_attempts")).rows).toEqual([]);
  });

  it("throws a SignalTimeout if no signal arrives, in that attempt and in every later one", async () => {
    await workerOver(database.url, {
      "t.ts": task(`
        try { await step.waitFor("go", { timeout: 100 }); }
        catch (error) {
          if (!(error instanceof SignalTimeout)) throw error;
          await note(error.message);
          if (job.attempts < 2) throw new Error("again");
          return "none came";
        }`),
    });
    const id = await add();
    expect(await reaches(id, "completed")).toMatchObject({ attempts: 2, result: "none came" });
    expect(await did(id)).toEqual(["The signal 'go' did not arrive in time.", "The signal 'go' did not arrive in time."]);
    expect(await steps(id)).toMatchObject({ go: { state: "timed_out" } });
  });

  it("fails the job at once if its task does not catch the SignalTimeout, and waits again when the job is retried manually", async () => {
    await workerOver(database.url, { "t.ts": task(`return await step.waitFor("go", { timeout: 50 });`) });
    const id = await add();
    expect(await reaches(id, "failed")).toMatchObject({ attempts: 1, error: "The signal 'go' did not arrive in time." });
    await database.pool.query("select legwork.retry_job($1)", [id]);
    await sendSignal(database.pool, id, "go", "late");
    expect(await reaches(id, "completed")).toMatchObject({ result: "late" });
  });

  it("ends the attempt even if its task swallows the exception, and no other step is started", async () => {
    await workerOver(database.url, {
      "t.ts": task(`
        let sent;
        try { sent = await step.waitFor("go"); } catch { await note("caught"); }
        try { await step.run("after", () => note("after")); } catch (error) { throw new Error("wrapped", { cause: error }); }
        return sent;`),
    });
    const id = await add();
    await reaches(id, "blocked");
    expect(await did(id)).toEqual(["caught"]);
    await sendSignal(database.pool, id, "go", 1);
    expect(await reaches(id, "completed")).toMatchObject({ attempts: 1, result: 1 });
    expect(await did(id)).toEqual(["caught", "after"]);
  });

  it("suspends the job even if a concurrent step fails, and that step runs again when the signal has arrived", async () => {
    await workerOver(database.url, {
      "t.ts": task(
        `await Promise.all([step.waitFor("go"), step.run("bad", async () => { await gate("bad"); throw new Error("bad"); })]);`,
        `retry: { attempts: 1 },`,
      ),
    });
    const id = await add();
    await until("the job waits", async () => (await steps(id)).go !== undefined);
    await open("bad");
    await reaches(id, "blocked");
    await sendSignal(database.pool, id, "go");
    expect(await reaches(id, "failed")).toMatchObject({ error: "bad", attempts: 1 });
  });

  it("may lose a race against a step, and the job continues with the step's result", async () => {
    await workerOver(database.url, {
      "t.ts": task(`
        const first = await Promise.race([step.waitFor("go", { timeout: "2h" }), step.run("fast", async () => { await gate("fast"); return "fast"; })]);
        await step.run("after", () => note("after " + first));
        await step.run("last", () => note("last"));
        return first;`),
    });
    const id = await add();
    await until("the job waits", async () => (await steps(id)).go?.state === "waiting");
    await open("fast");
    expect(await reaches(id, "completed")).toMatchObject({ result: "fast", attempts: 1 });
    expect(await did(id)).toEqual(["after fast", "last"]);
  });

  it("may race against another wait, and the first signal wins", async () => {
    await workerOver(database.url, {
      "t.ts": task(`
        const yes = step.waitFor("approve").then(() => "approved");
        const no = step.waitFor("reject").then(() => "rejected");
        const decision = await Promise.race([yes, no]);
        await step.run("tell", () => note(decision));
        return decision;`),
    });
    const [one, other] = [await add(), await add()];
    for (const id of [one, other]) await reaches(id, "blocked");
    await sendSignal(database.pool, one, "approve");
    await sendSignal(database.pool, other, "reject");
    expect(await reaches(one, "completed")).toMatchObject({ result: "approved" });
    expect(await reaches(other, "completed")).toMatchObject({ result: "rejected" });
    expect([await did(one), await did(other)]).toEqual([["approved"], ["rejected"]]);
  });

  it("for several signals ends when all of them have arrived", async () => {
    await workerOver(database.url, {
      "t.ts": task(`return await Promise.all([step.waitFor("a"), step.waitFor("b")]);`),
    });
    const id = await add();
    await reaches(id, "blocked");
    await sendSignal(database.pool, id, "b", 2);
    await until(
      "the job waits again",
      async () => (await steps(id)).b?.state === "completed" && (await getJob(database.pool, id)).state === "blocked",
    );
    await sendSignal(database.pool, id, "a", 1);
    expect(await reaches(id, "completed")).toMatchObject({ result: [1, 2], attempts: 1 });
  });

  it("does not lose any of a thousand signals that arrive at any moment", async () => {
    await workerOver(database.url, { "t.ts": task(`return await step.waitFor("go");`) }, { concurrency: 10, localQueueSize: 50 });
    const { rows } = await database.pool.query("select (graphile_worker.add_job('t')).id from generate_series(1, 1000)");
    for (let at = 0; at < rows.length; at += 20) {
      await Promise.all(rows.slice(at, at + 20).map(({ id }) => sendSignal(database.pool, id, "go", Number(id))));
    }
    await until("all jobs have completed", async () => {
      const done = await database.pool.query(
        "select from legwork_private.finished_jobs where state = 'completed' and result = to_jsonb(id)",
      );
      return done.rows.length === 1000;
    });
  });
});

it("a job that sleeps is returned to the queue, and continues when the time has passed", async () => {
  await workerOver(database.url, {
    "t.ts": task(`
      const before = await step.run("before", () => Date.now());
      await step.sleep("nap", "500ms");
      await note("awake " + job.attempts);
      return Date.now() - before;`),
  });
  const id = await add();
  await reaches(id, "scheduled");
  const { result } = await reaches(id, "completed");
  expect(result).toBeGreaterThanOrEqual(500);
  expect(await did(id)).toEqual(["awake 1"]);
  expect(await steps(id)).toMatchObject({ nap: { kind: "sleep", state: "completed" } });
});
