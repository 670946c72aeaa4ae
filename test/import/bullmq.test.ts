import { readFile } from "node:fs/promises";
import { Redis } from "ioredis";
import { afterAll, beforeAll, expect, it } from "vitest";
import { type BullmqSource, openBullmq } from "../../src/import/bullmq/bullmq-source.ts";
import type { ImportReport } from "../../src/import/import-report.ts";
import { runImport } from "../../src/import/run-import.ts";
import type { ImportSource } from "../../src/import/source.ts";
import { legwork } from "../support/cli.ts";
import { testDatabase } from "../support/database.ts";
import { type RedisServer, startRedis } from "../support/redis.ts";

const database = testDatabase();
let server: RedisServer;
let redis: Redis;

beforeAll(async () => {
  server = await startRedis();
  redis = new Redis(server.url);
});

afterAll(async () => {
  redis.disconnect();
  await server.stop();
});

const MAPPING = {
  mail: "mail",
  "mail:receipt": { task: "notify/receipt", maxAttempts: 7 },
  paused: "paused",
  worked: "worked",
  reports: "reports",
};

/** Restores the keys that BullMQ itself has left in Redis (scripts/try-import.ts), and deletes the records of earlier imports. */
async function start(version: string): Promise<void> {
  await redis.flushall();
  const commands = JSON.parse(await readFile(new URL(`fixtures/bullmq-${version}.json`, import.meta.url), "utf8")) as [
    string,
    ...string[],
  ][];
  for (const [command, ...parameters] of commands) await redis.call(command, ...parameters);
  const names = ["mail", "notify/receipt", "paused", "worked", "reports"].map((name) => ({ name }));
  await database.pool.query("select legwork_private.register_tasks($1)", [JSON.stringify(names)]);
  await database.pool.query("select legwork.cancel_jobs('{}'), legwork.resume_task('paused')");
  await database.pool.query("delete from legwork_private.imported_jobs");
  await database.pool.query("select legwork.unschedule(name) from legwork.schedules");
}

async function importing(
  change: (source: BullmqSource) => Partial<ImportSource> = () => ({}),
  apply = true,
): Promise<ImportReport> {
  const source = await openBullmq(server.url, "bull", apply);
  const changed = change(source);
  const proxy = new Proxy<ImportSource>(source, {
    get: (target, name: keyof ImportSource) => {
      const value = changed[name] ?? target[name];
      return typeof value === "function" ? (value as () => unknown).bind(target) : value;
    },
  });
  try {
    return await runImport(database.pool, proxy, { mapping: MAPPING, apply });
  } finally {
    await source.close();
  }
}

/** The keys in Redis, except for those that the import itself uses and those of events. */
async function keys(): Promise<string[]> {
  return (await redis.keys("*")).filter((key) => !key.endsWith(":events") && !key.startsWith("bull:legwork-")).toSorted();
}

async function rows(text: string): Promise<Record<string, unknown>[]> {
  return (await database.pool.query(text)).rows;
}

const WAITING = "state in ('pending', 'scheduled', 'blocked', 'paused', 'retrying')";
const JOBS = `select split_part(correlation_id, ':', 2) as queue, task, state::text, priority, max_attempts as attempts, payload::text as payload, job_key
  from legwork.jobs where ${WAITING} order by id`;

