import { expect, it } from "vitest";
import { ERRORS } from "../../src/errors.ts";
import { schemaFiles } from "../../src/db/schema-files.ts";
import { JOB_STATES } from "../../src/jobs/read-jobs.ts";
import { testDatabase } from "../support/database.ts";

const database = testDatabase();

async function names(query: string): Promise<string[]> {
  return (await database.pool.query(query)).rows.map((row) => row.name);
}

it("every table, view, type and function has a comment", async () => {
  expect(
    await names(`
      select c.oid::regclass::text as name from pg_class c
      where c.relnamespace in ('legwork'::regnamespace, 'legwork_private'::regnamespace) and c.relkind in ('r', 'p', 'v') and not c.relispartition
        and obj_description(c.oid, 'pg_class') is null
      union all
      select p.oid::regprocedure::text from pg_proc p
      where p.pronamespace in ('legwork'::regnamespace, 'legwork_private'::regnamespace) and obj_description(p.oid, 'pg_proc') is null
      union all
      select t.typname from pg_type t where t.typnamespace in ('legwork'::regnamespace, 'legwork_private'::regnamespace) and t.typtype = 'e' and obj_description(t.oid, 'pg_type') is null`),
  ).toEqual([]);
});

it("every column of a table or view has a comment", async () => {
  expect(
    await names(`
      select format('%s.%s', a.attrelid::regclass, a.attname) as name from pg_attribute a join pg_class c on c.oid = a.attrelid
      where c.relnamespace in ('legwork'::regnamespace, 'legwork_private'::regnamespace) and c.relkind in ('r', 'p', 'v') and not c.relispartition and a.attnum > 0
        and not a.attisdropped and col_description(a.attrelid, a.attnum) is null`),
  ).toEqual([]);
});

it("every definer function has its search path pinned", async () => {
  expect(
    await names(`
      select oid::regprocedure::text as name from pg_proc
      where pronamespace in ('legwork'::regnamespace, 'legwork_private'::regnamespace) and prosecdef
        and not coalesce(proconfig @> array['search_path=pg_catalog, pg_temp'], false)`),
  ).toEqual([]);
});

it("definer functions other than triggers are not granted to public", async () => {
  expect(
    await names(`
      select p.oid::regprocedure::text as name from pg_proc p
      where p.pronamespace in ('legwork'::regnamespace, 'legwork_private'::regnamespace) and p.prosecdef and p.prorettype <> 'trigger'::regtype
        and has_function_privilege('public', p.oid, 'execute')`),
  ).toEqual([]);
});

it("every table has row security", async () => {
  expect(
    await names(`
      select oid::regclass::text as name from pg_class
      where relnamespace in ('legwork'::regnamespace, 'legwork_private'::regnamespace) and relkind in ('r', 'p') and not relrowsecurity`),
  ).toEqual([]);
});

it("every function that forbids plan types turns JIT off, because before Postgres 18, the cost of such plans would trigger compilation in each call", async () => {
  expect(
    await names(`
      select oid::regprocedure::text as name from pg_proc
      where pronamespace in ('legwork'::regnamespace, 'legwork_private'::regnamespace) and array_to_string(proconfig, ' ') ~ 'enable_|plan_cache_mode' and not proconfig @> array['jit=off']`),
  ).toEqual([]);
});

it("every table and partition has a primary key or `replica identity full`, so that a publication may include it", async () => {
  expect(
    await names(`
      select c.oid::regclass::text as name from pg_class c
      where c.relnamespace in ('legwork'::regnamespace, 'legwork_private'::regnamespace) and c.relkind in ('r', 'p') and c.relreplident <> 'f'
        and not (c.relreplident = 'd' and exists (select from pg_index i where i.indrelid = c.oid and i.indisprimary))`),
  ).toEqual([]);
});

it("every code that SQL raises is in the registry", () => {
  const raised = schemaFiles().definitions.flatMap(({ statements }) => [...statements.join("\n").matchAll(/errcode = '(\w+)'/g)].map((match) => match[1]));
  expect(raised.length).toBeGreaterThan(0);
  expect(raised.filter((code) => code !== undefined && !(code in ERRORS))).toEqual([]);
});

it("the states of a job are the same in SQL and TypeScript", async () => {
  expect(await names("select unnest(enum_range(null::legwork.job_state))::text as name")).toEqual([...JOB_STATES]);
});
