import { setTimeout as delay } from "node:timers/promises";
import { toError } from "../../errors.ts";
import type { Logger } from "../../log.ts";

/** How long a batch waits after a fault of the system before it is sent again (ms); doubled each time. */
const FIRST_WAIT_MS = 100;
const LONGEST_WAIT_MS = 10_000;

/** After so many refusals, and none accepted, a round is over: the fault may be the system's. */
const SAMPLE = 16;

/** The round in which a row is tried in its lesser forms although nothing shows that others are taken: after 0.7 s. */
const PROBE_ROUND = 3;

const FORMS = ["whole", "bare", "failed"] as const;

/**
 * How much of an item is sent. `whole`: all that is known. `bare`: without what the worker adds, such as a result, and with a marker in
 * its place. `failed`: the job ends as failed, because the database refuses even that.
 */
export type Form = (typeof FORMS)[number];

/** Why a batch waits. */
export interface Fault {
  readonly error: Error;
  /** Whether it concerns every job: false when only the rows of these jobs are refused. */
  readonly isOfSystem: boolean;
  /** How many jobs of the batch wait. */
  readonly jobs: number;
}

export interface Batch<T> {
  readonly items: readonly T[];
  /** Sends items in one statement; `error` is why they are sent in this form. */
  readonly send: (items: readonly T[], form: Form, error: Error | undefined) => Promise<unknown>;
  /** Which job an item is, for the log. */
  readonly jobId: (item: T) => string;
  readonly log: Logger;
  /** How many statements the database has taken so far, those of other batches included. */
  readonly accepted: () => number;
  /** Called each time the batch has to wait. */
  readonly onFault: (fault: Fault) => void;
  /** Ends the waiting: `sendBatch` then rejects with the last fault. */
  readonly signal: AbortSignal;
}

/**
 * Sends a batch so that no item keeps the others from being recorded, and no fault of the system ends a job.
 *
 * One statement where all goes well. When it fails with an error that a row can cause, the batch is halved until the rows that cause it are
 * alone: such a job is sent again in its bare form, and ended as failed if that is refused too. Any other error, or the same error from every
 * row, is the system's: what has not been recorded waits and is sent again, with growing pauses, until it is taken.
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
 * Sends what remains, in parts where that is needed. Resolves to the fault that made it stop; undefined when all is recorded.
 *
 * A row is only blamed when there is evidence that the database takes others: one was accepted in the meantime, here or in another batch. Without
 * any, one row is tried in its lesser forms once, in case it is alone on the system.
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
  /** Finds the rows that are refused; resolves to a fault of the system. */
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
  /** Sends one row in ever lesser forms; resolves to why even the last was refused. */
  const reduce = async (item: T, forms: readonly Form[]): Promise<Error | undefined> => {
    let error: Error | undefined;
    for (const form of forms) {
      const refusal = await record([item], form, error);
      if (refusal === undefined) {
        if (form === "bare")
          log.warn(
            { err: error, jobId: jobId(item) },
            "The database refused a job's result or error; the job was recorded without it.",
          );
        if (form === "failed")
          log.error({ err: error, jobId: jobId(item) }, "The database refused to record how a job ended; the job has failed.");
        return undefined;
      }
      error = refusal;
      if (!isRowError(refusal)) return refusal;
    }
    return error;
  };
  // In another order each time, so that a run of refused rows cannot hide the others for ever; and in ever smaller parts, should the whole be too much.
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
    // Whole once more: it may have been refused before the evidence came.
    const error = await reduce(item, FORMS);
    // Refused in every form, it waits, and no other for it.
    if (error !== undefined) fault ??= { error, isOfSystem: !isRowError(error) };
  }
  return fault ?? (remaining.size > 0 ? { error: first.error, isOfSystem: false } : undefined);
}

/**
 * Whether a row of the statement can have caused an error: a wrong value (SQLSTATE classes 21 and 22), a constraint (23), a limit of the
 * program (54), or an exception that a function raised, such as a user's trigger. A statement that cannot even be built is its rows' fault too.
 */
export function isRowError(error: Error): boolean {
  if (error instanceof RangeError || error instanceof TypeError) return true;
  const { code, routine } = error as { code?: unknown; routine?: unknown };
  // An exhausted sequence is every row's.
  if (typeof code !== "string" || code === "2200H") return false;
  return /^(21|22|23|54|P0|LW)/.test(code) || routine === "exec_stmt_raise";
}

function shuffled<T>(items: T[]): T[] {
  return items
    .map((item) => ({ item, place: Math.random() }))
    .toSorted((a, b) => a.place - b.place)
    .map(({ item }) => item);
}
