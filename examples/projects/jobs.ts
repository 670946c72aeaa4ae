import { enqueue, LegworkError, type Queryable } from "legwork";
import { cancelJob, listWorkers, retryJobs } from "legwork/operations";
import { z } from "zod";
import type { Caller } from "./users.ts";

/** How many refreshes a user may request, and within which period. */
const REFRESHES = { rateLimit: 5, ratePer: "5m", rateKey: "refresh" } as const;

/** Smaller numbers run first: jobs that a user is waiting for precede automatic jobs. */
const HIGH_PRIORITY = -10;

/** A job in the app's format: the original app's fields and its progress. */
export interface JobRecord {
  id: string;
  type: "project_processing" | "skills_extraction" | "refresh";
  status: "queued" | "processing" | "completed" | "failed" | "cancelled" | "expired";
  project_id: string;
  user_id: string;
  priority: "low" | "normal" | "high";
  created_at: Date;
  started_at: Date | null;
  completed_at: Date | null;
  result: Record<string, unknown> | null;
  error: string | null;
  retry_count: number;
  max_retries: number;
  progress: { percent: number | null; message: string | null };
}

/** The response of routes that start or change a job. */
export interface Accepted {
  job_id: string;
  status: "queued" | "processing" | "cancelled";
  message: string;
}

const RECORD = `id::text, type, status, project_id, user_id, priority, created_at, started_at, completed_at, result, error, retry_count, max_retries,
  json_build_object('percent', progress, 'message', progress_message) as progress`;

/** Returns the text if it is a UUID, otherwise throws LW400. */
function uuid(text: string): string {
  if (z.uuid().safeParse(text).success) return text;
  throw new LegworkError("LW400", `project_id: '${text.slice(0, 100)}' is not a UUID.`);
}

function jobId(text: string): string {
  if (/^[1-9]\d{0,17}$/.test(text)) return text;
  throw new LegworkError("LW400", `job_id: '${text.slice(0, 100)}' is not a valid job id.`);
}

/** Throws LW404 unless the project exists and belongs to the user. */
async function assertProject(client: Queryable, userId: string, projectId: string): Promise<void> {
  // Locked, so that a concurrent deletion of the project cannot leave a job behind.
  const found = await client.query("select from projects.projects where id = $1 and user_id = $2 for key share", [
    uuid(projectId),
    userId,
  ]);
  if (found.rows.length === 0) throw new LegworkError("LW404", `Project ${projectId} does not exist.`);
}

/** Returns the user's projects without their URLs, which may contain credentials. */
export async function listProjects(client: Queryable, userId: string): Promise<Record<string, unknown>[]> {
  const { rows } = await client.query(
    `select id, name, task_count, completed_count, progress_percentage::float8 as progress_percentage, found_plan_file as plan_file, commit, processed_at
     from projects.projects where user_id = $1 order by name nulls last, id`,
    [userId],
  );
  return rows;
}

/**
 * Enqueues a refresh of a project with high priority. Throws LW404 for a project that does not belong to the user, and LW429 with the time of the
 * next allowed request after five refreshes in five minutes. The database counts within the transaction that enqueues, so concurrent requests cannot
 * exceed the limit.
 */
export async function refreshProject(client: Queryable, { userId, principal }: Caller, projectId: string): Promise<Accepted> {
  await assertProject(client, userId, projectId);
  const options = { priority: HIGH_PRIORITY, maxAttempts: 4, ...REFRESHES };
  const id = await enqueue(client, "project_processing", { projectId, refresh: true }, options);
  await client.query("insert into projects.refreshes (job_id, project_id, requested_by) values ($1, $2, $3)", [
    id,
    projectId,
    principal.subject,
  ]);
  return { job_id: id, status: "queued", message: "Project refresh queued" };
}

/** Returns a project's last hundred jobs, newest first. */
export async function projectJobs(client: Queryable, userId: string, projectId: string): Promise<JobRecord[]> {
  await assertProject(client, userId, projectId);
  const { rows } = await client.query(
    `select ${RECORD} from projects.jobs j where project_id = $1 and user_id = $2 order by j.id desc limit 100`,
    [projectId, userId],
  );
  return rows;
}

/** Returns a job. Throws LW404 if it does not belong to the user. */
export async function jobStatus(client: Queryable, userId: string, id: string): Promise<JobRecord> {
  const { rows } = await client.query(`select ${RECORD} from projects.jobs j where j.id = $1 and user_id = $2`, [
    jobId(id),
    userId,
  ]);
  if (rows[0] === undefined) throw new LegworkError("LW404", `Job ${id} does not exist.`);
  return rows[0];
}

/** Retries a failed job, which gets all its attempts again. Throws LW404 if it does not belong to the user, and LW409 if it has not failed. */
export async function retryFailedJob(client: Queryable, userId: string, id: string): Promise<Accepted> {
  const { status } = await jobStatus(client, userId, id);
  // The database checks the state again, under the job's lock.
  const retried = await retryJobs(client, { ids: [id] });
  if (retried.length === 0) throw new LegworkError("LW409", `Job ${id} is ${status}. Only failed jobs can be retried.`);
  return { job_id: id, status: "queued", message: "Job queued for retry" };
}

/** Cancels a job. A running job gets the abort signal. Throws LW404 if it does not belong to the user, and LW409 if it has already ended. */
export async function removeJob(client: Queryable, userId: string, id: string): Promise<Accepted> {
  await jobStatus(client, userId, id);
  const isRunning = (await cancelJob(client, id, "Cancelled by the user")) === "running";
  return isRunning
    ? { job_id: id, status: "processing", message: "Job is being cancelled" }
    : { job_id: id, status: "cancelled", message: "Job cancelled" };
}

export interface QueueStatus {
  pending: number;
  processing: number;
  completed: number;
  failed: number;
  cancelled: number;
  total: number;
}

/** Counts a user's jobs by status, or all users' jobs if no user is given. */
export async function queueStatus(client: Queryable, userId?: string): Promise<QueueStatus> {
  const { rows } = await client.query(
    `select
       count(*) filter (where status = 'queued')::int as pending, count(*) filter (where status = 'processing')::int as processing,
       count(*) filter (where status = 'completed')::int as completed, count(*) filter (where status = 'failed')::int as failed,
       count(*) filter (where status in ('cancelled', 'expired'))::int as cancelled, count(*)::int as total
     from projects.jobs where $1::text is null or user_id = $1`,
    [userId ?? null],
  );
  return rows[0];
}

/** Returns the health of all users' jobs, without any user's data. If the database does not respond, reports only that. */
export async function jobsHealth(client: Queryable): Promise<Record<string, unknown> & { status: string }> {
  try {
    const status = await queueStatus(client);
    const { rows } = await client.query(
      "select count(*)::int as stuck from projects.jobs where status = 'processing' and started_at < now() - interval '1 hour'",
    );
    const workers = (await listWorkers(client)).length;
    const stuck: number = rows[0].stuck;
    return {
      status: workers === 0 ? "unhealthy" : stuck > 0 ? "degraded" : "healthy",
      queue_status: status,
      stuck_jobs: stuck,
      workers,
      database_connected: true,
    };
  } catch {
    return { status: "unhealthy", database_connected: false, error: "The database did not respond." };
  }
}
