import { randomBytes } from "node:crypto";
import { createLogger } from "../src/log.ts";
import { migrate } from "../src/db/migrate.ts";
import { createPool, type Pool } from "../src/db/pool.ts";
import { type Server, startServer } from "../src/server/server.ts";
import { freshDatabase, median, withServer } from "./server.ts";

const log = createLogger({ level: "fatal" });

/**
 * Measures how long pages take with a long history and many unfinished jobs, as a multiple of the time with a hundredth of both. Both databases exist
 * at the same time and are queried alternately, so that other load on the machine affects both.
 */
export async function run({ short }: { short: boolean }): Promise<void> {
  const [finished, live] = short ? [300_000, 10_000] : [10_000_000, 100_000];
  await withServer(async (serverUrl) => {
    const small = await open(serverUrl, "legwork_pages_small", finished / 100, live / 100);
    const big = await open(serverUrl, "legwork_pages_big", finished, live);
    try {
      let worst = 0;
      for (const tenant of ["all", "big", "small", "empty"]) {
        for (const label of small.questions.keys()) {
          const before: number[] = [];
          const after: number[] = [];
          for (let round = 0; round < 25; round++) {
            const [first, second] = [await ask(small, tenant, label), await ask(big, tenant, label)];
            if (round < 5) continue;
            before.push(first);
            after.push(second);
          }
          const ratio = median(after) / median(before);
          worst = Math.max(worst, ratio);
          console.log(
            `${`${tenant}: ${label}`.padEnd(46)} ${median(before).toFixed(1).padStart(7)} ms  ${median(after).toFixed(1).padStart(7)} ms  ${ratio.toFixed(2)}×`,
          );
        }
      }
      console.log(`The worst page takes ${worst.toFixed(2)} times as long.`);
    } finally {
      await big.close();
      await small.close();
    }
  });
}

interface Subject {
  server: Server;
  tokens: ReadonlyMap<string, string>;
  questions: ReadonlyMap<string, Question>;
  close(): Promise<void>;
}

/** A GraphQL query or a REST path. */
type Question = { query: string } | { path: string };

/** Returns the response time (ms). */
async function ask({ server, tokens, questions }: Subject, tenant: string, label: string): Promise<number> {
  const question = questions.get(label)!;
  const headers = { "content-type": "application/json", authorization: `Bearer ${tokens.get(tenant)}` };
  const begin = performance.now();
  const response =
    "query" in question
      ? await fetch(server.graphqlUrl, { method: "POST", headers, body: JSON.stringify(question) })
      : await fetch(`${server.url}/api/v1${question.path}`, { headers });
  const text = await response.text();
  const took = performance.now() - begin;
  // For a tenant, a job without a tenant does not exist, but the query takes the same time.
  if ((!response.ok && response.status !== 404) || text.startsWith('{"errors"'))
    throw new Error(`${tenant}: ${label}: ${text.slice(0, 500)}`);
  return took;
}

/**
 * Writes a history in which one tenant has half of the jobs but no jobs of every second task, another tenant has one in two thousand jobs, and every
 * tenth job has a parent.
 */
async function fill(pool: Pool, jobs: number, live: number): Promise<void> {
  await pool.query(
    `select legwork_private.register_tasks((select jsonb_agg(jsonb_build_object('name', 't' || i, 'queue', 'q' || i % 3)) from generate_series(0, 9) i))`,
  );
  await pool.query(
    `insert into legwork_private.finished_jobs (id, task, queue, state, priority, attempts, max_attempts, payload, run_at, created_at, started_at, finished_at, worker, tenant,
      correlation_id, parent_id)
    select i, 't' || i % 10, 'q' || i % 10 % 3, case when i % 50 = 0 then 'failed' else 'completed' end::legwork.job_state, 0, 1, 25, '{"a": 1}', x.at, x.at, x.at, x.at, 'w',
      case when i % 2000 = 7 then 'small' when i % 2 = 0 then 'big' end, case when i % 7 = 0 then 'c' || i / 70 end, case when i % 10 = 0 then i - 5 end
    from generate_series(1, $1) i, lateral (select now() - make_interval(secs => ($1 - i) * 0.5) as at) x`,
    [jobs],
  );
  await pool.query(
    `insert into legwork_private.failed_attempts (job_id, attempt, task, queue, error_message, failed_at, tenant)
    select i, 1, 't' || i % 10, 'q0', 'no', now() - make_interval(secs => ($1 - i) * 0.5), case when i % 2 = 0 then 'big' end from generate_series(50, $1, 50) i`,
    [jobs],
  );
  await pool.query(
    `insert into legwork_private.job_logs (job_id, attempt, logged_at, level, message, tenant)
    select i, 1, now() - make_interval(secs => ($1 - i) * 0.5), 'info', 'line', case when i % 2 = 0 then 'big' end from generate_series(1, $1, 5) i`,
    [jobs],
  );
  await pool.query(
    `insert into legwork_private.audit_entries (surface, operation, target_type, target, tenant)
    select 'sql', 'cancel_job', 'job', i::text, case when i % 2000 = 7 then 'small' when i % 2 = 0 then 'big' end from generate_series(1, $1 / 5) i`,
    [jobs],
  );
  await pool.query("select setval(pg_get_serial_sequence('graphile_worker._private_jobs', 'id'), $1)", [jobs]);
  await pool.query(
    `select count(*) from generate_series(1, $1) i, lateral graphile_worker.add_job('t' || i % 10, json_build_object('i', i),
      flags => case when i % 2000 = 7 then array['tenant:small'] when i % 2 = 0 then array['tenant:big'] end)`,
    [live],
  );
  // The id marks that a worker would have written every minute.
  await pool.query(
    `insert into legwork_private.id_marks (at, last_id, settled_before)
    select f.created_at, f.id, f.created_at from legwork_private.finished_jobs f where f.id % 100 = 0`,
  );
  await pool.query("vacuum analyze");
  await pool.query("select legwork_private.sample_queues()");
  await pool.query("update legwork_private.queue_counts set valid_until = 'infinity'");
}

