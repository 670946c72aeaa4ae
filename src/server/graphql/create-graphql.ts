import type { FastifyInstance } from "fastify";
import { makeSchema } from "postgraphile";
import { makePgService } from "postgraphile/adaptors/pg";
import { grafserv } from "postgraphile/grafserv/fastify/v5";
import { getNamedType, GraphQLObjectType, type GraphQLSchema } from "postgraphile/graphql";
import { PostGraphileAmberPreset } from "postgraphile/presets/amber";
import { PostGraphileConnectionFilterPreset } from "postgraphile-plugin-connection-filter";
import type { Pool } from "../../db/pool.ts";
import { ReadBudget } from "../../db/read-within.ts";
import { LegworkError } from "../../errors.ts";
import { counted, formatNumber } from "../../wording.ts";
import type { Logger } from "../../log.ts";
import { cut } from "../../thrown.ts";
import { masked, STATEMENT_TIMEOUT_MS } from "./masked-errors.ts";
import { explanationsPlugin } from "./explanations.ts";
import { filterPlugin } from "./filters.ts";
import { originsPlugin } from "./origins.ts";
import { pagingPlugin } from "./paging.ts";
import { confinedViewsPlugin, exactJsonPlugin, exposedViews, exposedViewsPlugin, viewTagsPlugin } from "./schema.ts";
import { subscriptionFieldsPlugin, subscriptionTypesPlugin } from "./live/subscriptions.ts";
import { showUnboundedTimes } from "./times.ts";
import { type Principal, settingsOf } from "../../access/principal.ts";
import { assertAffordable, type QueryLimits, refusal } from "./limits.ts";
import { readBudget, sessionlessPool } from "./sessionless-pool.ts";

export interface GraphQl {
  readonly schema: GraphQLSchema;
  /** The limits of queries or of subscriptions. */
  limitsOf(operation: QueryLimits["operation"]): QueryLimits;
  /** Adds `POST /graphql` to the server. */
  addTo(app: FastifyInstance): Promise<void>;
  /** Releases PostGraphile's resources, but does not end the pool. */
  release(): Promise<void>;
}

/** The maximum number of errors in a response, and the maximum length of each message (characters). Errors quote the query. */
const MAX_ERRORS = 20;
const MAX_MESSAGE = 1_000;

/** How much one query may read from the database (bytes), and how long its response may be (characters). */
const READ_BYTES = 20_000_000;
const ANSWER_LENGTH = 30_000_000;
const LESS = "Request smaller pages, or leave out payloads and results.";

interface ShownError {
  message: string;
  path?: unknown;
  extensions?: Record<string, unknown>;
}

/**
 * Builds the GraphQL schema from the views of the schema legwork. It is read-only: there is no mutation type, and every transaction is read-only.
 * Throws LW511 when a view is missing.
 */
export async function createGraphQl(pool: Pool, log: Logger, options: { introspection: boolean }): Promise<GraphQl> {
  await assertViews(pool);
  showUnboundedTimes();
  const connections = new Set<string>();
  const limitsOf = (operation: QueryLimits["operation"]): QueryLimits => ({ operation, connections, ...options });
  const pgService = makePgService({
    pool: sessionlessPool(pool),
    schemas: ["legwork"],
    pubsub: false,
    pgSettings: ({ fastifyv5 }) => ({
      ...principalSettings(fastifyv5?.request.principal),
      statement_timeout: String(STATEMENT_TIMEOUT_MS),
      // Not default_transaction_read_only, because the transaction has already begun when this is set.
      transaction_read_only: "on",
      TimeZone: "UTC",
      // The planner estimates the cost of reading all rows. For a single page, compilation never pays off.
      jit: "off",
    }),
  });
  const { schema, resolvedPreset } = await makeSchema(preset(pgService, log, limitsOf("query")));
  for (const name of connectionFields(schema)) connections.add(name);
  const server = grafserv({ schema, preset: resolvedPreset });
  return {
    schema,
    limitsOf,
    async addTo(app) {
      app.addHook("onRequest", (_request, _reply, done) => readBudget.run(new ReadBudget(READ_BYTES, LESS), done));
      // An error before execution is the client's mistake.
      app.addHook("preSerialization", async (_request, reply, payload) => {
        const answer = withinLength(payload ?? {});
        const { errors } = answer;
        if (errors === undefined) return payload;
        if (errors.some(({ extensions }) => extensions?.code === "LW413")) reply.code(413);
        for (const error of errors) {
          const { statusCode: _, ...extensions } = error.extensions ?? {};
          error.extensions = { code: error.path === undefined ? "LW400" : "LW500", ...extensions };
        }
        return { ...answer, errors: theFirst(errors) };
      });
      await server.addTo(app);
      await server.ready();
    },
    async release() {
      await server.release();
      await pgService.release?.();
    },
  };
}

/** The response, or an error if the response would be too long. With aliases, it may repeat data that was read only once. */
function withinLength(answer: { data?: unknown; errors?: ShownError[] }): { data?: unknown; errors?: ShownError[] } {
  let left = ANSWER_LENGTH;
  const open: unknown[] = [answer.data];
  while (open.length > 0 && left >= 0) {
    const value = open.pop();
    if (typeof value === "string") left -= value.length + 3;
    else if (typeof value !== "object" || value === null) left -= 6;
    else if (Array.isArray(value)) for (const inner of value) open.push(inner);
    else
      for (const [key, inner] of Object.entries(value)) {
        left -= key.length + 3;
        open.push(inner);
      }
  }
  if (left >= 0) return answer;
  const message = `The response would have more than ${formatNumber(ANSWER_LENGTH)} characters.`;
  return { errors: [{ message, extensions: { code: "LW413", hint: LESS } }] };
}

