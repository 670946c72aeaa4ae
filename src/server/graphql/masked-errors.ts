import { randomUUID } from "node:crypto";
import { SafeError } from "postgraphile/grafast";
import { GraphQLError, Kind } from "postgraphile/graphql";
import { inWordsOf, type Wording } from "../../action.ts";
import { isBug, sqlStateOf, translateError } from "../../db/translate-error.ts";
import { LegworkError } from "../../errors.ts";
import type { Logger } from "../../log.ts";
import { durationInWords } from "../../wording.ts";
import { REQUESTS } from "../request-wording.ts";

/** The longest time that one statement of a query may take (ms). */
export const STATEMENT_TIMEOUT_MS = 5_000;

/** The requests for the actions that hints suggest, with GraphQL's own ways to make a query smaller. */
const QUERIES: Wording = {
  ...REQUESTS,
  ask_for_less: () => "Filter by id, state or task, which have an index, or use a smaller page.",
};

/** The error for the client: a client's mistake in full, any other error as LW500, with details in the log only. */
export function masked(error: GraphQLError, log: Logger): GraphQLError {
  const cause = error.originalError;
  const { message, nodes, source, positions, path } = error;
  const shown = (text: string, extensions: Record<string, unknown>): GraphQLError =>
    new GraphQLError(text, { nodes, source, positions, path, extensions });
  // GraphQL's own errors: an unknown field, a variable of the wrong type.
  if (cause === null || cause === undefined || cause instanceof GraphQLError) {
    return shown(message, { code: path === undefined ? "LW400" : "LW500", ...fieldOf(error), ...error.extensions });
  }
  if (cause instanceof SafeError) {
    const { code = "LW400", hint } = (cause.extensions ?? {}) as { code?: string; hint?: string };
    return shown(cause.message, { code, hint });
  }
  const requestId = randomUUID();
  const known = ofPlugin(cause) ?? translateError(cause, requestId);
  // Missing privileges of the server's own login are logged for its administrator.
  if (isBug(known) || sqlStateOf(known) === "42501")
    log.error({ event: "request_failed", err: cause, requestId, path }, "GraphQL query failed.");
  const limit = `The query took longer than ${durationInWords(STATEMENT_TIMEOUT_MS)} and was stopped.`;
  return shown(known.code === "LW504" ? limit : known.message, { code: known.code, hint: inWordsOf(QUERIES, known) });
}

/** The errors of the filter plugin. */
function ofPlugin({ message }: Error): LegworkError | undefined {
  if (!/^(Null literals|Empty objects) are forbidden/.test(message)) return undefined;
  return new LegworkError("LW400", "A filter must not be null or empty.", {
    hint: "Omit fields that you do not want to filter by.",
  });
}

/** The variable or argument at which the error occurred, if any. */
function fieldOf({ nodes }: GraphQLError): { field?: string } {
  const [node] = nodes ?? [];
  if (node?.kind === Kind.VARIABLE_DEFINITION) return { field: node.variable.name.value };
  if (node?.kind === Kind.ARGUMENT || node?.kind === Kind.OBJECT_FIELD) return { field: node.name.value };
  return {};
}
