import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { testDatabase } from "../support/database.ts";

const ROOT = join(import.meta.dirname, "../..");
const database = testDatabase();

it("only sql/definitions/graphile and the migrations name graphile-worker's private tables", () => {
  const files = globSync("sql/definitions/**/*.sql", { cwd: ROOT });
  const naming = files.filter((file) => /graphile_worker\._private_/.test(readFileSync(join(ROOT, file), "utf8")));
  expect(naming.toSorted()).toEqual(["sql/definitions/graphile/tables.sql", "sql/definitions/graphile/triggers.sql"]);
});

it("in the sources, only src/db and src/worker/graphile name these tables", () => {
  const files = globSync("src/**/*.{ts,tsx}", { cwd: ROOT });
  const naming = files.filter((file) => /graphile_worker\._private_/.test(readFileSync(join(ROOT, file), "utf8")));
  expect(naming.filter((file) => !/^src\/(db|worker\/graphile)\//.test(file))).toEqual([]);
});

it("the views of graphile-worker's tables have all columns of these tables", async () => {
  const { rows } = await database.pool.query(
    `select t.relname as table, a.attname as column
     from (values ('_private_jobs', 'graphile_jobs'), ('_private_tasks', 'graphile_tasks'), ('_private_job_queues', 'graphile_job_queues'),
       ('_private_known_crontabs', 'graphile_crontabs')) as x (name, view)
     join pg_class t on t.relnamespace = 'graphile_worker'::regnamespace and t.relname = x.name
     join pg_attribute a on a.attrelid = t.oid and a.attnum > 0 and not a.attisdropped
     where not exists (
       select from pg_attribute v where v.attrelid = ('legwork_private.' || x.view)::regclass and v.attname = a.attname and v.atttypid = a.atttypid)`,
  );
  expect(rows).toEqual([]);
});
