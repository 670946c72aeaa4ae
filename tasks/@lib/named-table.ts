import { PayloadError, Discard, type RunningJob, type Sql, type SqlTag } from "legwork";
import { escapeIdentifier } from "pg";
import { z } from "zod";
import { setting } from "./settings.ts";

/** Schemas whose tables are no job's to change. */
const SYSTEM_SCHEMAS = new Set([
  "information_schema",
  "legwork",
  "legwork_private",
  "legwork_tenant",
  "legwork_confined",
  "graphile_worker",
]);

export const tableName = z.string().min(1).max(200);
export const columnName = z.string().min(1).max(63);

export interface Column {
  readonly name: string;
  readonly quoted: string;
  /** As SQL writes it. */
  readonly type: string;
  readonly notNull: boolean;
  readonly generated: boolean;
}

export interface NamedTable {
  /** Its oid, as text. */
  readonly id: string;
  readonly schema: string;
  readonly name: string;
  /** schema.name, for people. */
  readonly full: string;
  /** For statements. */
  readonly quoted: string;
  readonly partitioned: boolean;
  readonly columns: ReadonlyMap<string, Column>;
}

interface CatalogRow {
  id: string;
  schema: string;
  name: string;
  kind: string;
  columns: { name: string; type: string; notNull: boolean; generated: boolean }[];
}

/** Who asks: a job of a tenant may name fewer tables. */
export interface Asker {
  readonly sql: Sql;
  readonly job: Pick<RunningJob, "tenant">;
}

/**
 * The table that a payload names, as the catalog has it: names that go into a statement come from there. Throws a PayloadError,
 * naming the field, for what is no table or belongs to the system, and for one that LEGWORK_ALLOWED_TABLES does not allow. Without
 * that setting every other table that the worker's role can use is allowed, but none to the job of a tenant.
 */
export async function namedTable(asker: Asker, field: string, text: string): Promise<NamedTable> {
  return await namedRelation(asker, field, text, { kinds: ["r", "p"], what: "table" });
}

/** A view that a payload names, by the same rules. */
export async function namedView(asker: Asker, field: string, text: string): Promise<NamedTable> {
  return await namedRelation(asker, field, text, { kinds: ["v", "m"], what: "view" });
}

async function namedRelation(
  { sql, job }: Asker,
  field: string,
  text: string,
  { kinds, what }: { kinds: readonly string[]; what: "table" | "view" },
): Promise<NamedTable> {
  const allowed = setting("LEGWORK_ALLOWED_TABLES");
  if (allowed === undefined && job.tenant !== null) {
    throw new Discard("No table is allowed to a tenant's job: LEGWORK_ALLOWED_TABLES is not set where the worker runs.");
  }
  const [row] = await asPayload(
    `${field}: there is no ${what} '${text}'.`,
    () =>
      sql<CatalogRow>`
      select c.oid::text as id, n.nspname as schema, c.relname as name, c.relkind as kind,
        coalesce((
          select jsonb_agg(jsonb_build_object('name', a.attname, 'type', format_type(a.atttypid, a.atttypmod),
            'notNull', a.attnotnull, 'generated', a.attgenerated <> '') order by a.attnum)
          from pg_catalog.pg_attribute a where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped), '[]') as columns
      from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
      where c.oid = to_regclass(${text})`,
  );
  if (row === undefined) {
    throw new PayloadError(`${field}: there is no ${what} '${text}'.`, {
      hint: 'Name it as SQL does: app.events, or app."Events" when its name has capitals. The worker\'s role must be able to see it.',
    });
  }
  const full = `${row.schema}.${row.name}`;
  if (row.schema.startsWith("pg_") || SYSTEM_SCHEMAS.has(row.schema)) {
    throw new PayloadError(`${field}: '${full}' belongs to the system and is not to be touched by a job.`, {
      hint: "Legwork's own history is kept for the setting history_retention in legwork.settings.",
    });
  }
  if (!kinds.includes(row.kind)) throw new PayloadError(`${field}: '${full}' is not a ${what}.`);
  if (allowed !== undefined && !allowed.some((pattern) => matches(pattern, row))) {
    throw new PayloadError(`${field}: LEGWORK_ALLOWED_TABLES does not allow '${full}'.`, {
      hint: "Add it there, where the worker runs: names such as app.events or app.*, with commas between them.",
    });
  }
  return {
    id: row.id,
    schema: row.schema,
    name: row.name,
    full,
    quoted: `${escapeIdentifier(row.schema)}.${escapeIdentifier(row.name)}`,
    partitioned: row.kind === "p",
    columns: new Map(row.columns.map((column) => [column.name, { ...column, quoted: escapeIdentifier(column.name) }])),
  };
}

/** Each of the tables; one that is named twice is there once. */
export async function namedTables(asker: Asker, field: string, names: readonly string[]): Promise<NamedTable[]> {
  const tables = new Map<string, NamedTable>();
  for (const [index, name] of names.entries()) {
    const table = await namedTable(asker, `${field}.${index}`, name);
    tables.set(table.id, table);
  }
  return [...tables.values()];
}

function matches(pattern: string, { schema, name }: CatalogRow): boolean {
  if (pattern === "*") return true;
  const [first = "", second] = pattern.split(".");
  if (second === undefined) return schema === "public" && name === first;
  return schema === first && (second === "*" || name === second);
}

/** A column of the table. Throws a PayloadError, naming the field, when it has no such column. */
export function columnOf(table: NamedTable, field: string, name: string): Column {
  const column = table.columns.get(name);
  if (column === undefined) throw new PayloadError(`${field}: table '${table.full}' has no column '${name}'.`);
  return column;
}

/** Columns that tell a moment. */
const MOMENTS = /^(timestamp(\(\d\))? with(out)? time zone|date)$/;

/** A column that tells a moment. Throws a PayloadError for one of another type. */
export function momentColumn(table: NamedTable, field: string, name: string): Column {
  const column = columnOf(table, field, name);
  if (MOMENTS.test(column.type)) return column;
  throw new PayloadError(`${field}: '${name}' of '${table.full}' is of type ${column.type}, which does not tell a row's age.`, {
    hint: "Name a column of type timestamptz, timestamp or date.",
  });
}

/** The tables that hold its rows: itself, its partitions and whatever inherits from it. A ctid means something in one table only. */
export async function partsOf(sql: SqlTag, table: NamedTable): Promise<{ id: string; name: string; quoted: string }[]> {
  return await sql<{ id: string; name: string; quoted: string }>`
    with recursive family as (
      select ${table.id}::oid as id
      union
      select i.inhrelid from pg_catalog.pg_inherits i join family f on i.inhparent = f.id
    )
    select c.oid::text as id, n.nspname || '.' || c.relname as name, format('%I.%I', n.nspname, c.relname) as quoted
    from family f
    join pg_catalog.pg_class c on c.oid = f.id
    join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    where c.relkind = 'r'
    order by c.oid`;
}

/** Postgres's classes for input it cannot make sense of: data exceptions, syntax and names, features it does not have. */
const INPUT_ERRORS = new Set(["22", "42", "0A"]);

/** Does the work; what Postgres refuses to read is the payload's fault and no reason to try again. */
export async function asPayload<T>(message: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const code = error instanceof Error && "code" in error ? String(error.code) : "";
    if (INPUT_ERRORS.has(code.slice(0, 2))) throw new PayloadError(message, { cause: error });
    throw error;
  }
}
