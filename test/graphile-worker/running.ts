import { type Behavior, BRIEF, CONTEXT, HELD, PLAIN_JOB } from "./behavior.ts";

const SEEN = "select task, note from seen order by n";

/** The delay of the next attempt as a power of e, in seconds, counted from some time during this run. */
const BACK_OFF = `select attempts, last_error, locked_at is null as free, case when run_at = 'infinity' then 'infinity' else
    (select 'e^' || n from generate_series(0, 12) n where run_at - exp(n) * interval '1 second' between (select at from seen where task = 'began') and clock_timestamp()) end as next
  from graphile_worker.jobs order by id`;
const BEGAN = "insert into seen (task) values ('began')";

const FAILED = { attempts: 1, last_error: "It failed.", free: true, next: "e^1" };

/** What the task `helpers` sees. */
function helpersOf(flags: string[]): object {
  return {
    note: {
      n: 2,
      queue: "mine",
      aborted: false,
      added: [3, 4, flags],
      many: 1,
      row: { mine: true, locked: true },
      keys: [
        "attempts",
        "created_at",
        "flags",
        "id",
        "is_available",
        "job_queue_id",
        "key",
        "last_error",
        "locked_at",
        "locked_by",
        "max_attempts",
        "payload",
        "priority",
        "revision",
        "run_at",
        "task_id",
        "task_identifier",
        "updated_at",
      ],
      attempts: 1,
      payload: { n: 1 },
    },
    missing: [],
    seen: [{ note: { from: "addJob" } }, { note: { from: "addJobs" } }],
    left: [],
  };
}

