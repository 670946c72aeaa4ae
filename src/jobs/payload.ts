import type { z } from "zod";
import { PayloadError } from "../errors.ts";
import { describeIssues, validate } from "../validate.ts";

/** Returns the payload as its task reads it. Throws a PayloadError (LW422) that names every field that does not match. */
export function parsePayload(schema: z.ZodType | undefined, payload: unknown, task: string): unknown {
  if (schema === undefined) return payload;
  const parsed = validate(schema, payload);
  if (parsed.success) return parsed.data;
  throw new PayloadError(`The payload does not match task '${task}': ${describeIssues(parsed.error)}.`, {
    hint: `\`select payload_schema from legwork.tasks where name = '${task}'\` shows the schema.`,
    action: { do: "show_task", name: task },
    fields: parsed.error.issues.map(({ path, message }) => ({ path: ["payload", ...path], message })),
  });
}
