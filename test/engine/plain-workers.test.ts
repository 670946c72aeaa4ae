import { spawn } from "node:child_process";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";
import { expect, it, onTestFinished } from "vitest";
import { testDatabase } from "../support/database.ts";
import { scaled } from "../support/slowness.ts";
import { until } from "../support/until.ts";
import { directoryOf } from "../support/worker.ts";

const database = testDatabase();

/** A process that runs graphile-worker without Legwork. */
const PLAIN = `
  import { run } from "${pathToFileURL(createRequire(import.meta.url).resolve("graphile-worker")).href}";
  const note = async (payload, { job, withPgClient }) => {
    const began = Date.now();
    await withPgClient((client) => client.query("insert into runs (job_id, task, key, began) values ($1, $2, $3, $4)", [job.id, job.task_identifier, payload.key, began]));
    await new Promise((wake) => setTimeout(wake, payload.ms));
    const ended = Date.now();
    await withPgClient((client) => client.query("update runs set ended = $1 where job_id = $2 and began = $3", [ended, job.id, began]));
    if (payload.fails && job.attempts === 1) throw new Error("once");
  };
  await run({
    connectionString: process.argv[2], taskList: { two: note, keyed: note }, noHandleSignals: true, parsedCronItems: [],
    preset: { worker: { concurrentJobs: 6, pollInterval: 500, localQueue: { size: Number(process.argv[3]) } } },
  });`;

it(
  "limits also hold if only plain workers run, and every job ends",
  async () => {
    const { pool } = database;
    await pool.query("create table runs (job_id bigint, task text, key text, began bigint, ended bigint)");
    // No worker has registered these tasks. A job of each task adds it to graphile-worker's table.
    await pool.query("select graphile_worker.add_job(t, '{\"ms\": 0}') from unnest(array['two', 'keyed']) t");
    await pool.query(
      "select legwork.limit_concurrency(2, task => 'two'), legwork.limit_concurrency(1, task => 'keyed', key => 'key')",
    );
    const directory = await directoryOf({ "plain.mjs": PLAIN });
    for (const localQueueSize of ["-1", "6"]) {
      const child = spawn(process.execPath, [`${directory}/plain.mjs`, database.url, localQueueSize], { stdio: "ignore" });
      onTestFinished(() => void child.kill("SIGKILL"));
    }
    await pool.query(
      `select graphile_worker.add_job(case when n % 2 = 0 then 'two' else 'keyed' end,
       json_build_object('ms', 10 + n % 7 * 5, 'key', 'k' || n % 3, 'fails', n % 20 = 7),
       run_at => case when n % 9 = 0 then now() + interval '1 second' end) from generate_series(1, 120) n`,
    );
    await until(
      "all jobs have completed",
      async () => {
        // Without a Legwork worker, the test must admit jobs as they become due.
        await pool.query("select legwork.tick()");
        return (await pool.query("select from legwork_private.finished_jobs where state = 'completed'")).rows.length === 122;
      },
      40_000,
    );
    const { rows } = await pool.query(
      `select a.task, max((
       select count(*) from runs b
       where b.task = a.task and (a.task = 'two' or b.key = a.key) and b.began <= a.began and b.ended > a.began))::int as most
     from runs a where key is not null group by a.task order by a.task`,
    );
    expect(rows).toEqual([
      { task: "keyed", most: 1 },
      { task: "two", most: 2 },
    ]);
    expect((await pool.query("select from legwork.workers")).rows).toEqual([]);
    expect((await pool.query("select from legwork_private.slots")).rows).toEqual([]);
  },
  scaled(60_000),
);
