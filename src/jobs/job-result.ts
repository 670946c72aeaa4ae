import { assertId } from "../bounds.ts";
import type { JobState } from "../contract/states.ts";
import { viewsFor } from "../db/confinement.ts";
import { readJson } from "../db/exact-json.ts";
import type { Pool, Queryable } from "../db/pool.ts";
import { selectRows } from "../db/select-rows.ts";
import { type Duration, durationOutOfRange, parseDuration } from "../duration.ts";
import { JobNotCompleted, LegworkError, ResultTimeout } from "../errors.ts";
import { createLogger } from "../log.ts";
import { durationInWords } from "../wording.ts";
import { type JobEnd, ResultWaits } from "./result-waits.ts";

/** How long to wait for a result by default (ms). */
const TIMEOUT_MS = 30_000;

/** The longest delay of a Node timer (ms). */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

export interface ResultOptions {
  /** How long to wait; 30 seconds by default. After that, a `ResultTimeout` is thrown, and the job continues. */
  timeout?: Duration;
  /** Ends the wait with the signal's reason. The job continues. */
  signal?: AbortSignal;
}

/** The current state of a job's result: the row of a job that may not have ended yet. */
export interface ResultRow {
  id: string;
  state: JobState;
  result: unknown;
  error: string | null;
  finished_at: Date | null;
}

/**
 * Resolves to the result of a job that completes in time. Otherwise throws JobNotCompleted, ResultTimeout, the signal's reason, or the error that
 * ended the wait.
 */
export async function awaitResult(
  waits: ResultWaits,
  id: string,
  { timeout = TIMEOUT_MS, signal }: ResultOptions = {},
): Promise<unknown> {
  assertId("job", id);
  const milliseconds = parseTimeout(timeout);
  const timer = new AbortController();
  const handle = setTimeout(
    () => timer.abort(new ResultTimeout(id, durationInWords(milliseconds))),
    Math.min(milliseconds, LONGEST_TIMER_MS),
  );
  try {
    return resultOf(await waits.ended(id, signal === undefined ? timer.signal : AbortSignal.any([timer.signal, signal])));
  } finally {
    clearTimeout(handle);
  }
}

/** Throws LW400 for a timeout that is not a duration. */
export function parseTimeout(timeout: Duration): number {
  const milliseconds = parseDuration(timeout);
  if (milliseconds !== undefined) return milliseconds;
  throw new LegworkError("LW400", durationOutOfRange("timeout", timeout), {
    hint: "Write a duration such as 500ms, 30s, 5m or 2h, or a number of milliseconds.",
  });
}

/** Returns the result of a job that has completed. Throws JobNotCompleted if it ended in another state. */
function resultOf({ id, state, result, error }: JobEnd): unknown {
  if (state !== "completed") throw new JobNotCompleted(id, state, error);
  return result;
}

/** Reads a job's state and result, once the job has ended or `timeout` (ms) has passed. Use it in a process that waits for a single job. */
export async function awaitState(pool: Pool, id: string, timeout: number): Promise<ResultRow> {
  const first = await readResult(pool, id);
  if (first.finished_at !== null || timeout === 0) return first;
  const waits = new ResultWaits(pool, createLogger({ level: "error" }));
  const over = AbortSignal.timeout(Math.min(timeout, LONGEST_TIMER_MS));
  try {
    await waits.ended(id, over);
  } catch (error) {
    if (!over.aborted) throw error;
  } finally {
    await waits.stop();
  }
  return await readResult(pool, id);
}

/** Reads a job's state and result. Throws LW404 for a job that does not exist. */
export async function readResult(client: Queryable, id: string): Promise<ResultRow> {
  const rows = await selectRows(
    client,
    `select id, state, result::text, error, finished_at from ${viewsFor(client)}.jobs where id = $1`,
    [assertId("job", id)],
  );
  const [row] = readJson<ResultRow>(client, rows, ["result"]);
  if (row === undefined) {
    throw new LegworkError("LW404", `No job has id ${id}.`, {
      hint: "Finished jobs are kept for the period set in history_retention.",
    });
  }
  return row;
}