it("the waiting jobs, flows and job schedulers of BullMQ 5 and 6 are previewed and imported once", async () => {
  for (const version of ["5", "6"]) {
    await start(version);
    const before = await keys();
    const preview = await importing(undefined, false);
    expect(await keys()).toEqual(before);
    expect(await redis.exists("bull:legwork-import")).toBe(0);
    const report = await importing();
    expect({ ...report, applied: false }).toEqual(preview);
    expect(report).toMatchObject({ from: "BullMQ", applied: true, jobs: 16, pausedTasks: ["paused"], unmapped: [] });
    expect(report.left.map(({ name, jobs, reason }) => [name, jobs, reason.slice(0, 20)])).toEqual([
      ["mail:part", 1, "A child of its flow "],
      ["mail:poll", 1, "Its job scheduler st"],
      ["reports:mixed", 1, "A child of its flow "],
    ]);
    const job = (queue: string, task: string, state: string, payload: string, more: object = {}) => ({
      queue,
      task,
      state,
      priority: 0,
      attempts: 1,
      payload,
      job_key: null,
      ...more,
    });
    expect(await rows(JOBS)).toEqual([
      // In the order in which BullMQ would run them.
      job("mail", "mail", "pending", '{"n": 4}'),
      job("mail", "mail", "pending", '{"to": "a@b.c", "emoji": "\u{1F600}", "amount": 0.1}'),
      job("mail", "mail", "pending", String.raw`{"to": "x'\"\\ ${"${7}"}"}`, { attempts: 5 }),
      job("mail", "mail", "pending", '{"n": 2}', { job_key: "mail:order-7" }),
      job("mail", "mail", "pending", '{"n": 3}', { job_key: "mail:u" }),
      // This job comes from a scheduler and is due.
      job("mail", "mail", "pending", '{"n": 1}'),
      job("mail", "notify/receipt", "pending", '"text"', { priority: 2, attempts: 7 }),
      job("mail", "notify/receipt", "pending", "[1, 2]", { priority: 10, attempts: 7 }),
      job("mail", "mail", "scheduled", '{"n": 1}', { attempts: 3 }),
      job("paused", "paused", "paused", '{"n": 1}'),
      job("worked", "worked", "scheduled", '{"n": 1}', { attempts: 2 }),
      expect.anything(),
      expect.anything(),
      expect.anything(),
      expect.anything(),
      job("reports", "reports", "blocked", '{"flow": 1}'),
    ]);
    const parts = (
      await rows(`select task, priority, payload::text from legwork.jobs where ${WAITING} and payload::jsonb ? 'part' order by 3`)
    ).map((row) => Object.values(row));
    expect(parts).toEqual([
      ["mail", 0, '{"part": 1}'],
      ["mail", 3, '{"part": 2}'],
      ["reports", 0, '{"part": 3}'],
      ["mail", 0, '{"part": 4}'],
    ]);
    const edges = await rows(
      "select c.payload::jsonb as child, p.payload::jsonb as parent from legwork_private.dependencies d join legwork.jobs c on c.id = d.depends_on join legwork.jobs p on p.id = d.job_id where p.state = 'blocked' order by 1",
    );
    expect(edges).toEqual([
      { child: { part: 1 }, parent: { flow: 1 } },
      { child: { part: 2 }, parent: { flow: 1 } },
      { child: { part: 3 }, parent: { flow: 1 } },
      { child: { part: 4 }, parent: { part: 3 } },
    ]);

    const legacy = {
      name: expect.stringMatching(/^mail:legacy:[\da-f]{8}$/),
      task: "mail",
      cron: "0 0 4 * * *",
      every: null,
      timezone: "UTC",
      max_runs: null,
      attempts: 1,
      payload: '{"old": true}',
    };
    expect(
      await rows(
        "select name, task, cron, every::text, timezone, max_runs, max_attempts as attempts, payload::text from legwork.schedules order by name",
      ),
    ).toEqual([
      ...(version === "5" ? [legacy] : []),
      {
        name: "mail:nightly",
        task: "mail",
        cron: "0 3 * * *",
        every: null,
        timezone: "Europe/Berlin",
        max_runs: 99,
        attempts: 4,
        payload: '{"all": true}',
      },
      {
        name: "mail:often",
        task: "mail",
        cron: null,
        every: "00:01:30",
        timezone: "UTC",
        max_runs: null,
        attempts: 1,
        payload: '{"n": 1}',
      },
    ]);
    expect(report.schedules.filter(({ obstacle }) => obstacle !== null)).toEqual([
      {
        from: "mail:too-often",
        name: "mail:too-often",
        task: "mail",
        when: "every 200ms",
        obstacle: "It runs every 200 ms; the shortest interval of a schedule is one second.",
      },
    ]);
    // Running and ended jobs, a flow with a running child and a scheduler that cannot be imported are unchanged. Nothing is left of the others.
    expect(
      (await keys())
        .filter((key) => !/:(?:id|meta|marker|pc)$/.test(key))
        .map((key) => key.replace(/[\da-f-]{36}/, "<uuid>").replace(/\d{13}/, "<time>"))
        .toSorted(),
    ).toEqual([
      "bull:mail:<uuid>",
      "bull:mail:repeat",
      "bull:mail:repeat:too-often",
      "bull:mail:repeat:too-often:<time>",
      "bull:mail:wait",
      "bull:reports:<uuid>",
      "bull:reports:<uuid>:dependencies",
      "bull:reports:waiting-children",
      "bull:worked:2",
      "bull:worked:2:lock",
      "bull:worked:3",
      "bull:worked:<uuid>",
      "bull:worked:<uuid>:lock",
      "bull:worked:active",
      "bull:worked:completed",
    ]);
    expect((await importing()).jobs).toBe(0);
    // If a custom id is used again, it belongs to another job.
    await redis.hset("bull:mail:order-7", { name: "custom", data: "{}", opts: "{}", timestamp: "1900000000000" });
    await redis.lpush("bull:mail:wait", "order-7");
    expect((await importing()).jobs).toBe(1);
  }
});

