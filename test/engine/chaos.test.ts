import type { ChildProcess } from "node:child_process";
import { setTimeout as delay } from "node:timers/promises";
import fc from "fast-check";
import { expect, it, onTestFinished } from "vitest";
import { testDatabase } from "../support/database.ts";
import { sized } from "../support/long.ts";
import { until } from "../support/until.ts";
import { directoryOf, workerProcess } from "../support/worker.ts";

// Three worker processes are killed, stopped and started while jobs are added, paused, cancelled and limited at random, and while some block the
// event loop. Then the faults end, every job must end, and the runs that the tasks recorded must satisfy the guarantees. LEGWORK_CHAOS_SECONDS makes
// the test longer, and LEGWORK_CHAOS_SEED repeats a sequence.

const SECONDS = Number(process.env.LEGWORK_CHAOS_SECONDS ?? sized(8, 60));
const SEED = Number(process.env.LEGWORK_CHAOS_SEED ?? Date.now() % 2 ** 31);

/** Longer than the lease, so that other workers have taken over by then. */
const LONG_STOP_MS = 9_000;

/** The longest time a job blocks its worker's event loop (ms): longer than the lease in a long test. */
const LONG_BLOCK_MS = SECONDS > 60 ? 20_000 : 7_000;

/** The longest time between a job's admission by a limit and its start (ms), for the check of changed limits. */
const LATE_MS = 15_000;

const database = testDatabase();

/**
 * Records when it started and ended, by this machine's clock, and ends as its payload says. Both times are within the attempt, so a recorded overlap
 * is a real one.
 */
const task = (options: string): string => `
  import { setTimeout as delay } from "node:timers/promises";
  import { Discard, RetryAfter, Snooze, defineTask } from "legwork";
  export default defineTask({ ${options} async run({ ms, key, end }, { job, signal, sql }) {
    const began = Date.now();
    const [run] = await sql\`insert into runs (job_id, task, key, pid, began) values (\${job.id}, \${job.task}, \${key}, \${process.pid}, \${began}) returning id\`;
    const runs = Number((await sql\`select count(*) from runs where job_id = \${job.id}\`)[0].count);
    let ended;
    try {
      if (end === "block") for (const until = Date.now() + ms; Date.now() < until; );
      else await delay(ms, undefined, { signal });
      if (end === "hang") await delay(60_000, undefined, { signal });
      if (end === "fail" || (end === "fail once" && runs === 1)) throw new Error("at random");
      if (end === "discard") throw new Discard("not worth it");
      if (end === "snooze" && runs === 1) throw new Snooze(200);
      if (end === "retry after" && runs === 1) throw new RetryAfter(200);
      return Number(run.id);
    } finally {
      ended = Date.now();
      await sql\`update runs set ended = \${ended} where id = \${run.id}\`;
    }
  } });`;

const RETRY = `retry: { attempts: 4, backoff: "fixed", delay: "100ms" },`;
const TASKS = {
  "free.ts": task(RETRY),
  "two.ts": task(`${RETRY} queue: "narrow", concurrency: { limit: 2 },`),
  "keyed.ts": task(`${RETRY} concurrency: { limit: 1, key: "key" },`),
  "changing.ts": task(`${RETRY} queue: "narrow", concurrency: { limit: 3 },`),
  "rated.ts": task(`${RETRY} rateLimit: { limit: 10, per: "2s" },`),
  "timed.ts": task(`${RETRY} timeout: "400ms",`),
};
const NAMES = Object.keys(TASKS).map((file) => file.replace(".ts", ""));

type Action =
  | { do: "add"; jobs: { task: string; ms: number; key: string; end: string; serial: string | null; wait: number }[] }
  | { do: "pause" | "resume"; queue: boolean }
  | { do: "cancel"; nth: number }
  | { do: "limit"; max: number }
  | { do: "block"; ms: number }
  | { do: "kill" | "stop"; worker: number; long: boolean };

