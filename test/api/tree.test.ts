import { beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { z } from "zod";
import { createLegwork, type Legwork } from "../../src/embed.ts";
import { defineTask } from "../../src/jobs/define-task.ts";
import { defineWorkflow } from "../../src/workflows/define-workflow.ts";
import { testDatabase, testLog } from "../support/database.ts";

const database = testDatabase();
let legwork: Legwork;

const welcome = defineTask({
  name: "notify/welcome",
  payload: z.object({ user_id: z.number().refine((id) => id > 0, "must be above 0"), at: z.coerce.date().optional() }),
  run: () => {},
});

beforeAll(async () => {
  legwork = await createLegwork({ databaseUrl: database.url, log: testLog });
  await database.pool.query(`select legwork_private.register_tasks('[{"name": "a", "queue": "q"}, {"name": "notify/welcome"}]')`);
  return () => legwork.stop();
});

describe("rows", () => {
  it("have columns in camelCase, and keep user data unchanged", async () => {
    const payload = { user_id: 3, nested_value: { first_name: "Ann" } };
    const id = await legwork.jobs.enqueue("a", payload, { correlationId: "c", jobKey: "k" });
    const [listed] = await legwork.jobs.list({ correlationId: "c" });
    expect(listed).toMatchObject({ id, jobKey: "k", correlationId: "c", maxAttempts: 25, payload, createdAt: expect.any(Date) });
    expect(await legwork.jobs.get(id)).toMatchObject({ id, payload, attemptList: [], schedule: null, scheduleDueAt: null });
  });

  it("are in camelCase in every list of the tree", async () => {
    await legwork.jobs.enqueue("a");
    const failed = await legwork.jobs.enqueue("a");
    await database.pool.query("select graphile_worker.permanently_fail_jobs(array[$1::bigint])", [failed]);
    await database.pool.query(
      "insert into legwork_private.job_logs (job_id, attempt, logged_at, level, message) values ($1, 1, now(), 'info', 'x')",
      [failed],
    );
    await legwork.jobs.rerun(failed);
    await legwork.queues.setRetryPolicy("q", { attempts: 5, backoff: "fixed", maxDelay: "1h", on: ["ECONNREFUSED"] });
    await legwork.limits.setConcurrency(2, { task: "a" });
    await legwork.schedules.set("s", "a", { cron: "0 6 * * *", payload: { first_name: "Ann" } });
    await legwork.schedules.run("s");
    const workflow = await legwork.workflows.start(defineWorkflow({ name: "w", steps: { one: { task: "a" } } }));
    await legwork.batches.enqueue([{ task: "a" }]);
    await legwork.alerts.silence("1h");
    await legwork.bulkActions.start("retry", { task: "a" });
    await legwork.tokens.create({ name: "t" });
    const listings: Record<string, object[]> = {
      jobs: await legwork.jobs.list(),
      logs: await legwork.jobs.logs(failed),
      reruns: await legwork.jobs.reruns(failed),
      failedGroups: await legwork.jobs.failedGroups(),
      queues: await legwork.queues.list(),
      tasks: await legwork.tasks.list(),
      limits: await legwork.limits.usage({ task: "a" }),
      schedules: await legwork.schedules.list(),
      scheduleRuns: await legwork.schedules.runs("s"),
      workflows: await legwork.workflows.list(),
      steps: (await legwork.workflows.get(workflow)).steps,
      batches: await legwork.batches.list(),
      rules: await legwork.alerts.rules.list(),
      bulkActions: await legwork.bulkActions.list(),
      silences: await legwork.alerts.silences(),
      tokens: await legwork.tokens.list(),
      audit: await legwork.audit.list(),
      overview: [await legwork.overview()],
    };
    for (const [name, rows] of Object.entries(listings)) {
      expect([name, rows.length]).not.toEqual([name, 0]);
      const columns = new Set(rows.flatMap((row) => Object.keys(row)));
      expect([name, [...columns].filter((column) => column.includes("_"))]).toEqual([name, []]);
    }
    expect((await legwork.queues.get("q")).retry).toMatchObject({ attempts: 5, maxDelay: "01:00:00", on: ["ECONNREFUSED"] });
    expect((await legwork.schedules.get("s")).payload).toEqual({ first_name: "Ann" });
  });
});

describe("with(client)", () => {
  it("uses the client's transaction in every branch of the tree", async () => {
    const client = await database.pool.connect();
    onTestFinished(() => client.release());
    await client.query("begin");
    const mine = legwork.with(client);
    const id = await mine.jobs.enqueue("a");
    await mine.queues.pause("q");
    await mine.schedules.set("undone", "a", { every: "1h" });
    expect((await mine.jobs.get(id)).state).toBe("paused");
    await expect(legwork.jobs.get(id)).rejects.toMatchObject({ code: "LW404" });
    await client.query("rollback");
    expect((await legwork.queues.get("q")).pausedAt).toBeNull();
    await expect(legwork.schedules.get("undone")).rejects.toMatchObject({ code: "LW404" });
    await expect(legwork.jobs.get(id)).rejects.toMatchObject({ code: "LW404" });
  });
});

describe("a task with a name", () => {
  it("can be enqueued with its own method and through the tree", async () => {
    const own = await welcome.enqueue(database.pool, { user_id: 3 }, { priority: -1 });
    const byTree = await legwork.jobs.enqueue(welcome, { user_id: 4, at: new Date(0) });
    expect(await legwork.jobs.get(own)).toMatchObject({ task: "notify/welcome", priority: -1, payload: { user_id: 3 } });
    expect((await legwork.jobs.get(byTree)).payload).toEqual({ user_id: 4, at: "1970-01-01T00:00:00.000Z" });
  });

  it("validates a payload against its definition, including rules that JSON Schema cannot express", async () => {
    for (const enqueue of [
      () => welcome.enqueue(database.pool, { user_id: -1 }),
      () => legwork.jobs.enqueue(welcome, { user_id: -1 }),
    ]) {
      await expect(enqueue()).rejects.toMatchObject({
        code: "LW422",
        message: "The payload does not match task 'notify/welcome': user_id: must be above 0.",
      });
    }
  });

  it("has a method to enqueue it, which a task without a name does not have", async () => {
    const nameless = defineTask({ run: () => {} });
    expect("enqueue" in nameless).toBe(false);
    await expect(legwork.jobs.enqueue(nameless as never)).rejects.toMatchObject({ code: "LW515" });
  });
});

it("migrate can be called if createLegwork was configured not to migrate", async () => {
  const unmigrated = await createLegwork({ databaseUrl: database.url, log: testLog, migrate: false });
  onTestFinished(() => unmigrated.stop());
  expect((await unmigrated.migrate()).applied).toEqual([]);
});

it("a URL at which no database server responds fails with LW503, even without migrating", async () => {
  const databaseUrl = "postgres://user@127.0.0.1:1/nothing";
  await expect(createLegwork({ databaseUrl, log: testLog, migrate: false })).rejects.toMatchObject({ code: "LW503" });
});

it("the tree of a connection has every operation, but nothing that belongs to the process", () => {
  const ofProcess = new Set(["with", "migrate", "pool", "url", "taskNames", "handler", "upgrade", "fastify", "events", "stop"]);
  const tree = Object.keys(legwork).filter((name) => !ofProcess.has(name));
  expect(Object.keys(legwork.with(database.pool)).toSorted()).toEqual(tree.toSorted());
});
