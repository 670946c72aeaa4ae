import { type Duration, LegworkError, type Queryable } from "legwork";
import {
  disableSchedule,
  enableSchedule,
  listAlerts,
  listWorkers,
  readHealth,
  readTaskStatistics,
  retryJob,
  runSchedule,
  schedule,
  type Timing,
  unschedule,
} from "legwork/operations";
import { z } from "zod";

/** Returns the name of one of this app's schedules, which distinguishes it from other schedules in the database. */
const scheduleName = (jobId: string): string => `documents/${jobId}`;

const jobIdSchema = z.string().regex(/^[\w.-]{1,80}$/, "expected 1 to 80 letters, digits, dots, dashes and underscores");

const jobSchema = z
  .strictObject({
    task: z.string().min(1).max(128),
    payload: z.record(z.string(), z.json()).default({}),
    cron: z.string().optional(),
    every: z.string().optional().describe("A duration such as 30s, 5m, 2h or 1d."),
    at: z.iso.datetime({ offset: true }).optional(),
    timezone: z.string().default("UTC"),
    starts_at: z.iso.datetime({ offset: true }).optional(),
    ends_at: z.iso.datetime({ offset: true }).optional(),
    max_runs: z.int().min(1).optional(),
    enabled: z.boolean().optional(),
  })
  .refine(({ cron, every, at }) => [cron, every, at].filter((way) => way !== undefined).length === 1, {
    error: "expected one of cron, every and at",
    path: ["cron"],
  });

function parsed<T extends z.ZodType>(schema: T, input: unknown): z.output<T> {
  const result = schema.safeParse(input ?? {});
  if (result.success) return result.data;
  const said = result.error.issues.map(({ path, message }) => (path.length > 0 ? `${path.join(".")}: ${message}` : message));
  throw new LegworkError("LW400", `${said.join("; ")}.`);
}

type Row = Record<string, unknown>;

export async function listJobs(client: Queryable): Promise<{ jobs: Row[]; total: number }> {
  const { rows } = await client.query("select * from documents.background_job_configs order by job_id");
  return { jobs: rows, total: rows.length };
}

/** Returns a job with its last twenty executions. Throws LW404 if it does not exist, as do all functions here that take a job's id. */
export async function showJob(client: Queryable, jobId: string): Promise<Row> {
  const { rows } = await client.query("select * from documents.background_job_configs where job_id = $1", [jobId]);
  if (rows[0] === undefined) throw new LegworkError("LW404", `Job '${jobId}' does not exist.`);
  const executions = await client.query(
    "select * from documents.background_job_executions where job_id = $1 order by execution_id desc limit 20",
    [jobId],
  );
  return { ...rows[0], executions: executions.rows };
}

/** Creates a job, or replaces the job with that id. Returns the job and whether it is new. */
export async function registerJob(client: Queryable, jobId: string, request: unknown): Promise<{ job: Row; isNew: boolean }> {
  const id = parsed(jobIdSchema, jobId);
  const { task, payload, cron, every, at, timezone, starts_at, ends_at, max_runs, enabled } = parsed(jobSchema, request);
  const timing: Timing =
    cron === undefined ? (every === undefined ? { at: new Date(at as string) } : { every: every as Duration }) : { cron };
  const { rows } = await client.query("select from documents.background_job_configs where job_id = $1", [id]);
  await schedule(client, scheduleName(id), task, {
    ...timing,
    timezone,
    payload,
    startsAt: starts_at === undefined ? undefined : new Date(starts_at),
    endsAt: ends_at === undefined ? undefined : new Date(ends_at),
    maxRuns: max_runs,
    overlap: "skip",
    enabled,
  });
  return { job: await showJob(client, id), isNew: rows.length === 0 };
}

export async function removeJob(client: Queryable, jobId: string): Promise<void> {
  await unschedule(client, scheduleName(jobId));
}

/** Runs a job now, even if it is disabled. Throws LW409 while it is running. */
export async function executeJob(client: Queryable, jobId: string): Promise<Row> {
  return { job_id: jobId, execution_id: await runSchedule(client, scheduleName(jobId)), status: "started" };
}

export async function switchJob(client: Queryable, jobId: string, on: boolean): Promise<Row> {
  if (on) await enableSchedule(client, scheduleName(jobId));
  else await disableSchedule(client, scheduleName(jobId));
  return await showJob(client, jobId);
}