const job = fc.record({
  task: fc.constantFrom(...NAMES),
  ms: fc.integer({ min: 0, max: 300 }),
  key: fc.constantFrom("a", "b", "c"),
  end: fc.oneof(
    { weight: 5, arbitrary: fc.constant("complete") },
    { weight: 3, arbitrary: fc.constantFrom("fail", "fail once", "discard", "snooze", "retry after") },
  ),
  serial: fc.option(fc.constantFrom("s", "t"), { freq: 4 }),
  wait: fc.constantFrom(0, 0, 0, 500),
});
const action: fc.Arbitrary<Action> = fc.oneof(
  { weight: 12, arbitrary: fc.record({ do: fc.constant("add" as const), jobs: fc.array(job, { minLength: 1, maxLength: 12 }) }) },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constantFrom("pause" as const, "resume" as const, "resume" as const), queue: fc.boolean() }),
  },
  { weight: 3, arbitrary: fc.record({ do: fc.constant("cancel" as const), nth: fc.nat(1_000) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("block" as const), ms: fc.integer({ min: 1_000, max: LONG_BLOCK_MS }) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("limit" as const), max: fc.integer({ min: 1, max: 4 }) }) },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constantFrom("kill" as const, "stop" as const),
      worker: fc.nat(2),
      long: fc.boolean(),
    }),
  },
);

interface Ran {
  id: number;
  job: string;
  task: string;
  key: string;
  from: number;
  to: number;
}

/** For each start, the runs that were open at that moment. */
function crowds(runs: readonly Ran[]): { at: number; ids: number[] }[] {
  const sorted = runs.toSorted((a, b) => a.from - b.from);
  let open: Ran[] = [];
  return sorted.map((run) => {
    open = [...open.filter((other) => other.to > run.from), run];
    return { at: run.from, ids: open.map((other) => other.id) };
  });
}

