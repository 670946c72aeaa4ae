import { EventEmitter } from "node:events";
import {
  type CronItem,
  makeWorkerUtils,
  parseCronItems,
  parseCrontab,
  quickAddJob,
  run as runContinuously,
  runTaskListOnce,
  type WorkerEvents,
} from "graphile-worker";
import { vi } from "vitest";
import { quietLogger } from "../support/plain-worker.ts";
import { until } from "../support/until.ts";
import { type Behavior, BRIEF, DATABASE_CLOCK, HELD, PLAIN_JOB, type Side } from "./behavior.ts";

const ADDED = {
  ...PLAIN_JOB,
  payload: { n: 1 },
  queue: "q",
  priority: 2,
  run_at: "2099-01-01",
  max_attempts: 5,
  key: "k",
  flags: { f: true },
};

/** Runs a worker with a crontab until it has processed the crontab. */
async function startWithCrontab({ database, tasks }: Side, items: CronItem[] | string): Promise<void> {
  const events = new EventEmitter() as WorkerEvents;
  const started = new Promise((resolve) => events.once("cron:started", resolve));
  const runner = await runContinuously({
    pgPool: database.pool,
    logger: quietLogger,
    noHandleSignals: true,
    events,
    parsedCronItems: typeof items === "string" ? parseCrontab(items) : parseCronItems(items),
    // The worker has no tasks for these jobs, so that they stay for the checks.
    forbiddenFlags: null,
    taskList: { idle: async () => {} },
    preset: { worker: { taskDirectory: tasks } },
  });
  await started;
  await runner.stop();
}

export const LIBRARY: readonly Behavior[] = [
  {
    name: "WorkerUtils adds, completes, fails and reschedules jobs",
    see: async ({ database, rows }) => {
      const utils = await makeWorkerUtils({ pgPool: database.pool, logger: quietLogger });
      try {
        await utils.migrate();
        const options = {
          queueName: "q",
          runAt: new Date("2099-01-01T00:00:00Z"),
          maxAttempts: 5,
          jobKey: "k",
          priority: 2,
          flags: ["f"],
        };
        await utils.addJob("note", { n: 1 }, options);
        const [completed, failed, moved] = await utils.addJobs([
          { identifier: "note", payload: {} },
          { identifier: "note", payload: {} },
          { identifier: "note", payload: {} },
        ]);
        const first = await rows(BRIEF);
        const done = await utils.completeJobs([completed?.id ?? ""]);
        const given = await utils.permanentlyFailJobs([failed?.id ?? ""], "no");
        const put = await utils.rescheduleJobs([moved?.id ?? ""], { priority: 6 });
        return { first: first[0], done: done.length, given: given[0]?.last_error, put: put[0]?.priority };
      } finally {
        await utils.release();
      }
    },
    is: { first: ADDED, done: 1, given: "no", put: 6 },
    except: {
      "with a limit": { is: { first: { ...ADDED, run_at: "infinity" }, done: 1, given: "no", put: 6 }, documented: HELD },
    },
  },
  {
    name: "quickAddJob adds a job",
    see: async ({ database, rows }) => {
      await quickAddJob({ pgPool: database.pool, logger: quietLogger }, "note", { n: 1 });
      return await rows(BRIEF);
    },
    is: [{ ...PLAIN_JOB, payload: { n: 1 } }],
  },
  {
    name: "cleanup removes failed jobs and queues without jobs",
    see: async ({ database, rows }) => {
      await rows("select graphile_worker.add_job('note', queue_name => 'gone', max_attempts => 1)");
      await rows("select graphile_worker.permanently_fail_jobs((select array_agg(id) from graphile_worker.jobs))");
      const utils = await makeWorkerUtils({ pgPool: database.pool, logger: quietLogger });
      await utils.cleanup({ tasks: ["DELETE_PERMAFAILED_JOBS", "GC_JOB_QUEUES"] });
      await utils.release();
      return { jobs: await rows(BRIEF), queues: await rows("select from graphile_worker._private_job_queues") };
    },
    is: { jobs: [], queues: [] },
  },
  {
    name: "runTaskListOnce runs the due jobs over one connection",
    see: async ({ database, rows }) => {
      await rows("select graphile_worker.add_job('note', to_json(n)) from generate_series(1, 2) n");
      const client = await database.pool.connect();
      const ran: unknown[] = [];
      try {
        await runTaskListOnce(
          { logger: quietLogger, noHandleSignals: true },
          { note: async (payload) => void ran.push(payload) },
          client,
        ).promise;
      } finally {
        client.release();
      }
      return { ran, left: await rows(BRIEF) };
    },
    is: { ran: [1, 2], left: [] },
  },
  {
    name: "a worker emits events",
    see: async ({ rows, run }) => {
      const events = new EventEmitter() as WorkerEvents;
      const told: string[] = [];
      for (const name of [
        "pool:create",
        "worker:create",
        "job:start",
        "job:success",
        "job:error",
        "job:failed",
        "job:complete",
        "worker:stop",
      ] as const)
        events.on(name, () => told.push(name));
      await rows(
        "select graphile_worker.add_jobs(array[row('note', null, null, null, null, null, 1, null), row('fail', null, null, null, 1, null, 2, null)]::graphile_worker.job_spec[])",
      );
      await run({ events });
      await until("the worker has stopped", () => told.includes("worker:stop"));
      return told;
    },
    is: [
      "pool:create",
      "worker:create",
      "job:start",
      "job:success",
      "job:complete",
      "job:start",
      "job:error",
      "job:failed",
      "job:complete",
      "worker:stop",
    ],
  },
  {
    name: "with useNodeTime the worker's clock decides which jobs are due",
    see: async ({ rows, run }) => {
      await rows("select graphile_worker.add_job('note', '1', run_at => now() + interval '1 hour')");
      vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + 7_200_000 });
      try {
        await run({ useNodeTime: true });
      } finally {
        vi.useRealTimers();
      }
      return await rows("select note from seen");
    },
    is: [{ note: 1 }],
    except: { "with a limit": { is: [], documented: DATABASE_CLOCK } },
  },
  {
    name: "a new crontab entry is registered, and enqueues nothing for the past",
    see: async (side) => {
      await startWithCrontab(side, "0 4 * * * note ?id=nightly&fill=1d\n");
      return {
        known: await side.rows(
          "select identifier, public.moment(known_since) as since, last_execution from graphile_worker._private_known_crontabs",
        ),
        jobs: await side.rows(BRIEF),
      };
    },
    is: { known: [{ identifier: "nightly", since: "now", last_execution: null }], jobs: [] },
  },
  {
    name: "a known crontab entry is backfilled for its configured time, with its options",
    see: async (side) => {
      await side.rows(
        "insert into graphile_worker._private_known_crontabs values ('every', now() - interval '2 days', now() - interval '1 day')",
      );
      await startWithCrontab(side, '* * * * * note ?id=every&fill=5m&max=3&queue=q&priority=4 {"a": 1}\n');
      const jobs = await side.rows(
        `select queue, priority, max_attempts, (payload -> 'a')::text as a, count(*) between 4 and 5 as filled from public.brief
         where (payload -> '_cron' ->> 'backfilled')::boolean group by 1, 2, 3, 4`,
      );
      return {
        jobs,
        last: await side.rows(
          "select last_execution > now() - interval '2 minutes' as recent from graphile_worker._private_known_crontabs",
        ),
      };
    },
    is: {
      jobs: [{ queue: "q", priority: 4, max_attempts: 3, a: "1", filled: true }],
      last: [{ recent: true }],
    },
  },
];
