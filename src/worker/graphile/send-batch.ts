import { setTimeout as delay } from "node:timers/promises";
import { toError } from "../../errors.ts";
import type { Logger } from "../../log.ts";

/** How long a batch waits after a system fault before it is sent again (ms); doubled each time. */
const FIRST_WAIT_MS = 100;
const LONGEST_WAIT_MS = 10_000;

/** After this many rejections without an accepted statement, a round ends, because the cause may be a system fault. */
const SAMPLE = 16;

/** The round, after 0.7 s, in which one row is sent in its reduced forms without evidence that other rows are accepted. */
const PROBE_ROUND = 3;

const FORMS = ["whole", "bare", "failed"] as const;

/**
 * How much of an item is sent. `whole`: everything. `bare`: a marker replaces the worker's additions, such as the result. `failed`: the job fails,
 * because the database rejects even the bare form.
 */
export type Form = (typeof FORMS)[number];

/** Why a batch waits. */
export interface Fault {
  readonly error: Error;
  /** Whether the fault affects all jobs; false if only the rows of these jobs are rejected. */
  readonly isOfSystem: boolean;
  /** How many jobs of the batch are waiting. */
  readonly jobs: number;
}

export interface Batch<T> {
  readonly items: readonly T[];
  /** Sends items in one statement; `error` is the reason for this form. */
  readonly send: (items: readonly T[], form: Form, error: Error | undefined) => Promise<unknown>;
  /** Returns the job of an item, for the log. */
  readonly jobId: (item: T) => string;
  readonly log: Logger;
  /** Returns how many statements the database has accepted so far, including those of other batches. */
  readonly accepted: () => number;
  /** Called each time the batch has to wait. */
  readonly onFault: (fault: Fault) => void;
  /** Ends the wait: `sendBatch` then rejects with the last fault. */
  readonly signal: AbortSignal;
}

/**
 * Sends a batch in such a way that no item prevents the others from being recorded, and no system fault makes a job fail.
 *
 * Normally sends one statement. If it fails with an error that a row can cause, the batch is halved until the rows that cause it are isolated. Such a
 * row is sent again in its bare form, and its job fails if that is rejected too. Any other error, or the same error for every row, is a system fault:
 * items that have not been recorded are sent again, with growing pauses, until they are accepted.
 */
export async function sendBatch<T>(batch: Batch<T>): Promise<void> {
  const { items, onFault, signal } = batch;
  const remaining = new Set(items);
  let fault: Omit<Fault, "jobs"> | undefined;
  try {
    await batch.send(items, "whole", undefined);
    return;
  } catch (thrown) {
    const error = toError(thrown);
    if (!isRowError(error)) fault = { error, isOfSystem: true };
  }
  for (let round = 0; ; round++) {
    if (fault !== undefined) {
      onFault({ ...fault, jobs: remaining.size });
      const wait = Math.min(FIRST_WAIT_MS * 2 ** Math.min(round, 10), LONGEST_WAIT_MS);
      await delay(wait * (0.5 + Math.random() / 2), undefined, { signal }).catch(() => undefined);
      if (signal.aborted) throw fault.error;
    }
    fault = await sendRemaining(batch, remaining, round);
    if (fault === undefined) return;
  }
}

/**
 * Sends the remaining items, in parts if needed. Returns the fault that stopped this; undefined if all items have been recorded.
 *
 * A row counts as the cause only if there is evidence that the database accepts other rows: one was accepted in the meantime, in this batch or
 * another one. Without evidence, one row is sent in its reduced forms once, in case it is the only row.
 */
