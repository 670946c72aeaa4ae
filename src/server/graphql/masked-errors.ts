import { SafeError } from "postgraphile/grafast";
import { GraphQLError } from "postgraphile/graphql";
import { administrativeError } from "../../db/pool.ts";
import { isErrorCode } from "../../errors.ts";
import type { Logger } from "../../log.ts";
import { refusal } from "./limits.ts";

/** The longest that one statement of a query may take (ms). */
export const STATEMENT_TIMEOUT_MS = 5_000;

/** What an error is to a client: its own mistake in full, anything else as LW500 with the details only in the log. */
export function masked(error: GraphQLError, log: Logger): GraphQLError {
  const cause = error.originalError as (Error & { code?: string }) | null | undefined;
  // GraphQL's own: an unknown field, a variable of the wrong type.
  if (cause === null || cause === undefined || cause instanceof GraphQLError) return error;
  const known = cause instanceof SafeError ? cause : explained(cause);
  // A right that the server's own login lacks is for its administrator to see, too.
  if (known === undefined || cause.code === "42501") log.error({ err: cause, path: error.path }, "A GraphQL query failed.");
  const { message, extensions } = known ?? refusal("LW500", "Internal error.", "The server's log says more.");
  const { nodes, source, positions, path } = error;
  const { code = "LW400", hint } = (extensions ?? {}) as { code?: string; hint?: string };
  return new GraphQLError(message, { nodes, source, positions, path, extensions: { code, hint } });
}

/** Errors of the database and of plugins that the client can act on. */
function explained(error: Error & { code?: string }): SafeError | undefined {
  const code = error.code ?? "";
  if (code === "57014") {
    return refusal(
      "LW504",
      `The query took longer than ${STATEMENT_TIMEOUT_MS / 1_000} s and was stopped.`,
      "Filter by id, state or task, which have an index, or ask for a smaller page.",
    );
  }
  const administrative = administrativeError(error);
  if (administrative !== undefined) return refusal(administrative.code, administrative.message, administrative.hint ?? "");
  // A value that Postgres cannot read: an id with letters, a date of month 13. Its message quotes only that value.
  if (/^22...$/.test(code))
    return refusal("LW400", `A value is not valid: ${error.message}.`, "Correct the argument or the filter.");
  if (
    /^(08...|28...|3D000|53300|57P0.|ECONN.*|ENOTFOUND|EAI_AGAIN|ETIMEDOUT)$/.test(code) ||
    /timeout exceeded when trying to connect|Connection terminated/.test(error.message)
  ) {
    return refusal("LW503", "The database does not answer.", "Try again; GET /ready says when it does.");
  }
  if (/^(Null literals|Empty objects) are forbidden/.test(error.message)) {
    return refusal("LW400", "A filter may be neither null nor empty.", "Leave out what should not be filtered by.");
  }
  return isErrorCode(code) ? refusal(code, error.message, (error as { hint?: string }).hint ?? "") : undefined;
}