async function open(serverUrl: string, name: string, finished: number, live: number): Promise<Subject> {
  const url = await freshDatabase(serverUrl, name);
  const pool = createPool(url, { log });
  const token = randomBytes(16).toString("hex");
  await migrate(pool, log);
  await fill(pool, finished, live);
  const tokens = new Map([["all", token]]);
  for (const tenant of ["big", "small", "empty"]) {
    const { rows } = await pool.query("select legwork.create_token($1, 'admin', $1) as token", [tenant]);
    tokens.set(tenant, rows[0].token);
  }
  const server = await startServer({ databaseUrl: url, host: "127.0.0.1", port: 0, token, log, rateLimit: 0 });
  // Keeps periodic duties out of the measurement.
  await pool.query("update legwork_private.duties set due_at = 'infinity'");
  return {
    server,
    tokens,
    questions: questionsAbout(Math.floor(finished / 20) * 10),
    async close() {
      await server.stop();
      await pool.end();
    },
  };
}

function questionsAbout(job: number): Map<string, Question> {
  const queries: Record<string, string> = {
    "first page": "{ jobs { nodes { id task state } pageInfo { hasNextPage } } }",
    failed: "{ jobs(filter: { state: { equalTo: failed } }) { nodes { id error } } }",
    running: "{ jobs(filter: { state: { equalTo: running } }) { nodes { id error } } }",
    "of a task": `{ jobs(filter: { task: { equalTo: "t3" } }) { nodes { id } } }`,
    "of a queue": `{ jobs(filter: { queue: { equalTo: "q1" } }) { nodes { id } } }`,
    "of a task and a state": `{ jobs(filter: { task: { equalTo: "t4" }, state: { equalTo: failed } }) { nodes { id } } }`,
    "of a correlation": `{ jobs(filter: { correlationId: { equalTo: "c70" } }) { nodes { id } } }`,
    "of nothing": `{ jobs(filter: { task: { equalTo: "none" } }) { nodes { id } } }`,
    "page with attempts and logs":
      "{ jobs(first: 20) { nodes { id attempts { nodes { attempt } } logs { nodes { message } } } } }",
    "page with origins":
      "{ jobs(first: 20) { nodes { id parent { id } workflow { id } schedule { name } workerDetails { id } } } }",
    "page with children": "{ jobs(first: 20) { nodes { id children(first: 5) { nodes { id } } } } }",
    "a job with all its details": `{ job(id: ${job}) { id parent { id } children { nodes { id } } attempts { nodes { attempt } } logs { nodes { message } } steps { nodes { name } } workflow { id } schedule { name } taskDetails { name } } }`,
    "children by filter": `{ jobs(filter: { parentId: { equalTo: ${job - 5} } }) { nodes { id } } }`,
    "tasks with their jobs": "{ tasks { nodes { name jobs(first: 5) { nodes { id state } } } } }",
    attempts: "{ attempts { nodes { jobId attempt } } }",
    queues: "{ queues { nodes { name running pending } } }",
    schedules: "{ schedules { nodes { name } } }",
    "audit log": "{ auditLog { nodes { id operation } } }",
    workflows: "{ workflows { nodes { id state } } }",
  };
  const paths: Record<string, string> = {
    "REST first page": "/jobs",
    "REST failed": "/jobs?state=failed",
    "REST of a task": "/jobs?task=t3",
    "REST of a time": `/jobs?created_before=${new Date(Date.now() - 20_000_000).toISOString()}`,
    "REST a job": `/jobs/${job}`,
    "REST failed groups": "/failed-groups",
    overview: "/stats",
  };
  return new Map<string, Question>([
    ...Object.entries(queries).map(([label, query]) => [label, { query }] as const),
    ...Object.entries(paths).map(([label, path]) => [label, { path }] as const),
  ]);
}
