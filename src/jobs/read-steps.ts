import { readJson } from "../db/exact-json.ts";
import type { Queryable } from "../db/pool.ts";
import { selectRows } from "../db/select-rows.ts";
import { selectWithin } from "../db/select-within.ts";

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

const STEPS = `select kind, name, state, result::text, attempt, started_at, finished_at, deadline
  from legwork.steps where job_id = $1 order by started_at, name`;

/**
 * The steps of a job, in the order in which they began.
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
 * As `listSteps`, in the caller's transaction: so many steps after the first ones (`after`), and not beyond the one that brings them to `maxBytes`; also
 * says whether there may be more.
 */
export async function listStepsWithin(
  client: Queryable,
  jobId: string,
  { after, limit, maxBytes }: { after: number; limit: number; maxBytes: number },
): Promise<{ rows: StepRow[]; isMore: boolean }> {
  const { rows, isMore } = await selectWithin(client, `${STEPS} offset $2 limit $3`, [jobId, after, limit], maxBytes);
  return { rows: readJson<StepRow>(client, rows, ["result"]), isMore };
}
