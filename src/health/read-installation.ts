import type { Queryable } from "../db/pool.ts";
import { selectRows } from "../db/select-rows.ts";

/** What is installed in the database, for a report. */
export interface Installation {
  readonly versions: Readonly<Record<string, string | null>>;
  /** The settings of `legwork.settings` by name. */
  readonly settings: Readonly<Record<string, string>>;
}

/** Reads the versions of Postgres and of the installed schemas, and the settings of the database. */
export async function readInstallation(client: Queryable): Promise<Installation> {
  const [versions] = await selectRows(
    client,
    `select current_setting('server_version') as postgres, version() as "postgresBuild",
       (select max(id)::text from graphile_worker.migrations) as "graphileWorkerMigration",
       (select max(version) from legwork_private.schema_version) as "legworkSchema"`,
    [],
  );
  const settings = await selectRows(client, "select name, value from legwork.settings order by name", []);
  return { versions, settings: Object.fromEntries(settings.map(({ name, value }) => [name, value])) };
}
