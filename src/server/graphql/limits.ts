import { SafeError } from "postgraphile/grafast";
import { Kind, parse } from "postgraphile/graphql";
import type {
  DocumentNode,
  FieldNode,
  FragmentDefinitionNode,
  OperationDefinitionNode,
  OperationTypeNode,
  SelectionSetNode,
} from "postgraphile/graphql";
import type { ErrorCode } from "../../errors.ts";
import { formatNumber } from "../../wording.ts";

/** Rows of a connection without `first` and `last`. */
export const DEFAULT_PAGE = 50;
/** The maximum number of rows of a connection. */
export const MAX_PAGE = 500;

/** The deepest nesting of fields. A job, its attempts and their job, `{ jobs { edges { node { attempts { nodes { job { id … } } } } } } }`, is 7. */
const MAX_DEPTH = 10;
/** The maximum number of fields in total, with fragments expanded. Planning takes about 1 ms for ten fields. */
const MAX_FIELDS = 200;
/** The maximum number of aliases. Without an alias, a field can be requested only once. */
const MAX_ALIASES = 30;
/** The maximum number of rows that nested pages may return: 500 jobs with 50 attempts each are 25,500. */
const MAX_ROWS = 50_000;
/** The maximum number of explanations. Each takes several statements, which together take a few milliseconds. */
const MAX_EXPLANATIONS = 50;
/** The field that explains a row. */
export const EXPLANATION = "explanation";
/** The maximum number of tokens (names, values and punctuation) in a document. Bounds the recursive parser. */
const MAX_TOKENS = 2_000;
/** The maximum number of values in variables. A filter `in` with a thousand ids has a thousand. */
const MAX_VARIABLE_VALUES = 2_000;
/** The maximum depth of variables. A filter has three levels. */
const MAX_VARIABLE_DEPTH = 10;
/** The limits for introspection. Tools' introspection queries are deeper and wider than queries for jobs. */
const MAX_INTROSPECTION_DEPTH = 20;
const MAX_INTROSPECTION_FIELDS = 500;

type Variables = Readonly<Record<string, unknown>>;

/** The cost of a selection with fragments expanded. */
interface Cost {
  depth: number;
  fields: number;
  aliases: number;
  rows: number;
  explanations: number;
}

/** An error that is shown to the client with its code, message and hint. */
export function refusal(code: ErrorCode, message: string, hint: string, statusCode = 400): SafeError {
  return new SafeError(message, { code, hint, statusCode });
}

export interface QueryLimits {
  /** The operations that the transport accepts: queries by POST, subscriptions over a WebSocket. */
  readonly operation: "query" | "subscription";
  /** The names of the fields that return pages. */
  readonly connections: ReadonlySet<string>;
  /** Whether introspection is allowed. */
  readonly introspection: boolean;
}

/**
 * Rejects a query that would cost too much, before it is validated and planned: both block the process, and neither has a limit of its own
 * (400 aliases in 43 KB took 2.5 s). Queries that are invalid in other ways pass.
 *
 * Throws LW413 with the limit and the requested amount, LW400 for an operation that the transport does not accept and for an invalid page size, and
 * LW403 for introspection where it is disabled.
 */
export function assertAffordable(query: string, variables: Variables, limits: QueryLimits): void {
  const document = parseWithin(query, MAX_TOKENS);
  assertVariables(variables);
  if (document === undefined) return;
  for (const operation of document.definitions) {
    if (operation.kind !== Kind.OPERATION_DEFINITION) continue;
    assertOperation(operation.operation, limits.operation);
    const costOf = costing(document, { ...defaultsOf(operation), ...variables }, limits.connections);
    const introspection = costOf(operation.selectionSet, "introspection");
    if (introspection.fields > 0 && !limits.introspection) {
      throw refusal(
        "LW403",
        "Introspection is disabled on this server.",
        "The server's operator can enable it with LEGWORK_GRAPHQL_INTROSPECTION=true.",
        403,
      );
    }
    assertWithin("levels of introspection", introspection.depth, MAX_INTROSPECTION_DEPTH);
    assertWithin("introspection fields", introspection.fields, MAX_INTROSPECTION_FIELDS);
    const { depth, fields, aliases, rows, explanations } = costOf(operation.selectionSet, "data");
    assertWithin("levels of fields", depth, MAX_DEPTH);
    assertWithin("aliases", aliases + introspection.aliases, MAX_ALIASES);
    assertWithin("fields", fields, MAX_FIELDS);
    assertWithin("rows", rows, MAX_ROWS);
    assertWithin("explanations", explanations, MAX_EXPLANATIONS);
  }
}

function assertOperation(sent: `${OperationTypeNode}`, expected: QueryLimits["operation"]): void {
  if (sent === "mutation") {
    throw refusal(
      "LW400",
      "Mutations are not supported: GraphQL is read-only.",
      "Change jobs through REST, the command line or SQL.",
    );
  }
  if (sent === expected) return;
  throw expected === "query"
    ? refusal(
        "LW400",
        "Subscriptions cannot be sent by POST.",
        "Open a WebSocket at the same URL with the protocol graphql-transport-ws (graphql-ws).",
      )
    : refusal(
        "LW400",
        "Queries cannot be sent over the WebSocket, which is for subscriptions.",
        "Send queries by POST to the same URL.",
      );
}

