import { setTimeout as delay } from "node:timers/promises";
import { toError } from "../errors.ts";
import type { Logger } from "../log.ts";

/** How long a batch waits after a fault of the system before it is sent again (ms); doubled each time. */
const FIRST_WAIT_MS = 100;
const LONGEST_WAIT_MS = 10_000;

/** After so many refusals in a row with the same error, and none accepted, the fault is taken to be the system's. */
const SAMPLE = 16;

/**
 * How much of an item is sent. `whole`: all that is known. `bare`: without what the worker adds, such as a result, and with a marker in
 * its place. `failed`: the job ends as failed, because the database refuses even that.
 */
export type Form = "whole" | "bare" | "failed";

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
  /** Called each time the batch has to wait. */
  readonly onFault: (fault: Fault) => void;
  /** Ends the waiting: `sendBatch` then rejects with the last fault. */
  readonly signal: AbortSignal;
}

/**
 * Sends a batch so that no item keeps the others from being recorded, and no fault of the system ends a job.
 *
 * One statement where all goes well. When it fails with an error that a row can cause, the batch is halved until the rows that cause it are alone: such
 * a job is sent again in its bare form, and ended as failed if that is refused too. Any other error, or the same error from every
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
  for (let faults = 0; ; faults++) {
    if (fault !== undefined) {
      onFault({ ...fault, jobs: remaining.size });
      const wait = Math.min(FIRST_WAIT_MS * 2 ** Math.min(faults, 10), LONGEST_WAIT_MS);
      await delay(wait * (0.5 + Math.random() / 2), undefined, { signal }).catch(() => undefined);
      if (signal.aborted) throw fault.error;
    }
    fault = await sendRemaining(batch, remaining, faults);
    if (fault === undefined) return;
  }
}

/** Sends what remains, in parts where that is needed. Resolves to the fault that made it stop; undefined when all is recorded. */
async function sendRemaining<T>(batch: Batch<T>, remaining: Set<T>, faults: number): Promise<Omit<Fault, "jobs"> | undefined> {
  const { send, log, jobId } = batch;
  const refused: { item: T; error: Error }[] = [];
  let accepted = 0;
  const record = async (items: readonly T[], form: Form, why: Error | undefined): Promise<Error | undefined> => {
    try {
      await send(items, form, why);
    } catch (thrown) {
      return toError(thrown);
    }
    for (const item of items) remaining.delete(item);
    accepted += items.length;
    return undefined;
  };
  /** Resolves to a fault of the system. */
  const narrow = async (items: readonly T[]): Promise<Error | undefined> => {
    const error = await record(items, "whole", undefined);
    if (error === undefined) return undefined;
    if (!isRowError(error)) return error;
    const [item] = items;
    if (items.length > 1 || item === undefined) {
      const middle = Math.ceil(items.length / 2);
      return (await narrow(items.slice(0, middle))) ?? (await narrow(items.slice(middle)));
    }
    const bare = await record([item], "bare", error);
    if (bare === undefined) {
      log.warn(
        { err: error, jobId: jobId(item) },
        "The database refused a job's result or error; the job was recorded without it.",
      );
      return undefined;
    }
    if (!isRowError(bare)) return bare;
    refused.push({ item, error: bare });
    return accepted === 0 && refused.length >= SAMPLE && areAlike(refused) ? bare : undefined;
  };
  // In another order each time, so that a run of refused rows cannot hide the others for ever; and in ever smaller parts, should the whole be too much.
  const order = faults === 0 ? [...remaining] : shuffled([...remaining]);
  const size = Math.max(1, Math.ceil(order.length / 2 ** Math.max(0, faults - 2)));
  for (let from = 0; from < order.length; from += size) {
    const error = await narrow(order.slice(from, from + size));
    if (error !== undefined) return { error, isOfSystem: true };
  }
  if (accepted === 0 && refused.length > 1 && refused[0] !== undefined && areAlike(refused)) {
    return { error: refused[0].error, isOfSystem: true };
  }
  let fault: Omit<Fault, "jobs"> | undefined;
  for (const { item, error } of refused) {
    const last = await record([item], "failed", error);
    if (last === undefined) {
      log.error({ err: error, jobId: jobId(item) }, "The database refused to record how a job ended; the job has failed.");
    }
    // Not even that: this job waits, and no other for it.
    else fault ??= { error: last, isOfSystem: !isRowError(last) };
  }
  return fault;
}

/**
 * Whether a row of the statement can have caused an error: a wrong value (SQLSTATE classes 21 and 22), a constraint (23), a limit of the
 * program (54), or an exception that a function raised, such as a user's trigger. A statement that cannot even be built is its rows' fault too.
 */
export function isRowError(error: Error): boolean {
  if (error instanceof RangeError || error instanceof TypeError) return true;
  const { code, routine } = error as { code?: unknown; routine?: unknown };
  if (typeof code !== "string") return false;
  return /^(21|22|23|54|P0|LW)/.test(code) || routine === "exec_stmt_raise";
}

function areAlike(refused: readonly { error: Error }[]): boolean {
  return new Set(refused.map(({ error }) => (error as { code?: string }).code)).size === 1;
}

function shuffled<T>(items: T[]): T[] {
  return items
    .map((item) => ({ item, place: Math.random() }))
    .toSorted((a, b) => a.place - b.place)
    .map(({ item }) => item);
}
