import { randomUUID } from "node:crypto";
import { SafeError } from "postgraphile/grafast";
import { GraphQLError, Kind } from "postgraphile/graphql";
import { inWordsOf, type Wording } from "../../action.ts";
import { isBug, sqlStateOf, translateError } from "../../db/translate-error.ts";
import { LegworkError } from "../../errors.ts";
import type { Logger } from "../../log.ts";
import { REQUESTS } from "../request-wording.ts";

/** The longest that one statement of a query may take (ms). */
export const STATEMENT_TIMEOUT_MS = 5_000;

/** What a hint suggests: queries are made smaller in their own ways. */
const QUERIES: Wording = {
  ...REQUESTS,
  ask_for_less: () => "Filter by id, state or task, which have an index, or ask for a smaller page.",
};

/** What an error is to a client: its own mistake in full, anything else as LW500 with the details only in the log. */
export function masked(error: GraphQLError, log: Logger): GraphQLError {
  const cause = error.originalError;
  const { message, nodes, source, positions, path } = error;
  const shown = (text: string, extensions: Record<string, unknown>): GraphQLError =>
    new GraphQLError(text, { nodes, source, positions, path, extensions });
  // GraphQL's own: an unknown field, a variable of the wrong type.
  if (cause === null || cause === undefined || cause instanceof GraphQLError) {
    return shown(message, { code: path === undefined ? "LW400" : "LW500", ...fieldOf(error), ...error.extensions });
  }
  if (cause instanceof SafeError) {
    const { code = "LW400", hint } = (cause.extensions ?? {}) as { code?: string; hint?: string };
    return shown(cause.message, { code, hint });
  }
  const requestId = randomUUID();
  const known = ofPlugin(cause) ?? translateError(cause, requestId);
  // A right that the server's own login lacks is for its administrator to see, too.
  if (isBug(known) || sqlStateOf(known) === "42501") log.error({ err: cause, requestId, path }, "A GraphQL query failed.");
  const limit = `The query took longer than ${STATEMENT_TIMEOUT_MS / 1_000} s and was stopped.`;
  return shown(known.code === "LW504" ? limit : known.message, { code: known.code, hint: inWordsOf(QUERIES, known) });
}

/** What the plugin for filters refuses. */
function ofPlugin({ message }: Error): LegworkError | undefined {
  if (!/^(Null literals|Empty objects) are forbidden/.test(message)) return undefined;
  return new LegworkError("LW400", "A filter may be neither null nor empty.", {
    hint: "Leave out what should not be filtered by.",
  });
}

/** The variable or argument whose value is at fault, where the error stands at one. */
function fieldOf({ nodes }: GraphQLError): { field?: string } {
  const [node] = nodes ?? [];
  if (node?.kind === Kind.VARIABLE_DEFINITION) return { field: node.variable.name.value };
  if (node?.kind === Kind.ARGUMENT || node?.kind === Kind.OBJECT_FIELD) return { field: node.name.value };
  return {};
}
