import { readJson } from "../db/exact-json.ts";
import type { Queryable } from "../db/pool.ts";
import { selectRows } from "../db/select-rows.ts";

/** A row of `legwork.steps`, without its job. */
export interface StepRow {
  kind: "run" | "wait" | "sleep";
  name: string;
  state: "completed" | "timed_out" | "waiting";
  /** Redacted; null for nothing. */
  result: unknown;
  attempt: number;
  started_at: Date;
  finished_at: Date | null;
  /** Until when it waits; null for ever, and for what does not wait. */
  deadline: Date | null;
}

/**
 * The steps of a job, in the order in which they began.
 *
 * @example
 * import { listSteps } from "legwork/operations";
 *
 * const waiting = (await listSteps(client, "42")).filter(({ state }) => state === "waiting");
 */
export async function listSteps(client: Queryable, jobId: string): Promise<StepRow[]> {
  const rows = await selectRows(
    client,
    `select kind, name, state, result::text, attempt, started_at, finished_at, deadline
     from legwork.steps where job_id = $1 order by started_at, name`,
    [jobId],
  );
  return readJson<StepRow>(client, rows, ["result"]);
}
