import { beforeEach } from "vitest";
import { getJob } from "../../src/jobs/read-jobs.ts";
import type { TestDatabase } from "./database.ts";
import { empty } from "./empty.ts";

/** The beginning of a task's code, which records the process that runs the task. */
const RECORDED = `
  import { defineTask } from "legwork";
  export default defineTask({ run: async (payload, { job, sql, signal }) => {
    await sql\`insert into runs (job_id, pid) values (\${job.id}, \${process.pid})\`;`;

/** A task that runs until its gate is opened, even if it is aborted. It records the reason for an abort. */
export const GATED = `${RECORDED}
    signal.addEventListener("abort", () => void sql\`update runs set aborted = \${signal.reason.name} where job_id = \${job.id} and pid = \${process.pid}\`.catch(() => {}));
    while ((await sql\`select from gates where name = \${payload.gate}\`).length === 0) await new Promise((wake) => setTimeout(wake, 20));
    return process.pid;
  } });`;

/** A task that ends quickly. */
export const SHORT = `${RECORDED}
    await new Promise((wake) => setTimeout(wake, 100));
  } });`;

/** Queries for tests of workers in separate processes. All jobs are deleted before each test. */
export function recordedJobs(database: TestDatabase) {
  beforeEach(async () => {
    await database.pool.query("delete from graphile_worker._private_jobs");
    // A `truncate` might deadlock with a worker of the previous test that is still active.
    for (const table of ["finished_jobs", "failed_attempts", "worker_processes"])
      await database.pool.query(`delete from legwork_private.${table}`);
    await database.pool.query("create table if not exists runs (job_id bigint, pid integer, aborted text)");
    await database.pool.query("create table if not exists gates (name text primary key)");
    await empty(database.pool, "runs, gates");
  });

  const add = async (task: string, payload: unknown = {}): Promise<string> => {
    const { rows } = await database.pool.query("select id from graphile_worker.add_job($1, $2)", [task, JSON.stringify(payload)]);
    return rows[0].id;
  };
  const state = async (id: string): Promise<string> => (await getJob(database.pool, id)).state;
  /** Whether a process's worker has reported that it runs these jobs. */
  const saysThatItRuns = async (pid: number | undefined, ids: readonly string[]): Promise<boolean> => {
    const { rows } = await database.pool.query("select from legwork.workers where pid = $1 and running @> $2::bigint[]", [
      pid,
      ids,
    ]);
    return rows.length > 0;
  };
  const open = (gate: string): Promise<unknown> => database.pool.query("insert into gates values ($1)", [gate]);
  return { add, state, saysThatItRuns, open };
}
