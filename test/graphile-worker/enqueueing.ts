import { type Behavior, BRIEF, errorOf, HELD, PLAIN_JOB } from "./behavior.ts";

const LATER = "run_at => '2099-01-01Z'";

/** With a limit, a job that is not due yet waits in the waiting room. */
const heldUntilDue = (job: object): Behavior["except"] => ({
  "with a limit": { is: [{ ...job, run_at: "infinity" }], documented: HELD },
});

const FULL = {
  ...PLAIN_JOB,
  queue: "q",
  payload: { a: [1, "ü", null] },
  priority: -5,
  run_at: "2099-01-01",
  max_attempts: 3,
  key: "k",
  flags: { x: true, y: true },
};
const REPLACED = { ...PLAIN_JOB, task: "other", payload: { n: 2 }, priority: 7, run_at: "2099-02-02", key: "k", revision: 1 };
const KEPT = { ...REPLACED, run_at: "2099-01-01" };

export const ENQUEUEING: readonly Behavior[] = [
  {
    name: "add_job without options adds a job that is due now",
    see: async ({ rows }) => {
      await rows("select graphile_worker.add_job('note')");
      return await rows(BRIEF);
    },
    is: [PLAIN_JOB],
  },
  {
    name: "add_job keeps every option",
    see: async ({ rows }) => {
      await rows(
        `select graphile_worker.add_job('note', '{"a": [1, "ü", null]}', 'q', '2099-01-01Z', 3, 'k', -5, array['x', 'y'])`,
      );
      return await rows(BRIEF);
    },
    is: [FULL],
    except: heldUntilDue(FULL),
  },
  {
    name: "add_job returns the job",
    see: async ({ rows }) =>
      await rows(
        `select payload, public.moment(run_at) as run_at, key, attempts, is_available from graphile_worker.add_job('note', '[1]', job_key => 'k', ${LATER})`,
      ),
    is: [{ payload: [1], run_at: "2099-01-01", key: "k", attempts: 0, is_available: true }],
  },
  {
    name: "a payload is any JSON, kept character for character",
    see: async ({ rows }) => {
      await rows(
        `select graphile_worker.add_job('note', p) from unnest(array['null', '"t"', '{"b":  1, "a":1.0, "b": 2}']::json[]) p`,
      );
      return await rows("select payload::text from public.brief order by id");
    },
    is: [{ payload: "null" }, { payload: '"t"' }, { payload: '{"b":  1, "a":1.0, "b": 2}' }],
  },
  {
    name: "a job key replaces the waiting job in place",
    see: async ({ rows }) => {
      await rows(
        `select graphile_worker.add_job('note', '{"n": 1}', 'q', job_key => 'k', max_attempts => 3, flags => array['x'], ${LATER})`,
      );
      await rows(`select graphile_worker.add_job('other', '{"n": 2}', job_key => 'k', priority => 7, run_at => '2099-02-02Z')`);
      return await rows(BRIEF);
    },
    is: [REPLACED],
    except: heldUntilDue(REPLACED),
  },
  {
    name: "preserve_run_at keeps the start time",
    see: async ({ rows }) => {
      await rows(`select graphile_worker.add_job('note', job_key => 'k', ${LATER})`);
      await rows(
        `select graphile_worker.add_job('other', '{"n": 2}', job_key => 'k', priority => 7, run_at => '2099-02-02Z', job_key_mode => 'preserve_run_at')`,
      );
      return await rows(BRIEF);
    },
    is: [KEPT],
    except: heldUntilDue(KEPT),
  },
  {
    name: "unsafe_dedupe leaves the job unchanged",
    see: async ({ rows }) => {
      await rows(`select graphile_worker.add_job('note', '{"n": 1}', job_key => 'k', ${LATER})`);
      await rows(`select graphile_worker.add_job('other', '{"n": 2}', job_key => 'k', job_key_mode => 'unsafe_dedupe')`);
      return await rows("select task, payload from public.brief");
    },
    is: [{ task: "note", payload: { n: 1 } }],
  },
  {
    name: "an unknown job_key_mode is rejected",
    see: async ({ rows }) =>
      await errorOf(rows("select graphile_worker.add_job('note', job_key => 'k', job_key_mode => 'best')")),
    is: "GWBKM",
  },
  {
    name: "using the key of a running job adds a new job, and the running job is not retried",
    see: async ({ rows }) => {
      await rows("select graphile_worker.add_job('note', job_key => 'k')");
      await rows("update graphile_worker._private_jobs set locked_at = now(), locked_by = 'w', attempts = 1");
      await rows("select graphile_worker.add_job('note', job_key => 'k')");
      return await rows("select key, attempts, locked from public.brief order by id");
    },
    is: [
      { key: null, attempts: 25, locked: true },
      { key: "k", attempts: 0, locked: false },
    ],
  },
  {
    name: "using the key of a job that waits for a retry resets its attempts and start time, whatever the mode",
    see: async ({ rows }) => {
      await rows("select graphile_worker.add_job('note', job_key => 'k', max_attempts => 2)");
      await rows("update graphile_worker._private_jobs set attempts = 1, last_error = 'e', run_at = now() + interval '1 year'");
      await rows("select graphile_worker.add_job('note', job_key => 'k', job_key_mode => 'preserve_run_at')");
      return await rows(BRIEF);
    },
    is: [{ ...PLAIN_JOB, key: "k", revision: 1 }],
  },
  {
    name: "using the key of a permanently failed job adds a new job",
    see: async ({ rows }) => {
      await rows("select graphile_worker.add_job('note', job_key => 'k', max_attempts => 1)");
      await rows("select graphile_worker.permanently_fail_jobs((select array_agg(id) from graphile_worker.jobs), 'e')");
      await rows("select graphile_worker.add_job('note', job_key => 'k')");
      return await rows("select key, attempts, max_attempts, last_error from public.brief order by id");
    },
    is: [
      { key: null, attempts: 1, max_attempts: 1, last_error: "e" },
      { key: "k", attempts: 0, max_attempts: 25, last_error: null },
    ],
  },
  {
    name: "array payloads under one key are concatenated",
    see: async ({ rows }) => {
      await rows("select graphile_worker.add_job('batch', '[1]', job_key => 'k')");
      await rows("select graphile_worker.add_job('batch', '[2, 3]', job_key => 'k')");
      return await rows("select payload from public.brief");
    },
    is: [{ payload: [1, 2, 3] }],
  },
  {
    name: "add_jobs adds many jobs with their own options, in order",
    see: async ({ rows }) => {
      await rows(`select graphile_worker.add_jobs(array[
        row('note', '{"n": 1}', 'q', null, 2, 'k1', 1, array['x']), row('other', null, null, null, null, null, null, null)]::graphile_worker.job_spec[])`);
      return await rows(BRIEF);
    },
    is: [
      { ...PLAIN_JOB, payload: { n: 1 }, queue: "q", max_attempts: 2, key: "k1", priority: 1, flags: { x: true } },
      { ...PLAIN_JOB, task: "other" },
    ],
  },
  {
    name: "add_jobs replaces jobs by key, and keeps start times on request",
    see: async ({ rows }) => {
      await rows(`select graphile_worker.add_job('note', job_key => 'k', ${LATER})`);
      const spec = `array[row('other', '{"n": 2}', null, '2099-02-02Z', null, 'k', 7, null)]::graphile_worker.job_spec[]`;
      const kept = await rows(`select public.moment(run_at) as run_at, revision from graphile_worker.add_jobs(${spec}, true)`);
      const replaced = await rows(`select public.moment(run_at) as run_at, revision from graphile_worker.add_jobs(${spec})`);
      return [...kept, ...replaced];
    },
    is: [
      { run_at: "2099-01-01", revision: 1 },
      { run_at: "2099-02-02", revision: 2 },
    ],
    except: {
      "with a limit": {
        is: [
          { run_at: "infinity", revision: 1 },
          { run_at: "2099-02-02", revision: 2 },
        ],
        documented: HELD,
      },
    },
  },
  {
    name: "the same key twice in one add_jobs is rejected",
    see: async ({ rows }) =>
      await errorOf(
        rows(
          "select graphile_worker.add_jobs(array_fill(row('note', null, null, null, null, 'k', null, null)::graphile_worker.job_spec, array[2]))",
        ),
      ),
    is: "21000",
  },
  {
    name: "names that are too long are rejected",
    see: async ({ rows }) => [
      await errorOf(rows("select graphile_worker.add_job(repeat('n', 129))")),
      await errorOf(rows("select graphile_worker.add_job('note', queue_name => repeat('q', 129))")),
      await errorOf(rows("select graphile_worker.add_job('note', job_key => repeat('k', 513))")),
      await errorOf(rows("select graphile_worker.add_job('note', max_attempts => 0)")),
    ],
    is: [
      "23514 tasks_identifier_check",
      "23514 job_queues_queue_name_check",
      "23514 jobs_key_check",
      "23514 jobs_max_attempts_check",
    ],
  },
  {
    name: "a transaction that is rolled back leaves no job",
    see: async ({ database, rows }) => {
      await database.pool.query("begin; select graphile_worker.add_job('note'); rollback");
      return await rows(BRIEF);
    },
    is: [],
  },
  {
    name: "adding jobs notifies listeners, with the number of jobs",
    see: async ({ database }) => {
      const client = await database.pool.connect();
      try {
        const told: unknown[] = [];
        client.on("notification", ({ channel, payload }) => told.push([channel, JSON.parse(payload ?? "{}").count]));
        await client.query('listen "jobs:insert"');
        await client.query(
          "select graphile_worker.add_jobs(array_fill(row('note', null, null, null, null, null, null, null)::graphile_worker.job_spec, array[3]))",
        );
        await client.query("select");
        return told.slice(0, 1);
      } finally {
        client.release(true);
      }
    },
    is: [["jobs:insert", 3]],
  },
];
