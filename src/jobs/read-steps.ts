import { readJson } from "../db/exact-json.ts";
import type { Queryable } from "../db/pool.ts";
import { selectRows } from "../db/select-rows.ts";
import { selectWithin } from "../db/select-within.ts";

/** A row of `legwork.steps`, without its job. */
export interface StepRow {
  kind: "run" | "wait" | "sleep" | "invoke";
  name: string;
  state: "completed" | "failed" | "timed_out" | "waiting";
  /** The redacted result; null without a result. */
  result: unknown;
  /** The redacted message of the step's error; null unless it failed. */
  error: string | null;
  attempt: number;
  started_at: Date;
  finished_at: Date | null;
  /** When the wait times out; null if it never does, and for steps that do not wait. */
  deadline: Date | null;
  /** The job that the step has invoked; null for other steps. */
  child_id: string | null;
}

const STEPS = `select kind, name, state, result::text, error, attempt, started_at, finished_at, deadline, child_id
  from legwork.steps where job_id = $1 order by started_at, name`;

/**
 * Lists the steps of a job, in the order in which they began.
 *
 * @example
 * import { listSteps } from "legwork/operations";
 *
 * const waiting = (await listSteps(client, "42")).filter(({ state }) => state === "waiting");
 */
export async function listSteps(client: Queryable, jobId: string): Promise<StepRow[]> {
  return readJson<StepRow>(client, await selectRows(client, STEPS, [jobId]), ["result"]);
}

/**
 * Like `listSteps`, but in the caller's transaction: skips the first `after` steps, then returns up to `limit` steps, until they reach `maxBytes`.
 * Also returns whether there may be more.
 */
export async function listStepsWithin(
  client: Queryable,
  jobId: string,
  { after, limit, maxBytes }: { after: number; limit: number; maxBytes: number },
): Promise<{ rows: StepRow[]; isMore: boolean }> {
  const { rows, isMore } = await selectWithin(client, `${STEPS} offset $2 limit $3`, [jobId, after, limit], maxBytes);
  return { rows: readJson<StepRow>(client, rows, ["result"]), isMore };
}
