import { bulkActionSchema, bulkPreviewSchema } from "../contract/bulk-actions.ts";
import { type Answer, rowReader } from "../contract/rows.ts";
import type { Queryable } from "../db/pool.ts";
import {
  type BulkActionKind,
  type BulkFilter,
  type BulkOptions,
  getBulkAction,
  listBulkActions,
  previewBulkAction,
  startBulkAction,
  stopBulkAction,
} from "../jobs/bulk-actions.ts";

/** An action on all jobs that match a filter. */
type BulkAction = Answer<typeof bulkActionSchema>;
const toBulkAction = rowReader(bulkActionSchema);

/** What a bulk action would do. */
type BulkPreview = Answer<typeof bulkPreviewSchema>;
const toBulkPreview = rowReader(bulkPreviewSchema);

/** `legwork.bulkActions`: actions on all jobs that match a filter, in any number. */
export interface BulkActions {
  /**
   * Starts an action on all jobs that match, and returns its id: `retry` or `discard` failed jobs, `rerun` ended jobs, `cancel` unfinished jobs or
   * change their `priority`. Workers and servers carry it out in small transactions, with the rights of the user who started it. Jobs that are
   * created, fail or end after that are left alone. Throws LW400 for an invalid filter, LW404 for an unknown task or queue, LW409 while 50 are
   * running.
   *
   * @example
   * const id = await legwork.bulkActions.start("retry", { task: "notify/email", failedSince: "1h" });
   */
  start(action: BulkActionKind, filter: BulkFilter, options?: BulkOptions): Promise<string>;
  /**
   * Returns what an action would do now: the number of jobs that it would change (counted up to 10,000), their tasks, and five examples. Throws like
   * `start`.
   *
   * @example
   * const { jobs, isCapped, byTask } = await legwork.bulkActions.preview("discard", { error: "ECONNREFUSED" });
   */
  preview(action: BulkActionKind, filter: BulkFilter, options?: Pick<BulkOptions, "priority">): Promise<BulkPreview>;
  /**
   * Returns one bulk action and its progress. Throws LW404 if it does not exist or its history was deleted.
   *
   * @example
   * const id = await legwork.bulkActions.start("cancel", { task: "notify/email" }, { reason: "wrong recipients" });
   * const { state, changed, total } = await legwork.bulkActions.get(id);
   */
  get(id: string): Promise<BulkAction>;
  /**
   * Lists bulk actions, newest first; 50 unless `limit` says otherwise.
   *
   * @example
   * const running = (await legwork.bulkActions.list()).filter(({ state }) => state === "running");
   */
  list(page?: { before?: string; limit?: number }): Promise<BulkAction[]>;
  /**
   * Stops a bulk action after its current chunk. Changes made so far remain. Returns its state: `stopped`, or its final state if it had already
   * ended. Throws LW404 if it does not exist.
   *
   * @example
   * for (const { id } of await legwork.bulkActions.list()) await legwork.bulkActions.stop(id);
   */
  stop(id: string): Promise<BulkAction["state"]>;
}

export function bulkActionsOn(client: Queryable): BulkActions {
  return {
    start: (action, filter, options) => startBulkAction(client, action, filter, options),
    preview: async (action, filter, options) => toBulkPreview(await previewBulkAction(client, action, filter, options)),
    get: async (id) => toBulkAction(await getBulkAction(client, id)),
    list: async (page) => (await listBulkActions(client, page)).map(toBulkAction),
    stop: (id) => stopBulkAction(client, id),
  };
}
