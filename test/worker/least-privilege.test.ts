import { afterAll, beforeAll, expect, test } from "vitest";
import { testDatabase } from "../support/database.ts";
import { until } from "../support/until.ts";
import { directoryOf, workerProcess } from "../support/worker.ts";

const database = testDatabase();
const login = `legwork_test_lone_worker_${Math.random().toString(36).slice(2, 8)}`;

beforeAll(async () => {
  await database.pool.query("select legwork.create_roles()");
  await database.pool.query(`create role ${login} login password 'of the test' in role legwork_worker`);
});
afterAll(async () => {
  await database.pool.query(`drop role ${login}`);
});

test("a worker that is granted legwork_worker and nothing else runs, retries, logs, limits and ends jobs", async () => {
  const url = new URL(database.url);
  url.username = login;
  url.password = "of the test";
  const tasks = await directoryOf({
    "one.ts": `export default async (payload, { job, query, addJob }) => {
      if (job.attempts === 1) throw new Error("first");
      await addJob("two", payload);
      return { who: (await query("select session_user::text as who")).rows[0].who };
    };`,
    "two.ts": `
      import { defineTask } from "${new URL("../../src/index.ts", import.meta.url).href}";
      export default defineTask({
        queue: "q", concurrency: { limit: 1 }, retry: { attempts: 2, backoff: "fixed", delay: "1ms" },
        async run(_payload, { log, progress, enqueue, sql }) {
          log.info("here"); progress(50, "half");
          await enqueue("three", {});
          return { tables: (await sql\`select count(*)::int as n from legwork.limits\`.catch((error) => [{ n: error.code }]))[0].n };
        },
      });`,
    "three.ts": "export default async () => {};",
  });
  await workerProcess({ ...database, url: url.href }, tasks);
  await database.pool.query("select legwork.set_retry_policy(task => 'one', backoff => 'fixed', delay => '10 ms')");
  await database.pool.query("select legwork.enqueue('one', serial_key => 's')");
  const rows = await until("three jobs have completed", async () => {
    const { rows } = await database.pool.query(
      "select task, attempts, result from legwork.jobs where state = 'completed' order by id",
    );
    return rows.length === 3 ? rows : undefined;
  });
  expect(rows).toEqual([
    { task: "one", attempts: 2, result: { who: login } },
    { task: "two", attempts: 1, result: { tables: "42501" } },
    { task: "three", attempts: 1, result: null },
  ]);
  await until("what it said is there", async () => {
    const { rows } = await database.pool.query(
      "select from legwork.logs l join legwork.jobs j on j.id = l.job_id and j.progress = 50",
    );
    return rows.length === 1;
  });
  expect((await database.pool.query("select * from legwork.reconcile()")).rows).toEqual([]);
  expect((await database.pool.query("select surface from legwork.audit_log where operation = 'limit'")).rows).toEqual([
    { surface: "worker" },
  ]);
});
