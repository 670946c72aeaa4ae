import { addJobs, measureSides, type Side } from "./database-sides.ts";

/** The number of jobs of each kind. */
interface Sizes {
  readonly jobs: number;
  readonly waiting: number;
  readonly paused: number;
  readonly finished: number;
  readonly held: number;
  readonly serial: number;
  readonly keys: number;
}

const FULL: Sizes = {
  jobs: 60_000,
  waiting: 1_000_000,
  paused: 100_000,
  finished: 10_000_000,
  held: 300_000,
  serial: 20_000,
  keys: 10_000,
};
const SHORT: Sizes = { jobs: 5_000, waiting: 20_000, paused: 2_000, finished: 50_000, held: 10_000, serial: 2_000, keys: 500 };

function sidesFor(size: Sizes): Side[] {
  const n = (count: number): string => count.toLocaleString("en-US");
  const waiting = addJobs(size.waiting, { identifier: "'later'" });
  const finished = `insert into legwork_private.finished_jobs (id, task, queue, state, priority, attempts, max_attempts, payload, run_at, created_at, started_at, finished_at, worker)
    select i, 'noop', 'default', 'completed', 0, 1, 25, '{"a": 1}', x.at, x.at, x.at, x.at, 'w'
    from generate_series(1, ${size.finished}) i, lateral (select now() - make_interval(secs => (${size.finished} - i) * 0.05) as at) x;
    select setval(pg_get_serial_sequence('graphile_worker._private_jobs', 'id'), ${size.finished})`;
  const empty = "an empty database";
  const bare = "graphile-worker alone";
  const side = (name: string, more: Partial<Side> = {}): Side => ({ name, program: "legwork", jobs: size.jobs, ...more });
  return [
    side(bare, { program: "graphile-worker" }),
    side(empty),
    side(`${n(size.waiting)} other jobs waiting`, { before: [waiting], besides: empty }),
    side(`${n(size.waiting)} jobs scheduled for tomorrow`, {
      before: [addJobs(size.waiting, { identifier: "'later'", run_at: "now() + interval '1 day'" })],
      besides: empty,
    }),
    side(`${n(size.paused)} jobs in a paused queue`, {
      before: [
        `select legwork_private.register_tasks('[{"name": "held", "queue": "paused"}]'); select legwork.pause_queue('paused')`,
        addJobs(size.paused, { identifier: "'held'" }),
      ],
      besides: empty,
      least: 0.95,
    }),
    side(`${n(size.finished)} finished jobs`, { before: [finished], besides: empty }),
    side(`${n(size.waiting)} jobs waiting and ${n(size.finished)} finished`, {
      before: [finished, waiting],
      besides: empty,
      least: 0.9,
    }),
    side("through PgBouncer in session mode", { isPooled: true, besides: empty }),
    side(`${n(size.keys)} serial keys, graphile-worker alone`, {
      program: "graphile-worker",
      jobs: size.serial,
      queueName: `'s' || n % ${size.keys}`,
    }),
    side(`${n(size.keys)} serial keys`, {
      jobs: size.serial,
      queueName: `'s' || n % ${size.keys}`,
      besides: `${n(size.keys)} serial keys, graphile-worker alone`,
    }),
    side("graphile-worker alone, with an open transaction", { program: "graphile-worker", jobs: size.held, isHeld: true }),
    side("with an open transaction", {
      jobs: size.held,
      isHeld: true,
      besides: "graphile-worker alone, with an open transaction",
    }),
  ];
}

/**
 * Measures how throughput changes as a database grows: in an empty database and in databases with many waiting, scheduled, paused or finished jobs,
 * with serial keys, and during a transaction that stays open.
 */
export async function run({ short, parameters }: { short: boolean; parameters: readonly string[] }): Promise<void> {
  await measureSides("growth", sidesFor(short ? SHORT : FULL), { short, rounds: Number(parameters[0] ?? (short ? 1 : 3)) });
}
