import type { PgCondition } from "postgraphile/@dataplan/pg";
import { haveEnded, impliedByStates } from "../../jobs/read-jobs.ts";

type Sql = GraphileBuild.Build["sql"];
type Apply = ($where: PgCondition, value: unknown, info: unknown) => unknown;

/** Restricts comparison filters to numbers and times, and adds conditions that follow from a filter and help the planner. */
export const filterPlugin: GraphileConfig.Plugin = {
  name: "LegworkFilterPlugin",
  version: "0.1.0",
  after: ["PgConnectionArgFilterOperatorsPlugin"],
  schema: {
    hooks: {
      GraphQLInputObjectType_fields(fields, _build, { scope, Self }) {
        // Fields are applied in this order. The condition implied by a task depends on the state.
        if (Self.name === "JobFilter") return { ...(fields.state === undefined ? {} : { state: fields.state }), ...fields };
        if (scope.pgConnectionFilterOperators === undefined) return fields;
        // Only numbers and times can be compared.
        if (Self.name !== "StringFilter" && Self.name !== "JobStateFilter") return fields;
        return Object.fromEntries(Object.entries(fields).filter(([name]) => !/^(less|greater)Than/.test(name)));
      },
      GraphQLInputObjectType_fields_field(field, { sql }, { scope, Self }) {
        const { apply } = field as { apply?: Apply };
        if (scope.isPgConnectionFilterOperator !== true || apply === undefined) return field;
        const implied = IMPLIED[Self.name];
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

/** Adds conditions that follow from the condition that an operator creates for a value. */
type Implied = ($where: PgCondition, operator: string, value: unknown, sql: Sql) => void;

/** Implied conditions by the type of filter. */
const IMPLIED: Readonly<Record<string, Implied | undefined>> = {
  JobStateFilter: sideOfStates,
  DatetimeFilter: laterThan,
  StringFilter: numberOfTask,
};

/** Filters that match ended jobs only. Their conditions on the state are in the enclosing condition. */
const ofEnded = new WeakSet<object>();

function sideOfStates($where: PgCondition, operator: string, value: unknown, sql: Sql): void {
  const states = operator === "equalTo" ? [value] : operator === "in" && Array.isArray(value) ? value : [];
  if (haveEnded(states)) ofEnded.add($where.dangerouslyGetParent());
  for (const condition of impliedByStates(states)) {
    const [column = "", ...test] = condition.split(" ");
    $where.where(sql`${$where.alias}.${sql.identifier(column)} ${test.includes("not") ? sql`is not null` : sql`is null`}`);
  }
}

/** Finds waiting jobs, but not ended ones, by the number of their task. `impliedByTask` in src/jobs/read-jobs.ts explains why. */
function numberOfTask($where: PgCondition, operator: string, value: unknown, sql: Sql): void {
  if (
    operator !== "equalTo" ||
    typeof value !== "string" ||
    ofEnded.has($where.dangerouslyGetParent()) ||
    attributeOf($where)?.attribute?.extensions?.tags?.numbered === undefined
  )
    return;
  $where.where(sql`${$where.alias}.task_number = (select legwork_private.task_number(${sql.value(value)}::text))`);
}

/** A job does not end before it is created. As a condition on finished_at, this excludes whole partitions of the history. */
function laterThan($where: PgCondition, operator: string, value: unknown, sql: Sql): void {
  if (attributeOf($where)?.attributeName !== "created_at" || !operator.startsWith("greaterThan")) return;
  // Node and Postgres may interpret other formats differently.
  if (typeof value !== "string" || !/^\d{4}-\d\d-\d\dT.*(Z|[+-]\d\d:\d\d)$/.test(value)) return;
  const created = Date.parse(value);
  if (Number.isNaN(created)) return;
  // Workers report whole milliseconds, so a short job may appear to end just before it was created.
  const earliest = new Date(created - 1_000).toISOString();
  const finishedAt = sql`${$where.alias}.finished_at`;
  $where.where(sql`(${finishedAt} is null or ${finishedAt} > ${sql.value(earliest)}::timestamptz)`);
}

interface FilteredAttribute {
  readonly attributeName?: string;
  readonly attribute?: { readonly extensions?: { readonly tags?: Readonly<Record<string, unknown>> } };
}

/** The attribute that a condition filters by. */
function attributeOf($where: PgCondition): FilteredAttribute | undefined {
  return ($where.extensions as { pgFilterAttribute?: FilteredAttribute }).pgFilterAttribute;
}
