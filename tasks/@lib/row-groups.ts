import { z } from "zod";
import { type Asker, type Column, columnName, columnOf, namedTable, type NamedTable, tableName } from "./named-table.ts";

/** The maximum number of groups that one run processes. The rest are left for the next run. */
const MOST_GROUPS = 10_000;

const scalar = z.union([z.string().max(1_000), z.number(), z.boolean(), z.null()]);

/** Columns and the values that they must have. All of them must match. */
export const equalities = z.record(columnName, scalar);

export const groupFilter = z.strictObject({
  column: columnName.describe("The column that holds a row's group, such as workspace_id or tenant."),
  atOnce: z.int().min(1).max(10).default(1).describe("How many groups are processed at the same time. Each uses a connection."),
  only: z.array(z.string().max(1_000)).max(1_000).optional().describe("Only these groups."),
  except: z.array(z.string().max(1_000)).max(1_000).default([]).describe("All groups except these."),
  where: z
    .strictObject({
      table: tableName.describe("A table with one row per group."),
      key: columnName.default("id").describe("The column in that table that the group's column refers to."),
      equals: equalities.describe('The values that the group\'s row must have: {"active": true}.'),
    })
    .optional()
    .describe("Only groups with a matching row in another table. Rows without a group are then skipped."),
});
export type GroupFilter = z.output<typeof groupFilter>;

/**
 * Returns the groups of the rows that the filter allows, as text; the last one is null if there are rows without a group. With an index that begins with the group's
 * column, this takes one step per group. Without it, all rows that are too old are read once.
 */
export async function groupsOf(
  asker: Asker,
  table: NamedTable,
  filter: GroupFilter,
  old: { moment: Column; cutoff: string },
): Promise<(string | null)[]> {
  const { sql } = asker;
  const column = columnOf(table, "groups.column", filter.column);
  const values: unknown[] = [];
  const add = (value: unknown): string => `$${values.push(value)}`;
  const conditions = [`not (g.g::text = any (${add(filter.except)}::text[]))`];
  if (filter.only !== undefined) conditions.push(`g.g::text = any (${add(filter.only)}::text[])`);
  if (filter.where !== undefined) {
    const other = await namedTable(asker, "groups.where.table", filter.where.table);
    const key = columnOf(other, "groups.where.key", filter.where.key);
    const equal = equalityClauses(other, "groups.where.equals", filter.where.equals, "w", add);
    conditions.push(
      `exists (select from ${other.quoted} w where ${[`w.${key.quoted}::text = g.g::text`, ...equal].join(" and ")})`,
    );
  }
  const [index] = await sql<{ there: boolean }>`
    select exists (
      select from pg_catalog.pg_index i join pg_catalog.pg_attribute a on a.attrelid = i.indrelid and a.attnum = i.indkey[0]
      where i.indrelid = ${table.id}::oid and i.indisvalid and i.indpred is null and a.attname = ${column.name}) as there`;
  const isOld = (): string => `t.${old.moment.quoted} < ${add(old.cutoff)}::timestamptz::${old.moment.type}`;
  const source =
    index?.there === true
      ? `with recursive steps as (
          (select t.${column.quoted} as g from ${table.quoted} t where t.${column.quoted} is not null order by 1 limit 1)
          union all
          select (select t.${column.quoted} from ${table.quoted} t where t.${column.quoted} > s.g order by 1 limit 1) from steps s where s.g is not null
        ) select g from steps where g is not null`
      : `select distinct t.${column.quoted} as g from ${table.quoted} t where t.${column.quoted} is not null and ${isOld()}`;
  const rows = await sql.query<{ g: string }>(
    `select g.g::text as g from (${source}) g
     where ${conditions.join(" and ")} order by g.g limit ${MOST_GROUPS}`,
    values,
  );
  const groups: (string | null)[] = rows.map(({ g }) => g);
  if (filter.only === undefined && filter.where === undefined) groups.push(null);
  return groups;
}

/** Returns the conditions as SQL. Names come from the catalog, and values become parameters of the columns' types. */
export function equalityClauses(
  table: NamedTable,
  field: string,
  equals: z.output<typeof equalities>,
  alias: string,
  add: (value: unknown) => string,
): string[] {
  return Object.entries(equals).map(([name, value]) => {
    const column = columnOf(table, `${field}.${name}`, name);
    return `${alias}.${column.quoted} is not distinct from ${add(value === null ? null : String(value))}::${column.type}`;
  });
}
