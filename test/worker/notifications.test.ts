import pg from "pg";
import pino from "pino";
import { afterAll, beforeAll, expect, onTestFinished, test, vi } from "vitest";
import { Problems } from "../../src/health/problems.ts";
import { testDatabase } from "../support/database.ts";
import { scaled } from "../support/slowness.ts";
import { until } from "../support/until.ts";
import { workerOver } from "../support/worker.ts";

const database = testDatabase();
const stranger = `legwork_test_stranger_${Math.random().toString(36).slice(2, 8)}`;
const run = async (text: string, values: unknown[] = []): Promise<pg.QueryResult["rows"]> =>
  (await database.pool.query(text, values)).rows;

beforeAll(async () => {
  await run(`create role ${stranger} login password 'of the test'`);
});
afterAll(async () => {
  await run(`drop role ${stranger}`);
});

/** A connection with a login that has no grants. */
async function strangersConnection(): Promise<pg.Client> {
  const url = new URL(database.url);
  url.username = stranger;
  url.password = "of the test";
  const client = new pg.Client({ connectionString: url.href });
  await client.connect();
  onTestFinished(() => client.end());
  return client;
}

/** Counts the statements of this process. Must be called before connections are opened, because a worker stores their methods. */
function countStatements(): { mock: { calls: unknown[][] }; mockClear(): unknown } {
  const statements = vi.spyOn(pg.Client.prototype, "query");
  onTestFinished(() => statements.mockRestore());
  return statements;
}

/** Sends notifications from this login, each in its own transaction, so that Postgres does not merge them. */
async function flood(
  client: pg.Client,
  notifications: number,
  payloads: readonly (readonly [channel: string, payload: string])[],
): Promise<void> {
  const calls = payloads.map(
    ([channel, payload]) => `perform pg_notify(${pg.escapeLiteral(channel)}, ${pg.escapeLiteral(payload)}); commit;`,
  );
  await client.query(`do $$ begin for i in 1..${notifications / payloads.length} loop ${calls.join(" ")} end loop; end $$`);
}

/** Requests that the sender is not allowed to make, and payloads that could break the receiver. */
const forged = (id: string): (readonly [channel: string, payload: string])[] => [
  ["legwork", `{"cancelled":"${id}"}`],
  ["legwork", '{"limits":true,"wakeups":true,"schedules":true}'],
  ["legwork", "null"],
  ["legwork", '{"cancelled":{"toString":1},"limits":"x"}'],
  ["legwork", `{"cancelled":"${"9".repeat(7_000)}`],
  ["jobs:insert", '{"r":1,"count":1}'],
  ["jobs:insert", '{"count":1e300}'],
  ["jobs:insert", "[null"],
  ["worker:migrate", '{"migrationNumber":999999,"breaking":true}'],
  ["worker:migrate", "\u0001"],
];

const TASKS = {
  "hold.ts": `export default async (payload, { abortSignal, job }) => {
    await new Promise((resolve, reject) => {
      (globalThis.holding ??= new Map()).set(job.id, resolve);
      abortSignal.addEventListener("abort", () => reject(new Error("aborted")));
    });
  };`,
  "quick.ts": "export default async () => {};",
  "slow.ts": "export default async () => { await new Promise((resolve) => setTimeout(resolve, 5)); };",
};
const release = (id: string): void => (globalThis as unknown as { holding: Map<string, () => void> }).holding.get(id)?.();

