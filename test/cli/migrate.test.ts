import { expect, it } from "vitest";
import { schemaFiles } from "../../src/db/schema-files.ts";
import { legwork } from "../support/cli.ts";
import { testDatabase } from "../support/database.ts";

const database = testDatabase({ empty: true });

const run = (...parameters: string[]): ReturnType<typeof legwork> =>
  legwork(["migrate", ...parameters], { DATABASE_URL: database.url, LEGWORK_LOG_LEVEL: "info" });

it("legwork migrate prints one summary, and --uninstall reports what it did and how to drop the remaining roles", async () => {
  const { migrations, definitions, version } = schemaFiles();
  const made = definitions.filter(({ kind }) => kind !== "comments").length;
  expect(await run()).toEqual({
    code: 0,
    stdout: `Migrated the database to Legwork ${version}: ${migrations.length} migration and ${made} definitions.\n`,
    stderr: "",
  });
  await database.pool.query("select legwork.create_roles()");
  await database.pool.query(
    "select graphile_worker.add_job('a'), legwork.pause_task('a') from legwork_private.register_tasks('[{\"name\": \"a\"}]')",
  );
  expect(await run("--uninstall", "--yes")).toEqual({
    code: 0,
    stdout: `Legwork has been removed. The schema graphile_worker is as it was before.
1 job that had been paused, limited or waiting for other jobs starts when due.
The roles legwork_admin, legwork_enqueuer, legwork_operator, legwork_reader, legwork_worker remain, because other databases on this server may use them. To drop them:
  drop role legwork_admin, legwork_enqueuer, legwork_operator, legwork_reader, legwork_worker;
If Postgres reports objects that depend on a role, it names their database. First uninstall Legwork there, or revoke the role's privileges there:
  drop owned by legwork_admin, legwork_enqueuer, legwork_operator, legwork_reader, legwork_worker;
`,
    stderr: "",
  });
});
