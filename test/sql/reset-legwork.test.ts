import { expect, it } from "vitest";
import { testDatabase } from "../support/database.ts";
import { resetLegwork } from "../support/reset-legwork.ts";

const database = testDatabase();

/** The number of rows in each table. */
async function counts(): Promise<Record<string, number>> {
  const { rows } = await database.pool.query(
    `select c.oid::regclass::text as name,
       (xpath('/row/n/text()', query_to_xml(format('select count(*) as n from %s', c.oid::regclass), false, true, '')))[1]::text::int as n
     from pg_class c
     where c.relnamespace in ('legwork'::regnamespace, 'legwork_private'::regnamespace, 'graphile_worker'::regnamespace) and c.relkind in ('r', 'p')
       and not c.relispartition`,
  );
  return Object.fromEntries(rows.filter(({ n }) => n > 0).map(({ name, n }) => [name, n]));
}

it("a reset database is the same as after migration, except for tasks", async () => {
  const migrated = await counts();
  await resetLegwork(database.pool);
  expect(await counts(), "the rows from migration remain").toEqual(migrated);
  await database.pool.query(`select legwork_private.register_tasks('[{"name": "t", "queue": "q"}]')`);
  const registered = await counts();
  await database.pool.query("select legwork.limit_concurrency(1, task => 't')");
  await database.pool.query("select legwork.enqueue('t', '{}', serial_key => 's') from generate_series(1, 3)");
  await database.pool.query("select legwork.pause_queue('q')");
  await database.pool.query("select legwork.cancel_job(id) from legwork.jobs limit 1");
  expect(Object.keys(await counts()).length).toBeGreaterThan(Object.keys(registered).length + 3);
  await resetLegwork(database.pool);
  expect(await counts()).toEqual(registered);
});