async function sendRemaining<T>(batch: Batch<T>, remaining: Set<T>, round: number): Promise<Omit<Fault, "jobs"> | undefined> {
  const { send, log, jobId, accepted } = batch;
  const before = accepted();
  const hasEvidence = (): boolean => accepted() > before;
  const refused: { item: T; error: Error }[] = [];
  const record = async (items: readonly T[], form: Form, why?: Error): Promise<Error | undefined> => {
    try {
      await send(items, form, why);
    } catch (thrown) {
      return toError(thrown);
    }
    for (const item of items) remaining.delete(item);
    return undefined;
  };
  /** Finds the rejected rows. Returns the error if it is a system fault. */
  const narrow = async (items: readonly T[]): Promise<Error | undefined> => {
    const error = await record(items, "whole");
    if (error === undefined) return undefined;
    if (!isRowError(error)) return error;
    const [item] = items;
    if (items.length > 1 || item === undefined) {
      const middle = Math.ceil(items.length / 2);
      return (await narrow(items.slice(0, middle))) ?? (await narrow(items.slice(middle)));
    }
    refused.push({ item, error });
    return !hasEvidence() && refused.length >= SAMPLE ? error : undefined;
  };
  /** Sends one row in increasingly reduced forms; returns the error if even the last is rejected. */
  const reduce = async (item: T, forms: readonly Form[]): Promise<Error | undefined> => {
    let error: Error | undefined;
    for (const form of forms) {
      const refusal = await record([item], form, error);
      if (refusal === undefined) {
        if (form === "bare")
          log.warn(
            { event: "outcome_reduced", err: error, jobId: jobId(item) },
            "The database rejected a job's result or error; the job was recorded without it.",
          );
        if (form === "failed")
          log.error(
            { event: "outcome_rejected", err: error, jobId: jobId(item) },
            "The database rejected a job's outcome; the job has failed.",
          );
        return undefined;
      }
      error = refusal;
      if (!isRowError(refusal)) return refusal;
    }
    return error;
  };
  // Each round uses a different order, so that a run of rejected rows cannot hide the others forever. It also uses smaller and smaller parts, in case
  // the whole batch is too large.
  const order = round === 0 ? [...remaining] : shuffled([...remaining]);
  const size = Math.max(1, Math.ceil(order.length / 2 ** Math.max(0, round - PROBE_ROUND)));
  for (let from = 0; from < order.length; from += size) {
    const error = await narrow(order.slice(from, from + size));
    if (error !== undefined && !isRowError(error)) return { error, isOfSystem: true };
    if (error !== undefined) break;
  }
  const [first] = refused;
  if (first === undefined) return undefined;
  const isAlone = order.length === 1;
  if (!hasEvidence() && round === PROBE_ROUND) {
    const error = await reduce(first.item, isAlone ? FORMS : ["whole", "bare"]);
    if (error !== undefined && !isRowError(error)) return { error, isOfSystem: true };
  }
  if (!hasEvidence()) return { error: first.error, isOfSystem: !isAlone };
  let fault: Omit<Fault, "jobs"> | undefined;
  for (const { item } of refused) {
    if (!remaining.has(item)) continue;
    // Start with the whole form again, because it may have been rejected before there was evidence.
    const error = await reduce(item, FORMS);
    // An item that is rejected in every form waits, but the other items do not wait for it.
    if (error !== undefined) fault ??= { error, isOfSystem: !isRowError(error) };
  }
  return fault ?? (remaining.size > 0 ? { error: first.error, isOfSystem: false } : undefined);
}

/**
 * Whether a row of the statement can have caused an error: an invalid value (SQLSTATE classes 21 and 22), a constraint (23), a program limit (54), or
 * an exception that a function raised, such as a user's trigger. If a statement cannot be built, its rows are the cause too.
 */
export function isRowError(error: Error): boolean {
  if (error instanceof RangeError || error instanceof TypeError) return true;
  const { code, routine } = error as { code?: unknown; routine?: unknown };
  // An exhausted sequence affects every row.
  if (typeof code !== "string" || code === "2200H") return false;
  return /^(21|22|23|54|P0|LW)/.test(code) || routine === "exec_stmt_raise";
}

function shuffled<T>(items: T[]): T[] {
  return items
    .map((item) => ({ item, place: Math.random() }))
    .toSorted((a, b) => a.place - b.place)
    .map(({ item }) => item);
}
