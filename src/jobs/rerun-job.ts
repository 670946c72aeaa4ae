import { assertId } from "../bounds.ts";
import { callFunction } from "../db/call-function.ts";
import type { Queryable } from "../db/pool.ts";
import type { Duration } from "../duration.ts";
import { LegworkError } from "../errors.ts";
import { toJson } from "../json.ts";
import type { LiveFilter } from "./cancel-job.ts";
import { toFilter } from "./job-filter.ts";
import { assertPayloads } from "./enqueue.ts";
import { getJob } from "./read-jobs.ts";

/** The marker that replaces secret values. */
const REDACTED = "[redacted]";

export interface RerunOptions {
  /**
   * The new job's payload; that of the original job by default. Where it contains `"[redacted]"`, the original value is used, as long as the original
   * job can still be retried.
   */
  payload?: unknown;
  /** Also discard the original job, which must have failed. */
  discard?: boolean;
  /** A different task, for example if the name of the original one was misspelled. */
  task?: string;
}

/**
 * Reruns a job that has ended: enqueues a new job with the same task, payload, priority, serial key, attempts, tenant and correlation id, and the
 * original as its parent. Its job key, time, expiry and dependencies are not copied. Returns the new job's id. Throws LW404 for an unknown job or
 * task, LW409 for a job that has not ended or whose complete payload is no longer in the history, LW422 for a payload that does not match its task.
 *
 * @example
 * import { rerunJob } from "legwork/operations";
 *
 * const id = await rerunJob(client, "43", { payload: { to: "ann@example.com" } });
 */
export async function rerunJob(client: Queryable, id: string, options: RerunOptions = {}): Promise<string> {
  const payload = options.payload === undefined ? undefined : toJson("payload", options.payload);
  if (options.payload !== undefined || options.task !== undefined) {
    const original = await getJob(client, id);
    await assertPayloadBesideRedacted(client, options.task ?? original.task, options.payload ?? original.payload);
  }
  const [row] = await callFunction(client, "legwork.rerun_job", {
    job_id: assertId("job", id),
    payload,
    discard: options.discard,
    task: options.task,
  });
  return String(row.rerun_job);
}

/** Checks a payload, ignoring its redacted values: the original values that they stand for have already been checked. */
async function assertPayloadBesideRedacted(client: Queryable, task: string, payload: unknown): Promise<void> {
  try {
    await assertPayloads(client, [{ task, payload }]);
  } catch (error) {
    if (!(error instanceof LegworkError) || error.code !== "LW422" || error.fields === undefined) throw error;
    const valueAt = (path: readonly PropertyKey[]): unknown =>
      path.reduce((value: unknown, step) => (value as Record<PropertyKey, unknown> | undefined)?.[step], { payload });
    if (!error.fields.every(({ path }) => valueAt(path) === REDACTED)) throw error;
  }
}

/** Selects jobs that have ended. A job must match all given fields. */
export interface FinishedFilter extends Omit<LiveFilter, "jobKey"> {
  /** Part of the error message; case is ignored. */
  error?: string;
  finishedAfter?: Date;
  finishedBefore?: Date;
  /** Only jobs that ended within this period before now, such as `10m`. */
  finishedSince?: Duration;
}

/**
 * Reruns the jobs that match, oldest first, at most 10,000 (or `atMost`). Returns the ids of the original jobs. With the same `asOf`, the next call
 * continues with the jobs that have not been rerun since that time and ignores newer jobs. With `preview` nothing changes. Throws LW400 for a filter
 * that would have to read the whole history, LW404 for an unknown task or queue, LW409 if any of the payloads is redacted; in that case no job is
 * rerun.
 *
 * @example
 * import { rerunJobs } from "legwork/operations";
 *
 * const ids = await rerunJobs(client, { state: "failed", task: "notify/email" }, { asOf: new Date() });
 */
export async function rerunJobs(
  client: Queryable,
  filter: FinishedFilter,
  options: { asOf?: Date; preview?: boolean; atMost?: number } = {},
): Promise<string[]> {
  const rows = await callFunction(client, "legwork.rerun_jobs", {
    filter: toFilter(filter),
    as_of: options.asOf?.toISOString(),
    preview: options.preview,
    at_most: options.atMost,
  });
  return rows.map((row) => String(row.rerun_jobs));
}

/** A rerun of a job, or the rerun that created it. */
export interface RerunRow {
  /** The new job. */
  id: string;
  /** The job that the new job repeats. */
  original_id: string;
  payload_changed: boolean;
  requested_by: string;
  requested_at: Date;
}

/**
 * Lists the reruns of a job, and the job that it is a rerun of; at most 100. Throws LW404 for an unknown job.
 *
 * @example
 * import { listReruns } from "legwork/operations";
 *
 * const reruns = await listReruns(client, "43");
 */
export async function listReruns(client: Queryable, id: string): Promise<RerunRow[]> {
  return await callFunction(client, "legwork.job_reruns", { job_id: assertId("job", id) });
}
