import { JobNotCompleted, ResultTimeout } from "../errors.ts";
import { durationInWords } from "../wording.ts";
import type { Operations } from "./operations/operations.ts";
import { printJson } from "./output.ts";
import { jsonText } from "./visible.ts";

/** How long a command waits for a result by default (ms). */
const TIMEOUT_MS = 30_000;

export interface PrintResultOptions {
  /** How long to wait (ms); 30 seconds by default. */
  timeout?: number | undefined;
  json?: boolean | undefined;
  /** With `json`, fields to print before the others. */
  more?: object;
}

/**
 * Waits for a job to end and prints its result as JSON, or nothing for a job without a result. With `json`, prints its id, state, result, error and
 * end time. The exit code is 1 unless the job has completed. Throws JobNotCompleted and ResultTimeout, except with `json`.
 */
export async function printResult(
  operations: Operations,
  id: string,
  { timeout = TIMEOUT_MS, json, more }: PrintResultOptions,
): Promise<void> {
  const found = await operations.awaitJob(id, timeout);
  const { state, result, error, finishedAt } = found;
  if (json === true) {
    if (state !== "completed") process.exitCode = 1;
    return printJson({ ...more, ...found });
  }
  if (finishedAt === null) throw new ResultTimeout(id, durationInWords(timeout));
  if (state === "failed" || state === "cancelled" || state === "expired") throw new JobNotCompleted(id, state, error);
  if (result !== null) console.log(jsonText(result));
}