/** Jobs that failed after their last attempt and can be retried: graphile-worker keeps them until they are discarded. */
const DEAD_LETTERS = `legwork.jobs j where j.state = 'failed' and j.queue in ('documents', 'documents-index')
  and exists (select from graphile_worker.jobs g where g.id = j.id)`;

/** Returns the newest hundred dead letters. */
export async function listDeadLetters(client: Queryable): Promise<{ dead_letters: Row[] }> {
  const { rows } = await client.query(
    `select j.id as execution_id, j.task, j.payload, j.attempts, j.error, j.finished_at as failed_at, j.correlation_id
     from ${DEAD_LETTERS} order by j.id desc limit 100`,
  );
  return { dead_letters: rows };
}

/** Retries a dead letter. Throws LW404 if the job is not a dead letter of this app. */
export async function redriveDeadLetter(client: Queryable, executionId: string): Promise<Row> {
  const { rows } = await client.query(`select from ${DEAD_LETTERS} and j.id::text = $1`, [executionId]);
  if (rows.length === 0) throw new LegworkError("LW404", `Dead letter '${executionId}' does not exist.`);
  await retryJob(client, executionId);
  return { execution_id: executionId, status: "retried" };
}

const ORDER = ["healthy", "degraded", "unhealthy"] as const;
type Status = (typeof ORDER)[number];

/**
 * Returns the health of each job by Legwork's alert rules (consecutive failures, failure rate, slow runs), the workers' machines, the last health check,
 * and the overall status, which is that of the least healthy job, or unhealthy without a worker.
 */
export async function readJobHealth(client: Queryable): Promise<Row & { status: Status }> {
  const { jobs } = await listJobs(client);
  const health = await readHealth(client);
  const ofTask = new Map(health.filter(({ scope }) => scope === "task").map((row) => [row.name, row]));
  const each = jobs.map(({ job_id, task, enabled, next_run_at, last_outcome }) => {
    const { status = "healthy", reasons = [] } = ofTask.get(String(task)) ?? {};
    return { job_id, status, reasons, enabled, next_run_at, last_outcome };
  });
  // The tasks that these jobs enqueue, and the task that maintains the index.
  const more = ["documents/refresh_document", "documents/index"].flatMap((task) => ofTask.get(task) ?? []);
  const { rows: probes } = await client.query(
    `select result from documents.background_job_executions where job_id = 'health-check' and state = 'completed' order by execution_id desc limit 1`,
  );
  const workers = await listWorkers(client);
  // Workers on one machine report the same measurements.
  const hosts = new Map(workers.map(({ host, cpu, memory, disk }) => [host, { host, cpu, memory, disk }]));
  const statuses = [...each, ...more].map(({ status }) => ORDER.indexOf(status));
  const worst = ORDER[Math.max(0, ...statuses)] ?? "unhealthy";
  const lastCheck = probes[0]?.result ?? null;
  const status = workers.length === 0 ? "unhealthy" : worst === "healthy" && lastCheck?.healthy === false ? "degraded" : worst;
  const alerts = (await listAlerts(client)).filter(
    ({ target }) => target.startsWith("documents") || jobs.some(({ task }) => task === target),
  );
  return { status, workers: workers.length, hosts: [...hosts.values()], jobs: each, tasks: more, last_check: lastCheck, alerts };
}

/** Returns statistics of the jobs, in total and for the last day. */
export async function readSummary(client: Queryable): Promise<Row> {
  const { rows } = await client.query(
    `select (select count(*)::int from documents.background_job_configs) as total_jobs,
       (select count(*)::int from documents.background_job_configs where enabled) as enabled_jobs,
       count(*)::int as executions, count(*) filter (where state = 'completed')::int as completed, count(*) filter (where state = 'failed')::int as failed,
       count(*) filter (where state = 'running')::int as running,
       round(100.0 * count(*) filter (where state = 'completed') / nullif(count(*) filter (where state in ('completed', 'failed')), 0), 1)::float8 as success_rate,
       round(avg(duration_ms))::int as average_duration_ms
     from documents.background_job_executions`,
  );
  const tasks = new Set(
    (await listJobs(client)).jobs.map(({ task }) => task).concat("documents/refresh_document", "documents/index"),
  );
  const lastDay = (await readTaskStatistics(client, "1d")).filter(({ task }) => tasks.has(task));
  return { ...rows[0], last_day: lastDay };
}
