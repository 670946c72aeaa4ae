import { z } from "zod";
import { readAction } from "../action.ts";
import { type FieldError, isErrorCode, LegworkError, toError } from "../errors.ts";
import { propertyOf } from "../thrown.ts";
import { roleHint } from "./needed-role.ts";

/** The properties that are read from the errors of Postgres, node-postgres, zod and Fastify. */
interface Thrown extends Error {
  code?: string;
  hint?: string;
  detail?: string;
  column?: string;
}

/**
 * Translates any error to a LegworkError: an error that the reader can act on keeps its details, and any other becomes LW500, which reveals nothing
 * about the original error but has it as its cause. All surfaces use this function, so a code means the same on each of them. `requestId` names the
 * request in the server's log.
 */
export function translateError(thrown: unknown, requestId?: string): LegworkError {
  const known = knownError(thrown);
  if (known !== undefined) return known;
  return new LegworkError("LW500", "Internal error.", {
    hint: requestId === undefined ? undefined : `See the server's log for details on request ${requestId}.`,
    cause: thrown,
  });
}

/** Translates an error of a statement or of Legwork's SQL to a LegworkError; returns an unknown error unchanged. */
export function fromDatabaseError(thrown: unknown): Error {
  return knownError(thrown) ?? toError(thrown);
}

/** Returns the SQLSTATE of a database error, or of the cause of a LegworkError. */
export function sqlStateOf(thrown: unknown): string | undefined {
  const code = propertyOf(thrown instanceof LegworkError ? thrown.cause : thrown, "code");
  return typeof code === "string" ? code : undefined;
}

/** Whether an error is caused by a bug, rather than by a mistake or a condition that the reader can act on. */
export function isBug(error: LegworkError): boolean {
  return error.code === "LW500" && error.cause !== undefined;
}

function knownError(thrown: unknown): LegworkError | undefined {
  if (thrown instanceof LegworkError) return thrown;
  const error = toError(thrown) as Thrown;
  const { code, message } = error;
  if (isErrorCode(code)) {
    return new LegworkError(code, message, {
      hint: error.hint,
      action: actionIn(error.detail),
      fields: fieldsOf(error),
      retryAt: code === "LW429" && error.detail !== undefined ? new Date(error.detail) : undefined,
      cause: error,
    });
  }
  return administrativeError(error) ?? ofDatabase(error) ?? ofLibrary(error);
}

/**
 * Translates errors that the database's administrator must fix: LW403 for missing privileges, LW503 for an exhausted sequence.
 * Undefined for all other errors.
 */
export function administrativeError(thrown: unknown): LegworkError | undefined {
  const { code, message } = toError(thrown) as Thrown;
  if (code === "2200H") {
    return new LegworkError("LW503", `A sequence of the database is exhausted: ${message}.`, {
      hint: "`legwork doctor` shows which sequence it is and what to do.",
      cause: thrown,
    });
  }
  if (code !== "42501") return undefined;
  return new LegworkError("LW403", `The database login may not do this: ${message}.`, { hint: roleHint(message), cause: thrown });
}

/** Translates a database error by the class of its SQLSTATE, or by node-postgres's message if it has none. */
function ofDatabase(error: Thrown): LegworkError | undefined {
  const { message } = error;
  const code = typeof error.code === "string" ? error.code : "";
  // A number out of range, an invalid time, a constraint of graphile-worker's table: the caller's mistake.
  if (/^(22...|23514)$/.test(code)) {
    return new LegworkError("LW400", `Invalid value: ${message}.`, {
      hint: error.hint,
      fields: fieldsOf(error),
      cause: error,
    });
  }
  // Nested too deeply, too many arguments, too long for an index.
  if (/^54...$/.test(code)) {
    return new LegworkError("LW413", "A value is too large for the database.", {
      hint: "Send a smaller or flatter value.",
      cause: error,
    });
  }
  // A deadlock, a lock timeout, a serialization failure.
  if (/^(40...|55P03)$/.test(code)) {
    return new LegworkError("LW503", "A concurrent change conflicted with this request.", {
      hint: "Nothing was changed. Try again.",
      cause: error,
    });
  }
  if (/^(57014|25P04)$/.test(code) || message === "Query read timeout") {
    return new LegworkError("LW504", "The database took too long, and the statement was cancelled.", {
      action: { do: "ask_for_less" },
      cause: error,
    });
  }
  if (code === "25006") {
    return new LegworkError("LW503", "The database is read-only.", { action: { do: "await_database" }, cause: error });
  }
  if (isConnectionError(error) || /^(28...|3D000|53...|57P..)$/.test(code)) {
    return new LegworkError("LW503", "The database does not respond.", { action: { do: "await_database" }, cause: error });
  }
  return undefined;
}