export const RUNNING: readonly Behavior[] = [
  {
    name: "jobs run by priority, then by start time, then by age",
    anyWorker: true,
    see: async ({ rows, run }) => {
      await rows(`select graphile_worker.add_jobs(array_agg(row('note', to_json(name), 'line', now() - ago, null, null, priority, null)::graphile_worker.job_spec order by n))
        from (values (1, 'late', 0, interval '1 minute'), (2, 'soon', 0, interval '2 minutes'), (3, 'first', -1, interval '0'), (4, 'last', 9, interval '1 hour')) v (n, name, priority, ago)`);
      await run();
      return (await rows(SEEN)).map(({ note }) => note);
    },
    is: ["first", "soon", "late", "last"],
  },
  {
    name: "jobs of one queue run one at a time, in order",
    anyWorker: true,
    see: async ({ rows, run }) => {
      await rows(
        "select graphile_worker.add_jobs(array_fill(row('overlap', null, 'line', null, null, null, null, null)::graphile_worker.job_spec, array[5]))",
      );
      await run({ preset: { worker: { concurrentJobs: 4 } } });
      return await rows(
        "select count(*)::int as ran, bool_and(job_id > previous) as in_order, bool_and(note is not null) as ended from (select *, lag(job_id, 1, 0) over (order by n) as previous from seen) s",
      );
    },
    is: [{ ran: 5, in_order: true, ended: true }],
  },
  {
    name: "jobs that are due later and jobs of unknown tasks are left alone",
    anyWorker: true,
    see: async ({ rows, run }) => {
      await rows(
        "select graphile_worker.add_jobs(array[row('note', null, null, '2099-01-01Z', null, null, null, null), row('unknown', null, null, null, null, null, null, null), row('other', null, null, null, null, null, null, null)]::graphile_worker.job_spec[])",
      );
      await run();
      return {
        seen: await rows("select task from seen"),
        left: await rows("select task, attempts from public.brief order by id"),
      };
    },
    is: {
      seen: [{ task: "other" }],
      left: [
        { task: "note", attempts: 0 },
        { task: "unknown", attempts: 0 },
      ],
    },
  },
  {
    name: "a failure stores the message and delays the next attempt, for longer each time",
    anyWorker: true,
    see: async ({ rows, run }) => {
      await rows(BEGAN);
      await rows("select graphile_worker.add_job('fail')");
      await run();
      const first = await rows(BACK_OFF);
      await rows(
        "select graphile_worker.reschedule_jobs((select array_agg(id) from graphile_worker.jobs), run_at => now(), attempts => 4)",
      );
      await run();
      return [...first, ...(await rows(BACK_OFF))];
    },
    is: [FAILED, { ...FAILED, attempts: 5, next: "e^5" }],
    except: {
      "with a limit": {
        is: [
          { ...FAILED, next: "infinity" },
          { ...FAILED, attempts: 5, next: "infinity" },
        ],
        documented: HELD,
      },
    },
  },
  {
    name: "after its last attempt a job stays, and is not run again",
    anyWorker: true,
    see: async ({ rows, run }) => {
      await rows(`select graphile_worker.add_job('fail', '{"message": "no"}', max_attempts => 1, job_key => 'k')`);
      await run();
      await rows("update graphile_worker._private_jobs set run_at = now()");
      await run();
      return await rows("select attempts, max_attempts, last_error, key, locked from public.brief");
    },
    is: [{ attempts: 1, max_attempts: 1, last_error: "no", key: "k", locked: false }],
  },
  {
    name: "a thrown value that is not an error fails the job too",
    anyWorker: true,
    see: async ({ rows, run }) => {
      await rows(`select graphile_worker.add_job('fail', '{"thrown": "text"}')`);
      await run();
      return await rows("select attempts, last_error is not null as told from public.brief");
    },
    is: [{ attempts: 1, told: true }],
  },
  {
    name: "if a task enqueues its own key while it runs, the new job remains",
    anyWorker: true,
    see: async ({ rows, run }) => {
      await rows(`select graphile_worker.add_job('again', '{"again": true}', job_key => 'k')`);
      await run();
      return { seen: await rows(SEEN), left: await rows("select key, payload, attempts from public.brief") };
    },
    is: {
      seen: [{ task: "again", note: { again: true } }],
      left: [{ key: "k", payload: { again: false }, attempts: 0 }],
    },
  },
  {
    name: "a batch job keeps only the failed entries for its next attempt",
    anyWorker: true,
    see: async ({ rows, run }) => {
      await rows(`select graphile_worker.add_job('batch', '[{"n": 1}, {"n": 2, "fails": true}, {"n": 3}]')`);
      await rows(`select graphile_worker.add_job('batch', '[{"n": 1}]')`);
      await run();
      return await rows("select payload, attempts, last_error from public.brief");
    },
    is: [{ payload: [{ n: 2, fails: true }], attempts: 1, last_error: "Batch failures:\nentry 2" }],
  },
  {
    name: "a task receives its job, the job's row, and graphile-worker's helpers",
    anyWorker: true,
    see: async ({ rows, run }) => {
      await rows(`select graphile_worker.add_job('helpers', '{"n": 1}', queue_name => 'mine')`);
      await run();
      const [seen = { note: { helpers: [] } }] = await rows("select note from seen where task = 'helpers'");
      const { helpers, ...note } = seen.note as { helpers: string[] };
      return {
        note,
        missing: [
          "abortPromise",
          "abortSignal",
          "addJob",
          "addJobs",
          "getQueueName",
          "job",
          "logger",
          "query",
          "withPgClient",
        ].filter((name) => !helpers.includes(name)),
        seen: await rows("select note from seen where task = 'note' order by note"),
        left: await rows(BRIEF),
      };
    },
    is: helpersOf(["f"]),
    except: { "Legwork's worker": { is: helpersOf(["correlation:n", "f", "parent:n"]), documented: CONTEXT } },
  },
  {
    name: "jobs with a forbidden flag are skipped",
    see: async ({ rows, run }) => {
      await rows("select graphile_worker.add_job('note', to_json(f), flags => array[f]) from unnest(array['red', 'green']) f");
      await run({ forbiddenFlags: ["red"] });
      return { seen: await rows(SEEN), left: await rows(BRIEF) };
    },
    is: { seen: [{ task: "note", note: "green" }], left: [{ ...PLAIN_JOB, payload: "red", flags: { red: true } }] },
  },
];
