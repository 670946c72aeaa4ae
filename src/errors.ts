import { types } from "node:util";
import type { Action } from "./action.ts";
import { type Duration, durationOutOfRange, isTime, parseDuration, timeOutOfRange } from "./duration.ts";
import { DescribedError, describeThrown, hasProperty, isError, propertyOf } from "./thrown.ts";

/**
 * Every error that a user can encounter, in one place. A code means the same on every surface: SQL raises it as SQLSTATE, the CLI prints it, HTTP
 * returns its status. Codes are never reused with another meaning.
 */
export const ERRORS = {
  LW400: { status: 400, exitCode: 2, title: "Invalid input" },
  LW401: { status: 401, exitCode: 1, title: "Not authenticated" },
  LW403: { status: 403, exitCode: 1, title: "Not allowed" },
  LW404: { status: 404, exitCode: 1, title: "Not found" },
  LW409: { status: 409, exitCode: 1, title: "Conflict with the current state" },
  LW413: { status: 413, exitCode: 1, title: "Too large" },
  LW422: { status: 422, exitCode: 1, title: "Payload does not match the task" },
  LW424: { status: 424, exitCode: 1, title: "The job did not complete" },
  LW429: { status: 429, exitCode: 1, title: "Too many requests" },
  LW500: { status: 500, exitCode: 1, title: "Internal error" },
  LW503: { status: 503, exitCode: 1, title: "Database unavailable" },
  LW504: { status: 504, exitCode: 1, title: "Timed out" },
  LW510: { status: 500, exitCode: 1, title: "Unsupported database" },
  LW511: { status: 500, exitCode: 1, title: "Migrations do not match the database" },
  LW512: { status: 500, exitCode: 1, title: "Unusable data directory" },
  LW513: { status: 500, exitCode: 1, title: "Port in use" },
  LW514: { status: 500, exitCode: 2, title: "Invalid configuration" },
  LW515: { status: 500, exitCode: 1, title: "Invalid task file" },
  LW516: { status: 500, exitCode: 1, title: "Unsuitable connection pooler" },
  LW517: { status: 501, exitCode: 1, title: "Optional packages not installed" },
  LW518: { status: 500, exitCode: 1, title: "Incompatible versions" },
} as const satisfies Record<string, { status: number; exitCode: 1 | 2; title: string }>;

export type ErrorCode = keyof typeof ERRORS;

/** An invalid field: its path from the outermost object, and what is wrong with it. */
export interface FieldError {
  readonly path: readonly PropertyKey[];
  readonly message: string;
}

interface ErrorDetails {
  hint?: string;
  action?: Action | undefined;
  cause?: unknown;
  fields?: readonly FieldError[] | undefined;
}

/**
 * An error that the reader can act on. It is shown as one line with a hint and never with a stack trace; any other error is a bug and is shown with
 * its stack trace.
 *
 * @example
 * import { LegworkError } from "legwork";
 *
 * try {
 *   await legwork.jobs.get("999");
 * } catch (error) {
 *   if (!(error instanceof LegworkError) || error.code !== "LW404") throw error;
 *   console.log(error.message, error.hint);
 * }
 */
export class LegworkError extends Error {
  override readonly name: string = "LegworkError";
  readonly code: ErrorCode;
  /** What to do next, as a full sentence. */
  readonly hint: string | undefined;
  /** The hint's suggestion as data, which each surface phrases in its own words. */
  readonly action: Action | undefined;
  /** When the same request can be repeated; only for LW429. */
  readonly retryAt: Date | undefined;
  /** The invalid fields of the input, if known. */
  readonly fields: readonly FieldError[] | undefined;

  constructor(code: ErrorCode, message: string, options: ErrorDetails & { retryAt?: Date } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.hint = options.hint;
    this.action = options.action;
    this.retryAt = options.retryAt;
    this.fields = options.fields;
  }

  get status(): number {
    return ERRORS[this.code].status;
  }

  get exitCode(): 1 | 2 {
    return ERRORS[this.code].exitCode;
  }
}

/** Marks an error as permanent: retrying cannot help. A registered symbol, so that two copies of this module agree. */
const POINTLESS = Symbol.for("legwork.pointless");

/**
 * A payload that its task cannot process. The job fails immediately and is not retried. A task may throw it too, for
 * conditions that a schema cannot express.
 *
 * @example
 * import { defineTask, PayloadError } from "legwork";
 *
 * export default defineTask({
 *   run: (payload) => {
 *     if (payload === null) throw new PayloadError("The payload names no recipient.");
 *   },
 * });
 */
export class PayloadError extends LegworkError {
  override readonly name = "PayloadError";
  readonly [POINTLESS] = true;

  constructor(message: string, options: ErrorDetails = {}) {
    super("LW422", message, options);
  }
}

