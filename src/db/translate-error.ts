import { z } from "zod";
import { readAction } from "../action.ts";
import { type FieldError, isErrorCode, LegworkError, toError } from "../errors.ts";
import { propertyOf } from "../thrown.ts";
import { roleHint } from "./needed-role.ts";

/** What Postgres, node-postgres, zod and Fastify say of an error, as far as it is looked at. */
interface Thrown extends Error {
  code?: string;
  hint?: string;
  detail?: string;
  column?: string;
}

/**
 * Any error as the LegworkError that it stands for: what its reader can act on in full, anything else as LW500, which tells nothing of it but has it as its
 * cause. Every surface answers with this, so a code means the same on all of them. `requestId` names the request in the server's log.
 */
export function translateError(thrown: unknown, requestId?: string): LegworkError {
  const known = knownError(thrown);
  if (known !== undefined) return known;
  return new LegworkError("LW500", "Internal error.", {
    hint: requestId === undefined ? undefined : `The server's log says more about request ${requestId}.`,
    cause: thrown,
  });
}

/** What a statement or a call of our SQL threw, as the LegworkError it stands for; an error that is not known here as it is. */
export function fromDatabaseError(thrown: unknown): Error {
  return knownError(thrown) ?? toError(thrown);
}

/** The SQLSTATE of a database error, or of the one that a LegworkError stands for. */
export function sqlStateOf(thrown: unknown): string | undefined {
  const code = propertyOf(thrown instanceof LegworkError ? thrown.cause : thrown, "code");
  return typeof code === "string" ? code : undefined;
}

/** Whether a bug is behind an error, and not a mistake or a condition that its reader can act on. */
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
 * What the database's administrator has to put right, said so: LW403 for rights that were not granted, LW503 for a sequence that has no number left.
 * Undefined for any other error.
 */
export function administrativeError(thrown: unknown): LegworkError | undefined {
  const { code, message } = toError(thrown) as Thrown;
  if (code === "2200H") {
    return new LegworkError("LW503", `The database has no number left for a new row: ${message}.`, {
      hint: "`legwork doctor` says which sequence it is and what to do.",
      cause: thrown,
    });
  }
  if (code !== "42501") return undefined;
  return new LegworkError("LW403", `The database login may not do this: ${message}.`, { hint: roleHint(message), cause: thrown });
}

/** By the class of the SQLSTATE, or by what node-postgres says without one. */
function ofDatabase(error: Thrown): LegworkError | undefined {
  const { message } = error;
  const code = typeof error.code === "string" ? error.code : "";
  // A number out of range, a value that is no time, a constraint of graphile-worker's table: the caller's mistake.
  if (/^(22...|23514)$/.test(code)) {
    return new LegworkError("LW400", `A value is not valid: ${message}.`, {
      hint: error.hint,
      fields: fieldsOf(error),
      cause: error,
    });
  }
  // Nested too deeply, too many arguments, too long for an index.
  if (/^54...$/.test(code)) {
    return new LegworkError("LW413", "A value is too large for the database.", {
      hint: "Send a smaller or flatter one.",
      cause: error,
    });
  }
  // A deadlock, a lock timeout, a serialization failure.
  if (/^(40...|55P03)$/.test(code)) {
    return new LegworkError("LW503", "A concurrent change conflicted with this request.", {
      hint: "Nothing was done. Try again.",
      cause: error,
    });
  }
  if (/^(57014|25P04)$/.test(code) || message === "Query read timeout") {
    return new LegworkError("LW504", "The database took too long and was stopped.", {
      action: { do: "ask_for_less" },
      cause: error,
    });
  }
  if (code === "25006") {
    return new LegworkError("LW503", "The database is read-only.", { action: { do: "await_database" }, cause: error });
  }
  if (isConnectionError(error) || /^(28...|3D000|53...|57P..)$/.test(code)) {
    return new LegworkError("LW503", "The database does not answer.", { action: { do: "await_database" }, cause: error });
  }
  return undefined;
}

/** What a library says of input that it could not take: zod by its issues, Fastify and its plugins by a status. */
function ofLibrary(error: Thrown): LegworkError | undefined {
  if (error instanceof z.core.$ZodError) {
    const fields = error.issues.map(({ path, message }) => ({ path, message }));
    const [first] = fields;
    const name = first === undefined || first.path.length === 0 ? "The value" : `'${first.path.map(String).join(".")}'`;
    return new LegworkError("LW400", `${name} is not valid: ${first?.message ?? error.message}.`, { fields, cause: error });
  }
  const status = propertyOf(error, "statusCode");
  if (typeof status !== "number" || status < 400 || status >= 500) return undefined;
  if (status === 413) {
    return new LegworkError("LW413", "The request is too large.", { hint: "Send it in several requests.", cause: error });
  }
  const message =
    error.code === "FST_ERR_CTP_INVALID_JSON_BODY"
      ? "The body is not valid JSON, or has a field __proto__ or constructor.prototype, which is not taken."
      : `${error.message.replace(/\.?$/, "")}.`;
  return new LegworkError("LW400", message, {
    hint: "Send JSON with Content-Type: application/json.",
    // The body as a whole: nothing of it could be read.
    fields: status === 400 || status === 415 ? [{ path: [], message }] : undefined,
    cause: error,
  });
}

/** The parameter or column that our SQL says is at fault, under the name it has in TypeScript. */
function fieldsOf({ column, message }: Thrown): FieldError[] | undefined {
  if (column === undefined || column === "") return undefined;
  return [{ path: [column.replaceAll(/_([a-z])/g, (_match, letter: string) => letter.toUpperCase())], message }];
}

/** What SQL suggests: its error's detail is JSON then. */
function actionIn(detail: string | undefined) {
  if (detail?.startsWith("{") !== true) return undefined;
  try {
    return readAction(JSON.parse(detail));
  } catch {
    return undefined;
  }
}

/** Whether an error says that the database cannot be reached, or has closed the connection. */
export function isConnectionError(thrown: unknown): boolean {
  const { code, message } = toError(thrown instanceof LegworkError ? thrown.cause : thrown) as Error & { code?: unknown };
  // The code of this one, 55000, says nothing.
  if (/is not (currently|yet) accepting connections/.test(message)) return true;
  if (typeof code === "string") {
    return /^(08...|25P03|57P0[1-5]|ECONN\w+|EPIPE|ETIMEDOUT|ENOTFOUND|EAI_AGAIN|EHOSTUNREACH|ENETUNREACH)$/.test(code);
  }
  // node-postgres gives these no code.
  return /^(Connection terminated|timeout exceeded when trying to connect|Client has encountered a connection error)/.test(
    message,
  );
}

/**
 * Whether an error is of the server's condition and passes by itself: no free connection, a full disk or memory (class 53), starting up or shutting
 * down, read-only.
 */
export function isSystemFault(thrown: unknown): boolean {
  return /^(53...|57P0[1-3]|25006)$/.test(sqlStateOf(thrown) ?? "");
}
