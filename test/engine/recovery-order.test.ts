import type { ChildProcess } from "node:child_process";
import { beforeEach, expect, it } from "vitest";
import { testDatabase } from "../support/database.ts";
import { empty } from "../support/empty.ts";
import { until } from "../support/until.ts";
import { directoryOf, workerProcess } from "../support/worker.ts";

const database = testDatabase();

/** How many jobs each of the two workers runs at a time, and how many it fetches ahead. */
const CONCURRENCY = 4;
const LOCAL_QUEUE = 8;

const TASK = `
  import { setTimeout as delay } from "node:timers/promises";
  export default async function busy() { await delay(200); }`;

beforeEach(async () => {
  await database.pool.query("delete from graphile_worker._private_jobs");
  await empty(database.pool, "legwork_private.finished_jobs, legwork_private.failed_attempts, legwork_private.worker_processes");
});

/** Two workers in the middle of 130 jobs. The first holds all the jobs it can, and runs some of them. */
async function twoBusyWorkers(fields = {}): Promise<{ first: ChildProcess; running: string[]; ahead: string[] }> {
  const tasks = await directoryOf({ "busy.js": TASK });
  const settings = { LEGWORK_CONCURRENCY: String(CONCURRENCY), LEGWORK_LOCAL_QUEUE_SIZE: String(LOCAL_QUEUE) };
  const [first] = await Promise.all([workerProcess(database, tasks, settings), workerProcess(database, tasks, settings)]);
  await database.pool.query("select legwork.enqueue_many((select jsonb_agg($1::jsonb) from generate_series(1, 130)))", [
    { task: "busy", ...fields },
  ]);
  return await until("the first worker runs some jobs and has fetched others", async () => {
    const { rows } = await database.pool.query(
      `select j.id, j.id = any (w.running) as runs from legwork_private.worker_processes w join graphile_worker._private_jobs j on j.locked_by = w.id
       where w.pid = $1 order by j.id`,
      [first.pid],
    );
    const running = rows.filter(({ runs }) => runs).map(({ id }) => id);
    const ahead = rows.filter(({ runs }) => !runs).map(({ id }) => id);
    return running.length >= 2 && ahead.length >= 4 && { first, running, ahead };
  });
}

/** The jobs in the order in which their last attempts started, once all have completed. */
async function startOrder(): Promise<string[]> {
  return await until(
    "all jobs complete",
    async () => {
      const { rows } = await database.pool.query(
        "select id from legwork_private.finished_jobs where state = 'completed' order by started_at, id",
      );
      return rows.length === 130 && rows.map(({ id }) => id);
    },
    25_000,
  );
}

/** How many other jobs started between the first and the last of the given jobs. */
function between(order: readonly string[], ids: readonly string[]): number {
  const places = ids.map((id) => order.indexOf(id));
  return Math.max(...places) - Math.min(...places) + 1 - ids.length;
}

/** How many jobs the remaining worker may already hold when the other worker's jobs are returned. It runs those first. */
const IN_HAND = LOCAL_QUEUE + CONCURRENCY;

it("jobs of a killed worker run next, and the jobs that it had only fetched also run before the backlog", async () => {
  const { first, running } = await twoBusyWorkers();
  first.kill("SIGKILL");
  // These jobs are lost with the worker. Its last heartbeat is backdated instead of waiting for the lease to expire.
  const held = await until("the worker is silent", async () => {
    if (first.signalCode === null) return undefined;
    const { rows } = await database.pool.query(
      `update legwork_private.worker_processes w set seen_at = seen_at - interval '10 seconds', suspected_at = clock_timestamp() - interval '5 seconds'
       where pid = $1 returning array(select j.id from graphile_worker._private_jobs j where j.locked_by = w.id order by j.id) as ids, w.running`,
      [first.pid],
    );
    return rows[0] as { ids: string[]; running: string[] };
  });
  expect(held.ids.length).toBeGreaterThanOrEqual(running.length);
  const order = await startOrder();
  expect(between(order, held.ids)).toBeLessThanOrEqual(IN_HAND);
  // The backlog runs after these jobs.
  expect(order.length - 1 - Math.max(...held.ids.map((id) => order.indexOf(id)))).toBeGreaterThan(30);
  const lost = held.ids.filter((id) => held.running.includes(id));
  const ahead = held.ids.filter((id) => !lost.includes(id));
  expect(Math.max(...lost.map((id) => order.indexOf(id)))).toBeLessThanOrEqual(
    Math.min(...ahead.map((id) => order.indexOf(id))) + CONCURRENCY,
  );
});

it("jobs that a stopped worker had fetched ahead run next", async () => {
  const { first, ahead } = await twoBusyWorkers();
  first.kill("SIGTERM");
  const order = await startOrder();
  expect(first.exitCode).toBe(0);
  expect(between(order, ahead)).toBeLessThanOrEqual(IN_HAND);
  expect(order.length - 1 - Math.max(...ahead.map((id) => order.indexOf(id)))).toBeGreaterThan(30);
});
