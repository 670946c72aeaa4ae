import { type PgCodec, TYPES } from "postgraphile/@dataplan/pg";
import type { ValueNode } from "postgraphile/graphql";
import { type SQL, sql } from "postgraphile/pg-sql2";
import { pgSmartTags } from "postgraphile/utils";
import { parseToShow } from "../../json.ts";
import type { Role } from "../../access/principal.ts";

/** Relations without an index for the reverse direction. */
const ONE_WAY = "|@behavior -list -connection";

/** The views in GraphQL, with the keys, relations and filters of each. */
const VIEWS = {
  jobs: {
    one: "job",
    key: "id",
    references: [
      "(parent_id) references legwork.jobs (id)|@fieldName parent|@foreignFieldName children",
      `(task) references legwork.tasks (name)|@fieldName taskDetails${ONE_WAY}`,
      // Waiting jobs are found by the task's number.
      "(task, task_number) references legwork.tasks (name, number)|@fieldName numberedTask|@foreignFieldName jobs|@behavior -single",
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
    order: { by: ["job_id", "attempt"], direction: "DESC", rootOnly: true },
  },
  logs: {
    // No index provides an order for the log lines of all jobs.
    root: false,
    key: "job_id,id",
    references: ["(job_id) references legwork.jobs (id)|@fieldName job|@foreignFieldName logs"],
  },
  queues: { one: "queue", key: "name", filterBy: ["name"] },
  tasks: {
    one: "task",
    key: "name",
    unique: "name,number|@behavior -*",
    references: ["(queue) references legwork.queues (name)|@fieldName queueDetails|@foreignFieldName tasks"],
    filterBy: ["name", "queue"],
  },
  workers: { one: "worker", key: "id", filterBy: ["id", "host"] },
  steps: {
    root: false,
    key: "job_id,kind,name",
    references: ["(job_id) references legwork.jobs (id)|@fieldName job|@foreignFieldName steps"],
    order: { by: ["started_at", "kind", "name"], direction: "ASC" },
  },
  workflows: {
    one: "workflow",
    key: "id",
    references: [`(parent_id) references legwork.jobs (id)|@fieldName parent|@foreignFieldName workflows${ONE_WAY}`],
    filterBy: ["id", "tenant"],
    orderBy: ["id"],
  },
  workflow_steps: {
    root: false,
    key: "workflow_id,name",
    unique: "job_id",
    references: [
      "(workflow_id) references legwork.workflows (id)|@fieldName workflow|@foreignFieldName steps",
      "(job_id) references legwork.jobs (id)|@fieldName job|@foreignSingleFieldName workflowStep",
      `(compensation_job_id) references legwork.jobs (id)|@fieldName compensationJob|@foreignFieldName compensates${ONE_WAY}`,
    ],
    order: { by: ["position", "name"], direction: "ASC" },
  },
  schedules: {
    one: "schedule",
    key: "name",
    references: [
      `(last_job_id) references legwork.jobs (id)|@fieldName lastJob|@foreignFieldName schedules${ONE_WAY}`,
      `(task) references legwork.tasks (name)|@fieldName taskDetails|@foreignFieldName schedules${ONE_WAY}`,
    ],
    filterBy: ["name", "tenant"],
  },
  schedule_runs: {
    root: false,
    key: "schedule,due_at",
    unique: "job_id",
    references: [
      "(schedule) references legwork.schedules (name)|@fieldName scheduleDetails|@foreignFieldName runs",
      "(job_id) references legwork.jobs (id)|@fieldName job|@foreignSingleFieldName scheduleRun",
    ],
    order: { by: ["due_at", "schedule"], direction: "DESC" },
  },
  bulk_actions: { one: "bulkAction", key: "id", filterBy: ["id", "action", "state", "tenant"], orderBy: ["id"] },
  alerts: { one: "alert", key: "id", filterBy: ["id", "resolved_at"], orderBy: ["id"] },
  audit_log: {
    key: "id",
    filterBy: ["id", "target_type", "target", "tenant", "occurred_at"],
    orderBy: ["id"],
    role: "admin",
  },
} satisfies Record<string, View>;

/**
 * The views that exist twice: in the schema legwork for clients that see everything, and in legwork_confined for clients that are restricted to one
 * tenant. Each is mapped to the name by which it is found. If that name differs, it is a variant of the view for pages.
 */
const CONFINED_VIEWS: Readonly<Record<string, string>> = {
  jobs: "jobs",
  attempts: "attempts",
  audit_log: "audit_log_page",
  workflows: "workflows_page",
  schedule_runs: "schedule_runs_page",
};

interface View {
  /** The root field for one row, if any. */
  one?: string;
  /** Whether there is a root field for its rows. Default: true. */
  root?: boolean;
  /** The columns that identify a row. */
  key: string;
  references?: readonly string[];
  filterBy?: readonly string[];
  orderBy?: readonly string[];
  /** A nullable column that also identifies a row. */
  unique?: string;
  /** The order of its pages, if it is not by the key. With rootOnly, it does not apply to pages of another row's relation. */
  order?: { by: readonly string[]; direction: "ASC" | "DESC"; rootOnly?: boolean };
  /** The role required to read it. Default: viewer. */
  role?: Role;
}

export const exposedViews: readonly string[] = Object.keys(VIEWS);

function viewOf(name: string): View | undefined {
  return Object.hasOwn(VIEWS, name) ? VIEWS[name as keyof typeof VIEWS] : undefined;
}

/** The order of a view's pages, in a root field or in a relation; undefined if it is by the key. */
export function orderOf(name: string, isRoot: boolean): View["order"] {
  const order = viewOf(name)?.order;
  return order?.rootOnly === true && !isRoot ? undefined : order;
}

/** The role required to read a view. */
export function roleFor(name: string): Role {
  return viewOf(name)?.role ?? "viewer";
}

/** Tags that declare the views' keys and relations, which views lack in Postgres, and the columns to filter and order by. */
export const viewTagsPlugin = pgSmartTags([
  // The relations to attempts and runs have these names.
  { kind: "attribute", match: "legwork.jobs.attempts", tags: { name: "attempt_count" } },
  { kind: "attribute", match: "legwork.schedules.runs", tags: { name: "run_count" } },
  // Numbers are for the planner: a filter by a job's task adds a condition on its number.
  { kind: "attribute", match: "legwork.jobs.task", tags: { numbered: true } },
  { kind: "attribute", match: "legwork.jobs.task_number", tags: { behavior: "-*" } },
  { kind: "attribute", match: "legwork.tasks.number", tags: { behavior: "-*" } },
  // The payload is shown as it was enqueued. The other column is for conditions in SQL.
  { kind: "attribute", match: "legwork.jobs.payload", tags: { name: "readable_payload", behavior: "-*" } },
  {
    kind: "attribute",
    match: "legwork.jobs.raw_payload",
    tags: { name: "payload" },
    description:
      'The JSON passed to the task. A payload of more than 1,000 levels is {"legwork:text": "…"}, with its JSON as text; of more than 5,000,000 bytes, with the first 1,000 characters.',
  },
  ...Object.entries<View>(VIEWS).flatMap(([name, view]) => tagsOf(name, view)),
]);

function tagsOf(name: string, { key, references, filterBy = [], orderBy = [], root, unique }: View) {
  const tags = {
    primaryKey: key,
    ...(unique === undefined ? {} : { unique }),
    ...(references === undefined ? {} : { foreignKey: [...references] }),
    ...(root === false ? { behavior: "-query:resource:connection" } : {}),
  };
  const columns = filterBy.map((column) => {
    const behavior = `+attribute:filterBy ${orderBy.includes(column) ? "+" : "-"}attribute:orderBy`;
    return { kind: "attribute" as const, match: `legwork.${name}.${column}`, tags: { behavior } };
  });
  return [{ kind: "class" as const, match: `legwork.${name}`, tags }, ...columns];
}

/** Exposes only the views above, with the names of views and states unchanged. */
export const exposedViewsPlugin: GraphileConfig.Plugin = {
  name: "LegworkExposedViewsPlugin",
  version: "0.1.0",
  gather: {
    hooks: {
      // PostGraphile would also inspect every other table and view of the schema, which takes longer than the rest of the build.
      pgIntrospection_introspection(_info, { introspection: { classes, namespaces } }) {
        // oxlint-disable-next-line no-underscore-dangle -- PostGraphile's name for an object's id
        const ours = new Set(namespaces.filter(({ nspname }) => /^legwork(_private)?$/.test(nspname)).map(({ _id }) => _id));
        const shown = classes.filter(({ relnamespace, relname }) => !ours.has(relnamespace) || viewOf(relname) !== undefined);
        classes.splice(0, classes.length, ...shown);
      },
    },
  },
  inflection: {
    replace: {
      _allRows: (_previous, _options, resource) =>
        resource.name.replaceAll(/_(.)/g, (_match: string, letter: string) => letter.toUpperCase()),
      rowByUnique: (previous, _options, details) => viewOf(details.resource.name)?.one ?? previous!(details),
      connectionField: (_previous, _options, name) => name,
      enumValue: (_previous, _options, value) => value,
      // PostGraphile would reserve the name id for its global ids, which are not used here.
      _attributeName: (previous, _options, details) => previous!({ ...details, skipRowId: true }),
    },
  },
  schema: {
    hooks: {
      GraphQLScalarType(scalar, { graphql: { GraphQLError, Kind } }) {
        if (scalar.name !== "BigInt") return scalar;
        const integer = (value: unknown, nodes?: ValueNode): string => {
          if (/^-?\d{1,19}$/.test(String(value))) return String(value);
          throw new GraphQLError(`'${String(value).slice(0, 40)}' is not an id. Ids are whole numbers, as numbers or strings.`, {
            nodes,
            extensions: { code: "LW400" },
          });
        };
        return {
          ...scalar,
          parseValue: (value) => integer(value),
          parseLiteral: (node) => integer(node.kind === Kind.INT || node.kind === Kind.STRING ? node.value : "This", node),
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

/** Codecs that show JSON with every digit of its numbers, and JSON that is nested too deeply as text. */
const shownJson = new Map<unknown, PgCodec>(
  [TYPES.json, TYPES.jsonb].map((codec) => [
    codec,
    {
      ...codec,
      name: `shown_${codec.name}`,
      fromPg: parseToShow,
      castFromPg: (value: SQL) => sql`legwork_private.shown_json((${value})::text)`,
    },
  ]),
);

/** Uses these codecs for the views' JSON columns. */
export const exactJsonPlugin: GraphileConfig.Plugin = {
  name: "LegworkExactJsonPlugin",
  version: "0.1.0",
  before: ["PgCodecsPlugin"],
  gather: {
    hooks: {
      pgCodecs_attribute(_info, { attribute }) {
        attribute.codec = shownJson.get(attribute.codec) ?? attribute.codec;
      },
    },
  },
  schema: {
    hooks: {
      init(nothing, build) {
        for (const codec of shownJson.values())
          build.setGraphQLTypeForPgCodec(codec, ["input", "output"], build.inflection.builtin("JSON"));
        return nothing;
      },
    },
  },
};

/** Lets the transaction's search path decide which tenant's rows a query reads, so that all clients share one GraphQL schema. */
export const confinedViewsPlugin: GraphileConfig.Plugin = {
  name: "LegworkConfinedViewsPlugin",
  version: "0.1.0",
  gather: {
    hooks: {
      pgTables_PgResourceOptions(_info, { pgClass, resourceOptions }) {
        const name = CONFINED_VIEWS[pgClass.relname];
        if (name === undefined) return;
        (resourceOptions as { from: unknown }).from = sql.identifier(name);
      },
    },
  },
};