/**
 * Thrown by a task: its job fails without another attempt, however many are left. It stays among the failed jobs and can
 * be retried manually.
 *
 * @example
 * import { defineTask, Discard } from "legwork";
 *
 * export default defineTask({
 *   run: async (_payload, { sql }) => {
 *     const users = await sql`select 1 from users where id = 3`;
 *     if (users.length === 0) throw new Discard("The account has been deleted.");
 *   },
 * });
 */
export class Discard extends Error {
  override readonly name = "Discard";
  readonly [POINTLESS] = true;

  constructor(reason = "The task discarded its job.", options?: ErrorOptions) {
    super(reason, options);
  }
}

/** Marks on errors with which a task or a step ends an attempt. Registered symbols, for the same reason as above. */
const RETRY_AT = Symbol.for("legwork.retryAt");
const SNOOZED = Symbol.for("legwork.snoozed");
const TIMED_OUT = Symbol.for("legwork.timedOut");
const STEP_ERROR = Symbol.for("legwork.stepError");
const NOT_COMPLETED = Symbol.for("legwork.notCompleted");

/** A time, or a delay from the throw (ms). */
type When = Date | { readonly after: number };

/**
 * Thrown by a task: the attempt fails, and the next one is due at the given time instead of the retry policy's. Takes a Date, or a
 * duration ("10m", or milliseconds). This uses an attempt; if it was the last one, the job fails.
 *
 * @example
 * import { defineTask, RetryAfter } from "legwork";
 *
 * export default defineTask({
 *   run: async () => {
 *     const { status, headers } = await fetch("https://api.example.com");
 *     if (status === 429) throw new RetryAfter(Number(headers.get("retry-after") ?? 60) * 1_000);
 *   },
 * });
 */
export class RetryAfter extends Error {
  override readonly name = "RetryAfter";
  readonly [RETRY_AT]: When;

  constructor(when: Date | Duration, reason = "The task requested a later retry.", options?: ErrorOptions) {
    super(reason, options);
    this[RETRY_AT] = toWhen(when);
  }
}

/**
 * Thrown by a task to postpone its job: the job is put back until the given time as if it had not started. This uses no attempt and records no
 * failure. Takes a Date, or a duration ("10m", or milliseconds).
 *
 * @example
 * import { defineTask, Snooze } from "legwork";
 *
 * export default defineTask({
 *   run: () => {
 *     if (new Date().getUTCHours() < 6) throw new Snooze("1h", "Not at night.");
 *   },
 * });
 */
export class Snooze extends Error {
  override readonly name = "Snooze";
  readonly [RETRY_AT]: When;
  readonly [SNOOZED] = true;

  constructor(when: Date | Duration, reason = "The task postponed its job.") {
    super(reason);
    this[RETRY_AT] = toWhen(when);
  }
}

/**
 * An invalid step: its name is used twice in an attempt, or its result is too large or not JSON. With the code LW424 and a `JobNotCompleted` as its
 * cause: the job that `step.invoke` waited for did not complete. The job fails immediately, because another attempt would fail in the same way. Once
 * the cause is fixed, the job can be retried manually.
 *
 * @example
 * import { defineTask, StepError } from "legwork";
 *
 * export default defineTask({
 *   run: async (_payload, { step, log }) => {
 *     try {
 *       await step.run("fetch", () => fetch("https://api.example.com").then((response) => response.json()));
 *     } catch (error) {
 *       if (error instanceof StepError) log.warn(error.message);  // such as a result over 256 KB
 *       throw error;
 *     }
 *   },
 * });
 */
export class StepError extends LegworkError {
  override readonly name = "StepError";
  readonly [POINTLESS] = true;
  readonly [STEP_ERROR] = true;

  /** Also true for errors from other copies of this module, because a task may have its own copy. */
  static override [Symbol.hasInstance](value: unknown): boolean {
    return typeof value === "object" && value !== null && STEP_ERROR in value;
  }
}

/**
 * No signal arrived in time: thrown by `step.waitFor` after its timeout, in this attempt and every later one. A task that does not catch it fails
 * its job immediately. A failed job that is retried manually waits again.
 *
 * @example
 * import { defineTask, SignalTimeout } from "legwork";
 *
 * export default defineTask({
 *   run: async (_payload, { step, log }) => {
 *     try {
 *       await step.waitFor("approved", { timeout: "2 days" });
 *     } catch (error) {
 *       if (!(error instanceof SignalTimeout)) throw error;
 *       log.info("It was not approved in time.");
 *     }
 *   },
 * });
 */
export class SignalTimeout extends Error {
  override readonly name = "SignalTimeout";
  readonly [POINTLESS] = true;
  readonly [TIMED_OUT] = true;
  readonly signal: string;

