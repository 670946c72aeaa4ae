import { LegworkError } from "../errors.ts";
import type { PoolClient, Queryable } from "./pool.ts";
import type { Definition } from "./schema-files.ts";

/** The schemas that contain Legwork's objects: its own, and graphile-worker's, where Legwork adds triggers and indexes to the tables. */
const SCHEMAS = ["legwork", "legwork_private", "legwork_tenant", "legwork_confined", "graphile_worker"];

/** Runs a statement that changes the schema. A dry run also records it. */
export type Run = (statement: string) => Promise<void>;

/** A trigger on one of graphile-worker's tables. */
const ON_JOB_TABLES = /^trigger \w+ on graphile_worker\./;

/** Selects the functions, views, triggers, policies, tables and indexes in the catalog. */
const CATALOG = `
  with schemas as (select oid, nspname from pg_catalog.pg_namespace where nspname = any ($1::text[]))
  select 'function ' || s.nspname || '.' || p.proname || '(' || oidvectortypes(p.proargtypes) || ')' as object
  from pg_catalog.pg_proc p join schemas s on s.oid = p.pronamespace where s.nspname <> 'graphile_worker'
  union all
  select case c.relkind when 'v' then 'view ' when 'i' then 'index ' when 'I' then 'index ' else 'table ' end || s.nspname || '.' || c.relname
  from pg_catalog.pg_class c join schemas s on s.oid = c.relnamespace where c.relkind in ('r', 'p', 'v', 'i', 'I')
  union all
  select 'trigger ' || t.tgname || ' on ' || s.nspname || '.' || c.relname
  from pg_catalog.pg_trigger t join pg_catalog.pg_class c on c.oid = t.tgrelid join schemas s on s.oid = c.relnamespace where not t.tgisinternal
  union all
  select 'policy ' || l.polname || ' on ' || s.nspname || '.' || c.relname
  from pg_catalog.pg_policy l join pg_catalog.pg_class c on c.oid = l.polrelid join schemas s on s.oid = c.relnamespace`;

/** Returns Legwork's objects and graphile-worker's tables in the database, named as in a `Definition`. Every login may read them. */
export async function readCatalog(client: Queryable): Promise<Set<string>> {
  const { rows } = await client.query(CATALOG, [SCHEMAS]);
  return new Set(rows.map(({ object }) => String(object)));
}

/** Returns the hash of each definition that has been applied to this database. */
async function recordedDefinitions(client: Queryable): Promise<Map<string, string>> {
  const { rows } = await client.query("select object, hash from legwork_private.definitions where object not like 'index %'");
  return new Map(rows.map((row) => [row.object, row.hash]));
}

/**
 * Returns the definitions and indexes that were changed or dropped manually. Empty if the schema is incomplete, and after a Postgres upgrade until
 * the definitions have been recorded again.
 */
export async function changedByHand(client: Queryable): Promise<string[]> {
  const { rows: known } = await client.query(
    "select to_regprocedure('legwork_private.changed_definitions()') is not null as known",
  );
  if (known[0]?.known !== true) return [];
  const { rows } = await client.query("select object from legwork_private.changed_definitions() as object");
  return rows.map(({ object }) => String(object));
}

export interface AppliedDefinitions {
  /** The objects that were created or replaced, because their file or an object that they depend on has changed. */
  readonly applied: readonly string[];
  readonly dropped: readonly string[];
  /** The applied objects that had been dropped or changed manually. Their files had not changed. */
  readonly putBack: readonly string[];
}

/**
 * Makes functions, views, triggers, policies and comments match the files. Recreates objects that are missing, whose file has changed, that depend on
 * a view or signature that had to be dropped, or that were changed manually (`changed`). Drops objects that are no longer in the files. Calls
 * `lockJobTables` before it changes a trigger on graphile-worker's tables. Throws LW511 before it would drop anything that a user's object depends
 * on.
 */