it("an import from BullMQ that is killed at any point is completed by the next one, and no job is lost or runs twice", async () => {
  await start("6");
  const killed = new Error("killed");
  const kill = () => Promise.reject(killed);
  const waiting = async () => (await rows(`select from legwork.jobs where ${WAITING}`)).length;

  // Killed after the jobs have been staged: BullMQ keeps the jobs, and runs one of them.
  await expect(importing(() => ({ take: kill }))).rejects.toThrow(killed);
  expect(await waiting()).toBe(0);
  expect(await rows("select from legwork_private.imported_jobs where imported_at is null")).not.toEqual([]);
  expect(await redis.rpoplpush("bull:mail:wait", "bull:mail:active")).toBe("8");

  // Killed after they have been taken: BullMQ no longer has them.
  const takenThenKilled = (source: BullmqSource): Partial<ImportSource> => ({
    take: async (units) => {
      await source.take(units);
      throw killed;
    },
  });
  await expect(importing(takenThenKilled)).rejects.toThrow(killed);
  expect(await waiting()).toBe(0);
  expect(await redis.hlen("bull:legwork-imported")).toBeGreaterThan(5);

  // Killed after they have been enqueued.
  await expect(importing(() => ({ settle: kill }))).rejects.toThrow(killed);
  const report = await importing();
  expect(report.left.map(({ name }) => name)).toEqual(["mail:part", "mail:poll", "reports:mixed"]);
  expect(await waiting()).toBe(15);
  expect(await rows("select from legwork_private.imported_jobs where imported_at is null")).toEqual([]);
  expect(await rows(`select count(distinct correlation_id)::int as n from legwork.jobs where ${WAITING}`)).toEqual([{ n: 15 }]);
  expect(await redis.exists("bull:legwork-imported")).toBe(0);
  expect((await rows("select name from legwork.schedules order by 1")).map((row) => row.name)).toEqual([
    "mail:nightly",
    "mail:often",
  ]);
});

it("jobs that BullMQ starts during the import and jobs that cannot be stored stay in BullMQ; mistakes are one message", async () => {
  await start("6");
  await redis.hset("bull:mail:1", "data", '{"text":"\\u0000"}');
  await redis.hset("bull:mail:2", "data", "{");
  const report = await importing((source) => ({
    take: async (units) => {
      await redis.lrem("bull:mail:wait", 1, "8");
      return await source.take(units);
    },
  }));
  expect(report.left.map(({ name, reason, examples }) => [name, reason.slice(0, 22), examples])).toEqual(
    expect.arrayContaining([
      ["mail:welcome", "Its payload is not JSO", ["2"]],
      ["mail:first", "It has been started or", ["8"]],
      ["mail:welcome", "It cannot be stored: u", ["1"]],
    ]),
  );
  // Jobs that were not taken are not enqueued.
  expect(
    await rows(`select correlation_id from legwork.jobs where ${WAITING} and correlation_id ~ '^bullmq:mail:[128]:'`),
  ).toEqual([]);
  expect(await redis.lrange("bull:mail:wait", 0, -1)).toEqual(expect.arrayContaining(["1", "2"]));

  const run = (...more: string[]) =>
    legwork(["import", "bullmq", ...more], { DATABASE_URL: database.url, REDIS_URL: server.url });
  expect((await run("--prefix", "other")).stdout).toMatch(/^No jobs are waiting in BullMQ\.\n\nWould import 0 jobs/);
  const preview = await run();
  expect(preview.stdout).toMatch(/^BULLMQ +TASK +PENDING +/);
  expect((await run("--redis-url", "127.0.0.1:6379")).stderr).toMatch(
    /^legwork: The Redis URL is not valid\. \(LW514\)\nhint: Write it like redis:/,
  );
  expect((await run("--redis-url", "redis://user:secret@127.0.0.1:1")).stderr).toMatch(
    /^legwork: Redis at 127\.0\.0\.1:1 cannot be reached: .*ECONNREFUSED.* \(LW503\)/,
  );
});