  /** Also true for errors from other copies of this module, because a task may have its own copy. */
  static override [Symbol.hasInstance](value: unknown): boolean {
    return typeof value === "object" && value !== null && TIMED_OUT in value;
  }

  constructor(signal: string) {
    super(`The signal '${signal}' did not arrive in time.`);
    this.signal = signal;
  }
}

/** How a job that did not complete ended. A discarded job is `failed`. */
export type FailedEnd = "failed" | "cancelled" | "expired";

/**
 * A job whose result was awaited has ended without completing. `state` says how, and `reason` is its last error, or why it was cancelled or has
 * expired, as in `legwork.jobs`.
 *
 * @example
 * import { JobNotCompleted } from "legwork";
 *
 * try {
 *   await legwork.jobs.result("43", { timeout: "5s" });
 * } catch (error) {
 *   if (!(error instanceof JobNotCompleted)) throw error;
 *   console.log(`Job ${error.jobId} is ${error.state}: ${error.reason}`);
 * }
 */
export class JobNotCompleted extends LegworkError {
  override readonly name = "JobNotCompleted";
  readonly [NOT_COMPLETED] = true;
  readonly jobId: string;
  readonly state: FailedEnd;
  readonly reason: string | null;

  /** Also true for errors from other copies of this module, because a task may have its own copy. */
  static override [Symbol.hasInstance](value: unknown): boolean {
    return typeof value === "object" && value !== null && NOT_COMPLETED in value;
  }

  constructor(jobId: string, state: FailedEnd, reason: string | null) {
    super(
      "LW424",
      `Job ${jobId} ${state === "failed" ? "has failed" : state === "expired" ? "has expired" : "was cancelled"}: ${reason ?? "no reason is recorded."}`,
      {
        hint: `\`legwork job ${jobId}\` shows its attempts and log.`,
        action: { do: "show_log", id: jobId },
      },
    );
    this.jobId = jobId;
    this.state = state;
    this.reason = reason;
  }
}

/**
 * A job whose result was awaited has not ended in time. The job continues, and its result can be awaited again.
 *
 * @example
 * import { ResultTimeout } from "legwork";
 *
 * try {
 *   await legwork.jobs.result("42", { timeout: 10 });
 * } catch (error) {
 *   if (!(error instanceof ResultTimeout)) throw error;
 *   console.log(`Job ${error.jobId} is still running.`);
 * }
 */
export class ResultTimeout extends LegworkError {
  override readonly name = "ResultTimeout";
  readonly jobId: string;

  constructor(jobId: string, waited: string) {
    super("LW504", `Job ${jobId} has not ended within ${waited}.`, {
      hint: "The job continues. Wait for its result again, or use a longer timeout.",
    });
    this.jobId = jobId;
  }
}

function toWhen(when: Date | Duration): When {
  const isDate = when instanceof Date;
  if (isDate && isTime(when)) return when;
  const after = parseDuration(when);
  if (after !== undefined) return { after };
  throw new LegworkError("LW400", isDate ? timeOutOfRange("when", when) : durationOutOfRange("when", when), {
    hint: 'Pass a Date, or a duration such as "30s", "10m" or 5000 (milliseconds).',
  });
}

/**
 * Returns what a thrown value requests: whether the job is retried, whether the current attempt counts, and when the next one is due. The request is
 * honored no matter what else the value contains. Never throws.
 */
export function verdictOf(thrown: unknown): { discard: boolean; snooze: boolean; retryAt: When | undefined } {
  return {
    discard: hasProperty(thrown, POINTLESS),
    snooze: hasProperty(thrown, SNOOZED),
    retryAt: asWhen(propertyOf(thrown, RETRY_AT)),
  };
}

/** Returns the requested time, also from other copies of this module; undefined for anything else. */
function asWhen(value: unknown): When | undefined {
  if (types.isDate(value)) {
    const time = Date.prototype.getTime.call(value);
    return Number.isNaN(time) ? undefined : new Date(time);
  }
  const after = propertyOf(value, "after");
  return typeof after === "number" && Number.isFinite(after) ? { after } : undefined;
}

export function isErrorCode(value: unknown): value is ErrorCode {
  return typeof value === "string" && Object.hasOwn(ERRORS, value);
}

/**
 * Returns a thrown value as an Error whose name, message and stack are text: the value itself if it is one, or else an error that describes it.
 * Never throws.
 */
export function toError(thrown: unknown): Error {
  if (
    isError(thrown) &&
    thrown instanceof Error &&
    typeof propertyOf(thrown, "message") === "string" &&
    typeof propertyOf(thrown, "name") === "string"
  ) {
    const stack = propertyOf(thrown, "stack");
    if (stack === undefined || typeof stack === "string") return thrown;
  }
  return new DescribedError(describeThrown(thrown), thrown);
}
