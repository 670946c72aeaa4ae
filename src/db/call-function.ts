import type { Queryable } from "./pool.ts";
import { selectRows } from "./select-rows.ts";

/**
 * Calls one of our SQL functions, such as `legwork.enqueue`, with named arguments, on the caller's connection and so in its transaction, and resolves to its
 * rows. An argument that is undefined is left to the function's default. Throws what the function raises as a LegworkError.
 */
export async function callFunction(
  client: Queryable,
  name: string,
  parameters: Readonly<Record<string, unknown>>,
  // oxlint-disable-next-line typescript/no-explicit-any -- the shape of node-postgres's own rows
): Promise<any[]> {
  const given = Object.entries(parameters).filter(([, value]) => value !== undefined);
  const named = given.map(([parameter], index) => `${parameter} => $${index + 1}`).join(", ");
  return await selectRows(
    client,
    `select * from ${name}(${named})`,
    given.map(([, value]) => value),
  );
}
