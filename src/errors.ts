/**
 * Every error a user can meet, in one place. A code means the same on every surface: SQL raises it as SQLSTATE, the CLI
 * prints it, HTTP answers with its status. Codes are never reused for another meaning.
 */
export const ERRORS = {
  LW400: { status: 400, exitCode: 2, title: "Invalid input" },
  LW401: { status: 401, exitCode: 1, title: "Not authenticated" },
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
} as const satisfies Record<string, { status: number; exitCode: 1 | 2; title: string }>;

export type ErrorCode = keyof typeof ERRORS;

/**
 * A mistake or a condition that its reader can act on. Shown as one line with a hint and never with a stack trace;
 * anything that is not a LegworkError is a bug and is shown with its stack.
 */
export class LegworkError extends Error {
  override readonly name: string = "LegworkError";
  readonly code: ErrorCode;
  /** What to do next, a whole sentence. */
  readonly hint: string | undefined;
  /** When the same request may succeed; only LW429 knows. */
  readonly retryAt: Date | undefined;

  constructor(code: ErrorCode, message: string, options: { hint?: string; cause?: unknown; retryAt?: Date } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.hint = options.hint;
    this.retryAt = options.retryAt;
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
 */
export class PayloadError extends LegworkError {
  override readonly name = "PayloadError";
  readonly [POINTLESS] = true;

  constructor(message: string, options: { hint?: string; cause?: unknown } = {}) {
    super("LW422", message, options);
  }
}

/** Whether another attempt after this error would be pointless. */
export function isPointless(error: Error): boolean {
  return POINTLESS in error;
}

export function isErrorCode(value: unknown): value is ErrorCode {
  return typeof value === "string" && Object.hasOwn(ERRORS, value);
}

/** Whatever was thrown, as an Error: JavaScript lets a task throw a string. */
export function toError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error(typeof thrown === "string" ? thrown : JSON.stringify(thrown));
}
