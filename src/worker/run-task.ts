import type { Job, JobHelpers, Task as PlainTask } from "graphile-worker";
import type { Pool, Queryable } from "../db/pool.ts";
import { createSql } from "../db/sql.ts";
import { LegworkError, toError } from "../errors.ts";
import type { Logger } from "../log.ts";
import { describeIssues, parsePayload, type RunningJob, type TaskContext } from "../jobs/define-task.ts";
import { enqueue, type EnqueueOptions } from "../jobs/enqueue.ts";
import type { DatabaseClock } from "./clock.ts";
import type { LoadedTask } from "./load-tasks.ts";
import { type Outcomes, resultToJson, storableText } from "./outcomes.ts";

export interface RunEnvironment {
  /** For the tasks' own statements; not the pool that graphile-worker fetches and completes with. */
  readonly pool: Pool;
  readonly log: Logger;
  readonly clock: DatabaseClock;
  readonly outcomes: Outcomes;
  /** The jobs that are running in this process. */
  readonly running: Set<string>;
}

/** A loaded task as the function that graphile-worker calls for each job. */
export function toPlainTask(task: LoadedTask, environment: RunEnvironment): PlainTask {
  const { clock, outcomes, running } = environment;
  return async (payload, helpers) => {
    const { job } = helpers;
    const runningJob = describeJob(job, task);
    const log = environment.log.child({ jobId: runningJob.id, task: task.name, correlationId: runningJob.correlationId });
    const startedAt = clock.now();
    running.add(job.id);
    log.debug({ event: "job_started", attempt: job.attempts }, "Job started.");
    try {
      const returned = await call(task, payload, helpers, runningJob, log, environment);
      // A graphile-worker batch job answers with a promise per entry; graphile-worker itself takes those apart.
      const result = Array.isArray(payload) && Array.isArray(returned) ? undefined : resultToJson(returned);
      const finishedAt = clock.now();
      outcomes.succeeded(job.id, startedAt, finishedAt, result);
      log.info({ event: "job_completed", duration: milliseconds(startedAt, finishedAt) }, "Job completed.");
      return returned as void;
    } catch (thrown) {
      const error = storableError(toError(thrown));
      const finishedAt = clock.now();
      outcomes.failed(job.id, startedAt, finishedAt, error);
      log.warn(
        { event: "job_failed", duration: milliseconds(startedAt, finishedAt), attempt: job.attempts, maxAttempts: job.max_attempts, err: error },
        `Job failed: ${error.message}`,
      );
      throw error;
    } finally {
      running.delete(job.id);
    }
  };
}

async function call(
  task: LoadedTask,
  payload: unknown,
  helpers: JobHelpers,
  job: RunningJob,
  log: Logger,
  environment: RunEnvironment,
): Promise<unknown> {
  const { definition } = task;
  if (definition === undefined) return await task.function(payload, correlatedHelpers(helpers, job));
  const result = await definition.run(parsePayload(definition.payload, payload, task.name), {
    job,
    log,
    sql: createSql(environment.pool, {
      "legwork.correlation_id": job.correlationId,
      "legwork.parent_id": job.id,
      "legwork.tenant": job.tenant ?? "",
    }),
    signal: helpers.abortSignal as AbortSignal,
    enqueue: createEnqueue(job, environment.pool),
  });
  if (definition.result === undefined) return result;
  const parsed = definition.result.safeParse(result);
  if (parsed.success) return parsed.data;
  throw new LegworkError("LW422", `The result does not fit task '${task.name}': ${describeIssues(parsed.error)}.`, {
    hint: "Correct what the task returns, or its result schema.",
  });
}

function createEnqueue(job: RunningJob, pool: Pool): TaskContext["enqueue"] {
  return async (task, payload, options: EnqueueOptions = {}, client?: Queryable) => {
    const context = { correlationId: job.correlationId, tenant: job.tenant ?? undefined };
    if (client !== undefined) return await enqueue(client, task, payload, { ...context, ...options });
    const sql = createSql(pool, { "legwork.parent_id": job.id });
    return await sql.transaction((_sql, own) => enqueue(own, task, payload, { ...context, ...options }));
  };
}

/** The helpers of a plain graphile-worker task, whose jobs carry the correlation id as well. */
function correlatedHelpers(helpers: JobHelpers, job: RunningJob): JobHelpers {
  const context = [`correlation:${job.correlationId}`, `parent:${job.id}`, ...(job.tenant === null ? [] : [`tenant:${job.tenant}`])];
  return {
    ...helpers,
    addJob: (identifier, payload, spec = {}) =>
      helpers.addJob(identifier, payload, { ...spec, flags: [...(spec.flags ?? []), ...context] }),
    addJobs: (specs, preserveRunAt) =>
      helpers.addJobs(specs.map((spec) => ({ ...spec, flags: [...(spec.flags ?? []), ...context] })), preserveRunAt),
  };
}

function describeJob(job: Job, task: LoadedTask): RunningJob {
  return {
    id: job.id,
    task: task.name,
    queue: task.definition?.queue ?? "default",
    priority: job.priority,
    attempts: job.attempts,
    maxAttempts: job.max_attempts,
    runAt: job.run_at,
    createdAt: job.created_at,
    jobKey: job.key,
    tenant: flagValue(job, "tenant"),
    correlationId: flagValue(job, "correlation") ?? job.id,
    parentId: flagValue(job, "parent"),
  };
}

/** As legwork.flag_value() does it. */
function flagValue(job: Job, name: string): string | null {
  const flag = Object.keys(job.flags ?? {}).find((key) => key.startsWith(`${name}:`));
  return flag === undefined ? null : flag.slice(name.length + 1);
}

/**
 * The error with a message that Postgres can store. graphile-worker puts the message into a statement as it is: a NUL in it
 * would make that statement fail, and graphile-worker would stop the whole worker.
 */
function storableError(error: Error): Error {
  const message = storableText(error.message);
  if (message !== error.message) error.message = message;
  return error;
}

function milliseconds(from: number, to: number): number {
  return Math.round((to - from) * 100) / 100;
}