test("a flood of notifications from a login without grants does not end jobs or delay a pause or cancellation, and causes a bounded number of statements", async () => {
  const problems = new Problems();
  const lines: string[] = [];
  const log = pino({ level: "info" }, { write: (line: string) => void lines.push(JSON.parse(line).msg) });
  const statements = countStatements();
  await workerOver(database.url, TASKS, { problems, log });
  const [{ kept, cancelled }] = await run("select legwork.enqueue('hold') as kept, legwork.enqueue('hold') as cancelled");
  await until("both jobs run", async () => (await run("select from legwork.jobs where state = 'running'")).length === 2);
  const worker = await run("select id from legwork.workers");
  const audited = (await run("select from legwork.audit_log")).length;
  const clients = await Promise.all([1, 2].map(() => strangersConnection()));
  lines.length = 0;

  statements.mockClear();
  const began = performance.now();
  const flooding = Promise.all(clients.map((client) => flood(client, 10_000, forged(kept))));
  await run("select legwork.enqueue('quick') from generate_series(1, 50)");
  await until(
    "the short jobs have run",
    async () => (await run("select from legwork.jobs where task = 'quick' and state = 'completed'")).length === 50,
  );
  const asked = performance.now();
  await run("select legwork.cancel_job($1)", [cancelled]);
  await until(
    "the job is cancelled",
    async () => (await run("select from legwork.jobs where id = $1 and state = 'cancelled'", [cancelled])).length === 1,
  );
  const cancelledAfter = performance.now() - asked;
  await run("select legwork.enqueue('slow') from generate_series(1, 600)");
  await until(
    "some slow jobs have run",
    async () => (await run("select from legwork.jobs where task = 'slow' and state = 'completed'")).length > 0,
  );
  const [{ paused_at: pausedAt }] = await run("select legwork.pause_task('slow'), clock_timestamp() as paused_at");
  await flooding;
  const seconds = (performance.now() - began) / 1_000;

  // In measurements, there are about 100 per second. If the worker acted on each notification, there would be thousands.
  expect(statements.mock.calls.length).toBeLessThan(100 + 250 * seconds);
  expect(cancelledAfter).toBeLessThan(scaled(1_000));
  const late = "select from legwork.jobs where task = 'slow' and started_at > $1::timestamptz + interval '300 ms'";
  expect(await run(late, [pausedAt])).toEqual([]);
  expect((await run("select from legwork.jobs where task = 'slow' and state = 'paused'")).length).toBeGreaterThan(0);
  expect(await run("select state, attempts from legwork.jobs where id = $1", [kept])).toEqual([
    { state: "running", attempts: 1 },
  ]);
  release(kept);
  await until(
    "the job has completed",
    async () => (await run("select from legwork.jobs where id = $1 and state = 'completed'", [kept])).length === 1,
  );
  expect(await run("select max(attempts) as attempts from legwork.jobs")).toEqual([{ attempts: 1 }]);
  expect(
    await run("select operation, database_role = session_user as is_mine from legwork.audit_log order by id offset $1", [
      audited,
    ]),
  ).toEqual([
    { operation: "cancel_job", is_mine: true },
    { operation: "pause", is_mine: true },
  ]);
  // The worker still uses the same runner.
  await run("select legwork.enqueue('quick')");
  await until(
    "the job has run",
    async () => (await run("select from legwork.jobs where task = 'quick' and state = 'completed'")).length === 51,
  );
  expect(await run("select id from legwork.workers")).toEqual(worker);
  expect(lines.filter((line) => line !== "Job completed.").length).toBeLessThan(10);
  expect(problems.list()).toEqual([]);
});

test("an idle worker fetches only a bounded number of times, however many notifications about new jobs are forged, and starts a new job at once", async () => {
  const statements = countStatements();
  await workerOver(database.url, TASKS);
  const client = await strangersConnection();
  statements.mockClear();
  const began = performance.now();
  await flood(client, 10_000, [["jobs:insert", '{"r":1,"count":1}']]);
  const seconds = (performance.now() - began) / 1_000;
  const fetches = statements.mock.calls.filter(([statement]) =>
    String((statement as { name?: string }).name).startsWith("get_job"),
  );
  // At most three fetches in a row, then one every 25 ms, and the regular poll.
  expect(fetches.length).toBeLessThan(10 + 45 * seconds);
  const [{ id }] = await run("select legwork.enqueue('quick') as id");
  const ended =
    "select extract(epoch from started_at - created_at) as waited from legwork.jobs where id = $1 and state = 'completed'";
  const [{ waited }] = await until("the job has run", async () => {
    const rows = await run(ended, [id]);
    return rows.length > 0 && rows;
  });
  expect(Number(waited)).toBeLessThan(0.5);
});

test("a worker stops when graphile-worker's schema is too new, and resumes once it is right again", async () => {
  const problems = new Problems();
  await workerOver(database.url, TASKS, { problems });
  const client = await strangersConnection();
  await run("insert into graphile_worker.migrations (id, breaking) values (999999, true)");
  try {
    await client.query('notify "worker:migrate"');
    await until("the worker has stopped", () => problems.list().length > 0);
  } finally {
    await run("delete from graphile_worker.migrations where id = 999999");
    // graphile-worker sets the exit code of the process.
    process.exitCode = undefined;
  }
  await until("the worker is back", () => problems.list().length === 0);
  const [{ id }] = await run("select legwork.enqueue('quick') as id");
  await until(
    "the job has run",
    async () => (await run("select from legwork.jobs where id = $1 and state = 'completed'", [id])).length === 1,
  );
});
