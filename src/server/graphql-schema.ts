import type { PgCondition, PgSelectSingleStep, PgSelectStep } from "postgraphile/@dataplan/pg";
import { access, lambda } from "postgraphile/grafast";
import type { ConnectionStep, FieldArgs, Step } from "postgraphile/grafast";
import { pgSmartTags } from "postgraphile/utils";
import type {} from "postgraphile/graphile-build-pg";
import type {} from "postgraphile-plugin-connection-filter";
import { DEFAULT_PAGE, MAX_PAGE, refusal } from "./query-limits.ts";

/** The views that GraphQL shows, what one row of each is called by, and what it can be filtered by. */
const VIEWS = {
  jobs: {
    one: "job",
    tags: { primaryKey: "id" },
    filterBy: [
      "id",
      "task",
      "queue",
      "state",
      "priority",
      "tenant",
      "correlation_id",
      "parent_id",
      "job_key",
      "serial_key",
      "created_at",
      "finished_at",
    ],
    orderBy: ["id"],
  },
  attempts: {
    one: undefined,
    tags: {
      primaryKey: "job_id,attempt",
      foreignKey: "(job_id) references legwork.jobs (id)|@fieldName job|@foreignFieldName attempts",
    },
    filterBy: ["job_id", "task", "state", "tenant", "correlation_id"],
    orderBy: [],
  },
  tasks: { one: "task", tags: { primaryKey: "name" }, filterBy: ["name", "queue"], orderBy: [] },
} as const satisfies Record<
  string,
  { one: string | undefined; tags: Record<string, string>; filterBy: readonly string[]; orderBy: readonly string[] }
>;

export const exposedViews = Object.keys(VIEWS) as readonly (keyof typeof VIEWS)[];

function isExposed(name: string): name is keyof typeof VIEWS {
  return Object.hasOwn(VIEWS, name);
}

/** Views have no keys; these tags say what would be their keys, and which columns may be filtered by. */
export const viewTagsPlugin = pgSmartTags([
  // The name is taken by the attempts themselves.
  { kind: "attribute", match: "legwork.jobs.attempts", tags: { name: "attempt_count" } },
  ...Object.entries(VIEWS).flatMap(([view, { tags, filterBy, orderBy }]) => [
    { kind: "class" as const, match: `legwork.${view}`, tags },
    ...filterBy.map((column) => {
      const ordered = (orderBy as readonly string[]).includes(column);
      const behavior = ordered ? "+attribute:filterBy +attribute:orderBy" : "+attribute:filterBy";
      return { kind: "attribute" as const, match: `legwork.${view}.${column}`, tags: { behavior } };
    }),
  ]),
]);

/** Shows the views above and nothing else of the schema, under their own names and with the states' own names. */
export const exposedViewsPlugin: GraphileConfig.Plugin = {
  name: "LegworkExposedViewsPlugin",
  version: "0.1.0",
  inflection: {
    replace: {
      _allRows: (_previous, _options, resource) => resource.name,
      rowByUnique(previous, _options, details) {
        const { name } = details.resource;
        return (isExposed(name) ? VIEWS[name].one : undefined) ?? previous!(details);
      },
      connectionField: (_previous, _options, name) => name,
      enumValue: (_previous, _options, value) => value,
      // PostGraphile would keep the name id for its own global ids, which are not here.
      _attributeName: (previous, _options, details) => previous!({ ...details, skipRowId: true }),
    },
  },
  schema: {
    hooks: {
      GraphQLScalarType(scalar, { graphql: { GraphQLError, Kind } }) {
        if (scalar.name !== "BigInt") return scalar;
        const integer = (value: unknown): string => {
          if (/^-?\d{1,19}$/.test(String(value))) return String(value);
          throw new GraphQLError(`'${String(value)}' is not an id: it is a whole number, as a number or a string.`, {
            extensions: { code: "LW400" },
          });
        };
        return {
          ...scalar,
          parseValue: integer,
          parseLiteral: (node) => integer(node.kind === Kind.INT || node.kind === Kind.STRING ? node.value : "This"),
        };
      },
    },
    entityBehavior: {
      pgResource: {
        override(behavior, resource) {
          if (!isExposed(resource.name)) return [behavior, "-*"];
          return VIEWS[resource.name].orderBy.length > 0 ? behavior : [behavior, "-order"];
        },
      },
      pgResourceUnique: {
        override: (behavior, [resource]) =>
          isExposed(resource.name) && VIEWS[resource.name].one !== undefined ? behavior : [behavior, "-*"],
      },
    },
  },
};

