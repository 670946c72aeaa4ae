import type { Queryable } from "./pool.ts";

/** Clients in a transaction that is confined to a tenant. */
const confined = new WeakSet<Queryable>();

/**
 * The schema of the views `jobs` and `attempts` for a client: `legwork`, or `legwork_confined` while it acts for one tenant. The other
 * one's shows no row. Their columns are the same; apart, because one view for both would read the whole history for a small tenant.
 */
export function viewsFor(client: Queryable): "legwork" | "legwork_confined" {
  return confined.has(client) ? "legwork_confined" : "legwork";
}

/** Runs `work`, during which the client counts as confined to a tenant. */
export async function whileConfined<T>(client: Queryable, work: () => Promise<T>): Promise<T> {
  confined.add(client);
  try {
    return await work();
  } finally {
    confined.delete(client);
  }
}
