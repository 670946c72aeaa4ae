import { assertId } from "../bounds.ts";
import { callFunction } from "../db/call-function.ts";
import type { Queryable } from "../db/pool.ts";
import { LegworkError } from "../errors.ts";
import { toJson } from "../json.ts";
import type { LiveFilter } from "./cancel-job.ts";
import { toFilter } from "./job-filter.ts";
import { assertPayloads } from "./enqueue.ts";
import { getJob } from "./read-jobs.ts";

/** What stands in place of what nobody may read. */
const REDACTED = "[redacted]";

export interface RerunOptions {
  /**
   * Another payload; the old one by default. `"[redacted]"` in it stays what it was, as long as the old job is kept for a retry.
   */
  payload?: unknown;
  /** Give up the old job too, which must have failed. */
  discard?: boolean;
}

/**
 * Runs a job again that has ended: a new one with its task, payload, priority, serial key, attempts, tenant and correlation id, and the
 * old one as its parent. Its job key, time, expiry and dependencies are not taken. Resolves to the new job's id. Throws LW404 for an unknown
 * job, LW409 for one that has not ended and where the history has not the whole payload, LW422 for a payload that its task does not take.
 *
 * @example
 * import { rerunJob } from "legwork/operations";
 *
 * const id = await rerunJob(client, "43", { payload: { to: "ann@example.com" } });
 */
export async function rerunJob(client: Queryable, id: string, options: RerunOptions = {}): Promise<string> {
  const payload = options.payload === undefined ? undefined : toJson("payload", options.payload);
  if (options.payload !== undefined) {
    const { task } = await getJob(client, id);
    await assertPayloadBesideRedacted(client, task, options.payload);
  }
  const [row] = await callFunction(client, "legwork.rerun_job", {
    job_id: assertId("job", id),
    payload,
    discard: options.discard,
  });
  return String(row.rerun_job);
}

/** What is redacted need not fit: it stands for a value that did. */
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

/** Which jobs that have ended; all that is given must fit. */
export interface FinishedFilter extends LiveFilter {
  /** A part of the error's message, in upper or lower case. */
  error?: string;
}

/**
 * Runs the jobs that fit again, oldest first and at most 10,000 (`atMost`), and resolves to the ids of the old ones. With the same `asOf` the next call
 * goes on with those that have not been run again since then; jobs made later are left alone. With `preview` nothing changes. Throws LW400 for a filter that
 * would have to read the whole history, LW404 for an unknown task or queue, LW409 when a payload among them is redacted: then none is run.
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

/** One of the re-runs that a job has to do with. */
export interface RerunRow {
  /** The new job. */
  id: string;
  /** The job that it repeats. */
  original_id: string;
  payload_changed: boolean;
  requested_by: string;
  requested_at: Date;
}

/**
 * What a job is a re-run of, and the re-runs of it, 100 at most. Throws LW404 for an unknown job.
 *
 * @example
 * import { listReruns } from "legwork/operations";
 *
 * const reruns = await listReruns(client, "43");
 */
export async function listReruns(client: Queryable, id: string): Promise<RerunRow[]> {
  return await callFunction(client, "legwork.job_reruns", { job_id: assertId("job", id) });
}
