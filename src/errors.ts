import { types } from "node:util";
import type { Action } from "./action.ts";
import { type Duration, durationOutOfRange, isTime, parseDuration, timeOutOfRange } from "./duration.ts";
import { DescribedError, describeThrown, hasProperty, isError, propertyOf } from "./thrown.ts";

/**
 * Every error a user can meet, in one place. A code means the same on every surface: SQL raises it as SQLSTATE, the CLI
 * prints it, HTTP answers with its status. Codes are never reused for another meaning.
 */
export const ERRORS = {
  LW400: { status: 400, exitCode: 2, title: "Invalid input" },
  LW401: { status: 401, exitCode: 1, title: "Not authenticated" },
  LW403: { status: 403, exitCode: 1, title: "Not allowed" },
  LW404: { status: 404, exitCode: 1, title: "Not found" },
  LW409: { status: 409, exitCode: 1, title: "Conflict with the present state" },
  LW413: { status: 413, exitCode: 1, title: "Too large" },
  LW422: { status: 422, exitCode: 1, title: "Payload does not fit the task" },
  LW429: { status: 429, exitCode: 1, title: "Too many requests" },
  LW500: { status: 500, exitCode: 1, title: "Internal error" },
  LW503: { status: 503, exitCode: 1, title: "Database unavailable" },
  LW504: { status: 504, exitCode: 1, title: "Took too long" },
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

/** A field that is not as it should be: its path from the outermost object, and what is wrong with it. */
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
 * A mistake or a condition that its reader can act on. Shown as one line with a hint and never with a stack trace;
 * anything that is not a LegworkError is a bug and is shown with its stack.
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
  /** What to do next, a whole sentence. */
  readonly hint: string | undefined;
  /** What the hint suggests, as data: each surface says it in its own words. */
  readonly action: Action | undefined;
  /** When the same request may succeed; only LW429 knows. */
  readonly retryAt: Date | undefined;
  /** What of the input is at fault, where that is known. */
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

/** Marks an error that no other attempt can mend. A registered symbol, so that two copies of this module agree. */
const POINTLESS = Symbol.for("legwork.pointless");

/**
 * A payload that its task cannot work with. The job that carries it fails at once and is not retried. A task may throw it too, for
 * what a schema cannot say.
 *
 * @example
 * import { defineTask, PayloadError } from "legwork";
 *
 * export default defineTask({
 *   run: (payload) => {
 *     if (payload === null) throw new PayloadError("There is nobody to write to.");
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
 * Thrown by a task: its job has failed and no other attempt is made, however many are left. It is kept among the failed jobs and can
 * be retried by hand.
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

/** When a task wants its next attempt. Registered symbols, as above. */
const RETRY_AT = Symbol.for("legwork.retryAt");
const SNOOZED = Symbol.for("legwork.snoozed");
const TIMED_OUT = Symbol.for("legwork.timedOut");

/** A moment, or so long from when it was thrown (ms). */
type When = Date | { readonly after: number };

/**
 * Thrown by a task: the attempt has failed, and the next one is due then and not when the retry policy says. Takes a Date, or a
 * duration ("10m", or milliseconds). An attempt is used; after the last one the job has failed.
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

  constructor(when: Date | Duration, reason = "The task asked to be retried later.", options?: ErrorOptions) {
    super(reason, options);
    this[RETRY_AT] = toWhen(when);
  }
}

/**
 * Thrown by a task: not now. The job is put back until then as if it had not been started: no attempt is used, no failure is
 * recorded. Takes a Date, or a duration ("10m", or milliseconds).
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

  constructor(when: Date | Duration, reason = "The task put its job off.") {
    super(reason);
    this[RETRY_AT] = toWhen(when);
  }
}

/**
 * A step that a task cannot have: its name is used twice in an attempt, its result is too large or no JSON. The job fails at once, because
 * another attempt would do the same again; once the task is mended, the job can be retried by hand.
 *
 * @example
 * import { defineTask, StepError } from "legwork";
 *
 * export default defineTask({
 *   run: async (_payload, { step, log }) => {
 *     try {
 *       await step.run("fetch", () => fetch("https://api.example.com").then((answer) => answer.json()));
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
}

/**
 * No signal came in time: what `step.waitFor` throws after its timeout, in this attempt and every later one. A task that does not catch it fails
 * its job at once; a failed job that is retried by hand waits anew.
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
 *       log.info("Nobody has approved it.");
 *     }
 *   },
 * });
 */
export class SignalTimeout extends Error {
  override readonly name = "SignalTimeout";
  readonly [POINTLESS] = true;
  readonly [TIMED_OUT] = true;
  readonly signal: string;

  /** Also for one that another copy of this module has made: a task may have a copy of its own. */
  static override [Symbol.hasInstance](value: unknown): boolean {
    return typeof value === "object" && value !== null && TIMED_OUT in value;
  }

  constructor(signal: string) {
    super(`The signal '${signal}' did not come in time.`);
    this.signal = signal;
  }
}

function toWhen(when: Date | Duration): When {
  const isDate = when instanceof Date;
  if (isDate && isTime(when)) return when;
  const after = parseDuration(when);
  if (after !== undefined) return { after };
  throw new LegworkError("LW400", isDate ? timeOutOfRange("when", when) : durationOutOfRange("when", when), {
    hint: 'Give a Date, or a duration such as "30s", "10m" or 5000 (milliseconds).',
  });
}

/**
 * What a thrown value says about the next attempt: whether there is to be one, whether this one counts, and when. A verdict holds
 * however odd the error is otherwise; never throws.
 */
export function verdictOf(thrown: unknown): { discard: boolean; snooze: boolean; retryAt: When | undefined } {
  return {
    discard: hasProperty(thrown, POINTLESS),
    snooze: hasProperty(thrown, SNOOZED),
    retryAt: asWhen(propertyOf(thrown, RETRY_AT)),
  };
}

/** A time that a verdict carries, whichever copy of this module made it; undefined for anything else. */
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
 * Whatever was thrown as an Error whose name, message and stack are text: itself when it is one, else one that describes it.
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
