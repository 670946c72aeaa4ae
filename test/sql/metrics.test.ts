import fc from "fast-check";
import { beforeEach, expect, it } from "vitest";
import { connection } from "../support/connections.ts";
import { testDatabase } from "../support/database.ts";
import { HandWorker } from "../support/hand-worker.ts";
import { scaled } from "../support/slowness.ts";
import { until } from "../support/until.ts";

const database = testDatabase();
const worker = new HandWorker("w1");

beforeEach(async () => {
  await database.pool.query("delete from graphile_worker._private_jobs");
  await database.pool.query("truncate legwork_private.finished_jobs, legwork_private.failed_attempts");
  await rollUp();
  await database.pool.query("truncate legwork_private.task_minutes, legwork_private.task_hours, legwork_private.task_totals, legwork_private.samples");
});

async function rollUp(): Promise<number> {
  return Number((await database.pool.query("select legwork_private.roll_up('1 minute') as rows")).rows[0].rows);
}

async function add(task: string, count = 1): Promise<void> {
  await database.pool.query(
    `select graphile_worker.add_jobs(array(
       select row($1, '{}'::json, null, null, 2, null, null, null)::graphile_worker.job_spec from generate_series(1, $2::int)))`,
    [task, count],
  );
}

/** Fetches this many jobs and ends them, in the connection's open transaction if there is one. */
async function run(count: number, client: Parameters<HandWorker["fetch"]>[0] = database.pool): Promise<void> {
  const jobs = await worker.fetch(client, count);
  await worker.complete(
    client,
    jobs.map(({ id }) => id),
  );
}

async function totals(): Promise<Record<string, unknown>> {
  const { rows } = await database.pool.query(
    "select task, completed::int, failed::int, cancelled::int, failed_attempts::int, retried::int from legwork_private.task_totals order by task",
  );
  return Object.fromEntries(rows.map(({ task, ...counts }) => [task, counts]));
}

async function completed(): Promise<number> {
  return Number((await database.pool.query("select coalesce(sum(completed), 0) as n from legwork_private.task_totals")).rows[0].n);
}

/** Fills the pages of a partition, so that new rows go into other segments. */
async function fillUp(megabytes: number): Promise<void> {
  const client = await database.pool.connect();
  await client.query(
    `insert into legwork_private.finished_jobs (id, task, queue, state, priority, attempts, max_attempts, payload, run_at, created_at, started_at, finished_at, worker)
     select -n, 'filler', 'default', 'completed', 0, 1, 1, json_build_object('t', repeat('x', 900)), now(), now(), now(), now(), 'w'
     from generate_series(1, $1::int * 1000) n`,
    [megabytes],
  );
  await client.query("select pg_stat_force_next_flush()");
  client.release();
}

it("counts completed, failed, retried and cancelled jobs", async () => {
  await add("a", 3);
  await run(3);
  await add("b");
  const [job] = await worker.fetch(database.pool);
  await worker.fail(database.pool, [job!.id]);
  await database.pool.query("update graphile_worker._private_jobs set run_at = now()");
  await worker.fetch(database.pool);
  await worker.fail(database.pool, [job!.id]);
  await database.pool.query("select graphile_worker.add_job('c', job_key => 'k')");
  await database.pool.query("select graphile_worker.remove_job('k')");
  expect(await rollUp()).toBe(7);
  expect(await totals()).toEqual({
    a: { completed: 3, failed: 0, cancelled: 0, failed_attempts: 0, retried: 0 },
    b: { completed: 0, failed: 1, cancelled: 0, failed_attempts: 2, retried: 1 },
    c: { completed: 0, failed: 0, cancelled: 1, failed_attempts: 0, retried: 0 },
  });
  expect(await rollUp()).toBe(0);
});

