import type { Queryable } from "./pool.ts";
import { fromDatabaseError } from "./translate-error.ts";

/**
 * The rows of a statement, on the caller's connection and so in its transaction. What the database raises is thrown as the LegworkError that it
 * stands for, such as LW403 where the login lacks a role.
 */
// oxlint-disable-next-line typescript/no-explicit-any -- the shape of node-postgres's own rows
export async function selectRows(client: Queryable, text: string, values?: unknown[]): Promise<any[]> {
  try {
    return (await client.query(text, values)).rows;
  } catch (error) {
    throw fromDatabaseError(error);
  }
}
