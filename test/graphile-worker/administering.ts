import { type Behavior, BRIEF, HELD, PLAIN_JOB } from "./behavior.ts";

/** Two jobs: one waits, and worker w runs the other. */
const TWO = `select graphile_worker.add_job('note', job_key => k, queue_name => k, max_attempts => 3) from unnest(array['waits', 'runs']) k`;
const LOCK = `update graphile_worker._private_jobs set locked_at = now(), locked_by = 'w', attempts = 1 where key = 'runs'`;
const LOCK_QUEUE = `update graphile_worker._private_job_queues set locked_at = now(), locked_by = 'w' where queue_name = 'runs'`;
const ALL = "(select array_agg(id) from graphile_worker.jobs)";

async function two(rows: (sql: string) => Promise<unknown>): Promise<void> {
  await rows(TWO);
  await rows(LOCK);
  await rows(LOCK_QUEUE);
}

const RESCHEDULED = {
  ...PLAIN_JOB,
  queue: "waits",
  key: "waits",
  run_at: "2099-03-03",
  priority: 4,
  attempts: 2,
  max_attempts: 9,
};

export const ADMINISTERING: readonly Behavior[] = [
  {
    name: "complete_jobs deletes jobs that no worker runs, and returns them",
    see: async ({ rows }) => {
      await two(rows);
      const returned = await rows(`select key from graphile_worker.complete_jobs(${ALL})`);
      return { returned, left: await rows("select key from public.brief") };
    },
    is: { returned: [{ key: "waits" }], left: [{ key: "runs" }] },
  },
  {
    name: "permanently_fail_jobs uses up all attempts of jobs that no worker runs, with the reason",
    see: async ({ rows }) => {
      await two(rows);
      const returned = await rows(`select key, attempts from graphile_worker.permanently_fail_jobs(${ALL}, 'enough')`);
      return { returned, left: await rows("select key, attempts, max_attempts, last_error from public.brief order by id") };
    },
    is: {
      returned: [{ key: "waits", attempts: 3 }],
      left: [
        { key: "waits", attempts: 3, max_attempts: 3, last_error: "enough" },
        { key: "runs", attempts: 1, max_attempts: 3, last_error: null },
      ],
    },
  },
  {
    name: "permanently_fail_jobs has a default reason",
    see: async ({ rows }) => {
      await rows("select graphile_worker.add_job('note')");
      return await rows(`select last_error from graphile_worker.permanently_fail_jobs(${ALL})`);
    },
    is: [{ last_error: "Manually marked as failed" }],
  },
  {
    name: "reschedule_jobs changes the given fields of jobs that no worker runs",
    see: async ({ rows }) => {
      await two(rows);
      await rows(
        `select graphile_worker.reschedule_jobs(${ALL}, run_at => '2099-03-03Z', priority => 4, attempts => 2, max_attempts => 9)`,
      );
      return (await rows(BRIEF)).filter(({ key }) => key === "waits");
    },
    is: [RESCHEDULED],
    except: { "with a limit": { is: [{ ...RESCHEDULED, run_at: "infinity" }], documented: HELD } },
  },
  {
    name: "reschedule_jobs makes a failed job run again",
    see: async ({ rows, run }) => {
      await rows("select graphile_worker.add_job('note', '{\"n\": 1}', max_attempts => 1)");
      await rows(`select graphile_worker.permanently_fail_jobs(${ALL})`);
      await rows(`select graphile_worker.reschedule_jobs(${ALL}, attempts => 0, run_at => now())`);
      await run();
      return { seen: await rows("select note from seen"), left: await rows(BRIEF) };
    },
    is: { seen: [{ note: { n: 1 } }], left: [] },
  },
  {
    name: "remove_job deletes a waiting job, prevents retries of a running one, and returns either",
    see: async ({ rows }) => {
      await two(rows);
      const returned = await rows(
        "select (graphile_worker.remove_job(k)).attempts from unnest(array['waits', 'runs', 'unknown']) k",
      );
      return { returned, left: await rows("select key, attempts, locked from public.brief") };
    },
    is: { returned: [{ attempts: 0 }, { attempts: 3 }, { attempts: null }], left: [{ key: null, attempts: 3, locked: true }] },
  },
  {
    name: "force_unlock_workers unlocks the jobs and queues of the given workers only",
    see: async ({ rows }) => {
      await two(rows);
      await rows("update graphile_worker._private_jobs set locked_at = now(), locked_by = 'v', attempts = 1 where key = 'waits'");
      await rows("select graphile_worker.force_unlock_workers(array['w'])");
      return {
        jobs: await rows("select key, locked, attempts from public.brief order by id"),
        queues: await rows("select queue_name from graphile_worker._private_job_queues where locked_at is not null"),
      };
    },
    is: {
      jobs: [
        { key: "waits", locked: true, attempts: 1 },
        { key: "runs", locked: false, attempts: 1 },
      ],
      queues: [],
    },
  },
  {
    name: "the jobs view has no payload, and its columns in this order",
    see: async ({ rows }) =>
      await rows(
        "select string_agg(attname, ' ' order by attnum) as columns from pg_attribute where attrelid = 'graphile_worker.jobs'::regclass and attnum > 0",
      ),
    is: [
      {
        columns:
          "id queue_name task_identifier priority run_at attempts max_attempts last_error created_at updated_at key locked_at locked_by revision flags",
      },
    ],
  },
];