it("records how long jobs waited and ran, by minute", async () => {
  await database.pool.query(
    `insert into legwork_private.finished_jobs (id, task, queue, state, priority, attempts, max_attempts, run_at, created_at, started_at, finished_at, worker)
     select n, 'a', 'default', 'completed', 0, 1, 1, t, t, t + interval '20 ms', t + interval '20 ms' + n * interval '1 second', 'w'
     from generate_series(1, 100) n, lateral (select date_trunc('minute', now()) - interval '2 hours' as t) x`,
  );
  await rollUp();
  const { rows } = await database.pool.query(
    `select count(*)::int as minutes, sum(completed)::int as jobs, sum(run_seconds) as ran, legwork_private.sum_counts(waits) as waits from legwork_private.task_minutes`,
  );
  expect(rows[0]).toMatchObject({ minutes: 2, jobs: 100, ran: 5050 });
  expect(rows[0].waits.map(Number)).toEqual([0, 0, 100, ...Array.from({ length: 14 }, () => 0)]);
  const { rows: statistics } = await database.pool.query(
    "select completed::int, run_average, run_p95, wait_p95, error_rate from legwork.task_statistics('3 hours')",
  );
  expect(statistics[0]).toMatchObject({ completed: 100, run_average: 50.5, error_rate: 0 });
  expect(statistics[0].run_p95).toBeGreaterThan(60);
  expect(statistics[0].wait_p95).toBeCloseTo(0.02, 1);
});

it("counts a long transaction when it commits, and concurrent ones at once", async () => {
  await add("a", 20);
  const late = await connection(database);
  await late.query("begin");
  await run(5, late);
  await run(3);
  expect(await rollUp()).toBe(3);
  await run(4);
  expect(await rollUp()).toBe(4);
  // A subtransaction has its own transaction id.
  await late.query("savepoint s");
  await run(2, late);
  await late.query("release s");
  await run(1);
  expect(await rollUp()).toBe(1);
  await late.query("commit");
  expect(await rollUp()).toBe(7);
  expect(await rollUp()).toBe(0);
  expect(await completed()).toBe(15);
});

it("counts the rows of a long transaction even if many pages have been added to the table after them", async () => {
  await add("a", 20);
  await fillUp(1);
  const late = await connection(database);
  await late.query("begin");
  await run(5, late);
  await fillUp(20);
  await rollUp();
  await run(2);
  await fillUp(20);
  await rollUp();
  const { rows: before } = await database.pool.query(
    "select count(*) filter (where full_at is not null and not is_closed)::int as open from legwork_private.rollup_segments",
  );
  expect(before[0].open).toBeGreaterThan(1);
  expect(await completed()).toBeLessThanOrEqual(41_002);
  await late.query("commit");
  await late.query("select pg_stat_force_next_flush()");
  await until("all rows are counted", async () => {
    await rollUp();
    return (await completed()) >= 41_007;
  }, scaled(20_000));
  expect(await totals()).toMatchObject({ a: { completed: 7 }, filler: { completed: 41_000 } });
  // Segments close only after old transactions in the whole server, including other databases, have ended.
  await until("all full segments are closed", async () => {
    await rollUp();
    const { rows: after } = await database.pool.query(
      "select count(*) filter (where full_at is not null and not is_closed)::int as open, count(*) filter (where is_closed)::int as closed from legwork_private.rollup_segments",
    );
    return after[0].open === 0 && after[0].closed > 1;
  }, scaled(20_000));
  expect(await rollUp()).toBe(0);
});

it("counts a row that was inserted into free space in old blocks after a vacuum", async () => {
  await fillUp(40);
  await rollUp();
  await rollUp();
  await database.pool.query("delete from legwork_private.finished_jobs where id between -3000 and -2000");
  const { rows } = await database.pool.query("select tableoid::regclass as name from legwork_private.finished_jobs where id = -1");
  await database.pool.query(`vacuum ${rows[0].name}`);
  await add("a", 40);
  await run(40);
  const { rows: places } = await database.pool.query(
    "select min((ctid::text::point)[0])::int as block from legwork_private.finished_jobs where task = 'a'",
  );
  expect(places[0].block).toBeLessThan(1_000);
  for (let turn = 0; turn < 100 && (await completed()) < 40_040; turn++) {
    // A connection flushes its statistics within a second after it becomes idle.
    await database.pool.query("select pg_stat_force_next_flush()");
    await rollUp();
  }
  expect(await totals()).toMatchObject({ a: { completed: 40 }, filler: { completed: 40_000 } });
});

