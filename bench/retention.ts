import { setTimeout as delay } from "node:timers/promises";
import { ResultTable } from "./result-table.ts";
import pg from "pg";
import { migrate } from "../src/db/migrate.ts";
import { createPool } from "../src/db/pool.ts";
import { runTask } from "./run-task.ts";
import { benchLog, freshDatabase, withServer } from "./server.ts";

/** The lowest speed, as a share of the speed of a single statement that does the same. */
const LEAST = 0.5;

/** The longest allowed transaction of the task (s). */
const LONGEST_S = 1;

/** The largest allowed growth of the worker's memory (MB). */
const GROWTH_MB = 64;

const OLD = "created_at < now() - interval '500 hours'";

const SIDES = [
  { task: "retention/expire", plain: `delete from events where ${OLD}`, more: {} },
  {
    task: "retention/archive",
    plain: `with gone as (delete from events where ${OLD} returning *) insert into archive select * from gone`,
    more: { into: "archive" },
  },
] as const;

/**
 * Measures the cost of retention compared with a single statement: for half of a table's rows, spread over the whole table, with an index on the
 * time.
 */
export async function run(options: { short: boolean }): Promise<void> {
  const count = options.short ? 200_000 : 5_000_000;
  await withServer(async (serverUrl) => {
    const template = createPool(await freshDatabase(serverUrl, "legwork_bench_rows"), { log: benchLog });
    await migrate(template, benchLog);
    await template.query(
      `create table events as
       select n::bigint as id, 'workspace-' || n % 100 as workspace, now() - make_interval(hours => (n::bigint * 7919 % 1000)::int) as created_at,
         repeat('x', 60) as body from generate_series(1, ${count}) n`,
    );
    await template.query("alter table events add primary key (id); create index on events (created_at)");
    await template.query("create table archive (like events)");
    await template.query("vacuum (analyze) events");
    await template.query("checkpoint");
    await template.end();
    const table = new ResultTable({ head: ["", "rows/s", "one statement", "ratio", "longest transaction", "memory"] });
    for (const { task, plain, more } of SIDES) {
      const plainUrl = await freshDatabase(serverUrl, "legwork_bench", "legwork_bench_rows");
      const client = new pg.Client({ connectionString: plainUrl });
      await client.connect();
      const startedAt = performance.now();
      const { rowCount } = await client.query(plain);
      const plainRate = (rowCount ?? 0) / ((performance.now() - startedAt) / 1_000);
      await client.end();

      const url = await freshDatabase(serverUrl, "legwork_bench", "legwork_bench_rows");
      const watch = new AbortController();
      const watching = longestTransaction(url, watch.signal);
      const { seconds, result, before, memory } = await runTask(url, task, { table: "events", olderThan: "500 hours", ...more });
      watch.abort();
      const longest = await watching;
      const rows = Number(result.deleted ?? result.archived);
      const rate = rows / seconds;
      table.push([
        `${task}, ${rows} of ${count}`,
        Math.round(rate),
        Math.round(plainRate),
        (rate / plainRate).toFixed(2),
        `${longest.toFixed(2)} s`,
        `${memory.toFixed(0)} MB (${(memory - before).toFixed(0)} more)`,
      ]);
      const isShortOf = rate / plainRate < LEAST && !options.short;
      if (isShortOf || rows === 0 || longest > LONGEST_S || memory - before > GROWTH_MB) process.exitCode = 1;
    }
    console.log(table.toString());
    console.log(
      `Required: at least ${LEAST} of one statement's speed, no transaction over ${LONGEST_S} s, at most ${GROWTH_MB} MB more memory.`,
    );
  });
}

/** Watches the task's transactions until the signal aborts, and returns how long the longest was open (s). */
async function longestTransaction(url: string, signal: AbortSignal): Promise<number> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  let longest = 0;
  while (!signal.aborted) {
    const { rows } = await client.query<{ seconds: number | null }>(
      `select extract(epoch from max(clock_timestamp() - xact_start))::float8 as seconds from pg_stat_activity
       where datname = current_database() and application_name = 'legwork tasks'`,
    );
    longest = Math.max(longest, rows[0]?.seconds ?? 0);
    await delay(20);
  }
  await client.end();
  return longest;
}
