import { viewsFor } from "../db/confinement.ts";
import type { Queryable } from "../db/pool.ts";
import { LegworkError } from "../errors.ts";

/** The states of a job, in the order of its life; the values of `legwork.job_state`. */
export const JOB_STATES = [
  "scheduled",
  "pending",
  "blocked",
  "paused",
  "running",
  "retrying",
  "completed",
  "failed",
  "cancelled",
  "expired",
] as const;
export type JobState = (typeof JOB_STATES)[number];

/** A row of `legwork.jobs`. */
export interface JobRow {
  id: string;
  task: string;
  queue: string;
  state: JobState;
  priority: number;
  attempts: number;
  max_attempts: number;
  payload: unknown;
  result: unknown;
  error: string | null;
  run_at: Date;
  created_at: Date;
  started_at: Date | null;
  finished_at: Date | null;
  worker: string | null;
  job_key: string | null;
  serial_key: string | null;
  tenant: string | null;
  correlation_id: string | null;
  parent_id: string | null;
  /** 0 to 100; null while its task has not said. */
  progress: number | null;
  progress_message: string | null;
}

/** A row of `legwork.attempts`. */
export interface AttemptRow {
  attempt: number;
  state: "running" | "completed" | "failed";
  error_name: string | null;
  error_message: string | null;
  error_stack: string | null;
  error_code: string | null;
  started_at: Date | null;
  finished_at: Date | null;
  retry_at: Date | null;
  worker: string | null;
}

export interface JobFilter {
  state?: JobState;
  task?: string;
  queue?: string;
  tenant?: string;
  correlationId?: string;
  /** Only jobs with a smaller id: the next page starts at the last id of this one. */
  before?: string;
  /** At most 500. */
  limit: number;
}

/** The states that a job does not leave by itself. */
const ENDED: ReadonlySet<JobState> = new Set(["completed", "failed", "cancelled", "expired"]);

/** Jobs that match, newest first. */
export async function listJobs(client: Queryable, filter: JobFilter): Promise<JobRow[]> {
  // A state is computed for a waiting job and stored for an ended one; said in this way the planner reads only one side.
  const side = filter.state === undefined ? "" : `and finished_at is ${ENDED.has(filter.state) ? "not null" : "null"}`;
  const { rows } = await client.query(
    `select * from ${viewsFor(client)}.jobs
     where ($1::legwork.job_state is null or state = $1) and ($2::text is null or task = $2)
       and ($3::text is null or queue = $3) and ($4::text is null or tenant = $4)
       and ($5::text is null or correlation_id = $5) and ($6::bigint is null or id < $6) ${side}
     order by id desc limit $7`,
    [filter.state, filter.task, filter.queue, filter.tenant, filter.correlationId, filter.before, filter.limit],
  );
  return rows;
}

/** The id, if it is one. Throws LW400. */
export function assertJobId(id: string): string {
  if (!/^\d{1,18}$/.test(id)) throw new LegworkError("LW400", `'${id}' is not a job id.`, { hint: "Ids are whole numbers." });
  return id;
}

/** One job with its attempts, oldest first. Throws LW404 for an id that no job has or whose history has been dropped. */
export async function getJob(client: Queryable, id: string): Promise<JobRow & { attempt_list: AttemptRow[] }> {
  assertJobId(id);
  const {
    rows: [job],
  } = await client.query(`select * from ${viewsFor(client)}.jobs where id = $1`, [id]);
  if (job === undefined) {
    throw new LegworkError("LW404", `There is no job ${id}.`, {
      hint: "Finished jobs are kept for the setting history_retention.",
    });
  }
  const attempts = await client.query(
    `select attempt, state, error_name, error_message, error_stack, error_code, started_at, finished_at, retry_at, worker
     from ${viewsFor(client)}.attempts where job_id = $1 order by started_at nulls last, attempt`,
    [id],
  );
  return { ...job, attempt_list: attempts.rows };
}