it("neither misses nor repeats rows that are rewritten, or that are moved to a new partition", async () => {
  await add("a", 10);
  await run(4);
  await rollUp();
  const { rows } = await database.pool.query("select tableoid::regclass as name from legwork_private.finished_jobs limit 1");
  await database.pool.query(`vacuum full ${rows[0].name}`);
  await run(3);
  expect(await rollUp()).toBe(3);
  // All rows are in the default partition, as in a new installation.
  await database.pool.query(`alter table legwork_private.finished_jobs detach partition ${rows[0].name}`);
  await database.pool.query(`drop table ${rows[0].name}`);
  const { rows: others } = await database.pool.query("select partition from legwork_private.history_partitions() where parent = 'legwork_private.finished_jobs'::regclass");
  for (const { partition } of others) await database.pool.query(`drop table ${partition}`);
  await run(1);
  expect(await rollUp()).toBe(1);
  await run(1);
  await database.pool.query("select legwork.maintain_history()");
  await run(1);
  await rollUp();
  expect(await rollUp()).toBe(0);
  expect(await completed()).toBe(10);
});

it("counts everything once, whatever the order of transactions, counts and rollbacks", async () => {
  const step = fc.oneof(
    fc.record({ kind: fc.constant("run"), on: fc.integer({ min: 0, max: 3 }), jobs: fc.integer({ min: 1, max: 5 }) }),
    fc.record({ kind: fc.constantFrom("commit", "rollback", "savepoint"), on: fc.integer({ min: 0, max: 3 }), jobs: fc.constant(0) }),
    fc.record({ kind: fc.constantFrom("rollUp", "fill"), on: fc.constant(0), jobs: fc.constant(0) }),
  );
  const clients = await Promise.all([0, 1, 2, 3].map(() => connection(database)));
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 40 }), async (steps) => {
      for (const client of clients) await client.query("rollback");
      await database.pool.query("delete from graphile_worker._private_jobs");
      await database.pool.query("truncate legwork_private.finished_jobs");
      await rollUp();
      await database.pool.query("truncate legwork_private.task_totals");
      await add("p", 250);
      for (const client of clients) await client.query("begin");
      for (const { kind, on, jobs } of steps) {
        const client = clients[on]!;
        if (kind === "run") await run(jobs, client);
        else if (kind === "savepoint") await client.query("savepoint s");
        else if (kind === "fill") await fillUp(7);
        else if (kind === "rollUp") await rollUp();
        else {
          await client.query(kind);
          await client.query("begin");
        }
      }
      for (const client of clients) {
        await client.query("commit");
        await client.query("select pg_stat_force_next_flush()");
      }
      for (let turn = 0, quiet = 0; turn < 20 && quiet < 3; turn++) quiet = (await rollUp()) === 0 ? quiet + 1 : 0;
      const { rows } = await database.pool.query(
        "select (select count(*) from legwork_private.finished_jobs where task = 'p')::int as there, (select coalesce(sum(completed + cancelled), 0) from legwork_private.task_totals where task = 'p')::int as counted",
      );
      expect(rows[0].counted).toBe(rows[0].there);
    }),
    { numRuns: 12 },
  );
});

it("two sessions do not count at the same time", async () => {
  await add("a", 2);
  await run(2);
  const other = await connection(database);
  await other.query("begin");
  expect(Number((await other.query("select legwork_private.roll_up() as rows")).rows[0].rows)).toBe(2);
  expect((await database.pool.query("select legwork_private.roll_up() as rows")).rows[0].rows).toBe(null);
  await other.query("rollback");
  // The counts are rolled back together with the record of what has been counted.
  expect(await rollUp()).toBe(2);
});