/** Pages: 50 rows unless asked otherwise, 500 at most, by cursor and never by offset; newest first. */
export const pagingPlugin: GraphileConfig.Plugin = {
  name: "LegworkPagingPlugin",
  version: "0.1.0",
  after: ["PgFirstLastBeforeAfterArgsPlugin", "PgConnectionArgOrderByDefaultValuePlugin", "PgOrderAllAttributesPlugin"],
  schema: {
    hooks: {
      GraphQLObjectType_fields_field(field, _build, { scope }) {
        const { plan } = field;
        if (scope.isPgSingleRelationField === true && plan !== undefined) {
          return { ...field, plan: (...parameters) => asOwnStatement(plan(...parameters)) };
        }
        if (scope.isPgFieldConnection !== true || plan === undefined) return field;
        const newestFirst =
          scope.fieldBehaviorScope === "query:resource:connection" && scope.pgFieldResource?.name === "attempts";
        return {
          ...field,
          plan($source, fieldArgs, info) {
            const $connection = plan($source, fieldArgs, info) as unknown as ConnectionStep<never>;
            limitPage($connection, fieldArgs);
            if (newestFirst) {
              const $select = $connection.getSubplan() as unknown as PgSelectStep;
              $select.orderBy({ attribute: "job_id", direction: "DESC" });
              $select.orderBy({ attribute: "attempt", direction: "DESC" });
              $select.setOrderIsUnique();
            }
            return $connection as never;
          },
        };
      },
      GraphQLObjectType_fields_field_args(args, _build, { scope }) {
        if (scope.isPgFieldConnection !== true) return args;
        const { offset: _, first, last, ...others } = args as Record<string, object>;
        return {
          first: { ...first, description: `The first rows: ${DEFAULT_PAGE} unless given, ${MAX_PAGE} at most.`, applyPlan() {} },
          last: { ...last, description: `The last rows, ${MAX_PAGE} at most.`, applyPlan() {} },
          ...others,
        } as unknown as typeof args;
      },
      GraphQLEnumType_values(values, _build, { scope }) {
        if (scope.isPgRowSortEnum !== true) return values;
        const { NATURAL: _, ID_DESC, ...others } = values;
        // The first one is the default.
        return { ID_DESC, ...others } as typeof values;
      },
    },
  },
};

/** Not as a join: a view has no keys, so the planner expects a crowd of rows and sorts the whole history for a page. */
function asOwnStatement<Plan>($job: Plan): Plan {
  ($job as unknown as PgSelectSingleStep).getClassStep().setInliningForbidden();
  return $job;
}

function limitPage($connection: ConnectionStep<never>, fieldArgs: FieldArgs): void {
  const $sizes = lambda(
    [fieldArgs.getRaw("first"), fieldArgs.getRaw("last")] as Step[],
    ([first, last]) => {
      const page = { first: pageSize("first", first), last: pageSize("last", last) };
      return page.first === null && page.last === null ? { first: DEFAULT_PAGE, last: null } : page;
    },
    true,
  );
  $connection.setFirst(access($sizes, "first"));
  $connection.setLast(access($sizes, "last"));
}

function pageSize(name: "first" | "last", value: unknown): number | null {
  if (value === null || value === undefined) return null;
  if (typeof value === "number" && value >= 0 && value <= MAX_PAGE) return value;
  throw refusal(
    "LW400",
    `'${name}' is ${String(value)}; a page has 0 to ${MAX_PAGE} rows.`,
    "Go on with 'after' and the page's endCursor.",
  );
}

type Sql = GraphileBuild.Build["sql"];
type Apply = ($where: PgCondition, value: unknown, info: unknown) => unknown;

const FINISHED_STATES: ReadonlySet<unknown> = new Set(["completed", "failed", "cancelled", "expired"]);

/** Filters that an index or a short scan serves. */
export const filterPlugin: GraphileConfig.Plugin = {
  name: "LegworkFilterPlugin",
  version: "0.1.0",
  after: ["PgConnectionArgFilterOperatorsPlugin"],
  schema: {
    hooks: {
      GraphQLInputObjectType_fields(fields, _build, { scope, Self }) {
        if (scope.pgConnectionFilterOperators === undefined) return fields;
        // Order is for numbers and times.
        if (Self.name !== "StringFilter" && Self.name !== "JobStateFilter") return fields;
        return Object.fromEntries(Object.entries(fields).filter(([name]) => !/^(less|greater)Than/.test(name)));
      },
      GraphQLInputObjectType_fields_field(field, { sql }, { scope, Self }) {
        const { apply } = field as { apply?: Apply };
        if (scope.isPgConnectionFilterOperator !== true || apply === undefined) return field;
        const implied = Self.name === "JobStateFilter" ? finishedStates : Self.name === "DatetimeFilter" ? laterThan : undefined;
        if (implied === undefined) return field;
        return {
          ...field,
          apply($where: PgCondition, value: unknown, info: unknown) {
            implied($where, scope.fieldName, value, sql);
            return apply($where, value, info);
          },
        };
      },
    },
  },
};

/**
 * The planner cannot see that a job that waits or runs is never, say, failed, and would read every one of them. That such
 * a job has no finished_at, it does see.
 */
function finishedStates($where: PgCondition, _operator: string, value: unknown, sql: Sql): void {
  const states = Array.isArray(value) ? value : [value];
  if (states.length === 0 || !states.every((state) => FINISHED_STATES.has(state))) return;
  $where.where(sql`${$where.alias}.finished_at is not null`);
}

/** A job does not end before it is created: said of finished_at, this leaves out whole partitions of the history. */
function laterThan($where: PgCondition, operator: string, value: unknown, sql: Sql): void {
  const { attributeName } = ($where.extensions as { pgFilterAttribute?: { attributeName?: string } }).pgFilterAttribute ?? {};
  if (attributeName !== "created_at" || !operator.startsWith("greaterThan")) return;
  const created = Date.parse(String(value));
  if (Number.isNaN(created)) return;
  // Workers report whole milliseconds, so a short job seems to end just before it was created.
  const earliest = new Date(created - 1_000).toISOString();
  const finishedAt = sql`${$where.alias}.finished_at`;
  $where.where(sql`(${finishedAt} is null or ${finishedAt} > ${sql.value(earliest)}::timestamptz)`);
}
