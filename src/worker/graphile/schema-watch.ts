import { logFault, type Pool } from "../../db/pool.ts";
import type { Logger } from "../../log.ts";
import { Loop } from "../../loop.ts";

/** How often to check that the tables exist (ms). */
const INTERVAL_MS = 2_000;

/** The OIDs of one table in each schema. A recreated table has a different OID. */
const TABLES = `select to_regclass('graphile_worker._private_tasks')::oid::text as graphile_worker,
  to_regclass('legwork_private.worker_processes')::oid::text as legwork`;

/**
 * Detects that the tables were dropped while the worker is running. graphile-worker caches the ids of tasks, and in a recreated table, other tasks
 * have these ids, so it would run a job with the wrong task. Therefore `gone` resolves with the reason, and the worker must be restarted.
 */
export class SchemaWatch {
  readonly gone: Promise<Error>;
  readonly #loop: Loop;

  constructor({ pool, log }: { pool: Pool; log: Logger }) {
    const { promise, resolve } = Promise.withResolvers<Error>();
    this.gone = promise;
    let first: Record<string, string> | undefined;
    this.#loop = new Loop(
      async () => {
        const [tables] = (await pool.query<Record<string, string>>(TABLES)).rows;
        first ??= tables;
        for (const [schema, table] of Object.entries(tables ?? {})) {
          if (table === first?.[schema] && table !== null) continue;
          resolve(
            new Error(`the tables of the schema ${schema} ${table === null ? "were dropped" : "were dropped and recreated"}`),
          );
        }
      },
      {
        interval: INTERVAL_MS,
        onError: (error) =>
          logFault(pool, log, error, "Cannot check that the tables exist; retrying.", { event: "schema_watch_failed" }),
      },
    );
  }

  async stop(): Promise<void> {
    await this.#loop.stop();
  }
}
