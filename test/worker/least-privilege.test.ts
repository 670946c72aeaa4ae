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

test("a worker with the role legwork_worker and nothing else runs, retries, logs, limits and ends jobs", async () => {
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
          return { tables: (await sql\`select count(*)::int as n from legwork_private.limits\`.catch((error) => [{ n: error.code }]))[0].n };
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
  await until("the job's log line is stored", async () => {
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

test("a worker with the role legwork_worker plans and fires schedules, advances workflows, and records steps and signals", async () => {
  const url = new URL(database.url);
  url.username = login;
  url.password = "of the test";
  const task = (run: string): string =>
    `import { defineTask } from "${new URL("../../src/index.ts", import.meta.url).href}"; export default defineTask({ ${run} });`;
  const tasks = await directoryOf({
    "fired.ts": "export default async () => {};",
    "first.ts": task("async run() { return { n: 1 }; }"),
    "second.ts": task("async run(_payload, { workflow }) { return await workflow.results(); }"),
    "waits.ts": task(`retry: { attempts: 3, backoff: "fixed", delay: "1ms" }, async run(_payload, { step, job }) {
      const charged = await step.run("charge", () => job.attempts);
      const go = await step.waitFor("go");
      await step.sleep("a while", "10ms");
      return { charged, go };
    }`),
  });
  await workerProcess({ ...database, url: url.href }, tasks);
  await database.pool.query("select legwork.schedule('every-second', 'fired', cron => '* * * * * *', max_runs => 2)");
  const [{ id: flow }] = (
    await database.pool.query(
      `select legwork.start_workflow('w', '[{"name": "a", "task": "first"}, {"name": "b", "task": "second", "depends_on": "a"}]') as id`,
    )
  ).rows;
  const [{ id: job }] = (await database.pool.query("select legwork.enqueue('waits') as id")).rows;
  await until("the job waits for its signal", async () => {
    const { rows } = await database.pool.query("select from legwork.steps where job_id = $1 and state = 'waiting'", [job]);
    return rows.length === 1;
  });
  await database.pool.query(`select legwork.send_signal($1, 'go', '{"by": "hand"}')`, [job]);
  await until("everything has completed", async () => {
    const { rows } = await database.pool.query(
      `select (select state from legwork.workflows where id = $1) as flow, (select state from legwork.jobs where id = $2) as job,
         (select count(*)::int from legwork.schedule_runs where schedule = 'every-second' and outcome = 'completed') as fired`,
      [flow, job],
    );
    return rows[0].flow === "completed" && rows[0].job === "completed" && rows[0].fired === 2;
  });
  expect((await database.pool.query("select result from legwork.jobs where id = $1", [job])).rows).toEqual([
    { result: { charged: 1, go: { by: "hand" } } },
  ]);
  expect((await database.pool.query("select legwork.step_results($1) as results", [flow])).rows).toEqual([
    { results: { a: { n: 1 }, b: { a: { n: 1 } } } },
  ]);
  expect((await database.pool.query("select * from legwork.reconcile()")).rows).toEqual([]);
});
