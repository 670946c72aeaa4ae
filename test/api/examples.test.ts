import { readFile } from "node:fs/promises";
import { afterEach, beforeAll, describe, expect, it } from "vitest";
import { operationsOn } from "../../src/api/operations.ts";
import { waitingJobsOn } from "../../src/api/waiting-jobs.ts";
import { migrate } from "../../src/db/migrate.ts";
import type { PoolClient } from "../../src/db/pool.ts";
import { ResultWaits } from "../../src/jobs/result-waits.ts";
import { compile, projectOf } from "../support/compile.ts";
import { testDatabase, testLog } from "../support/database.ts";
import { type Documented, documentedIn, runExample } from "../support/documented-examples.ts";

const database = testDatabase();

/** Interfaces whose members users call, by file. */
const INTERFACES: Readonly<Record<string, readonly string[]>> = {
  "api/jobs.ts": ["Jobs"],
  "api/waiting-jobs.ts": ["WaitingJobs"],
  "api/bulk-actions.ts": ["BulkActions"],
  "api/queues.ts": ["Pausable", "Queues", "Tasks", "Workers"],
  "api/limits.ts": ["Limits"],
  "api/schedules.ts": ["Schedules"],
  "api/workflows.ts": ["Workflows", "Batches"],
  "api/alerts.ts": ["Alerts", "AlertRules"],
  "api/access.ts": ["Tokens", "Audit"],
  "api/statistics.ts": ["Statistics"],
  "api/operations.ts": ["Operations"],
  "embed.ts": ["Legwork"],
  "jobs/define-task.ts": ["NamedTask"],
};

/** The functions and classes that the entry points export, by file. */
const exported = new Map<string, string[]>();
for (const entryPoint of ["index.ts", "operations.ts"]) {
  const source = await readFile(new URL(`../../src/${entryPoint}`, import.meta.url), "utf8");
  for (const [, names = "", path = ""] of source.matchAll(/^export \{([^}]*)\} from "\.\/([^"]+)";$/gm)) {
    const own = names.split(",").map((name) => name.trim().split(" as ")[0] ?? "");
    exported.set(path, [...(exported.get(path) ?? []), ...own.filter((name) => name !== "")]);
  }
}

const documented: Documented[] = [];
for (const path of new Set([...exported.keys(), ...Object.keys(INTERFACES)])) {
  documented.push(...(await documentedIn(path, [...(exported.get(path) ?? []), ...(INTERFACES[path] ?? [])])));
}

beforeAll(async () => {
  const { pool, url } = database;
  process.env.DATABASE_URL = url;
  await pool.query("create table users (id int, email text)");
  await pool.query("insert into users values (3, 'ann@example.com')");
  await pool.query(
    `select legwork_private.register_tasks('[{"name": "notify/email", "queue": "notification"}, {"name": "notify/welcome", "queue": "mail"},
       {"name": "crm/sync"}, {"name": "report/daily"}]')`,
  );
  // The jobs that the examples refer to: 42 is waiting, and 43 has failed.
  await pool.query(
    `insert into graphile_worker._private_jobs (id, task_id, attempts) overriding system value
     select n, t.id, 0 from graphile_worker._private_tasks t, unnest(array[42, 43]) n where t.identifier = 'notify/email'`,
  );
  await pool.query("select graphile_worker.permanently_fail_jobs(array[43])");
  await pool.query("select setval(pg_get_serial_sequence('graphile_worker._private_jobs', 'id'), 1000)");
  // The examples also refer to workflow 7 and to a worker.
  await pool.query("select setval('legwork_private.run_ids', 6)");
  await pool.query(`select legwork.start_workflow('night', '{"load": {"task": "crm/sync"}}')`);
  await pool.query(
    "insert into legwork_private.worker_processes (id, host, pid, concurrency, tasks, seen_at) values ('pool-1f2e3d', 'mail-1', 4211, 1, '{}', 'infinity')",
  );
  await operationsOn(pool).schedules.set("daily-report", "report/daily", { cron: "0 6 * * *" });
});

it("every function and method that users call has an example", () => {
  expect(documented.length).toBeGreaterThan(150);
  expect(documented.filter(({ example }) => example === undefined).map(({ where, name }) => `${where} ${name}`)).toEqual([]);
  const names = documented.map(({ name }) => name);
  const tree = Object.entries(operationsOn(database.pool)).flatMap(([name, value]) =>
    typeof value === "function" ? [name] : Object.keys(value).filter((key) => key !== "rules"),
  );
  expect(names).toEqual(expect.arrayContaining([...[...exported.values()].flat(), ...tree]));
});

/** The compiler reads all of Legwork, and a mounted server loads its whole schema, which takes seconds even on an idle machine. */
const COMPILING_MS = 120_000;

it(
  "the examples compile",
  async () => {
    const files = documented.map(({ example = "" }, index) => [`example-${index}.ts`, `${example}\nexport {};\n`]);
    const directory = await projectOf({
      ...Object.fromEntries(files),
      "given.d.ts": `declare const legwork: import("legwork").Legwork;
      declare const client: import("pg").PoolClient;
      declare const pool: import("pg").Pool;`,
    });
    const where = (error: string): string => documented[Number(/^example-(\d+)/.exec(error)?.[1])]?.where ?? "";
    expect((await compile(directory)).map((error) => `${where(error)} ${error}`)).toEqual([]);
  },
  COMPILING_MS,
);

const COMPLETE =
  "select graphile_worker.complete_jobs(array(select id from legwork.jobs where id > 1000 and task = 'notify/welcome' and state = 'pending'))";

/** Each example begins with the same rows, because the previous example's changes are rolled back. */
describe("the example runs:", () => {
  let client: PoolClient;
  beforeAll(async () => {
    client = await database.pool.connect();
    return () => client.release();
  });
  afterEach(() => client.query("rollback"));

  it.each(documented.map(({ where, name, example = "" }) => [`${name} (${where})`, example]))(
    "%s",
    async (_name, example) => {
      // If an example has its own transaction, its commit is skipped.
      const query = client.query.bind(client) as (text: string, values?: unknown[]) => Promise<{ rows: unknown[] }>;
      const own = {
        query: async (text: string, values?: unknown[]) => (text === "commit" ? { rows: [] } : await query(text, values)),
      };
      if (!example.includes('query("begin")')) await client.query("begin");
      const waits = new ResultWaits(database.pool, testLog);
      const waiting = waitingJobsOn(database.pool, waits);
      // A job is invisible until its transaction commits, so an example that awaits a result enqueues outside this one. COMPLETE ends the job.
      const isWaiting = /\.(result|enqueueAndWait)\(/.test(example);
      const completing = isWaiting ? setInterval(() => void database.pool.query(COMPLETE), 50) : undefined;
      const operations = operationsOn(own);
      const legwork = {
        ...operations,
        jobs: isWaiting ? waiting : operations.jobs,
        with: operationsOn,
        migrate: () => migrate(database.pool, testLog),
      };
      try {
        await runExample(example, { legwork, client: own, pool: database.pool });
      } finally {
        clearInterval(completing);
        await waits.stop();
      }
    },
    COMPILING_MS,
  );
});
