import type { Queryable } from "./pool.ts";
import { selectRows } from "./select-rows.ts";

/**
 * Calls one of Legwork's SQL functions, such as `legwork.enqueue`, with named arguments, on the caller's connection and in its transaction, and
 * returns its rows. If an argument is undefined, the function's default applies. Errors that the function raises are thrown as LegworkError.
 */
export async function callFunction(
  client: Queryable,
  name: string,
  parameters: Readonly<Record<string, unknown>>,
  // oxlint-disable-next-line typescript/no-explicit-any -- the type of node-postgres's own rows
): Promise<any[]> {
  const given = Object.entries(parameters).filter(([, value]) => value !== undefined);
  const named = given.map(([parameter], index) => `${parameter} => $${index + 1}`).join(", ");
  return await selectRows(
    client,
    `select * from ${name}(${named})`,
    given.map(([, value]) => value),
  );
}
