import { AsyncLocalStorage } from "node:async_hooks";
import type { ReadBudget } from "../../db/read-within.ts";
import type { CustomTypesConfig } from "pg";
import type { Pool, PoolClient } from "../../db/pool.ts";

/** The budget of the current request, which all its statements share. */
export const readBudget = new AsyncLocalStorage<ReadBudget>();

/**
 * A pool for PostGraphile that neither prepares named statements nor changes session settings. Behind a connection pooler in transaction mode, the
 * next statement may run on another connection, which lacks the prepared statement, and another client would inherit the settings.
 */
export function sessionlessPool(pool: Pool): Pool {
  return new Proxy(pool, {
    get(target, property) {
      if (property === "connect") return async () => sessionless(await target.connect());
      const value: unknown = Reflect.get(target, property, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}

interface Statement {
  readonly name?: string;
  readonly text: string;
  readonly types?: CustomTypesConfig;
}

function sessionless(client: PoolClient): PoolClient {
  // PostGraphile uses other properties of a connection only to prepare statements.
  return new Proxy(client, {
    get(target, property) {
      if (property === "query") {
        return async (statement: string | Statement) => {
          if (typeof statement !== "string") {
            const types = readBudget.getStore()?.counting(statement.types) ?? statement.types;
            return await target.query({ ...statement, name: undefined, types });
          }
          // PostGraphile sets `jit_optimize_above_cost`, which is irrelevant because all transactions have `jit = off`.
          return /^set /i.test(statement) ? { rows: [], rowCount: 0 } : await target.query(statement);
        };
      }
      const value: unknown = Reflect.get(target, property, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}
