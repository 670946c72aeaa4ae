import { PayloadError, Discard, type RunningJob, type Sql, type SqlTag } from "legwork";
import { escapeIdentifier } from "pg";
import { z } from "zod";
import { setting } from "./settings.ts";

/** Schemas whose tables jobs must not change. */
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
  /** The name, as written in SQL. */
  readonly type: string;
  readonly notNull: boolean;
  readonly generated: boolean;
}

export interface NamedTable {
  /** The table's oid, as text. */
  readonly id: string;
  readonly schema: string;
  readonly name: string;
  /** schema.name, for messages. */
  readonly full: string;
  /** The quoted name, for statements. */
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

/** The job that names the table. A tenant's job may use fewer tables. */
export interface Asker {
  readonly sql: Sql;
  readonly job: Pick<RunningJob, "tenant">;
}

/**
 * Looks up the table that a payload names. Names in statements come from the catalog, never from the payload. Throws a PayloadError
 * that names the field if the table does not exist, belongs to the system or is not in LEGWORK_ALLOWED_TABLES. Without that setting, every other
 * table that the worker's role can use is allowed, but a tenant's job may not use any table.
 */
export async function namedTable(asker: Asker, field: string, text: string): Promise<NamedTable> {
  return await namedRelation(asker, field, text, { kinds: ["r", "p"], what: "table" });
}

/** Looks up the view that a payload names, by the same rules. */
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
    throw new Discard("A tenant's job may not use any table: LEGWORK_ALLOWED_TABLES is not set in the worker's environment.");
  }
  const [row] = await asPayload(
    `${field}: ${what} '${text}' does not exist.`,
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
    throw new PayloadError(`${field}: ${what} '${text}' does not exist.`, {
      hint: 'Write the name as in SQL: app.events, or app."Events" if it has capital letters. The worker\'s role must be able to see it.',
    });
  }
  const full = `${row.schema}.${row.name}`;
  if (row.schema.startsWith("pg_") || SYSTEM_SCHEMAS.has(row.schema)) {
    throw new PayloadError(`${field}: '${full}' belongs to the system and cannot be used by a job.`, {
      hint: "The setting history_retention in legwork.settings determines how long Legwork keeps its own history.",
    });
  }
  if (!kinds.includes(row.kind)) throw new PayloadError(`${field}: '${full}' is not a ${what}.`);
  if (allowed !== undefined && !allowed.some((pattern) => matches(pattern, row))) {
    throw new PayloadError(`${field}: LEGWORK_ALLOWED_TABLES does not allow '${full}'.`, {
      hint: "Add it to LEGWORK_ALLOWED_TABLES in the worker's environment: names such as app.events or app.*, separated by commas.",
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

/** Looks up several tables. A table that is named twice is included once. */
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

/** Returns a column of the table. Throws a PayloadError that names the field if the column does not exist. */
export function columnOf(table: NamedTable, field: string, name: string): Column {
  const column = table.columns.get(name);
  if (column === undefined) throw new PayloadError(`${field}: table '${table.full}' has no column '${name}'.`);
  return column;
}

/** The types of columns that hold a moment in time. */
const MOMENTS = /^(timestamp(\(\d\))? with(out)? time zone|date)$/;

/** Returns a column that holds a moment in time. Throws a PayloadError if it is of another type. */
export function momentColumn(table: NamedTable, field: string, name: string): Column {
  const column = columnOf(table, field, name);
  if (MOMENTS.test(column.type)) return column;
  throw new PayloadError(`${field}: '${name}' of '${table.full}' is of type ${column.type}, which is not a time.`, {
    hint: "Name a column of type timestamptz, timestamp or date.",
  });
}

/** Returns the tables that hold a table's rows: itself, its partitions and its child tables. A ctid is valid only within one of these tables. */
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

/** Postgres's error classes for invalid input: data exceptions; syntax errors and unknown names; unsupported features. */
const INPUT_ERRORS = new Set(["22", "42", "0A"]);

/** Does the work. If Postgres rejects the input, throws a PayloadError with the message, because a retry would not help. */
export async function asPayload<T>(message: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const code = error instanceof Error && "code" in error ? String(error.code) : "";
    if (INPUT_ERRORS.has(code.slice(0, 2))) throw new PayloadError(message, { cause: error });
    throw error;
  }
}
