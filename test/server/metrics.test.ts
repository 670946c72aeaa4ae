import { readFile } from "node:fs/promises";
import { beforeEach, expect, it, onTestFinished } from "vitest";
import { LABEL_LIMIT, metricNames } from "../../src/server/http/metrics.ts";
import { type Server, type ServerOptions, startServer } from "../../src/server/server.ts";
import { testDatabase, testLog } from "../support/database.ts";
import { empty } from "../support/empty.ts";
import { until } from "../support/until.ts";
import { workerOver } from "../support/worker.ts";

const database = testDatabase();
const token = "a token of the test";
const metricsToken = "for the prometheus of the test";

beforeEach(async () => {
  await database.pool.query("delete from graphile_worker._private_jobs");
  await empty(
    database.pool,
    "legwork_private.task_totals, legwork_private.task_minutes, legwork_private.minute_totals, legwork_private.samples, legwork_private.alert_records, legwork_private.worker_processes",
  );
});

async function start(options: Partial<ServerOptions> = {}): Promise<Server> {
  const server = await startServer({
    databaseUrl: database.url,
    host: "127.0.0.1",
    port: 0,
    token,
    metricsToken,
    log: testLog,
    ...options,
  });
  onTestFinished(() => server.stop());
  return server;
}

async function get(
  server: Server,
  path: string,
  bearer?: string,
): Promise<{ status: number; text: string; type: string | null }> {
  const response = await fetch(`${server.url}${path}`, {
    headers: bearer === undefined ? {} : { authorization: `Bearer ${bearer}` },
  });
  return { status: response.status, text: await response.text(), type: response.headers.get("content-type") };
}

/** The samples of a scrape by name and labels, as Prometheus reads them. */
function parse(text: string): Map<string, number> {
  const lines = text.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
  return new Map(
    lines.map((line) => {
      const [, name, value] = /^(\S+?(?:\{.*\})?) (\S+)$/.exec(line) ?? [];
      return [name ?? line, Number(value)];
    }),
  );
}

it("metrics show the jobs that a real worker ran", async () => {
  await database.pool.query("update legwork_private.duties set every = '200 ms', due_at = now()");
  const server = await start();
  await workerOver(database.url, {
    "fine.ts": "export default async () => {};",
    "broken.ts": "export default async () => { throw new Error('no'); };",
  });
  await database.pool.query("select graphile_worker.add_job('fine') from generate_series(1, 5)");
  await database.pool.query("select graphile_worker.add_job('broken', max_attempts => 1)");
  await database.pool.query("select graphile_worker.add_job('fine', run_at => now() + interval '1 hour')");
  const metrics = await until("the jobs and the worker's host are counted", async () => {
    const samples = parse((await get(server, "/metrics", token)).text);
    const isThere =
      samples.get('legwork_jobs_completed_total{task="fine"}') === 5 &&
      samples.get('legwork_jobs_failed_total{task="broken"}') === 1 &&
      samples.get('legwork_queue_jobs{queue="default",state="scheduled"}') === 1 &&
      [...samples.keys()].some((name) => name.startsWith("legwork_host_disk_ratio"));
    return isThere ? samples : undefined;
  });
  expect(metrics.get('legwork_jobs_processed_total{task="fine"}')).toBe(5);
  expect(metrics.get('legwork_attempts_failed_total{task="broken"}')).toBe(1);
  expect(metrics.get('legwork_job_run_seconds_count{task="fine"}')).toBe(5);
  expect(metrics.get('legwork_job_run_seconds_bucket{task="fine",le="+Inf"}')).toBe(5);
  expect(metrics.get('legwork_job_run_seconds_count{task="broken"}')).toBe(1);
  expect(metrics.get("legwork_workers")).toBe(1);
  expect(metrics.get("legwork_worker_slots")).toBe(4);
  const { rows } = await database.pool.query(
    "select cpu, memory, disk, heap_bytes::float8, memory_total::float8 from legwork.workers",
  );
  for (const share of [rows[0].cpu, rows[0].memory, rows[0].disk]) {
    expect(share).toBeGreaterThanOrEqual(0);
    expect(share).toBeLessThanOrEqual(1);
  }
  expect(rows[0].heap_bytes).toBeGreaterThan(1e6);
  expect(rows[0].memory_total).toBeGreaterThan(1e8);
});

it("a histogram's buckets increase, end with +Inf, and have a sum", async () => {
  const server = await start();
  await database.pool.query(
    "insert into legwork_private.task_totals (task, completed, waits, runs, wait_seconds, run_seconds) select 'a', 6, waits, waits, 1.5, 2.5 from (select array[1,2,0,0,0,0,0,0,0,0,0,0,0,0,0,0,3]::bigint[] as waits) w",
  );
  const { text } = await get(server, "/metrics", token);
  const buckets = [...text.matchAll(/^legwork_job_wait_seconds_bucket\{task="a",le="(.+?)"\} (\d+)$/gm)].map(([, le, n]) => [
    le,
    Number(n),
  ]);
  expect(buckets).toHaveLength(17);
  expect(buckets.slice(0, 3)).toEqual([
    ["0.005", 1],
    ["0.01", 3],
    ["0.025", 3],
  ]);
  expect(buckets.at(-1)).toEqual(["+Inf", 6]);
  const samples = parse(text);
  expect(samples.get('legwork_job_wait_seconds_sum{task="a"}')).toBe(1.5);
  expect(text).toContain("# TYPE legwork_job_wait_seconds histogram\n");
  expect(text).toContain("# TYPE legwork_jobs_completed_total counter\n");
});