it("keeps the same numbers by the hour and in total, and deletes minutes and hours after their retention", async () => {
  await add("a", 3);
  await run(3);
  await rollUp();
  await database.pool.query(
    `insert into legwork_private.task_minutes (minute, task, completed, waits, runs)
     select now() - interval '3 days' + n * interval '1 minute', 'old', 1, '{}', '{}' from generate_series(0, 119) n`,
  );
  await database.pool.query("insert into legwork_private.task_hours (hour, task, completed, waits, runs) values (now() - interval '500 days', 'old', 1, '{}', '{}')");
  for (const expected of [50, 50, 20, 0]) {
    expect((await database.pool.query("select legwork_private.forget_metrics(50) as n")).rows[0].n).toBe(expected);
  }
  const { rows } = await database.pool.query(
    `select (select sum(completed)::int from legwork_private.task_minutes) as minutes, (select sum(completed)::int from legwork_private.task_hours) as hours,
       (select sum(completed)::int from legwork.task_statistics('2 days')) as days, (select legwork_private.sum_counts(waits)::int[] from legwork_private.task_hours) as waits`,
  );
  expect(rows[0]).toMatchObject({ minutes: 3, hours: 3, days: 3 });
  expect(rows[0].waits.reduce((sum: number, n: number) => sum + n, 0)).toBe(3);
});

it("records how long attempts usually take, with a half-life of one day", async () => {
  const zeros = Array.from({ length: 17 }, () => 0);
  await database.pool.query("insert into legwork_private.task_totals (task, waits, runs) values ('a', $1, $2)", [zeros, zeros.with(8, 100)]);
  await database.pool.query("select legwork_private.note_usual_runs()");
  const usual = async (): Promise<{ usual_run: number; usual_runs: number }> =>
    (await database.pool.query("select usual_run, usual_runs from legwork_private.task_totals")).rows[0];
  expect(await usual()).toMatchObject({ usual_runs: 100, usual_run: 2.425 });
  await database.pool.query("do $$ begin for i in 1..144 loop perform legwork_private.note_usual_runs(); end loop; end $$");
  expect((await usual()).usual_runs).toBeCloseTo(50, 0);
  await database.pool.query("update legwork_private.task_totals set runs = $1", [zeros.with(8, 100).with(13, 1_000)]);
  await database.pool.query("select legwork_private.note_usual_runs()");
  expect((await usual()).usual_run).toBeGreaterThan(60);
});

it("estimates quantiles within the bounds of their bucket", () =>
  fc.assert(
    fc.asyncProperty(fc.array(fc.integer({ min: 0, max: 1000 }), { minLength: 17, maxLength: 17 }), fc.double({ min: 0.01, max: 1, noNaN: true }), async (counts, q) => {
      const { rows } = await database.pool.query("select legwork_private.quantile($1, $2::float8[]) as value, legwork_private.histogram_bounds() as bounds", [q, counts]);
      const total = counts.reduce((sum, n) => sum + n, 0);
      let before = 0;
      const bucket = counts.findIndex((n) => n > 0 && (before += n) >= q * total - 1e-9);
      const bounds: number[] = rows[0].bounds;
      const [low, high] = [bounds[bucket - 1] ?? 0, bounds[bucket] ?? 3600];
      const { value } = rows[0];
      expect(total === 0 ? value === null : value >= low && value <= high + 1e-9).toBe(true);
    }),
    { numRuns: 30 },
  ));

it("samples the queues and the limits in use", async () => {
  await database.pool.query(`select legwork_private.register_tasks('[{"name": "mail", "queue": "q"}, {"name": "other"}]')`);
  await database.pool.query("select legwork.limit_concurrency(2, queue => 'q')");
  await add("mail", 5);
  await add("other", 2);
  await database.pool.query("select graphile_worker.add_job('other', run_at => now() + interval '1 hour')");
  await database.pool.query("select legwork_private.sample_queues()");
  const { rows } = await database.pool.query(
    "select q ->> 'queue' as queue, q ->> 'state' as state, (q ->> 'jobs')::int as jobs from legwork_private.samples, jsonb_array_elements(value) q where name = 'queues' order by 1, 2",
  );
  expect(rows).toEqual([
    { queue: "default", state: "pending", jobs: 2 },
    { queue: "default", state: "scheduled", jobs: 1 },
    { queue: "q", state: "blocked", jobs: 3 },
    { queue: "q", state: "pending", jobs: 2 },
  ]);
  const { rows: limits } = await database.pool.query("select value from legwork_private.samples where name = 'limits'");
  expect(limits[0].value).toEqual([{ scope: "queue", name: "q", kind: "concurrency", key: "", max: 2, used: 2, keys: 1, full: 1 }]);
  await database.pool.query("select legwork.drop_limit('concurrency', queue => 'q')");
});
