import { AssertionError } from "node:assert";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { z } from "zod";
import { defineTask, Discard, RetryAfter, Snooze } from "../../src/index.ts";
import { limitConcurrency, pauseTask, schedule, sendSignal } from "../../src/operations.ts";
import { openTestKit, type TestKit } from "../../src/testing.ts";
import { testDatabase } from "../support/database.ts";
import { directoryOf, workerOver } from "../support/worker.ts";

const database = testDatabase();
let kit: TestKit;
const ran: string[] = [];

const TASKS = {
  "notify/email": defineTask({
    payload: z.object({ to: z.string() }),
    result: z.object({ sent: z.string() }),
    redact: ["to"],
    run: ({ to }, { log }) => {
      log.info("Sent.");
      ran.push(to);
      return { sent: `mail to ${to}` };
    },
  }),
  order: defineTask({
    run: async (_payload, { enqueue, job }) => {
      ran.push("order");
      await enqueue("notify/email", { to: "ada" });
      await enqueue("notify/email", { to: "bob" }, { runAt: new Date(Date.now() + 3_600_000) });
      return job.id;
    },
  }),
  flaky: defineTask({
    retry: { attempts: 3, backoff: "exponential", delay: "10m" },
    run: (_payload, { job }) => {
      ran.push(`flaky ${job.attempts}`);
      if (job.attempts < 3) throw new Error(`refused ${job.attempts}`);
    },
  }),
  verdict: defineTask({
    run: (payload) => {
      const { what } = payload as { what: string };
      throw what === "discard" ? new Discard("gone") : what === "snooze" ? new Snooze("1h") : new RetryAfter("2h", "later");
    },
  }),
  approval: defineTask({
    run: async (_payload, { step }) => {
      await step.run("before", () => ran.push("before"));
      await step.sleep("nap", "1d");
      return await step.waitFor("approval", { timeout: "2d" });
    },
  }),
  endless: defineTask({ run: async (_payload, { enqueue }) => void (await enqueue("endless")) }),
  plain: async (payload: unknown) => {
    ran.push(`plain ${JSON.stringify(payload)}`);
  },
};

beforeAll(async () => {
  kit = await openTestKit({ databaseUrl: database.url, tasks: TASKS });
});

afterEach(async () => {
  ran.length = 0;
  await kit.clear();
});

afterAll(() => kit.close());

describe("runTask", () => {
  it("runs one task as a worker does, records the history, and resolves to the job", async () => {
    const job = await kit.runTask("notify/email", { to: "ada@b.c" });
    expect(job).toMatchObject({
      task: "notify/email",
      state: "completed",
      attempts: 1,
      result: { sent: "mail to [redacted]" },
      payload: { to: "[redacted]" },
    });
    expect(job.finished_at!.getTime() - job.started_at!.getTime()).toBeLessThan(5_000);
    expect(ran).toEqual(["ada@b.c"]);
  });

  it("throws the task's error, and the job is in the same state as after a real attempt", async () => {
    await expect(kit.runTask("flaky")).rejects.toThrow(/^refused 1$/);
    await expect(kit.runTask("verdict", { what: "discard" })).rejects.toBeInstanceOf(Discard);
    expect(await kit.enqueued()).toMatchObject([{ task: "flaky", state: "retrying", attempts: 1, error: "refused 1" }]);
  });

  it("validates a payload as enqueueing does", async () => {
    await expect(kit.runTask("notify/email", { to: 7 })).rejects.toMatchObject({ code: "LW422" });
    await expect(kit.runTask("notify/emial")).rejects.toMatchObject({ code: "LW404" });
  });

  it("does not run other jobs, and runs a job even before its start time", async () => {
    await kit.enqueue("plain", { n: 1 });
    await kit.runTask("plain", { n: 2 }, { runAt: new Date(Date.now() + 86_400_000) });
    expect(ran).toEqual(['plain {"n":2}']);
    expect(await kit.enqueued({ task: "plain" })).toMatchObject([{ payload: { n: 1 }, state: "pending" }]);
  });

  it("throws an error with the reason if a pause or limit prevents the job from starting", async () => {
    await pauseTask(kit.pool, "plain", "not today");
    await expect(kit.runTask("plain")).rejects.toMatchObject({ code: "LW409", message: expect.stringContaining("not today") });
    await kit.clear();
    expect(await kit.runTask("plain")).toMatchObject({ state: "completed" });
  });

  it("resolves to the job when it is postponed or starts waiting", async () => {
    expect(await kit.runTask("verdict", { what: "snooze" })).toMatchObject({ state: "scheduled", attempts: 0 });
    expect(await kit.runTask("approval")).toMatchObject({ state: "scheduled", attempts: 0 });
    expect(ran).toEqual(["before"]);
  });
});

