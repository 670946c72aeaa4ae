import { toError } from "../../errors.ts";
import { resultToJson } from "./outcomes.ts";
import type { Redaction } from "../attempt/redaction.ts";

/**
 * The error of a failed batch job: graphile-worker's term for a job whose payload is an array and whose task returns a promise for each
 * entry. Only the failed entries are retried.
 */
export class BatchFailure extends AggregateError {
  override readonly name = "BatchFailure";
  /** The indexes of the failed entries in this attempt's payload. */
  readonly failed!: readonly number[];
  /** The results of the entries as JSON, null for failed ones; undefined if no entry has a result that can be stored. */
  readonly results!: string | undefined;

  constructor(errors: readonly unknown[], failed: readonly number[], results: string | undefined) {
    super(errors, `Batch failures:\n${errors.map((error) => toError(error).message).join("\n")}`);
    // Not enumerable, so that they are not listed as properties of the error.
    Object.defineProperty(this, "failed", { value: failed });
    Object.defineProperty(this, "results", { value: results });
  }

  /**
   * Returns the value that makes graphile-worker keep the failed entries: for each failed entry a promise that is rejected with its described error.
   */
  entries(payload: readonly unknown[], describe: (error: unknown) => Error): unknown[] {
    const entries: unknown[] = payload.map(() => undefined);
    for (const [index, place] of this.failed.entries()) {
      const rejected = Promise.reject(describe(this.errors[index]));
      // graphile-worker awaits it.
      rejected.catch(() => undefined);
      entries[place] = rejected;
    }
    return entries;
  }
}

/**
 * Waits for the promises that a task returned for an array payload. Returns the results of the entries (undefined if no entry has a result), and
 * throws a BatchFailure if some were rejected. Like graphile-worker, it treats an array of a different length as a plain result, and ignores rejected
 * promises in it.
 */
export async function settleEntries(
  payload: readonly unknown[],
  answered: readonly unknown[],
  redaction: Redaction | undefined,
): Promise<unknown> {
  const settled = await Promise.allSettled(answered);
  const results = settled.map((entry) => (entry.status === "fulfilled" ? (entry.value ?? null) : null));
  const hasResults = results.some((result) => result !== null);
  const failed = settled.flatMap(({ status }, place) => (status === "rejected" ? [place] : []));
  if (failed.length === 0 || answered.length !== payload.length) return hasResults ? results : undefined;
  // The failed entries are stored as JSON, so a payload that cannot be serialized again fails as a whole.
  JSON.stringify(payload);
  throw new BatchFailure(
    settled.flatMap((entry) => (entry.status === "rejected" ? [entry.reason as unknown] : [])),
    failed,
    hasResults ? storedResults(results, redaction) : undefined,
  );
}

/** Returns the results as JSON; undefined if they cannot be stored as a list. The entries have completed anyway. */
function storedResults(results: readonly unknown[], redaction: Redaction | undefined): string | undefined {
  try {
    const json = resultToJson(results, redaction);
    return json?.startsWith("[") === true ? json : undefined;
  } catch {
    return undefined;
  }
}
