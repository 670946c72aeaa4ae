import type { Queryable } from "./pool.ts";

type Views = "legwork" | "legwork_confined" | "legwork_tenant";

/** Where clients find jobs and attempts, of those that do not see everything. */
const views = new WeakMap<Queryable, Views>();

/**
 * The schema of the views `jobs` and `attempts` for a client: `legwork`; `legwork_confined` while it acts for one tenant; `legwork_tenant` for a login that is
 * confined to one. The others show no row. Their columns are the same; apart, because one view for all would read the whole history for a small tenant.
 */
export function viewsFor(client: Queryable): Views {
  return views.get(client) ?? "legwork";
}

/** Runs `work`, during which the client counts as confined to a tenant. */
export async function whileConfined<T>(client: Queryable, work: () => Promise<T>): Promise<T> {
  views.set(client, "legwork_confined");
  try {
    return await work();
  } finally {
    views.delete(client);
  }
}

/**
 * Asks once whether the login of a pool is confined to a tenant, so that from now on `viewsFor` names the views in which it finds its rows. A login without any
 * role hears what it lacks from what it asks for next.
 */
export async function findViews(pool: Queryable): Promise<void> {
  const { rows: may } = await pool.query(
    "select from pg_namespace where nspname = 'legwork' and has_schema_privilege(oid, 'usage')",
  );
  if (may.length === 0) return;
  const { rows } = await pool.query("select from legwork_private.confined_logins where login = session_user");
  if (rows.length > 0) views.set(pool, "legwork_tenant");
}

/** A client of the same login as the pool finds its rows in the same views, unless it acts for a tenant already. */
export function sameViews<Q extends Queryable>(pool: Queryable, client: Q): Q {
  const ofLogin = views.get(pool);
  if (ofLogin !== undefined && !views.has(client)) views.set(client, ofLogin);
  return client;
}
