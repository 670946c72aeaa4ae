import { assertId } from "../bounds.ts";
import type { BATCH_STATES } from "../contract/states.ts";
import { callFunction } from "../db/call-function.ts";
import type { Queryable } from "../db/pool.ts";
import { selectRows } from "../db/select-rows.ts";
import { LegworkError } from "../errors.ts";
import { toJson } from "../json.ts";
import { assertPayloads, jobToRow, type JobSpec } from "../jobs/enqueue.ts";

/** A job of a batch. A batch always creates its own new jobs, so they have no job key. */
export type BatchJob = Omit<
  JobSpec,
  "jobKey" | "jobKeyMode" | "uniqueFor" | "uniqueKey" | "debounce" | "debounceMax" | "throttle" | "overlap"
>;

export interface BatchOptions {
  /** A description, shown in lists. */
  description?: string;
  /** A job that runs when all jobs of the batch have ended, regardless of their states. */
  callback?: BatchJob;
  tenant?: string;
  /** The correlation id of its jobs; `batch:` and its id by default. */
  correlationId?: string;
}

/** A row of `legwork.batches`. Ids and counts are strings, because they may exceed what a number holds exactly. */
export interface BatchRow {
  id: string;
  description: string | null;
  /** `failed` if all jobs have ended and some did not complete. */
  state: (typeof BATCH_STATES)[number];
  total: number;
  completed: string;
  failed: string;
  cancelled: string;
  expired: string;
  /** The share of its jobs that have ended, in percent. */
  progress: number;
  callback_job_id: string | null;
  tenant: string | null;
  correlation_id: string;
  created_at: Date;
  ended_at: Date | null;
}

/**
 * Enqueues many jobs as a batch, either all or none, and returns the batch's id. Throws like `enqueue`, and LW400 for an empty list.
 *
 * @example
 * import { enqueueBatch } from "legwork/operations";
 *
 * const id = await enqueueBatch(client, [{ task: "notify/welcome", payload: { userId: 3 } }], { callback: { task: "report/daily" } });
 */
export async function enqueueBatch(client: Queryable, jobs: readonly BatchJob[], options: BatchOptions = {}): Promise<string> {
  const json = toJson(
    "jobs",
    jobs.map((job) => jobToRow(job)),
  );
  const callback = options.callback === undefined ? undefined : toJson("callback", jobToRow(options.callback));
  await assertPayloads(client, options.callback === undefined ? jobs : [...jobs, options.callback]);
  const [row] = await callFunction(client, "legwork.enqueue_batch", {
    jobs: json,
    description: options.description,
    callback,
    tenant: options.tenant,
    correlation_id: options.correlationId,
  });
  return String(row.enqueue_batch);
}

export interface BatchFilter {
  state?: BatchRow["state"];
  tenant?: string;
  /** Only batches with a smaller id. For the next page, pass the last id of this page. */
  before?: string;
  /** The maximum number of batches to return; 50 by default. */
  limit?: number;
}

/**
 * Lists matching batches, newest first, each with its progress.
 *
 * @example
 * import { listBatches } from "legwork/operations";
 *
 * const running = await listBatches(client, { state: "running" });
 */
export async function listBatches(client: Queryable, filter: BatchFilter = {}): Promise<BatchRow[]> {
  const rows = await selectRows(
    client,
    `select * from legwork.batches
     where ($1::text is null or state = $1) and ($2::text is null or tenant = $2) and ($3::bigint is null or id < $3)
     order by id desc limit $4`,
    [filter.state, filter.tenant, filter.before, filter.limit ?? 50],
  );
  return rows;
}

/**
 * Returns a batch with its progress. Throws LW404 for an unknown batch.
 *
 * @example
 * import { enqueueBatch, getBatch } from "legwork/operations";
 *
 * const id = await enqueueBatch(client, [{ task: "report/daily" }]);
 * const { progress, total } = await getBatch(client, id);
 */
export async function getBatch(client: Queryable, id: string): Promise<BatchRow> {
  const rows = await selectRows(client, "select * from legwork.batches where id = $1", [assertId("batch", id)]);
  if (rows[0] !== undefined) return rows[0];
  throw new LegworkError("LW404", `No batch has id ${id}.`, {
    hint: "Ended batches are kept for the period set in history_retention.",
  });
}
