import { durationInWords } from "../../wording.ts";

/** The longest delay of a Node timer (ms). */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

/** The error of an attempt that took too long. */
export class TimeoutError extends Error {
  override readonly name = "TimeoutError";
}

interface Limits {
  /** How long the work may take until it is told to stop (ms). */
  readonly timeout: number;
  /** How long it may take to stop (ms); then it is abandoned. Undefined if something else ends it. */
  readonly grace: number | undefined;
  /** Tells the work to stop. */
  readonly abort: (error: TimeoutError) => void;
  readonly onAbandoned: () => void;
}

/** Returns what `work` returns, and throws a TimeoutError if it has not returned after its timeout and grace period. */
export async function withinTimeout(
  work: () => Promise<unknown>,
  { timeout, grace, abort, onAbandoned }: Limits,
): Promise<unknown> {
  const { promise: abandoned, reject: abandon } = Promise.withResolvers<never>();
  const error = new TimeoutError(`The task took longer than ${durationInWords(timeout)}.`);
  let timer = setTimeout(
    () => {
      abort(error);
      if (grace === undefined) return;
      timer = setTimeout(() => {
        onAbandoned();
        abandon(error);
      }, grace);
    },
    Math.min(timeout, LONGEST_TIMER_MS),
  );
  try {
    const call = work();
    call.catch(() => undefined);
    return await Promise.race([call, abandoned]);
  } finally {
    clearTimeout(timer);
  }
}
