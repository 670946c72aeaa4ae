import { splitSql } from "./split-sql.ts";
import type { PoolClient, Queryable } from "./pool.ts";

/** Where Legwork's objects are: its own schemas, and graphile-worker's, on whose tables it has triggers and indexes. */
const SCHEMAS = ["legwork", "legwork_tenant", "legwork_confined", "graphile_worker"];

/** How a statement makes or takes away an object that this is about; the last group is the object, behind its kind. */
const MADE: readonly [kind: string, statement: RegExp][] = [
  ["function", /^create (?:or replace )?(?:function|aggregate|procedure) ([\w.]+)/i],
  ["view", /^create (?:or replace )?view ([\w.]+)/i],
  ["table", /^create table (?:if not exists )?([\w.]+)/i],
  ["trigger", /^create (?:or replace )?(?:constraint )?trigger (\w+)\s[\s\S]*?\son ([\w.]+)/i],
  ["index", /^create (?:unique )?index (?:if not exists )?(\w+) on ([\w.]+)/i],
];

const DROPPED = /^drop (function|aggregate|procedure|view|table|trigger|index) (?:if exists )?([\s\S]+)/i;
const RENAMED = /^alter (view|table|function|index) ([\w.]+)(?:\s*\([^)]*\))? rename to (\w+)/i;

/** The objects that these files of SQL make, in words such as `view legwork.jobs`. */
export function objectsOf(files: readonly string[]): Set<string> {
  /** Each with its table, where it goes with one. */
  const objects = new Map<string, string | undefined>();
  for (const statement of files.flatMap(splitSql)) {
    const renamed = RENAMED.exec(statement);
    if (renamed !== null) {
      const [, kind = "", name = "", to = ""] = renamed;
      const old = describe(kind.toLowerCase(), name);
      objects.set(describe(kind.toLowerCase(), `${name.split(".")[0]}.${to}`), objects.get(old));
      objects.delete(old);
    }
    for (const dropped of droppedBy(statement)) {
      objects.delete(dropped);
      for (const [object, table] of objects) if (dropped === `table ${table}`) objects.delete(object);
    }
    for (const [kind, pattern] of MADE) {
      const [, name, table] = pattern.exec(statement) ?? [];
      if (name !== undefined) objects.set(describe(kind, name, table), table);
    }
  }
  return new Set(objects.keys());
}

function droppedBy(statement: string): string[] {
  const [, kind = "", names = ""] = DROPPED.exec(statement) ?? [];
  if (kind === "") return [];
  // Without the parameters of functions.
  return names
    .replaceAll(/\([^)]*\)/g, "")
    .split(",")
    .map((name) => {
      const [first = "", on, table] = name.trim().split(/\s+/);
      return describe(kind.toLowerCase(), first, on?.toLowerCase() === "on" ? table : undefined);
    });
}

/** An index is in the schema of its table; a trigger is on it. */
function describe(kind: string, name: string, table?: string): string {
  if (kind === "trigger") return `trigger ${name} on ${table}`;
  if (kind === "index") return `index ${table === undefined ? name : `${table.split(".")[0]}.${name}`}`;
  return `${kind === "aggregate" || kind === "procedure" ? "function" : kind} ${name}`;
}

/** Which of these objects the database lacks. Read from the catalog, which every login may. */
export async function missingObjects(client: Queryable, objects: ReadonlySet<string>): Promise<string[]> {
  const { rows } = await client.query(
    `with schemas as (select oid, nspname from pg_catalog.pg_namespace where nspname = any ($1::text[]))
     select 'function ' || s.nspname || '.' || p.proname as object from pg_catalog.pg_proc p join schemas s on s.oid = p.pronamespace
     union
     select case c.relkind when 'v' then 'view ' when 'i' then 'index ' when 'I' then 'index ' else 'table ' end || s.nspname || '.' || c.relname
     from pg_catalog.pg_class c join schemas s on s.oid = c.relnamespace where c.relkind in ('r', 'p', 'v', 'i', 'I')
     union
     select 'trigger ' || t.tgname || ' on ' || s.nspname || '.' || c.relname
     from pg_catalog.pg_trigger t join pg_catalog.pg_class c on c.oid = t.tgrelid join schemas s on s.oid = c.relnamespace where not t.tgisinternal`,
    [SCHEMAS],
  );
  const there = new Set(rows.map(({ object }) => String(object)));
  return [...objects].filter((object) => !there.has(object));
}

/** Statements that are about rows and not about objects, and are not done a second time. */
const ABOUT_ROWS = /^(?:insert|update|delete|with|select(?! legwork\.copy_comments\())\b/i;

/**
 * Makes the objects again that a database lacks, such as after `drop schema graphile_worker cascade`, by the statements that made them; what is there stays,
 * rows included. All views are made anew, because some have the name that another one had before. Resolves to the views of others that would
 * have to go for that: then nothing was done.
 */
export async function makeObjectsAgain(client: PoolClient, files: readonly string[]): Promise<string[]> {
  const { rows: dependants } = await client.query(
    `select distinct c.oid::regclass::text as name
     from pg_depend d join pg_rewrite r on r.oid = d.objid join pg_class c on c.oid = r.ev_class join pg_class v on v.oid = d.refobjid
     where d.classid = 'pg_rewrite'::regclass and d.refclassid = 'pg_class'::regclass and v.relkind = 'v'
       and v.relnamespace in (select oid from pg_namespace where nspname like 'legwork%' and nspname = any ($1))
       and c.relnamespace not in (select oid from pg_namespace where nspname = any ($1))`,
    [SCHEMAS],
  );
  if (dependants.length > 0) return dependants.map(({ name }) => String(name));
  const { rows: views } = await client.query(
    "select format('%I.%I', schemaname, viewname) as name from pg_views where schemaname = any ($1) and schemaname <> 'graphile_worker'",
    [SCHEMAS],
  );
  if (views.length > 0) await client.query(`drop view ${views.map(({ name }) => String(name)).join(", ")} cascade`);
  for (const statement of files.flatMap(splitSql)) {
    if (ABOUT_ROWS.test(statement)) continue;
    await client.query("savepoint again");
    try {
      await client.query(statement);
      await client.query("release savepoint again");
    } catch (error) {
      // It is there, or was changed by a later statement: what lacks in the end is looked for afterwards.
      if (!/^(?:42(?!501)|2BP)/.test(String((error as { code?: unknown }).code))) throw error;
      await client.query("rollback to savepoint again");
    }
  }
  return [];
}
