import type { Queryable } from "../db/pool.ts";
import { selectRows } from "../db/select-rows.ts";

/** Selects failed jobs. A job must match all given fields; an empty filter matches every failed job. */
export interface FailedFilter {
  ids?: readonly string[];
  task?: string;
  queue?: string;
  tenant?: string;
  /** A group from `legwork.failed_groups`. */
  fingerprint?: string;
  /** Part of the error message; case is ignored. */
  error?: string;
  failedAfter?: Date;
  failedBefore?: Date;
}

/** A row of `legwork.failed_groups`. */
export interface FailedGroup {
  fingerprint: string;
  task: string;
  queue: string;
  jobs: string;
  first_at: Date;
  last_at: Date;
  last_id: string;
  last_error: string | null;
}

/**
 * Lists the failed jobs that can be retried, grouped by error, largest group first.
 *
 * @example
 * import { listFailedGroups, retryJobs } from "legwork/operations";
 *
 * const [worst] = await listFailedGroups(client);
 * if (worst !== undefined) await retryJobs(client, { fingerprint: worst.fingerprint });
 */
export async function listFailedGroups(client: Queryable): Promise<FailedGroup[]> {
  const rows = await selectRows(client, "select * from legwork.failed_groups order by jobs desc, last_at desc");
  return rows;
}
