import { z } from "zod";
import type { Queryable } from "../db/pool.ts";
import { selectRows } from "../db/select-rows.ts";
import { LegworkError } from "../errors.ts";
import { parsePayload } from "../jobs/payload.ts";

/** Returns why a task does not accept a payload (as JSON text); undefined if it does. */
export type PayloadCheck = (task: string, payload: string) => string | undefined;

/** Checks payloads against the schemas that workers have registered. */
export async function payloadCheck(client: Queryable): Promise<PayloadCheck> {
  const rows = await selectRows(
    client,
    "select name, payload_schema::text as schema from legwork.tasks where payload_schema is not null",
  );
  const schemas = new Map<string, z.ZodType>(rows.map((row) => [row.name, z.fromJSONSchema(JSON.parse(row.schema))]));
  return (task, payload) => {
    let value: unknown;
    try {
      value = JSON.parse(payload);
    } catch {
      return "Its payload is not JSON.";
    }
    const schema = schemas.get(task);
    if (schema === undefined) return undefined;
    try {
      parsePayload(schema, value, task);
      return undefined;
    } catch (error) {
      if (error instanceof LegworkError) return error.message;
      throw error;
    }
  };
}
