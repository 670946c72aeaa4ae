import { beforeEach, expect, it } from "vitest";
import { testDatabase } from "../support/database.ts";
import { empty } from "../support/empty.ts";

const database = testDatabase();

interface Needed {
  workers: number;
  slots: number;
  running: number;
  due: string;
  work_seconds: number;
  worker_slots: number;
}

beforeEach(async () => {
  await database.pool.query("delete from graphile_worker._private_jobs");
  await empty(
    database.pool,
    "legwork_private.task_totals, legwork_private.task_minutes, legwork_private.worker_processes, legwork_private.live_job_counts, legwork_private.queue_counts, legwork_private.pauses",
  );
  await database.pool.query(
    `select legwork_private.register_tasks('[{"name": "mail", "queue": "post"}, {"name": "video"}, {"name": "held"}]')`,
  );
});

async function needed(given = ""): Promise<Needed> {
  return (await database.pool.query(`select * from legwork.workers_needed(${given})`)).rows[0];
}

/** Enqueues jobs of a task. `key` and `at` are SQL expressions for the serial key and the start time. */
async function add(task: string, count: number, { key = "null", at = "null", priority = 0 } = {}): Promise<void> {
  await database.pool.query(
    `select graphile_worker.add_jobs(array(
       select row($1, '{}'::json, ${key}, ${at}, 2, null, $3, null)::graphile_worker.job_spec from generate_series(1, $2::int) n))`,
    [task, count, priority],
  );
}

/** Records that attempts of a task took this long on average (seconds): in total, or in the current minute. */
async function took(task: string, seconds: number, table: "task_totals" | "task_minutes"): Promise<void> {
  const minute = table === "task_minutes" ? ["minute, ", "date_trunc('minute', now()), "] : ["", ""];
  await database.pool.query(
    `insert into legwork_private.${table} (${minute[0]}task, run_seconds, waits, runs) values (${minute[1]}$1, $2::float8 * 10, '{}', '{4,6}')`,
    [task, seconds],
  );
}

it("no worker is needed without due jobs: paused and scheduled jobs do not count", async () => {
  expect(await needed()).toEqual({ workers: 0, slots: 0, running: 0, due: "0", work_seconds: 0, worker_slots: 10 });
  await add("mail", 3, { at: "now() + interval '1 minute'" });
  await add("held", 3);
  await database.pool.query("select legwork.pause_task('held')");
  expect(await needed()).toMatchObject({ workers: 0, due: "0" });
  await add("mail", 1);
  expect(await needed()).toMatchObject({ workers: 1, slots: 1, due: "1" });
});

it("the number of workers depends on the due jobs, the duration of attempts, and the time available for the work", async () => {
  await add("mail", 600);
  await add("video", 4, { priority: 5 });
  await took("mail", 2, "task_totals");
  await took("video", 3_600, "task_totals");
  // 600 jobs of 2 s need 20 slots to finish in a minute. Jobs that take an hour cannot use more slots than there are jobs.
  expect(await needed()).toEqual({ workers: 3, slots: 24, running: 0, due: "604", work_seconds: 15_600, worker_slots: 10 });
  expect(await needed("slots_per_worker => 2, drain_within => '10 minutes'")).toMatchObject({ workers: 3, slots: 6 });
  expect(await needed("queues => '{post}'")).toMatchObject({ slots: 20, due: "600" });
  expect(await needed("tasks => '{video}'")).toMatchObject({ slots: 4, due: "4" });
  await took("mail", 4, "task_minutes");
  expect(await needed("queues => '{post}'")).toMatchObject({ slots: 40 });
});

it("running jobs count, and a worker's concurrency is the default for its slots", async () => {
  await add("mail", 5);
  await database.pool.query(
    "select legwork_private.worker_beat('w', 'host', 1, 2, '{mail}', array(select id from graphile_worker._private_jobs))",
  );
  await database.pool.query("update graphile_worker._private_jobs set locked_at = now(), locked_by = 'w'");
  expect(await needed()).toMatchObject({ workers: 3, slots: 5, running: 5, due: "0", worker_slots: 2 });
  expect(await needed("queues => '{other}'")).toMatchObject({ workers: 0, running: 0 });
});

it("jobs with the same serial key share one slot, and so do all tasks that no worker has", async () => {
  await took("mail", 3_600, "task_totals");
  await add("mail", 500, { key: "'a'" });
  await add("mail", 500, { key: "'b'" });
  expect(await needed()).toMatchObject({ slots: 2, due: "1000" });
  await add("unknown", 50);
  await add("stranger", 50);
  expect(await needed()).toMatchObject({ slots: 3, due: "1100" });
});

it("a backlog of more than 10,000 jobs is read from the counts that are updated in the background", async () => {
  await took("mail", 6, "task_totals");
  await add("mail", 11_000);
  expect(await needed()).toMatchObject({ due: "10000", slots: 1_000 });
  await database.pool.query("select legwork_private.sample_queues()");
  expect(await needed()).toMatchObject({ due: "11000", slots: 1_100 });
});

it("values that are out of range are rejected", async () => {
  await expect(needed("slots_per_worker => 0")).rejects.toMatchObject({
    code: "LW400",
    message: "slots_per_worker is 0; it must be between 1 and 10,000.",
  });
  await expect(needed("drain_within => '0 s'")).rejects.toMatchObject({ code: "LW400", column: "drain_within" });
});
