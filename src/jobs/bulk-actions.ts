import { assertId } from "../bounds.ts";
import { callFunction } from "../db/call-function.ts";
import type { Queryable } from "../db/pool.ts";
import { selectRows } from "../db/select-rows.ts";
import { LegworkError } from "../errors.ts";
import type { LiveFilter } from "./cancel-job.ts";
import type { FailedFilter } from "./failed-jobs.ts";
import { toFilter } from "./job-filter.ts";
import type { FinishedFilter } from "./rerun-job.ts";

/** What a bulk action does to each job that matches its filter. */
export type BulkActionKind = "retry" | "discard" | "cancel" | "rerun" | "priority";

/** Selects the jobs that the action applies to: failed jobs for retry and discard, ended jobs for rerun, unfinished jobs for cancel and priority. */
export type BulkFilter = FailedFilter | FinishedFilter | LiveFilter;

export interface BulkOptions {
  /** For `cancel`: the reason to record in the jobs' history. */
  reason?: string;
  /** For `priority`: the new priority. */
  priority?: number;
}

/** A row of `legwork.bulk_actions`. */
export interface BulkActionRow {
  id: string;
  action: BulkActionKind;
  /** The filter, with SQL's field names. When the action started, relative periods were replaced by absolute times. */
  filter: Record<string, unknown>;
  priority: number | null;
  reason: string | null;
  /** The actor that started the action. */
  actor: string;
  tenant: string | null;
  state: "running" | "completed" | "stopped" | "failed";
  /** How many jobs matched, counted up to a million; null until they are counted. */
  total: string | null;
  changed: string;
  skipped: string;
  /** How many jobs could not be changed, by reason. */
  skip_reasons: Record<string, number>;
  last_error: string | null;
  started_at: Date;
  /** When the last chunk was completed. If that was long ago and the action is still running, no worker or server is running. */
  worked_at: Date | null;
  finished_at: Date | null;
}

/** A preview of what a bulk action would do. */
export interface BulkPreviewRow {
  jobs: number;
  /** Whether more than the 10,000 counted jobs match. */
  is_capped: boolean;
  /** The tasks that have most of these jobs, at most 20. */
  by_task: { task: string; jobs: number }[];
  /** Five of these jobs, as examples. */
  samples: {
    id: string;
    task: string;
    state: string;
    error: string | null;
    created_at: string;
    finished_at: string | null;
  }[];
}

/**
 * Starts an action on all jobs that match, and returns its id. Workers and servers carry it out in small transactions, with the rights of the session
 * that started it; jobs that are created, fail or end later are not affected. Throws LW400 for an invalid filter, LW404 for an unknown task or queue,
 * LW409 while 50 bulk actions are running.
 *
 * @example
 * import { startBulkAction } from "legwork/operations";
 *
 * const id = await startBulkAction(client, "retry", { task: "notify/email", failedSince: "1h" });
 */
export async function startBulkAction(
  client: Queryable,
  action: BulkActionKind,
  filter: BulkFilter,
  options: BulkOptions = {},
): Promise<string> {
  const [row] = await callFunction(client, "legwork.start_bulk_action", { action, filter: toFilter(filter), ...options });
  return String(row.start_bulk_action);
}

/**
 * Returns what a bulk action would do now: how many jobs it would change, which tasks they belong to, and five examples. Throws like
 * `startBulkAction`.
 *
 * @example
 * import { previewBulkAction } from "legwork/operations";
 *
 * const { jobs, is_capped } = await previewBulkAction(client, "discard", { error: "ECONNREFUSED" });
 */
export async function previewBulkAction(
  client: Queryable,
  action: BulkActionKind,
  filter: BulkFilter,
  options: Pick<BulkOptions, "priority"> = {},
): Promise<BulkPreviewRow> {
  const [row] = await callFunction(client, "legwork.preview_bulk_action", {
    action,
    filter: toFilter(filter),
    priority: options.priority,
  });
  return row;
}

/**
 * Lists bulk actions, newest first; 50 by default.
 *
 * @example
 * import { listBulkActions } from "legwork/operations";
 *
 * const running = (await listBulkActions(client)).filter(({ state }) => state === "running");
 */
export async function listBulkActions(
  client: Queryable,
  page: { before?: string; limit?: number } = {},
): Promise<BulkActionRow[]> {
  return await selectRows(
    client,
    "select * from legwork.bulk_actions where $1::bigint is null or id < $1 order by id desc limit $2",
    [page.before, page.limit ?? 50],
  );
}

/**
 * Returns one bulk action. Throws LW404 if it does not exist or its history was deleted.
 *
 * @example
 * import { getBulkAction, listBulkActions } from "legwork/operations";
 *
 * const [last] = await listBulkActions(client, { limit: 1 });
 * if (last !== undefined) console.log((await getBulkAction(client, last.id)).state);
 */
export async function getBulkAction(client: Queryable, id: string): Promise<BulkActionRow> {
  const rows = await selectRows(client, "select * from legwork.bulk_actions where id = $1", [assertId("bulk action", id)]);
  if (rows[0] === undefined) {
    throw new LegworkError("LW404", `No bulk action has id ${id}.`, {
      hint: "Bulk actions are kept for the period set in history_retention.",
    });
  }
  return rows[0];
}

/**
 * Stops a bulk action after its current chunk. Changes made so far remain. Returns its state: `stopped`, or the state in which it had already ended.
 * Throws LW404 if it does not exist.
 *
 * @example
 * import { listBulkActions, stopBulkAction } from "legwork/operations";
 *
 * for (const { id } of await listBulkActions(client)) await stopBulkAction(client, id);
 */
export async function stopBulkAction(client: Queryable, id: string): Promise<BulkActionRow["state"]> {
  const [row] = await callFunction(client, "legwork.stop_bulk_action", { id: assertId("bulk action", id) });
  return row.stop_bulk_action;
}