it(
  `jobs survive chaos (seed ${SEED})`,
  async () => {
    const { pool } = database;
    await pool.query(`create table runs (
    id bigint generated always as identity, job_id bigint, task text, key text, pid integer, began bigint, ended bigint)`);
    const tasks = await directoryOf(TASKS);
    // When each process was killed, and when it was stopped for longer than the lease.
    const killed = new Map<number, number>();
    const stopped: { pid: number; at: number }[] = [];
    const limits: { at: number; max: number }[] = [{ at: 0, max: 3 }];
    const asleep = new Set<ChildProcess>();
    const pending: Promise<unknown>[] = [];
    let blockedUntil = 0;
    const start = async (): Promise<ChildProcess> =>
      await workerProcess(database, tasks, { LEGWORK_CONCURRENCY: "6", LEGWORK_LOCAL_QUEUE_SIZE: "6" });
    const workers = await Promise.all([start(), start(), start()]);
    const ids: string[] = [];
    const sleep = async (victim: ChildProcess, time: number): Promise<void> => {
      victim.kill("SIGSTOP");
      asleep.add(victim);
      await delay(time);
      victim.kill("SIGCONT");
      asleep.delete(victim);
    };
    const replace = async (worker: number, victim: ChildProcess): Promise<void> => {
      killed.set(victim.pid!, Date.now());
      victim.kill("SIGKILL");
      asleep.add(victim);
      workers[worker] = await start();
      asleep.delete(victim);
    };

    const perform = async (next: Action): Promise<void> => {
      switch (next.do) {
        case "add": {
          const { rows } = await pool.query(
            `select (graphile_worker.add_job(j ->> 'task', j::json, queue_name => j ->> 'serial',
             run_at => now() + (j ->> 'wait')::integer * interval '1 ms')).id from jsonb_array_elements($1) j`,
            [JSON.stringify(next.jobs)],
          );
          ids.push(...rows.map((row) => row.id));
          return;
        }
        case "pause":
          await pool.query(next.queue ? "select legwork.pause_queue('narrow')" : "select legwork.pause_task('free')");
          return;
        case "resume":
          await pool.query(next.queue ? "select legwork.resume_queue('narrow')" : "select legwork.resume_task('free')");
          return;
        case "cancel":
          // Chooses one of the latest jobs, because the others have ended.
          await pool.query("select legwork.cancel_job($1)", [ids.at(-1 - (next.nth % 30)) ?? 0]).catch((error) => {
            if (error.code !== "LW409" && error.code !== "LW404") throw error;
          });
          return;
        case "limit":
          limits.push({ at: Date.now(), max: next.max });
          await pool.query("select legwork.limit_concurrency($1, task => 'changing')", [next.max]);
          return;
        case "block": {
          // The event loop is free most of the time.
          if (Date.now() < blockedUntil) return;
          blockedUntil = Date.now() + next.ms;
          const { rows } = await pool.query("select id from graphile_worker.add_job('free', $1)", [
            JSON.stringify({ ms: next.ms, key: "a", end: "block" }),
          ]);
          ids.push(rows[0].id);
          return;
        }
        case "kill":
        case "stop": {
          const victim = workers[next.worker]!;
          // Only one worker at a time is stopped for long, so that another one is left to notice this.
          if (asleep.size > 0) return;
          if (next.do === "kill") {
            pending.push(replace(next.worker, victim));
          } else {
            if (next.long) stopped.push({ pid: victim.pid!, at: Date.now() });
            pending.push(sleep(victim, next.long ? LONG_STOP_MS : 1_500));
          }
        }
      }
    };

    const deadline = Date.now() + SECONDS * 1_000;
    const actions = fc.sample(action, { seed: SEED, numRuns: Math.ceil(SECONDS * 10) });
    onTestFinished(() => asleep.clear());
    for (const next of actions) {
      if (Date.now() > deadline) break;
      await perform(next);
      await delay(80);
    }
    await Promise.all(pending);
    limits.push({ at: Date.now(), max: 3 });
    await pool.query(
      "select legwork.resume_queue('narrow'), legwork.resume_task('free'), legwork.limit_concurrency(3, task => 'changing')",
    );
    await until(
      "every job has ended",
      async () => {
        const { rows } = await pool.query("select from legwork.jobs where finished_at is null limit 1");
        return rows.length === 0;
      },
      60_000 + SECONDS * 1_000,
    );

    // No job is lost, and each job ends exactly once.
    const { rows: ends } = await pool.query("select id, state, result, error from legwork_private.finished_jobs order by id");
    expect(ends.map((row) => row.id)).toEqual(ids.toSorted((a, b) => Number(a) - Number(b)));
    for (const end of ends) expect(["completed", "failed", "cancelled"]).toContain(end.state);
    for (const table of ["waiting_jobs", "slots where per is null", "worker_processes where suspected_at is not null"]) {
      expect({ table, rows: (await pool.query(`select * from legwork_private.${table}`)).rows }).toEqual({ table, rows: [] });
    }

    const { rows } = await pool.query("select id::int, job_id, task, key, pid, began, ended from runs order by id");
    const runs: Ran[] = rows.map((row) => {
      const from = Number(row.began);
      // Runs of a process that was declared dead do not count after that moment.
      const stops = stopped.filter((stop) => stop.pid === row.pid && stop.at >= from).map((stop) => stop.at);
      const to = Math.min(row.ended === null ? Infinity : Number(row.ended), killed.get(row.pid) ?? Infinity, ...stops);
      return { id: row.id, job: row.job_id, task: row.task, key: row.key, from, to };
    });

    // No job runs twice at the same time, and its last run completed it.
    const byJob = Map.groupBy(runs, (run) => run.job);
    for (const [id, own] of byJob) {
      expect(
        own.filter((run) => run.to === Infinity),
        `job ${id} ran to completion`,
      ).toEqual([]);
      for (const crowd of crowds(own)) expect(crowd.ids, `job ${id} runs once at a time`).toHaveLength(1);
    }
    for (const end of ends) {
      if (end.state !== "completed") continue;
      const own = byJob.get(end.id)!;
      expect(end.result, `job ${end.id} is completed by its last run`).toBe(own.toSorted((a, b) => a.from - b.from).at(-1)!.id);
    }

    // No concurrency limit is exceeded.
    const of = (name: string): Ran[] => runs.filter((run) => run.task === name);
    for (const crowd of crowds(of("two"))) expect(crowd.ids.length, `runs of two at ${crowd.at}`).toBeLessThanOrEqual(2);
    for (const own of Map.groupBy(of("keyed"), (run) => run.key).values()) {
      for (const crowd of crowds(own)) expect(crowd.ids, "runs of keyed with one key").toHaveLength(1);
    }
    for (const crowd of crowds(of("changing"))) {
      const inForce = limits.filter((limit, n) => limit.at <= crowd.at && (limits[n + 1]?.at ?? Infinity) >= crowd.at - LATE_MS);
      expect(crowd.ids.length, `runs of changing at ${crowd.at}`).toBeLessThanOrEqual(
        Math.max(...inForce.map((limit) => limit.max)),
      );
    }

    // Rate limits hold. A start is recorded a moment after the limit has counted it.
    const starts = of("rated")
      .map((run) => run.from)
      .toSorted((a, b) => a - b);
    for (let n = 10; n < starts.length; n++)
      expect(starts[n]! - starts[n - 10]!, "the time of eleven starts").toBeGreaterThan(1_990);
    expect(runs.length).toBeGreaterThan(SECONDS);
  },
  150_000 + SECONDS * 3_000,
);
