import { toError } from "../../errors.ts";
import { resultToJson } from "./outcomes.ts";
import type { Redaction } from "../attempt/redaction.ts";

/**
 * Why the attempt of a batch job failed: graphile-worker's own name for a job whose payload is an array and whose task answers with a promise for each
 * entry. The entries that failed are tried again, and those that did not are done.
 */
export class BatchFailure extends AggregateError {
  override readonly name = "BatchFailure";
  /** The places of the entries that failed, among those of this attempt. */
  readonly failed!: readonly number[];
  /** What the entries came to, null for those that failed, as JSON that is stored; undefined when none came to anything that can be. */
  readonly results!: string | undefined;

  constructor(errors: readonly unknown[], failed: readonly number[], results: string | undefined) {
    super(errors, `Batch failures:\n${errors.map((error) => toError(error).message).join("\n")}`);
    // Not to be listed among the properties of the error.
    Object.defineProperty(this, "failed", { value: failed });
    Object.defineProperty(this, "results", { value: results });
  }

  /** What graphile-worker is answered, to keep the entries that failed: for each entry of the payload a promise, rejected with what `describe` makes of its error. */
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
 * Waits for what a task answered to a payload that is an array. Resolves to the results of the entries, which is undefined where none has one, and
 * throws a BatchFailure when some were rejected. As for graphile-worker, an answer of another length is not one for each entry, and rejected promises
 * in it count for nothing.
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
  // The entries that failed are kept as JSON: a payload that cannot be written again fails as a whole.
  JSON.stringify(payload);
  throw new BatchFailure(
    settled.flatMap((entry) => (entry.status === "rejected" ? [entry.reason as unknown] : [])),
    failed,
    hasResults ? storedResults(results, redaction) : undefined,
  );
}

/** Undefined for what cannot be stored as a list: the entries are done all the same. */
function storedResults(results: readonly unknown[], redaction: Redaction | undefined): string | undefined {
  try {
    const json = resultToJson(results, redaction);
    return json?.startsWith("[") === true ? json : undefined;
  } catch {
    return undefined;
  }
}