describe("runJob", () => {
  it("runs one attempt of a job per call, however the attempt ends", async () => {
    const id = await kit.enqueue("flaky");
    expect(await kit.runJob(id)).toMatchObject({ state: "retrying", attempts: 1 });
    expect(await kit.runJob(id)).toMatchObject({ state: "retrying", attempts: 2 });
    expect(await kit.runJob(id)).toMatchObject({ state: "completed", attempts: 3 });
    await expect(kit.runJob(id)).rejects.toMatchObject({ code: "LW409", message: expect.stringContaining("It completed at") });
    await expect(kit.runJob("999999")).rejects.toMatchObject({ code: "LW404" });
  });
});

describe("drain", () => {
  it("runs due jobs and the jobs that they enqueue, and leaves later jobs alone", async () => {
    await kit.enqueue("order");
    expect((await kit.drain()).map(({ task, state }) => `${task} ${state}`)).toEqual([
      "order completed",
      "notify/email completed",
    ]);
    expect(ran).toEqual(["order", "ada"]);
    expect(await kit.enqueued()).toMatchObject([{ task: "notify/email", state: "scheduled" }]);
    expect(await kit.drain()).toEqual([]);
  });

  it("with a later time runs all jobs in the order in which they become due", async () => {
    await kit.enqueue("order");
    await kit.enqueue("flaky");
    const jobs = await kit.drain({ at: "2h" });
    // The second attempt is due after 10 minutes, the third another 20 minutes later, and the mail after an hour.
    expect(ran).toEqual(["order", "flaky 1", "ada", "flaky 2", "flaky 3", "bob"]);
    expect(jobs.map(({ state }) => state)).toEqual(["completed", "completed", "completed", "completed"]);
  });

  it("runs no jobs that are due after the given time", async () => {
    await kit.enqueue("flaky");
    await kit.drain({ at: new Date(Date.now() + 15 * 60_000) });
    expect(ran).toEqual(["flaky 1", "flaky 2"]);
    await kit.advance("14m");
    await kit.drain();
    expect(ran).toHaveLength(2);
    await kit.advance("2m");
    await kit.drain();
    expect(ran).toHaveLength(3);
  });

  it("respects priorities, serial keys and limits", async () => {
    await limitConcurrency(kit.pool, 1, { task: "plain" });
    for (const n of [1, 2, 3]) await kit.enqueue("plain", { n }, { priority: -n, serialKey: "s" });
    await kit.drain();
    // The first job had taken its slot before the others were enqueued.
    expect(ran).toEqual(['plain {"n":1}', 'plain {"n":3}', 'plain {"n":2}']);
    expect((await kit.pool.query("select * from legwork.reconcile()")).rows).toEqual([]);
    await kit.pool.query("select legwork.drop_limit('concurrency', task => 'plain')");
  });

  it("advances past the window of a rate limit", async () => {
    await kit.pool.query("select legwork.limit_rate(1, '1 hour', task => 'plain')");
    for (const n of [1, 2, 3]) await kit.enqueue("plain", { n });
    await kit.drain();
    expect(ran).toHaveLength(1);
    await kit.drain({ at: "90m" });
    expect(ran).toHaveLength(2);
    await kit.drain({ at: "31m" });
    expect(ran).toHaveLength(3);
    await kit.pool.query("select legwork.drop_limit('rate', task => 'plain')");
  });

  it("lets jobs expire", async () => {
    await pauseTask(kit.pool, "plain");
    const id = await kit.enqueue("plain", {}, { expiresAt: new Date(Date.now() + 60_000) });
    await kit.drain({ at: "50s" });
    expect(await kit.job(id)).toMatchObject({ state: "paused" });
    await kit.drain({ at: "11s" });
    expect(await kit.job(id)).toMatchObject({ state: "expired" });
  });

  it("continues jobs whose steps sleep or wait for a signal", async () => {
    const id = await kit.enqueue("approval");
    await kit.drain({ at: "25h" });
    expect(await kit.job(id)).toMatchObject({ state: "blocked" });
    await sendSignal(kit.pool, id, "approval", { by: "ada" });
    await kit.drain();
    expect(await kit.job(id)).toMatchObject({ state: "completed", result: { by: "ada" }, attempts: 1 });
    expect(ran).toEqual(["before"]);
    const other = await kit.enqueue("approval");
    await kit.drain({ at: "4d" });
    expect(await kit.job(other)).toMatchObject({ state: "failed", error: "The signal 'approval' did not arrive in time." });
  });

  it("stops at its limit of jobs", async () => {
    await kit.enqueue("endless");
    await expect(kit.drain({ limit: 20 })).rejects.toMatchObject({ code: "LW429" });
    expect(await kit.enqueued({ task: "endless" })).toHaveLength(1);
  });

  it("rejects a time in the past", async () => {
    await expect(kit.drain({ at: new Date(0) })).rejects.toMatchObject({ code: "LW400" });
    await expect(kit.advance("yesterday")).rejects.toMatchObject({ code: "LW400" });
  });
});

