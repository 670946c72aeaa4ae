import { logFault, type Pool } from "../../db/pool.ts";
import type { Logger } from "../../log.ts";
import { Loop } from "../../loop.ts";

/** How often the tables are looked for (ms). */
const INTERVAL_MS = 2_000;

/** One table of each schema, as numbers that a table created again does not have. */
const TABLES = `select to_regclass('graphile_worker._private_tasks')::oid::text as graphile_worker,
  to_regclass('legwork_private.worker_processes')::oid::text as legwork`;

/**
 * Notices that the tables were dropped under a running worker. graphile-worker keeps the numbers of tasks, which a table created again gives to
 * others: it would run a job with the wrong task. So `gone` resolves, with the reason, and the worker is to start again.
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
            new Error(`the tables of the schema ${schema} ${table === null ? "were dropped" : "were dropped and created again"}`),
          );
        }
      },
      {
        interval: INTERVAL_MS,
        onError: (error) => logFault(pool, log, error, "Cannot look for the tables; retrying.", { event: "schema_watch_failed" }),
      },
    );
  }

  async stop(): Promise<void> {
    await this.#loop.stop();
  }
}
