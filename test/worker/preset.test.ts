import { EventEmitter } from "node:events";
import { mkdir, readFile, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Logger, WorkerPreset } from "graphile-worker";
import { beforeEach, describe, expect, it, onTestFinished, vi } from "vitest";
import { createLegwork } from "../../src/embed.ts";
import { getJob } from "../../src/jobs/read-jobs.ts";
import { assertStatements, recordStatements } from "../../src/worker/graphile/known-statements.ts";
import { WorkerConfig } from "../../src/worker/graphile/preset.ts";
import { legwork } from "../support/cli.ts";
import { testDatabase, testLog } from "../support/database.ts";
import { plainJobs } from "../support/plain-jobs.ts";
import { directoryOf, workerOver } from "../support/worker.ts";

const database = testDatabase();
const { add, ended } = plainJobs(database);

beforeEach(async () => {
  await database.pool.query("delete from graphile_worker._private_jobs");
});

const ONE = { "one.mjs": "export default async () => 1;" };

describe("graphile.config.ts", () => {
  it("is used by `legwork worker`, with flags taking precedence, and with --once the worker runs what is ready and exits", async () => {
    const directory = await directoryOf({
      "graphile.config.ts": `
        import { writeFileSync } from "node:fs";
        import { WorkerPreset } from "graphile-worker";
        const preset: GraphileConfig.Preset = {
          extends: [WorkerPreset],
          plugins: [{ name: "P", version: "1.0.0", worker: {
            middleware: { init(next) { writeFileSync("init", "x", { flag: "a" }); return next(); } },
            hooks: { startWorker() { writeFileSync("started", "x", { flag: "a" }); } } } }],
          worker: {
            connectionString: ${JSON.stringify(database.url)}, taskDirectory: "./jobs", concurrentJobs: 2, maxPoolSize: 4, pollInterval: 300,
          },
        };
        export default preset;`,
      "jobs/first.mjs": `export default async (_payload, { addJob }) => { await addJob("second"); };`,
      "jobs/second.mjs": "export default async () => 2;",
      "graphile.other.mjs": `export default { worker: { schema: "jobs_schema" } };`,
      "graphile.unprepared.mjs": "export default { worker: { preparedStatements: false } };",
      "graphile.broken.mjs": "export default {",
    });
    // In this directory, graphile-worker can be imported, as in any project that uses it.
    await mkdir(join(directory, "node_modules"));
    await writeFile(join(directory, "package.json"), "{}");
    await symlink(join(process.cwd(), "node_modules/graphile-worker"), join(directory, "node_modules/graphile-worker"));
    const first = await add("first");
    const later = await add("second", {}, ", run_at => now() + interval '1 hour'");
    const { code, stderr } = await legwork(["worker", "--once"], { LEGWORK_LOG_LEVEL: "info" }, "", directory);
    expect({ code, stderr }).toMatchObject({ code: 0, stderr: expect.stringContaining('"concurrency":2') });
    const { rows } = await database.pool.query("select state, result from legwork.jobs where id >= $1 order by id", [first]);
    expect(rows).toEqual([
      { state: "completed", result: null },
      { state: "scheduled", result: null },
      { state: "completed", result: 2 },
    ]);
    expect(await getJob(database.pool, later)).toMatchObject({ state: "scheduled" });
    expect(await readFile(join(directory, "init"), "utf8")).toBe("x");
    expect(await readFile(join(directory, "started"), "utf8")).toBe("xx");

    const refusals = await Promise.all(
      ["other", "unprepared", "broken"].map(
        async (name) =>
          await legwork(["worker", "-C", `graphile.${name}.mjs`, "--once"], { DATABASE_URL: database.url }, "", directory),
      ),
    );
    for (const refusal of refusals) expect(refusal).toMatchObject({ code: 2, stderr: expect.stringContaining("(LW514)") });
    expect(refusals.map(({ stderr }) => stderr)).toEqual([
      expect.stringContaining("worker.schema is 'jobs_schema', but Legwork supports only the schema graphile_worker"),
      expect.stringContaining("worker.preparedStatements is false"),
      expect.stringContaining("graphile.broken.mjs cannot be read"),
    ]);
  });
});