/** The first errors, each cut to the maximum length. If there are more, a final error says how many. */
function theFirst(errors: readonly ShownError[]): ShownError[] {
  const shown = errors.slice(0, MAX_ERRORS).map((error) => Object.assign(error, { message: cut(error.message, MAX_MESSAGE) }));
  const more = errors.length - shown.length;
  return more > 0
    ? [...shown, { message: `${counted(more, "more error")}.`, extensions: { code: shown[0]?.extensions?.code } }]
    : shown;
}

/** The settings that restrict a query to its client's tenant, and the schemas in which it finds jobs and attempts. */
function principalSettings(principal: Principal | null | undefined): Record<string, string> {
  // An error thrown while the context is created is not masked. It cannot happen, because every client has been authenticated.
  if (principal === null || principal === undefined)
    throw refusal("LW401", "A token is required.", "Send Authorization: Bearer <token>.", 401);
  return {
    ...settingsOf(principal, "graphql"),
    // pg_temp is last, where it shadows nothing.
    search_path: principal.tenant === null ? "legwork, legwork_private, pg_temp" : "legwork_confined, legwork, pg_temp",
  };
}

async function assertViews(pool: Pool): Promise<void> {
  const { rows } = await pool.query("select v as missing from unnest($1::text[]) v where to_regclass('legwork.' || v) is null", [
    exposedViews,
  ]);
  if (rows.length === 0) return;
  throw new LegworkError("LW511", `The view legwork.${rows[0].missing} does not exist.`, {
    hint: "Run `legwork migrate`, which creates missing objects.",
  });
}

/** The names of the fields that return pages of rows. */
function connectionFields(schema: GraphQLSchema): string[] {
  return Object.values(schema.getTypeMap())
    .filter((type) => type instanceof GraphQLObjectType)
    .flatMap((type) => Object.values(type.getFields()))
    .filter((field) => getNamedType(field.type).name.endsWith("Connection"))
    .map((field) => field.name);
}

function preset(pgService: GraphileConfig.PgServiceConfiguration, log: Logger, limits: QueryLimits): GraphileConfig.Preset {
  return {
    extends: [PostGraphileAmberPreset, PostGraphileConnectionFilterPreset],
    plugins: [
      viewTagsPlugin,
      exposedViewsPlugin,
      confinedViewsPlugin,
      exactJsonPlugin,
      pagingPlugin,
      originsPlugin,
      explanationsPlugin,
      filterPlugin,
      subscriptionTypesPlugin,
      subscriptionFieldsPlugin,
      limitsPlugin(limits),
    ],
    disablePlugins: [
      // No mutations.
      "MutationPlugin",
      "MutationPayloadQueryPlugin",
      "PgMutationCreatePlugin",
      "PgMutationUpdateDeletePlugin",
      "PgMutationPayloadEdgePlugin",
      "ClientMutationIdDescriptionPlugin",
      // Offer only one way to the same data, so not: node(id), query { query }, conditions in addition to filters.
      "QueryQueryPlugin",
      "NodePlugin",
      "NodeAccessorPlugin",
      "AddNodeInterfaceToSuitableTypesPlugin",
      "PgTableNodePlugin",
      "PgNodeIdAttributesPlugin",
      "RegisterQueryNodePlugin",
      "NodeIdCodecBase64JSONPlugin",
      "NodeIdCodecPipeStringPlugin",
      "PgConditionArgumentPlugin",
      "PgConditionCustomFieldsPlugin",
      "PgOrderByPrimaryKeyPlugin",
      "PgOrderCustomFieldsPlugin",
      // Counting would read the whole history.
      "PgConnectionTotalCountPlugin",
      // The schema is the same for every login. Reading data without the privilege is LW403.
      "PgRBACPlugin",
      // No functions, and no filters without an index.
      "PgProceduresPlugin",
      "PgCustomTypeFieldPlugin",
      "PgConnectionArgFilterBackwardRelationsPlugin",
      "PgConnectionArgFilterForwardRelationsPlugin",
      "PgConnectionArgFilterComputedAttributesPlugin",
      "PgConnectionArgFilterRecordFunctionsPlugin",
      "PgConnectionArgFilterLogicalOperatorsPlugin",
    ],
    pgServices: [pgService],
    schema: {
      defaultBehavior: "-insert -update -delete -mutationField -list -attribute:filterBy -attribute:orderBy",
      connectionFilterRelations: false,
      connectionFilterComputedColumns: false,
      connectionFilterSetofFunctions: false,
      connectionFilterArrays: false,
      connectionFilterAllowedOperators: [
        "isNull",
        "equalTo",
        "in",
        "lessThan",
        "lessThanOrEqualTo",
        "greaterThan",
        "greaterThanOrEqualTo",
      ],
    },
    grafast: {
      timeouts: { planning: 1_000, execution: 15_000 },
      context: ({ fastifyv5 }) => ({ principal: fastifyv5?.request.principal ?? undefined }),
    },
    grafserv: {
      graphqlPath: "/graphql",
      graphqlOverGET: false,
      graphiql: false,
      graphiqlOnGraphQLGET: false,
      websockets: false,
      watch: false,
      // A document may have 100 KB and is cached in parsed form.
      parseAndValidateCacheSize: 100,
      maskError: (error) => masked(error, log),
    },
  };
}

function limitsPlugin(limits: QueryLimits): GraphileConfig.Plugin {
  return {
    name: "LegworkQueryLimitsPlugin",
    version: "0.1.0",
    grafserv: {
      middleware: {
        processGraphQLRequestBody(next, { body }) {
          const variables = body.variableValues as Record<string, unknown> | null | undefined;
          if (typeof body.query === "string") assertAffordable(body.query, variables ?? {}, limits);
          return next();
        },
      },
    },
  };
}
