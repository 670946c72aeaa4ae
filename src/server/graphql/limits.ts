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

/** Rows of a connection when neither `first` nor `last` is given. */
export const DEFAULT_PAGE = 50;
/** Rows of a connection at most. */
export const MAX_PAGE = 500;

/** Fields below fields. A job, its attempts, their job: `{ jobs { edges { node { attempts { nodes { job { id … } } } } } } }` is 7. */
const MAX_DEPTH = 10;
/** Fields in all, fragments written out: planning takes about 1 ms for ten. */
const MAX_FIELDS = 200;
/** Renamed fields. Without renaming, no field can be asked for twice. */
const MAX_ALIASES = 30;
/** Rows that nested pages could bring at most: 500 jobs with 50 attempts each are 25,500. */
const MAX_ROWS = 50_000;
/** Names, values and punctuation of a document. Bounds the parser, which recurses. */
const MAX_TOKENS = 2_000;
/** Values in the variables: a filter `in` with a thousand ids has as many. */
const MAX_VARIABLE_VALUES = 2_000;
/** Lists and objects in each other in the variables; a filter is three. */
const MAX_VARIABLE_DEPTH = 10;
/** What tools send to learn the schema goes deeper and wider than a question about jobs. */
const MAX_INTROSPECTION_DEPTH = 20;
const MAX_INTROSPECTION_FIELDS = 500;

type Variables = Readonly<Record<string, unknown>>;

/** What a selection costs, fragments written out. */
interface Cost {
  depth: number;
  fields: number;
  aliases: number;
  rows: number;
}

/** A refusal that the client sees: its code, what was wrong and what to do. */
export function refusal(code: ErrorCode, message: string, hint: string, statusCode = 400): SafeError {
  return new SafeError(message, { code, hint, statusCode });
}

export interface QueryLimits {
  /** What may be asked this way: queries by POST, subscriptions over a WebSocket. */
  readonly operation: "query" | "subscription";
  /** The names of the fields that are pages. */
  readonly connections: ReadonlySet<string>;
  /** Whether the schema may be asked for. */
  readonly introspection: boolean;
}

/**
 * Refuses a query that would cost too much, before it is validated and planned: both block the process, and neither has a
 * limit of its own (400 aliases in 43 KB took 2.5 s). Says nothing about queries that are otherwise wrong.
 *
 * Throws LW413 with the limit and what was asked for, LW400 for an operation that is not for this way and for a page that has no such size, and
 * LW403 for introspection where that is switched off.
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
        "This server does not tell its schema.",
        "Whoever runs it may switch that on: LEGWORK_GRAPHQL_INTROSPECTION=true.",
        403,
      );
    }
    assertWithin("levels of introspection", introspection.depth, MAX_INTROSPECTION_DEPTH);
    assertWithin("introspection fields", introspection.fields, MAX_INTROSPECTION_FIELDS);
    const { depth, fields, aliases, rows } = costOf(operation.selectionSet, "data");
    assertWithin("levels of fields", depth, MAX_DEPTH);
    assertWithin("renamed fields", aliases + introspection.aliases, MAX_ALIASES);
    assertWithin("fields", fields, MAX_FIELDS);
    assertWithin("rows", rows, MAX_ROWS);
  }
}

function assertOperation(sent: `${OperationTypeNode}`, expected: QueryLimits["operation"]): void {
  if (sent === "mutation") {
    throw refusal(
      "LW400",
      "A mutation was sent; GraphQL only reads here.",
      "Jobs are changed by REST, with the CLI or with SQL.",
    );
  }
  if (sent === expected) return;
  throw expected === "query"
    ? refusal(
        "LW400",
        "A subscription was sent by POST.",
        "Open a WebSocket at the same address with the protocol graphql-transport-ws (graphql-ws).",
      )
    : refusal(
        "LW400",
        "A query was sent over the WebSocket; it is for subscriptions.",
        "Send queries by POST to the same address.",
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
  const asked = Number.isFinite(count) && count < 1e9 ? ` and asks for ${count.toLocaleString("en")}` : "";
  throw refusal(
    "LW413",
    `The query may have ${limit.toLocaleString("en")} ${what}${asked}.`,
    "Ask in several requests, or for smaller pages.",
    413,
  );
}

/** The parsed query; undefined when it is not GraphQL, which the server's own parser then reports at the same place. */
function parseWithin(query: string, maxTokens: number): DocumentNode | undefined {
  try {
    return parse(query, { maxTokens, noLocation: true });
  } catch (error) {
    if (error instanceof Error && error.message.includes("tokens. Parsing aborted")) {
      assertWithin("names, values and signs", Number.POSITIVE_INFINITY, maxTokens);
    }
    return undefined;
  }
}

/** Which of the root fields are counted. */
type Part = "data" | "introspection";

function costing(document: DocumentNode, variables: Variables, connections: ReadonlySet<string>) {
  const fragments = new Map<string, FragmentDefinitionNode>();
  for (const definition of document.definitions) {
    if (definition.kind === Kind.FRAGMENT_DEFINITION) fragments.set(definition.name.value, definition);
  }
  // Each fragment is counted once, however often it is spread: n fragments that each spread the next twice are 2^n fields.
  const known = new Map<string, Cost>();

  const ofFragment = (name: string, part: Part | undefined): Cost => {
    const key = `${part} ${name}`;
    const cached = known.get(key);
    if (cached !== undefined) return cached;
    // Validation refuses a fragment inside itself, and one that is not there.
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
    }
    return total;
  };
  return ofSelections;
}

function nothing(): Cost {
  return { depth: 0, fields: 0, aliases: 0, rows: 0 };
}

/** The rows that a page may have at most. What is not even a number is refused by validation, with a better message. */
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

/** Throws LW400 unless a page can have so many rows. A negative one would count against the other pages of its query. */
export function assertPageSize(name: string, size: number): void {
  if (Number.isInteger(size) && size >= 0 && size <= MAX_PAGE) return;
  throw refusal(
    "LW400",
    `'${name}' is ${size}; a page has 0 to ${MAX_PAGE} rows.`,
    "Go on with 'after' and the page's endCursor.",
  );
}

/** Throws LW413 for variables that are too many or nested too deeply: reading them recurses, and each value is one to check. */
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
