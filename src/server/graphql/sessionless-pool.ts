import type { Pool, PoolClient } from "../../db/pool.ts";

/**
 * A pool as PostGraphile gets it: no statement is prepared by name, and nothing is set for the session. Behind a connection pooler in transaction mode the
 * next statement may run on another connection to Postgres, which does not have the one, and another client would inherit the other.
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
}

function sessionless(client: PoolClient): PoolClient {
  // PostGraphile asks for more of a connection only to prepare statements.
  return new Proxy(client, {
    get(target, property) {
      if (property === "query") {
        return async (statement: string | Statement) => {
          if (typeof statement !== "string") return await target.query({ ...statement, name: undefined });
          // It wants `jit_optimize_above_cost`; every transaction of ours has `jit = off`.
          return /^set /i.test(statement) ? { rows: [], rowCount: 0 } : await target.query(statement);
        };
      }
      const value: unknown = Reflect.get(target, property, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}
