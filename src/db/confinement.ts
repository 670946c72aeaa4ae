import type { Queryable } from "./pool.ts";

type Views = "legwork" | "legwork_confined" | "legwork_tenant";

/** The schema of the views for each client that may see only one tenant's jobs and attempts. */
const views = new WeakMap<Queryable, Views>();

/**
 * Returns the schema whose views `jobs` and `attempts` a client must use: `legwork_confined` while the client acts for one tenant, `legwork_tenant`
 * for a login that is confined to one tenant, otherwise `legwork`. The views in the other schemas have the same columns, but return no rows for this
 * client. They are separate because a single view would read the whole history for a small tenant.
 *
 * @example
 * import { viewsFor } from "legwork/operations";
 *
 * const { rows } = await client.query(`select count(*) from ${viewsFor(client)}.jobs where state = 'failed'`);
 */
export function viewsFor(client: Queryable): Views {
  return views.get(client) ?? "legwork";
}

/** Runs `work` with the client marked as confined to a tenant. */
export async function whileConfined<T>(client: Queryable, work: () => Promise<T>): Promise<T> {
  views.set(client, "legwork_confined");
  try {
    return await work();
  } finally {
    views.delete(client);
  }
}

/**
 * Checks once whether the login of a pool is confined to a tenant. From then on, the operations on this pool, and `viewsFor`, use the views that
 * return rows for this login. Call it once for each pool that you create yourself; `createLegwork` and the command line already call it for theirs.
 * It does not fail for a login without any role: the next statement reports the missing privilege.
 *
 * @example
 * import { findViews, listJobs } from "legwork/operations";
 *
 * await findViews(pool);
 * const jobs = await listJobs(pool, { limit: 20 });
 */
export async function findViews(pool: Queryable): Promise<void> {
  const { rows: may } = await pool.query(
    "select from pg_namespace where nspname = 'legwork' and has_schema_privilege(oid, 'usage')",
  );
  if (may.length === 0) return;
  const { rows } = await pool.query("select from legwork_private.confined_logins where login = session_user");
  if (rows.length > 0) views.set(pool, "legwork_tenant");
}

/** Uses the pool's views for a client with the same login, unless the client already acts for a tenant. */
export function sameViews<Q extends Queryable>(pool: Queryable, client: Q): Q {
  const ofLogin = views.get(pool);
  if (ofLogin !== undefined && !views.has(client)) views.set(client, ofLogin);
  return client;
}
