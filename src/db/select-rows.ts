import type { Queryable } from "./pool.ts";
import { fromDatabaseError } from "./translate-error.ts";

/**
 * Runs a statement on the caller's connection and in its transaction, and returns its rows. Database errors are thrown as the corresponding
 * LegworkError, such as LW403 if the login lacks a role.
 */
// oxlint-disable-next-line typescript/no-explicit-any -- the type of node-postgres's own rows
export async function selectRows(client: Queryable, text: string, values?: unknown[]): Promise<any[]> {
  try {
    return (await client.query(text, values)).rows;
  } catch (error) {
    throw fromDatabaseError(error);
  }
}
