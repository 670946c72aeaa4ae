import { readJson } from "../db/exact-json.ts";
import type { Queryable } from "../db/pool.ts";
import { selectRows } from "../db/select-rows.ts";

/** A row of `legwork.logs`, without its job. */
export interface LogRow {
  id: string;
  attempt: number;
  logged_at: Date;
  level: "info" | "warn" | "error" | "fatal";
  message: string;
  fields: Record<string, unknown> | null;
}

const COLUMNS = "id, attempt, logged_at, level, message, fields::text";

/**
 * Returns the last log lines of a job, oldest first.
 *
 * @example
 * import { lastLogs } from "legwork/operations";
 *
 * const lines = await lastLogs(client, "42", 100);
 */
export async function lastLogs(client: Queryable, jobId: string, limit: number): Promise<LogRow[]> {
  const rows = await selectRows(client, `select ${COLUMNS} from legwork.logs where job_id = $1 order by id desc limit $2`, [
    jobId,
    limit,
  ]);
  return readJson<LogRow>(client, rows, ["fields"]).toReversed();
}

/**
 * Returns the log lines of a job that follow the line with the id `after`, oldest first; all of them by default.
 *
 * @example
 * import { logsAfter } from "legwork/operations";
 *
 * const newer = await logsAfter(client, "42", "0");
 */
export async function logsAfter(client: Queryable, jobId: string, after = "0", limit?: number): Promise<LogRow[]> {
  const rows = await selectRows(
    client,
    `select ${COLUMNS} from legwork.logs where job_id = $1 and id > $2 order by id limit $3`,
    [jobId, after, limit],
  );
  return readJson<LogRow>(client, rows, ["fields"]);
}
