import type { z } from "zod";
import { PayloadError } from "../errors.ts";

/** The payload as its task reads it. Throws a PayloadError (LW422) that names every field that does not fit. */
export function parsePayload(schema: z.ZodType | undefined, payload: unknown, task: string): unknown {
  if (schema === undefined) return payload;
  const parsed = schema.safeParse(payload);
  if (parsed.success) return parsed.data;
  throw new PayloadError(`The payload does not fit task '${task}': ${describeIssues(parsed.error)}.`, {
    hint: `select payload_schema from legwork.tasks where name = '${task}' shows what it takes.`,
    fields: parsed.error.issues.map(({ path, message }) => ({ path: ["payload", ...path], message })),
  });
}

export function describeIssues(error: z.ZodError): string {
  return error.issues
    .map((issue) => (issue.path.length > 0 ? `${issue.path.join(".")}: ${issue.message}` : issue.message))
    .join("; ");
}