it("only a limited number of tasks and queues have their own label, and the others are added up under one label", async () => {
  const server = await start();
  await database.pool.query(
    `insert into legwork_private.task_totals (task, first_seen, completed, waits, runs)
     select 'task ' || n, now() + n * interval '1 second', 1, array[n], array[1] from generate_series(1, $1::int) n`,
    [LABEL_LIMIT + 50],
  );
  // From now on, no process takes samples: the update waits for one that is being taken.
  await database.pool.query("update legwork_private.duties set due_at = 'infinity'");
  await database.pool.query(
    "insert into legwork_private.samples (name, value) values ('queues', $1) on conflict (name) do update set value = excluded.value",
    [
      JSON.stringify(
        Array.from({ length: LABEL_LIMIT + 5 }, (_, n) => ({ queue: `q${n}`, state: "pending", jobs: 2, oldest: null })),
      ),
    ],
  );
  const samples = parse((await get(server, "/metrics", token)).text);
  const named = [...samples.keys()].filter((name) => name.startsWith("legwork_jobs_completed_total"));
  expect(named).toHaveLength(LABEL_LIMIT + 1);
  expect(samples.get('legwork_jobs_completed_total{task="task 1"}')).toBe(1);
  expect(samples.get('legwork_jobs_completed_total{task="other"}')).toBe(50);
  expect(samples.get('legwork_queue_jobs{queue="other",state="pending"}')).toBe(10);
});

it("a task's name cannot break the format", async () => {
  const server = await start();
  await database.pool.query("insert into legwork_private.task_totals (task, completed, waits, runs) values ($1, 3, '{}', '{}')", [
    'a"b\\c\nd',
  ]);
  expect((await get(server, "/metrics", token)).text).toContain('legwork_jobs_completed_total{task="a\\"b\\\\c\\nd"} 3\n');
});

it("/metrics accepts the API's token and the metrics token, which gives no other access", async () => {
  const server = await start();
  expect((await get(server, "/metrics")).status).toBe(401);
  expect((await get(server, "/metrics", "wrong")).status).toBe(401);
  expect(await get(server, "/metrics", metricsToken)).toMatchObject({
    status: 200,
    type: "text/plain; version=0.0.4; charset=utf-8",
  });
  expect((await get(server, "/metrics", token)).status).toBe(200);
  expect((await get(server, "/health/details", metricsToken)).status).toBe(401);
  const withoutOne = await start({ metricsToken: undefined });
  expect((await get(withoutOne, "/metrics", "undefined")).status).toBe(401);
});

it("every metric in the Grafana dashboard exists, and the dashboard shows all of Legwork's metrics", async () => {
  const dashboard = JSON.parse(await readFile(new URL("../../docs/grafana/legwork.json", import.meta.url), "utf8"));
  const expressions: string[] = [
    ...dashboard.panels.flatMap((panel: { targets: { expr: string }[] }) => panel.targets.map(({ expr }) => expr)),
    dashboard.templating.list[1].query,
  ];
  const used = new Set(expressions.flatMap((expression) => expression.match(/legwork_\w+/g) ?? []));
  expect([...used].filter((name) => !metricNames().includes(name))).toEqual([]);
  const shown = metricNames().filter((name) => !/_(sum|count)$/.test(name) || used.has(name));
  expect(shown.filter((name) => !used.has(name) && !name.startsWith("legwork_job_wait_seconds"))).toEqual([]);
  const server = await start();
  const { text } = await get(server, "/metrics", token);
  for (const name of metricNames()) expect(text).toContain(`# TYPE ${name.replace(/_(bucket|sum|count)$/, "")} `);
  expect(text).toContain("process_cpu_seconds_total");
});

it("/ready counts live workers, /health sends no queries, and /health/details reports findings", async () => {
  const server = await start();
  expect(JSON.parse((await get(server, "/ready")).text)).toEqual({ status: "ready", workers: 0 });
  await workerOver(database.url, { "a.ts": "export default async () => {};" });
  await until("the worker is counted", async () => JSON.parse((await get(server, "/ready")).text).workers === 1);
  expect(await get(server, "/health")).toMatchObject({ status: 200, text: '{"status":"ok"}' });
  await database.pool.query("update legwork_private.duties set due_at = 'infinity' where duty = 'database'");
  await database.pool.query(
    "insert into legwork_private.samples (name, value) values ('database', $1) on conflict (name) do update set value = excluded.value",
    [JSON.stringify([{ check: "triggers", severity: "critical", finding: "A trigger is missing." }])],
  );
  const { status, text } = await get(server, "/health/details", token);
  expect(status).toBe(503);
  const details = JSON.parse(text);
  expect(details).toMatchObject({ status: "unhealthy" });
  // There may be other reasons if this machine is busy.
  expect(details.parts[0]).toMatchObject({ scope: "system", reasons: expect.arrayContaining(["A trigger is missing."]) });
  expect(details.parts).toContainEqual({ scope: "task", name: "a", status: "healthy", reasons: [] });
});