describe("a preset", () => {
  it("provides its events, its logger, its plugins and its task loaders, each initialized once", async () => {
    const events = new EventEmitter();
    const heard: string[] = [];
    for (const event of ["pool:create", "job:start", "job:success", "pool:gracefulShutdown"]) {
      events.on(event, () => heard.push(event));
    }
    const calls: string[] = [];
    const lines: string[] = [];
    const plugin: GraphileConfig.Plugin = {
      name: "Odd",
      version: "1.0.0",
      worker: {
        middleware: {
          init(next, { ctx }) {
            calls.push("init");
            ctx.events.on("job:success", () => calls.push("success"));
            return next();
          },
        },
        hooks: {
          loadTaskFromFiles(_context, details) {
            if (details.fileDetailsList.some(({ extension }) => extension === ".odd"))
              details.handler = async (_payload, { logger }) => logger.info("odd indeed");
          },
          startWorker: () => void calls.push("startWorker"),
        },
      },
    };
    const preset: GraphileConfig.Preset = {
      extends: [WorkerPreset, { plugins: [plugin] }],
      worker: { events, logger: new Logger(() => (_level, message) => void lines.push(message)) },
    };
    const directories = [await directoryOf({ "strange.odd": "", ...ONE }), await directoryOf({ "two.mjs": ONE["one.mjs"] })];
    const app = await createLegwork({
      databaseUrl: database.url,
      tasks: directories,
      concurrency: 1,
      migrate: false,
      log: testLog,
      worker: { preset },
    });
    onTestFinished(() => app.stop());
    expect(app.taskNames.toSorted()).toEqual(["one", "strange", "two"]);
    expect(await ended(await add("strange"))).toMatchObject({ state: "completed" });
    await app.stop();
    expect(heard).toEqual(["pool:create", "job:start", "job:success", "pool:gracefulShutdown"]);
    expect(calls).toEqual(["init", "startWorker", "success"]);
    expect(lines).toContain("odd indeed");
  });

  it("contributes only settings that it contains itself, and never a command's connection, directory or concurrency", () => {
    const config = (worker: GraphileConfig.WorkerOptions): WorkerConfig =>
      new WorkerConfig({ extends: [WorkerPreset, { worker: { pollInterval: 5 } }], worker }, "graphile.config");
    expect(config({}).settings).toEqual({});
    expect(config({}).options).toEqual({ pollInterval: 5 });
    const all = {
      connectionString: "postgres://x/y",
      taskDirectory: "a",
      crontabFile: "b",
      concurrentJobs: 3,
      localQueue: { size: -1 },
    };
    expect(config(all).settings).toEqual({
      databaseUrl: "postgres://x/y",
      tasks: ["a"],
      crontab: "b",
      concurrency: 3,
      localQueueSize: 0,
    });
    expect(config({ gracefulShutdownAbortTimeout: 40_000 }).settings).toEqual({ shutdownTimeout: 50_000 });
    expect(config({ schema: "graphile_worker", preparedStatements: true }).settings).toEqual({});
  });

  it("with useNodeTime uses the worker's clock to decide which jobs are due, but records start times by the database's clock", async () => {
    vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + 3_600_000 });
    onTestFinished(() => void vi.useRealTimers());
    await workerOver(database.url, ONE, { preset: new WorkerConfig({ worker: { useNodeTime: true } }, "preset") });
    const job = await ended(await add("one", {}, ", run_at => now() + interval '50 minutes'"));
    expect(job).toMatchObject({ state: "completed" });
    const { rows } = await database.pool.query("select $1::timestamptz < now() + interval '1 minute' as is_now", [
      job.started_at,
    ]);
    expect(rows).toEqual([{ is_now: true }]);
  });
});

it("an environment variable with another schema is rejected", async () => {
  vi.stubEnv("GRAPHILE_WORKER_SCHEMA", "jobs_schema");
  onTestFinished(() => void vi.unstubAllEnvs());
  await expect(workerOver(database.url, ONE)).rejects.toMatchObject({
    code: "LW514",
    message: "GRAPHILE_WORKER_SCHEMA is 'jobs_schema', but Legwork supports only the schema graphile_worker.",
  });
});

describe("forbiddenFlags", () => {
  it.each([
    ["a list", ["slow"]],
    ["a function", async () => ["slow"]],
  ])("as %s prevent this worker from running jobs with one of those flags", async (_what, forbiddenFlags) => {
    await workerOver(database.url, ONE, { forbiddenFlags });
    const slow = await add("one", {}, ", flags => array['slow']");
    expect(await ended(await add("one", {}, ", flags => array['fast']"))).toMatchObject({ state: "completed", result: 1 });
    expect(await getJob(database.pool, slow)).toMatchObject({ state: "pending", attempts: 0 });
  });
});

describe("the statements of graphile-worker that Legwork rewrites", () => {
  it("match this version, and a changed or missing statement is rejected", async () => {
    const seen = new Map<string, string>();
    await recordStatements(seen);
    assertStatements(seen);
    const text = seen.get("complete_jobs") ?? "";
    expect(() => assertStatements(new Map([...seen, ["complete_jobs", text.replace("where id = n", "where id <> n")]]))).toThrow(
      expect.objectContaining({
        code: "LW510",
        message: expect.stringContaining("statement 'complete_jobs', which Legwork's worker rewrites, is different"),
      }),
    );
    seen.delete("return_job");
    expect(() => assertStatements(seen)).toThrow(
      expect.objectContaining({ code: "LW510", hint: expect.stringContaining("npm install graphile-worker@0.18.0") }),
    );
  });
});