export async function applyDefinitions(
  client: PoolClient,
  definitions: readonly Definition[],
  changed: readonly string[],
  run: Run,
  lockJobTables: () => Promise<void>,
): Promise<AppliedDefinitions> {
  const recorded = await recordedDefinitions(client);
  const catalog = await readCatalog(client);
  const byObject = new Map(definitions.map((definition) => [definition.object, definition]));
  const wanted = new Set(
    definitions
      .filter(
        ({ object, kind, hash }) =>
          recorded.get(object) !== hash || (kind !== "comments" && !catalog.has(object)) || changed.includes(object),
      )
      .map(({ object }) => object),
  );
  const putBack = definitions
    .filter(({ object, hash }) => wanted.has(object) && recorded.get(object) === hash)
    .map(({ object }) => object);
  const obsolete = [...recorded.keys()].filter((object) => !byObject.has(object));
  if (wanted.size === 0 && obsolete.length === 0) return { applied: [], dropped: [], putBack: [] };

  // Postgres then checks function bodies only when they run. Functions refer to each other, so no order would pass the check.
  await run("set local check_function_bodies = off");
  const dropped: string[] = [];
  const applied = new Set<string>();
  const grants: Grant[] = [];
  const remove = async (object: string): Promise<void> => {
    if (!catalog.has(object)) return;
    const dependants = await dependantsOf(client, object);
    grants.push(...(await readGrants(client, [object, ...dependants])));
    for (const dependant of dependants) {
      if (!byObject.has(dependant) && !recorded.has(dependant)) throw inTheWay(object, dependant);
      if (ON_JOB_TABLES.test(dependant)) await lockJobTables();
      catalog.delete(dependant);
      applied.delete(dependant);
      if (byObject.has(dependant)) wanted.add(dependant);
    }
    if (ON_JOB_TABLES.test(object)) await lockJobTables();
    catalog.delete(object);
    await run(`drop ${object.replace(/^function/, "routine")} cascade`);
  };

  for (const object of obsolete) {
    if (!object.startsWith("comments ")) await remove(object);
    dropped.push(object);
    await run(`delete from legwork_private.definitions where object = ${literal(object)}`);
  }
  // Objects that are dropped here must be recreated. Because they may come earlier in the manifest, the loop then starts again.
  for (let again = true; again;) {
    again = false;
    for (const definition of definitions) {
      if (!wanted.has(definition.object) || applied.has(definition.object)) continue;
      if (await mustBeDropped(client, definition, catalog)) {
        await remove(definition.object);
        again = true;
      }
      if (definition.kind === "view" && catalog.has(definition.object)) {
        // A view keeps the columns that `select *` had when it was created.
        for (const dependant of await dependantsOf(client, definition.object)) {
          if (byObject.get(dependant)?.kind !== "view" || wanted.has(dependant)) continue;
          wanted.add(dependant);
          again = true;
        }
      }
      if (ON_JOB_TABLES.test(definition.object)) await lockJobTables();
      for (const statement of definition.statements) await run(statement);
      applied.add(definition.object);
      catalog.add(definition.object);
    }
    again &&= [...wanted].some((object) => !applied.has(object));
  }
  for (const grant of grants) {
    const target = grantedNow(grant.object, definitions);
    if (target !== undefined)
      await run(`grant ${grant.privilege} on ${target.replace(/^view /, "")} to ${grant.grantee}${grant.option}`);
  }
  await record(
    definitions.filter(({ object }) => applied.has(object)),
    run,
  );
  return { applied: [...applied], dropped, putBack };
}

/** A user's grant on an object that is recreated: the parts of the statement that grants it again. */
interface Grant {
  readonly object: string;
  readonly privilege: string;
  readonly grantee: string;
  readonly option: string;
}

/**
 * Reads users' grants on objects, without the owner's privileges, which come with the object, and without public's privileges on functions, which the
 * definition sets.
 */
async function readGrants(client: Queryable, objects: readonly string[]): Promise<Grant[]> {
  const { rows } = await client.query(
    `with acls (object, owner, acl) as (
       select 'function ' || p.pronamespace::regnamespace || '.' || p.proname || '(' || oidvectortypes(p.proargtypes) || ')', p.proowner, p.proacl from pg_proc p
       union all
       select 'view ' || c.relnamespace::regnamespace || '.' || c.relname, c.relowner, c.relacl from pg_class c where c.relkind = 'v'
     )
     select g.object, a.privilege_type as privilege, case a.grantee when 0 then 'public' else a.grantee::regrole::text end as grantee,
       case when a.is_grantable then ' with grant option' else '' end as option
     from acls g cross join lateral aclexplode(g.acl) a
     where g.object = any ($1) and a.grantee <> g.owner and not (a.grantee = 0 and g.object like 'function %')`,
    [objects],
  );
  return rows as Grant[];
}