describe("enqueued and assertEnqueued", () => {
  it("find jobs by task, part of the payload and context", async () => {
    await kit.enqueue("notify/email", { to: "ada" }, { tenant: "acme", jobKey: "k" });
    await kit.enqueue("plain", { user: { id: 7, name: "ada" }, list: [1, 2] });
    expect(await kit.enqueued({ task: "plain", payload: { user: { id: 7 } } })).toHaveLength(1);
    expect(await kit.enqueued({ payload: { user: { id: 8 } } })).toEqual([]);
    // A redacted value can be searched for, but is not shown.
    expect(await kit.assertEnqueued({ payload: { to: "ada" }, tenant: "acme", jobKey: "k" }, { count: 1 })).toMatchObject([
      { payload: { to: "[redacted]" } },
    ]);
    await kit.assertEnqueued({ task: "order" }, { count: 0 });
  });

  it("list the enqueued jobs if the expected one is missing", async () => {
    await expect(kit.assertEnqueued({ task: "order" })).rejects.toThrow(
      /^Expected a job like \{"task":"order"\}, found 0\. No jobs are enqueued\.$/,
    );
    const id = await kit.enqueue("plain", { n: 1 });
    const error = await kit.assertEnqueued({ task: "plain" }, { count: 2 }).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(AssertionError);
    expect(error).toMatchObject({
      message: `Expected 2 jobs like {"task":"plain"}, found 1. Enqueued jobs:\n  ${id} plain pending {"n":1}`,
      actual: 1,
      expected: 2,
    });
  });
});

it("clear deletes all jobs, all history and all pauses", async () => {
  await kit.runTask("notify/email", { to: "ada" });
  await kit.enqueue("plain");
  await pauseTask(kit.pool, "plain");
  await kit.clear();
  const { rows } = await kit.pool.query(
    "select (select count(*) from legwork.jobs) + (select count(*) from legwork.logs) + (select count(*) from legwork_private.pauses) as left",
  );
  expect(rows).toEqual([{ left: "0" }]);
});

it("a test kit accepts directories of task files, and rejects an invalid task", async () => {
  const directory = await directoryOf({
    "hello.ts": `import { defineTask } from "legwork"; export default defineTask({ run: () => "hello" });`,
  });
  const own = await openTestKit({ databaseUrl: database.url, tasks: [directory] });
  expect(await own.runTask("hello")).toMatchObject({ result: "hello" });
  await own.close();
  await expect(openTestKit({ databaseUrl: database.url, tasks: { wrong: 7 as never } })).rejects.toMatchObject({ code: "LW515" });
});

it("a test kit refuses to work next to a live worker", async () => {
  const worker = await workerOver(database.url, {
    "other.ts": `import { defineTask } from "legwork"; export default defineTask({ run: () => {} });`,
  });
  await expect.poll(async () => (await kit.pool.query("select from legwork.workers")).rows.length).toBe(1);
  await expect(openTestKit({ databaseUrl: database.url, tasks: {} })).rejects.toMatchObject({ code: "LW409" });
  await worker.stop();
});

describe("fireSchedules", () => {
  it("fires due schedules one occurrence after another, and then the schedules that waited for them", async () => {
    const start = new Date("2026-01-01T00:00:30Z");
    const asOf = { asOf: start };
    await schedule(kit.pool, "nightly", "notify/email", { cron: "0 1 * * *", payload: { to: "ada" }, ...asOf });
    await schedule(kit.pool, "after", "plain", { cron: "0 1 * * *", requires: { nightly: "1h" }, ...asOf });
    expect(await kit.fireSchedules(new Date("2026-01-01T00:59:59Z"))).toEqual([]);
    const ran = await kit.fireSchedules(new Date("2026-01-01T01:00:00Z"));
    expect(ran.map(({ task, state }) => `${task} ${state}`)).toEqual(["notify/email completed", "plain completed"]);
    expect(await kit.fireSchedules(new Date("2026-01-01T01:00:00Z"))).toEqual([]);
    const { rows } = await kit.pool.query("select next_at from legwork.schedules where name = 'nightly'");
    expect(rows).toEqual([{ next_at: new Date("2026-01-02T01:00:00Z") }]);
    await expect(kit.fireSchedules(new Date(Date.now() + 60_000))).rejects.toMatchObject({ code: "LW400" });
    await kit.pool.query("select legwork.unschedule(name) from legwork.schedules where source = 'database'");
  });
});
