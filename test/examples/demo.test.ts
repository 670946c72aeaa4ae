import { resolve } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import config from "../../legwork.config.ts";
import { EXAMPLE_TASKS } from "../../examples/demo/examples.ts";
import { startDemo } from "../../examples/demo/start.ts";
import { testDatabase } from "../support/database.ts";
import { configure, TASKS } from "../support/job.ts";
import { scaled } from "../support/slowness.ts";
import { until } from "../support/until.ts";
import { directoryOf, workerOver } from "../support/worker.ts";

const ROOT = resolve(import.meta.dirname, "../..");
const database = testDatabase();

// oxlint-disable-next-line typescript/no-explicit-any -- rows of every query
async function select(text: string, ...values: unknown[]): Promise<any[]> {
  return (await database.pool.query(text, values)).rows;
}

const SETTINGS = [
  "LEGWORK_SMTP_URL",
  "LEGWORK_SMS_URL",
  "LEGWORK_WEBHOOK_ENDPOINTS",
  "LEGWORK_WEBHOOK_SECRET",
  "LEGWORK_MAIL_FROM",
  "LEGWORK_REPORTS_FOLDER",
  "LEGWORK_ALLOWED_FOLDERS",
  "ASSISTANT_PROVIDERS",
  "ASSISTANT_BACKUPS",
];
const SCHEMAS = ["demo", "documents", "assistant", "calendar", "projects", "chat"];
const unset = (): void => configure(Object.fromEntries(SETTINGS.map((name) => [name, undefined])));

describe("the demo of npm start", () => {
  it("runs on the embedded Postgres, on another database only on request, and never with the user's own tasks or crontab", async () => {
    unset();
    const { tasks = [], crontab = "" } = config;
    const running = { databaseUrl: database.url, dataDir: await directoryOf({}), isEmbedded: true, tasks, crontab };
    const start = async (change: Partial<typeof running>): Promise<boolean> => {
      const stop = await config.onStart?.({ ...running, ...change });
      await stop?.();
      return stop !== undefined;
    };
    configure({ LEGWORK_DEMO: undefined });
    expect(await start({ isEmbedded: false })).toBe(false);
    expect(await start({ tasks: ["tasks"] })).toBe(false);
    expect(await start({ crontab: "/dev/null" })).toBe(false);
    configure({ LEGWORK_DEMO: "false" });
    expect(await start({})).toBe(false);
    configure({ LEGWORK_DEMO: "true" });
    expect(await start({ isEmbedded: false, tasks: ["tasks"] })).toBe(false);
    expect(await select("select from pg_namespace where nspname = any ($1)", SCHEMAS)).toEqual([]);
    expect(await start({ isEmbedded: false })).toBe(true);
    expect(await select("select from pg_namespace where nspname = any ($1)", SCHEMAS)).toHaveLength(SCHEMAS.length);
  });

  it(
    "has data on every page of the dashboard, and contacts no other machine",
    async () => {
      unset();
      await workerOver(database.url, [TASKS, ...EXAMPLE_TASKS.map((directory) => resolve(ROOT, directory))], { concurrency: 10 });
      const stop = await startDemo({ databaseUrl: database.url, dataDir: await directoryOf({}), pace: 12 });
      const stopped = Promise.withResolvers<void>();
      onTestFinished(() => stopped.promise);
      try {
        expect(new URL(process.env.LEGWORK_SMTP_URL ?? "").hostname).toBe("127.0.0.1");
        expect(new URL(process.env.LEGWORK_SMS_URL ?? "").hostname).toBe("127.0.0.1");
        expect(JSON.parse(process.env.LEGWORK_WEBHOOK_ENDPOINTS ?? "")).toEqual({
          partner: expect.stringMatching(/^http:\/\/127\.0\.0\.1:/),
        });
        const seen = new Set<string>();
        const states = [
          "scheduled",
          "pending",
          "blocked",
          "paused",
          "running",
          "retrying",
          "completed",
          "failed",
          "cancelled",
          "expired",
        ];
        await until(
          "there have been jobs in every state",
          async () => {
            for (const { state } of await select("select distinct state from legwork.jobs")) seen.add(state);
            return states.every((state) => state === "pending" || seen.has(state));
          },
          40_000,
        );
        const has = (what: string, text: string): Promise<unknown> =>
          until(what, async () => (await select(text)).length > 0, 15_000);
        await has("a workflow has completed", "select from legwork.workflows where state = 'completed'");
        await has("a batch has begun", "select from legwork.batches");
        await has("a job has reported progress", "select from legwork.jobs where task = 'demo/import-messages' and progress > 0");
        await has("a job has logged", "select from legwork.logs where message like 'Importing%'");
        await has("failures are grouped", "select from legwork.failed_groups where jobs > 1");
        await has("an alert was raised", "select from legwork.alerts where target = 'notify/webhook'");
        await has(
          "the operators were notified",
          "select from legwork.jobs where task = 'demo/tell-operators' and state = 'completed'",
        );
        await has("a schedule has fired", "select from legwork.schedules where next_at is not null");
        await has("expired rows are deleted", "select from legwork.jobs where state = 'completed' and task = 'retention/expire'");
        await has(
          "usage monitoring is scheduled",
          "select from legwork.schedules where task = 'quota/watch' and next_at is not null",
        );
        await has("a backup was made", "select from legwork.jobs where task = 'backup/tables' and state = 'completed'");
        await has("a queue is paused", "select from legwork.queues where name = 'newsletter' and paused_at is not null");
        await has(
          "several tenants have jobs",
          "select from legwork.jobs where tenant is not null having count(distinct tenant) > 4",
        );
      } finally {
        await stop();
        stopped.resolve();
      }
      expect(SETTINGS.filter((name) => process.env[name] !== undefined)).toEqual([]);
      const before = await select("select count(*)::int as n from legwork.jobs where parent_id is null");
      // A user's changes survive the next start.
      await select("select legwork.resume_queue('newsletter')");
      await (
        await startDemo({ databaseUrl: database.url, dataDir: await directoryOf({}) })
      )();
      expect(await select("select paused_at from legwork.queues where name = 'newsletter'")).toEqual([{ paused_at: null }]);
      expect(before[0].n).toBeGreaterThan(20);
    },
    scaled(90_000),
  );

  it(
    "sends nothing to the user's servers, and adds no jobs while many are waiting",
    async () => {
      unset();
      configure({ LEGWORK_SMTP_URL: "smtp://mail.example.com" });
      await select(
        "select graphile_worker.permanently_fail_jobs(array(select id from legwork.jobs where finished_at is null), 'The test is over.')",
      );
      const stop = await startDemo({ databaseUrl: database.url, dataDir: await directoryOf({}), pace: 1_000 });
      try {
        await until(
          "the demo has added jobs until many are waiting",
          async () => {
            const [{ n }] = await select(
              "select count(*)::int as n from graphile_worker._private_jobs where attempts < max_attempts",
            );
            return n >= 300;
          },
          40_000,
        );
        expect(process.env.LEGWORK_SMTP_URL).toBe("smtp://mail.example.com");
        const mails = await select(
          "select from legwork.jobs where finished_at is null and (task = 'notify/email' or payload ->> 'type' = 'email')",
        );
        expect(mails).toEqual([]);
      } finally {
        await stop();
      }
      const [{ n }] = await select("select count(*)::int as n from graphile_worker._private_jobs where attempts < max_attempts");
      // A few jobs may still have been in the process of being enqueued when the limit was reached.
      expect(n).toBeLessThan(320);
    },
    scaled(60_000),
  );
});
