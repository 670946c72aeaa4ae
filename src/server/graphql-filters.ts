import type { PgCondition } from "postgraphile/@dataplan/pg";

type Sql = GraphileBuild.Build["sql"];
type Apply = ($where: PgCondition, value: unknown, info: unknown) => unknown;

const FINISHED_STATES: ReadonlySet<unknown> = new Set(["completed", "failed", "cancelled", "expired"]);

/** Filters: order only of numbers and times, and conditions that follow from what is asked and that the planner can use. */
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
  // Of what is not plainly a point in time, Node and Postgres may think differently.
  if (typeof value !== "string" || !/^\d{4}-\d\d-\d\dT.*(Z|[+-]\d\d:\d\d)$/.test(value)) return;
  const created = Date.parse(value);
  if (Number.isNaN(created)) return;
  // Workers report whole milliseconds, so a short job seems to end just before it was created.
  const earliest = new Date(created - 1_000).toISOString();
  const finishedAt = sql`${$where.alias}.finished_at`;
  $where.where(sql`(${finishedAt} is null or ${finishedAt} > ${sql.value(earliest)}::timestamptz)`);
}
