import { randomBytes } from "node:crypto";
import { createLogger } from "../src/log.ts";
import { migrate } from "../src/db/migrate.ts";
import { createPool, type Pool } from "../src/db/pool.ts";
import { startServer } from "../src/server/server.ts";
import { freshDatabase, median, withServer } from "./server.ts";

const log = createLogger({ level: "fatal" });

/** What pages and relations take with a long history, as a multiple of what they take with a hundredth of it. */
export async function run({ short }: { short: boolean }): Promise<void> {
  const large = short ? 200_000 : 1_000_000;
  await withServer(async (serverUrl) => {
    const small = await measure(serverUrl, "legwork_graphql_small", large / 100);
    const big = await measure(serverUrl, "legwork_graphql_big", large);
    for (const [name, ms] of big) {
      const before = small.get(name) ?? Number.NaN;
      console.log(
        `${name.padEnd(34)} ${before.toFixed(1).padStart(7)} ms  ${ms.toFixed(1).padStart(7)} ms  ${(ms / before).toFixed(2)}×`,
      );
    }
  });
}

/** A history in which one tenant has a half but nothing of every other task, one has a job in two thousand, and every tenth job has a parent. */
async function fill(pool: Pool, jobs: number): Promise<void> {
  await pool.query(
    `select legwork.register_tasks((select jsonb_agg(jsonb_build_object('name', 't' || i, 'queue', 'q' || i % 3)) from generate_series(0, 9) i))`,
  );
  await pool.query(
    `insert into legwork.finished_jobs (id, task, queue, state, priority, attempts, max_attempts, payload, run_at, created_at, started_at, finished_at, worker, tenant,
      correlation_id, parent_id)
    select i, 't' || i % 10, 'q' || i % 10 % 3, case when i % 50 = 0 then 'failed' else 'completed' end::legwork.job_state, 0, 1, 25, '{"a": 1}', x.at, x.at, x.at, x.at, 'w',
      case when i % 2000 = 7 then 'small' when i % 2 = 0 then 'big' end, case when i % 7 = 0 then 'c' || i / 70 end, case when i % 10 = 0 then i - 5 end
    from generate_series(1, $1) i, lateral (select now() - make_interval(secs => ($1 - i) * 0.5) as at) x`,
    [jobs],
  );
  await pool.query(
    `insert into legwork.failed_attempts (job_id, attempt, task, queue, error_message, failed_at, tenant)
    select i, 1, 't' || i % 10, 'q0', 'no', now() - make_interval(secs => ($1 - i) * 0.5), case when i % 2 = 0 then 'big' end from generate_series(50, $1, 50) i`,
    [jobs],
  );
  await pool.query(
    `insert into legwork.job_logs (job_id, attempt, logged_at, level, message, tenant)
    select i, 1, now() - make_interval(secs => ($1 - i) * 0.5), 'info', 'line', case when i % 2 = 0 then 'big' end from generate_series(1, $1, 5) i`,
    [jobs],
  );
  await pool.query(
    `insert into legwork.audit_entries (surface, operation, target_type, target, tenant)
    select 'sql', 'cancel_job', 'job', i::text, case when i % 2000 = 7 then 'small' when i % 2 = 0 then 'big' end from generate_series(1, $1 / 5) i`,
    [jobs],
  );
  await pool.query("select setval(pg_get_serial_sequence('graphile_worker._private_jobs', 'id'), $1)", [jobs]);
  await pool.query(
    "select count(*) from generate_series(1, $1 / 10) i, lateral graphile_worker.add_job('t' || i % 10, json_build_object('i', i))",
    [Math.min(jobs, 100_000)],
  );
  await pool.query("vacuum analyze");
}

async function measure(serverUrl: string, name: string, jobs: number): Promise<Map<string, number>> {
  const url = await freshDatabase(serverUrl, name);
  const pool = createPool(url, { log });
  const token = randomBytes(16).toString("hex");
  try {
    await migrate(pool, log);
    await fill(pool, jobs);
    const server = await startServer({ databaseUrl: url, host: "127.0.0.1", port: 0, token, log, rateLimit: 0 });
    try {
      const tenants = new Map<string, string>([["", token]]);
      for (const tenant of ["big", "small", "empty"]) {
        const { rows } = await pool.query("select legwork.create_token($1, 'admin', $1) as token", [tenant]);
        tenants.set(tenant, rows[0].token);
      }
      const job = Math.floor(jobs / 20) * 10;
      const queries: Record<string, string> = {
        "first page": "{ jobs { nodes { id task state } pageInfo { hasNextPage } } }",
        failed: "{ jobs(filter: { state: { equalTo: failed } }) { nodes { id error } } }",
        "of a task": `{ jobs(filter: { task: { equalTo: "t3" } }) { nodes { id } } }`,
        "of a task and a state": `{ jobs(filter: { task: { equalTo: "t4" }, state: { equalTo: failed } }) { nodes { id } } }`,
        "page with attempts and logs":
          "{ jobs(first: 20) { nodes { id attempts { nodes { attempt } } logs { nodes { message } } } } }",
        "page with origins":
          "{ jobs(first: 20) { nodes { id parent { id } workflow { id } schedule { name } workerDetails { id } } } }",
        "page with children": "{ jobs(first: 20) { nodes { id children(first: 5) { nodes { id } } } } }",
        "a job and all about it": `{ job(id: ${job}) { id parent { id } children { nodes { id } } attempts { nodes { attempt } } logs { nodes { message } } steps { nodes { name } } workflow { id } schedule { name } taskDetails { name } } }`,
        "children by filter": `{ jobs(filter: { parentId: { equalTo: ${job - 5} } }) { nodes { id } } }`,
        "tasks with their jobs": "{ tasks { nodes { name jobs(first: 5) { nodes { id state } } } } }",
        "audit log": "{ auditLog { nodes { id operation } } }",
        workflows: "{ workflows { nodes { id state } } }",
      };
      const times = new Map<string, number>();
      for (const [tenant, as] of tenants) {
        for (const [label, query] of Object.entries(queries)) {
          const runs: number[] = [];
          for (let round = 0; round < 15; round++) {
            const begin = performance.now();
            const response = await fetch(server.graphqlUrl, {
              method: "POST",
              headers: { "content-type": "application/json", authorization: `Bearer ${as}` },
              body: JSON.stringify({ query }),
            });
            const { errors } = (await response.json()) as { errors?: unknown };
            if (errors !== undefined) throw new Error(`${label}: ${JSON.stringify(errors)}`);
            if (round > 3) runs.push(performance.now() - begin);
          }
          times.set(`${tenant === "" ? "everybody" : tenant}: ${label}`, median(runs));
        }
      }
      return times;
    } finally {
      await server.stop();
    }
  } finally {
    await pool.end();
  }
}