/** Returns the object that replaces a recreated one: the same object, or, if its parameters have changed, the only function with its name. */
function grantedNow(object: string, definitions: readonly Definition[]): string | undefined {
  if (definitions.some((definition) => definition.object === object)) return object;
  const named = definitions.filter((definition) => definition.object.replace(/\(.*$/, "") === object.replace(/\(.*$/, ""));
  return named.length === 1 ? named[0]?.object : undefined;
}

/**
 * Whether an object must be dropped because Postgres cannot replace it: the view's columns or the function's result type have changed, or Postgres
 * cannot replace objects of this kind.
 */
async function mustBeDropped(
  client: PoolClient,
  { object, kind, statements }: Definition,
  catalog: ReadonlySet<string>,
): Promise<boolean> {
  if (!catalog.has(object) || kind === "comments") return false;
  const statement = statements.find((candidate) => /^create /i.test(candidate)) ?? "";
  if (!/^create or replace /i.test(statement)) return true;
  await client.query("savepoint replaced");
  try {
    await client.query(statement);
    await client.query("release savepoint replaced");
    return false;
  } catch (error) {
    await client.query("rollback to savepoint replaced");
    // invalid_function_definition and invalid_table_definition: "cannot change return type", "cannot drop columns from view".
    const { code } = error as { code?: string };
    if (code === "42P13" || code === "42P16") return true;
    throw error;
  }
}

/**
 * Returns all objects that would be dropped together with this one. Legwork's objects are named as in a `Definition`, others as Postgres describes
 * them.
 */
async function dependantsOf(client: Queryable, object: string): Promise<string[]> {
  const [, kind = "", name = "", table] = /^(\w+) (.+?)(?: on ([\w.]+))?$/.exec(object) ?? [];
  const root =
    kind === "function"
      ? "select 'pg_proc'::regclass, $1::text::regprocedure::oid"
      : kind === "view"
        ? "select 'pg_class'::regclass, $1::text::regclass::oid"
        : kind === "trigger"
          ? "select 'pg_trigger'::regclass, t.oid from pg_trigger t where t.tgname = $1::text and t.tgrelid = $2::text::regclass"
          : "select 'pg_policy'::regclass, l.oid from pg_policy l where l.polname = $1::text and l.polrelid = $2::text::regclass";
  const { rows } = await client.query(
    `with recursive dependants (classid, objid) as (
       select r.classid::oid, r.objid from (${root}) as r (classid, objid)
       union
       select case when w.oid is not null then 'pg_class'::regclass::oid else d.classid end, coalesce(w.ev_class, d.objid)
       from dependants o
       join pg_depend d on d.refclassid = o.classid and d.refobjid = o.objid and d.deptype in ('n', 'a', 'i')
       left join pg_rewrite w on d.classid = 'pg_rewrite'::regclass and w.oid = d.objid
     )
     select distinct case
         when p.oid is not null then 'function ' || p.pronamespace::regnamespace || '.' || p.proname || '(' || oidvectortypes(p.proargtypes) || ')'
         when c.relkind = 'v' then 'view ' || c.relnamespace::regnamespace || '.' || c.relname
         when t.oid is not null then 'trigger ' || t.tgname || ' on ' || (select k.relnamespace::regnamespace || '.' || k.relname from pg_class k where k.oid = t.tgrelid)
         when l.oid is not null then 'policy ' || l.polname || ' on ' || (select k.relnamespace::regnamespace || '.' || k.relname from pg_class k where k.oid = l.polrelid)
         else pg_describe_object(d.classid, d.objid, 0)
       end as object
     from dependants d
     left join pg_proc p on d.classid = 'pg_proc'::regclass and p.oid = d.objid
     left join pg_class c on d.classid = 'pg_class'::regclass and c.oid = d.objid
     left join pg_trigger t on d.classid = 'pg_trigger'::regclass and t.oid = d.objid
     left join pg_policy l on d.classid = 'pg_policy'::regclass and l.oid = d.objid
     -- Row types and rules of views are dropped with them.
     where d.classid not in ('pg_type'::regclass, 'pg_rewrite'::regclass)`,
    table === undefined ? [name] : [name, table],
  );
  return rows.map((row) => String(row.object)).filter((dependant) => dependant !== object);
}

function inTheWay(object: string, dependant: string): LegworkError {
  const drop = /^(view|function|trigger|policy) /.test(dependant)
    ? ` Run \`drop ${dependant}\`, then \`legwork migrate\`, and recreate it.`
    : "";
  return new LegworkError("LW511", `The ${dependant} depends on the ${object}, which this version of Legwork changes.`, {
    hint: `Nothing was changed.${drop === "" ? " Drop it, run `legwork migrate`, and recreate it." : drop}`,
  });
}

/** Records the applied definitions. */
async function record(definitions: readonly Definition[], run: Run): Promise<void> {
  const rows = definitions.map(({ object, hash }) => `(${literal(object)}, ${literal(hash)})`);
  await run(
    `insert into legwork_private.definitions (object, hash) values\n  ${rows.join(",\n  ")}\non conflict (object) do update set hash = excluded.hash`,
  );
}

/** Quotes a string as a SQL literal. */
export function literal(value: string): string {
  return `'${value.replaceAll("'", "''")}'`;
}