/** Translates a library's error about invalid input: zod's errors by their issues, and those of Fastify and its plugins by their status. */
function ofLibrary(error: Thrown): LegworkError | undefined {
  if (error instanceof z.core.$ZodError) {
    const fields = error.issues.map(({ path, message }) => ({ path, message }));
    const [first] = fields;
    const name = first === undefined || first.path.length === 0 ? "The value" : `'${first.path.map(String).join(".")}'`;
    return new LegworkError("LW400", `${name} is invalid: ${first?.message ?? error.message}.`, { fields, cause: error });
  }
  const status = propertyOf(error, "statusCode");
  if (typeof status !== "number" || status < 400 || status >= 500) return undefined;
  if (status === 413) {
    return new LegworkError("LW413", "The request is too large.", { hint: "Split it into several requests.", cause: error });
  }
  const message =
    error.code === "FST_ERR_CTP_INVALID_JSON_BODY"
      ? "The body is not valid JSON, or has a field __proto__ or constructor.prototype, which is not accepted."
      : `${error.message.replace(/\.?$/, "")}.`;
  return new LegworkError("LW400", message, {
    hint: "Send JSON with Content-Type: application/json.",
    // The error concerns the whole body, because none of it could be parsed.
    fields: status === 400 || status === 415 ? [{ path: [], message }] : undefined,
    cause: error,
  });
}

/** Returns the invalid parameter or column that Legwork's SQL reported, by its TypeScript name. */
function fieldsOf({ column, message }: Thrown): FieldError[] | undefined {
  if (column === undefined || column === "") return undefined;
  return [{ path: [column.replaceAll(/_([a-z])/g, (_match, letter: string) => letter.toUpperCase())], message }];
}

/** Reads the action that SQL suggests as JSON in an error's detail. */
function actionIn(detail: string | undefined) {
  if (detail?.startsWith("{") !== true) return undefined;
  try {
    return readAction(JSON.parse(detail));
  } catch {
    return undefined;
  }
}

/** Whether an error means that the database cannot be reached, or has closed the connection. */
export function isConnectionError(thrown: unknown): boolean {
  const { code, message } = toError(thrown instanceof LegworkError ? thrown.cause : thrown) as Error & { code?: unknown };
  // The code of this error, 55000, is not specific.
  if (/is not (currently|yet) accepting connections/.test(message)) return true;
  if (typeof code === "string") {
    return /^(08...|25P03|57P0[1-5]|ECONN\w+|EPIPE|ETIMEDOUT|ENOTFOUND|EAI_AGAIN|EHOSTUNREACH|ENETUNREACH)$/.test(code);
  }
  // These node-postgres errors have no code.
  return /^(Connection terminated|timeout exceeded when trying to connect|Client has encountered a connection error)/.test(
    message,
  );
}

/**
 * Whether an error is caused by a temporary state of the server: no free connection, a full disk or memory (class 53), starting up or shutting down,
 * read-only.
 */
export function isSystemFault(thrown: unknown): boolean {
  return /^(53...|57P0[1-3]|25006)$/.test(sqlStateOf(thrown) ?? "");
}
