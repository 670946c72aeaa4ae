import type { QueryResult } from "pg";

/**
 * Deletes all rows of the tables, which are separated by commas. `truncate` gives every table, index and TOAST table a new file, which takes
 * longer than most tests; these tables hold a few rows. As with `truncate`, row triggers do not run, and foreign keys are not checked, so
 * name the referencing tables too. Needs a superuser.
 */
export async function empty(client: { query(sql: string): Promise<QueryResult> }, tables: string): Promise<void> {
  const deletions = tables.split(",").map((table) => `delete from ${table.trim()};`);
  // Sent as one query, which is one transaction.
  await client.query(`select set_config('session_replication_role', 'replica', true); ${deletions.join(" ")}`);
}
