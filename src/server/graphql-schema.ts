import { sql } from "postgraphile/pg-sql2";
import { pgSmartTags } from "postgraphile/utils";
import type { Role } from "./principal.ts";

/** Relations that no index serves backwards. */
const ONE_WAY = "|@behavior -list -connection";

/** The views that GraphQL shows, what one row of each is called by, what it leads to, and what it can be filtered by. */
const VIEWS = {
  jobs: {
    one: "job",
    key: "id",
    references: [
      "(parent_id) references legwork.jobs (id)|@fieldName parent|@foreignFieldName children",
      "(task) references legwork.tasks (name)|@fieldName taskDetails|@foreignFieldName jobs",
      `(queue) references legwork.queues (name)|@fieldName queueDetails|@foreignFieldName jobs${ONE_WAY}`,
      `(worker) references legwork.workers (id)|@fieldName workerDetails|@foreignFieldName jobs${ONE_WAY}`,
    ],
    filterBy: "id task queue state priority tenant correlation_id parent_id job_key serial_key created_at finished_at".split(" "),
    orderBy: ["id"],
  },
  attempts: {
    key: "job_id,attempt",
    references: ["(job_id) references legwork.jobs (id)|@fieldName job|@foreignFieldName attempts"],
    filterBy: ["job_id", "task", "state", "tenant", "correlation_id"],
    newestFirst: { everywhere: false, by: ["job_id", "attempt"] },
  },
  logs: {
    // Those of all jobs have no order that an index serves.
    root: false,
    key: "job_id,id",
    references: ["(job_id) references legwork.jobs (id)|@fieldName job|@foreignFieldName logs"],
  },
  queues: { one: "queue", key: "name", filterBy: ["name"] },
  tasks: {
    one: "task",
    key: "name",
    references: ["(queue) references legwork.queues (name)|@fieldName queueDetails|@foreignFieldName tasks"],
    filterBy: ["name", "queue"],
  },
  workers: { one: "worker", key: "id", filterBy: ["id", "host"] },
  audit_log: {
    key: "id",
    filterBy: ["id", "target_type", "target", "tenant", "occurred_at"],
    orderBy: ["id"],
    role: "admin",
  },
} satisfies Record<string, View>;

/** The views that are there twice, for those who see everything and for those who act for one tenant: named without a schema. */
const CONFINED_VIEWS: ReadonlySet<string> = new Set(["jobs", "attempts", "audit_log"]);

interface View {
  /** The root field of one row; none if undefined. */
  one?: string;
  /** Whether there is a root field for its rows. Default: there is. */
  root?: boolean;
  /** The columns that name a row. */
  key: string;
  references?: readonly string[];
  filterBy?: readonly string[];
  orderBy?: readonly string[];
  /** The order of its pages, where it is not by the key: everywhere, or only where no other row leads to them. */
  newestFirst?: { everywhere: boolean; by: readonly string[] };
  /** The role that it takes to read it. Default: viewer. */
  role?: Role;
}

export const exposedViews: readonly string[] = Object.keys(VIEWS);

function viewOf(name: string): View | undefined {
  return Object.hasOwn(VIEWS, name) ? VIEWS[name as keyof typeof VIEWS] : undefined;
}

/** By which columns, newest first, a page of a view is ordered: in a root field, or in a field of another row. */
export function newestFirst(name: string, isRoot: boolean): readonly string[] {
  const { newestFirst: order } = viewOf(name) ?? {};
  return order !== undefined && (isRoot || order.everywhere) ? order.by : [];
}

/** The role that it takes to read a view. */
export function roleFor(name: string): Role {
  return viewOf(name)?.role ?? "viewer";
}

/** Views have no keys; these tags say what would be their keys, and which columns may be filtered and ordered by. */
export const viewTagsPlugin = pgSmartTags([
  // The name is taken by the attempts themselves.
  { kind: "attribute", match: "legwork.jobs.attempts", tags: { name: "attempt_count" } },
  ...Object.entries<View>(VIEWS).flatMap(([name, view]) => tagsOf(name, view)),
]);

function tagsOf(name: string, { key, references, filterBy = [], orderBy = [], root }: View) {
  const tags = {
    primaryKey: key,
    ...(references === undefined ? {} : { foreignKey: [...references] }),
    ...(root === false ? { behavior: "-query:resource:connection" } : {}),
  };
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
      _allRows: (_previous, _options, resource) =>
        resource.name.replaceAll(/_(.)/g, (_match: string, letter: string) => letter.toUpperCase()),
      rowByUnique: (previous, _options, details) => viewOf(details.resource.name)?.one ?? previous!(details),
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
          const view = viewOf(resource.name);
          if (view === undefined) return [behavior, "-*"];
          return view.orderBy === undefined ? [behavior, "-order"] : behavior;
        },
      },
      pgResourceUnique: {
        override: (behavior, [resource]) => (viewOf(resource.name)?.one === undefined ? [behavior, "-*"] : behavior),
      },
    },
  },
};

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
