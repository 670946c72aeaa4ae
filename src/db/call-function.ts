import type { Queryable } from "./pool.ts";
import { selectRows } from "./select-rows.ts";

/** The arguments of Legwork's functions that are jsonb, and that callers pass as text. */
const JSON_ARGUMENTS = new Set(["payload", "filter", "steps", "channels", "callback", "jobs", "entries", "requires"]);

/**
 * Named arguments of a call, as `payload => $1::text::jsonb`. The cast to text tells a driver that serializes parameters by their type in the statement,
 * such as postgres.js, that the JSON is serialized already. Without it, the driver would make a JSON string of it.
 */
export function namedArguments(parameters: readonly (readonly [name: string, value: unknown])[]): string {
  return parameters
    .map(([name, value], index) => {
      const isJson = typeof value === "string" && JSON_ARGUMENTS.has(name);
      return `${name} => $${index + 1}${isJson ? "::text::jsonb" : ""}`;
    })
    .join(", ");
}

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
  return await selectRows(
    client,
    `select * from ${name}(${namedArguments(given)})`,
    given.map(([, value]) => value),
  );
}
