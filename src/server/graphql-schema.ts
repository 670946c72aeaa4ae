import { sql } from "postgraphile/pg-sql2";
import { pgSmartTags } from "postgraphile/utils";

/** The views that GraphQL shows, what one row of each is called by, and what it can be filtered by. */
const VIEWS = {
  jobs: {
    one: "job",
    tags: { primaryKey: "id" },
    filterBy: "id task queue state priority tenant correlation_id parent_id job_key serial_key created_at finished_at".split(" "),
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
} satisfies Record<string, View>;

interface View {
  /** The root field of one row; none if undefined. */
  one: string | undefined;
  tags: { primaryKey: string; foreignKey?: string };
  filterBy: readonly string[];
  orderBy: readonly string[];
}

export const exposedViews: readonly string[] = Object.keys(VIEWS);

function isExposed(name: string): name is keyof typeof VIEWS {
  return Object.hasOwn(VIEWS, name);
}

/** Views have no keys; these tags say what would be their keys, and which columns may be filtered and ordered by. */
export const viewTagsPlugin = pgSmartTags([
  // The name is taken by the attempts themselves.
  { kind: "attribute", match: "legwork.jobs.attempts", tags: { name: "attempt_count" } },
  ...Object.entries<View>(VIEWS).flatMap(([name, view]) => tagsOf(name, view)),
]);

function tagsOf(name: string, { tags, filterBy, orderBy }: View) {
  const columns = filterBy.map((column) => {
    const behavior = `+attribute:filterBy ${orderBy.includes(column) ? "+" : "-"}attribute:orderBy`;
    return { kind: "attribute" as const, match: `legwork.${name}.${column}`, tags: { behavior } };
  });
  return [{ kind: "class" as const, match: `legwork.${name}`, tags }, ...columns];
}

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

/** The views that are there twice, for those who see everything and for those who act for one tenant: named without a schema. */
const CONFINED_VIEWS: ReadonlySet<string> = new Set(["jobs", "attempts"]);

/** Leaves it to the transaction's search path whose rows a query reads, so that one GraphQL schema serves everybody. */
export const confinedViewsPlugin: GraphileConfig.Plugin = {
  name: "LegworkConfinedViewsPlugin",
  version: "0.1.0",
  gather: {
    hooks: {
      pgTables_PgResourceOptions(_info, { pgClass, resourceOptions }) {
        if (!CONFINED_VIEWS.has(pgClass.relname)) return;
        (resourceOptions as { from: unknown }).from = sql.identifier(pgClass.relname);
      },
    },
  },
};
