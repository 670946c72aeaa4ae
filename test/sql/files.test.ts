import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { schemaFiles } from "../../src/db/schema-files.ts";
import { testDatabase } from "../support/database.ts";

const database = testDatabase();

/** The file in `sql/definitions` that creates each function. */
const files = new Map(
  schemaFiles().definitions.flatMap(({ object, file }) => {
    const name = /^function ([\w.]+)\(/.exec(object)?.[1];
    return name === undefined ? [] : [[name, file] as const];
  }),
);

it("functions that an index, a default, a constraint or a generated column uses are created in a migration", async () => {
  const { rows } = await database.pool.query<{ name: string }>(`
    with recursive built_on as (
      select d.refobjid as id from pg_depend d
      where d.refclassid = 'pg_proc'::regclass and (
        d.classid in ('pg_attrdef'::regclass, 'pg_constraint'::regclass)
        or d.classid = 'pg_class'::regclass and exists (select from pg_index i where i.indexrelid = d.objid))
      union
      select d.refobjid from built_on b
      join pg_depend d on d.classid = 'pg_proc'::regclass and d.objid = b.id and d.refclassid = 'pg_proc'::regclass
    )
    select distinct p.pronamespace::regnamespace || '.' || p.proname as name
    from built_on b join pg_proc p on p.oid = b.id
    where p.pronamespace in ('legwork'::regnamespace, 'legwork_private'::regnamespace)
    order by 1`);
  const names = rows.map(({ name }) => name);
  const migrations = schemaFiles()
    .migrations.map(({ sql }) => sql)
    .join("\n");
  expect(names).toContain("legwork_private.flag_value");
  expect(names.filter((name) => !migrations.includes(`create function ${name}(`))).toEqual([]);
  expect(names.filter((name) => files.has(name))).toEqual([]);
});

it("sql/README.md names functions that exist, each with its file", () => {
  const readme = readFileSync(new URL("../../sql/README.md", import.meta.url), "utf8");
  const named = [...readme.matchAll(/^\|[^|]+\|([^|]+)\|([^|]+)\|$/gm)].flatMap(([, functions = "", places = ""]) => {
    const paths = [...places.matchAll(/`([\w/]+\.sql)`/g)].map(([, path]) => path);
    return [...functions.matchAll(/`([\w.]+)`/g)].map(([, name = ""], index) => ({
      name: name.includes(".") ? name : `legwork_private.${name}`,
      file: paths[index] ?? paths.at(-1),
    }));
  });
  expect(named.length).toBeGreaterThan(30);
  expect(named.filter(({ name, file }) => files.get(name) !== file)).toEqual([]);
});