function defaultsOf({ variableDefinitions }: OperationDefinitionNode): Variables {
  const defaults = (variableDefinitions ?? []).map(({ variable, defaultValue }) => [
    variable.name.value,
    defaultValue?.kind === Kind.INT ? Number(defaultValue.value) : undefined,
  ]);
  return Object.fromEntries(defaults);
}

function assertWithin(what: string, count: number, limit: number): void {
  if (count <= limit) return;
  const has = Number.isFinite(count) && count < 1e9 ? `, but it has ${formatNumber(count)}` : "";
  throw refusal(
    "LW413",
    `The query may have at most ${formatNumber(limit)} ${what}${has}.`,
    "Split it into several requests, or use smaller pages.",
    413,
  );
}

/** The parsed query; undefined if it is not valid GraphQL, which the server's own parser then reports with the position. */
function parseWithin(query: string, maxTokens: number): DocumentNode | undefined {
  try {
    return parse(query, { maxTokens, noLocation: true });
  } catch (error) {
    if (error instanceof Error && error.message.includes("tokens. Parsing aborted")) {
      assertWithin("tokens", Number.POSITIVE_INFINITY, maxTokens);
    }
    return undefined;
  }
}

/** Which root fields are counted. */
type Part = "data" | "introspection";

function costing(document: DocumentNode, variables: Variables, connections: ReadonlySet<string>) {
  const fragments = new Map<string, FragmentDefinitionNode>();
  for (const definition of document.definitions) {
    if (definition.kind === Kind.FRAGMENT_DEFINITION) fragments.set(definition.name.value, definition);
  }
  // The cost of each fragment is computed once, however often it is spread: n fragments that each spread the next one twice expand to 2^n fields.
  const known = new Map<string, Cost>();

  const ofFragment = (name: string, part: Part | undefined): Cost => {
    const key = `${part} ${name}`;
    const cached = known.get(key);
    if (cached !== undefined) return cached;
    // Validation rejects fragments that contain themselves or do not exist.
    known.set(key, nothing());
    const fragment = fragments.get(name);
    const cost = fragment === undefined ? nothing() : ofSelections(fragment.selectionSet, part);
    known.set(key, cost);
    return cost;
  };

  const ofField = (field: FieldNode): Cost => {
    const below = field.selectionSet === undefined ? nothing() : ofSelections(field.selectionSet);
    const page = connections.has(field.name.value) ? pageSize(field, variables) : undefined;
    return {
      depth: below.depth + 1,
      fields: below.fields + 1,
      aliases: below.aliases + (field.alias === undefined ? 0 : 1),
      rows: page === undefined ? below.rows : page * (below.rows + 1),
      explanations: (page ?? 1) * below.explanations + (field.name.value === EXPLANATION ? 1 : 0),
    };
  };

  const ofSelections = ({ selections }: SelectionSetNode, part?: Part): Cost => {
    const total = nothing();
    for (const selection of selections) {
      let cost: Cost;
      if (selection.kind === Kind.FIELD) {
        const isIntrospection = selection.name.value === "__schema" || selection.name.value === "__type";
        if (part !== undefined && isIntrospection !== (part === "introspection")) continue;
        cost = ofField(selection);
      } else if (selection.kind === Kind.INLINE_FRAGMENT) {
        cost = ofSelections(selection.selectionSet, part);
      } else {
        cost = ofFragment(selection.name.value, part);
      }
      total.depth = Math.max(total.depth, cost.depth);
      total.fields += cost.fields;
      total.aliases += cost.aliases;
      total.rows += cost.rows;
      total.explanations += cost.explanations;
    }
    return total;
  };
  return ofSelections;
}

function nothing(): Cost {
  return { depth: 0, fields: 0, aliases: 0, rows: 0, explanations: 0 };
}

/** The maximum number of rows that a page may return. Validation rejects values that are not numbers, with a better message. */
function pageSize(field: FieldNode, variables: Variables): number {
  const sizes = (field.arguments ?? [])
    .filter(({ name }) => name.value === "first" || name.value === "last")
    .map(({ name, value }) => {
      const size =
        value.kind === Kind.VARIABLE ? variables[value.name.value] : value.kind === Kind.INT ? Number(value.value) : undefined;
      if (typeof size === "number") assertPageSize(name.value, size);
      return typeof size === "number" ? size : 0;
    });
  return sizes.length === 0 ? DEFAULT_PAGE : Math.max(...sizes);
}

/** Throws LW400 for an invalid page size. A negative size would reduce the cost of the query's other pages. */
export function assertPageSize(name: string, size: number): void {
  if (Number.isInteger(size) && size >= 0 && size <= MAX_PAGE) return;
  throw refusal(
    "LW400",
    `'${name}' is ${size}; it must be between 0 and ${MAX_PAGE}.`,
    "Fetch further rows with 'after' and the page's endCursor.",
  );
}

/** Throws LW413 for variables with too many values or levels. Reading variables recurses, and every value is checked. */
function assertVariables(variables: Variables): void {
  let count = 0;
  let level: unknown[] = [variables];
  for (let depth = 0; level.length > 0; depth++) {
    assertWithin("levels of variables", depth, MAX_VARIABLE_DEPTH);
    const below: unknown[] = [];
    for (const value of level) {
      if (typeof value !== "object" || value === null) continue;
      for (const inner of Object.values(value)) below.push(inner);
    }
    count += below.length;
    assertWithin("values in variables", count, MAX_VARIABLE_VALUES);
    level = below;
  }
}
