import { z } from "zod";
import { at } from "./times.ts";
import { ERRORS, type ErrorCode } from "../errors.ts";

/** The maximum number of invalid fields that one response lists: clients fix some and try again. */
export const MAX_FAULTS = 20;

/** The body of an error response: a problem as defined in RFC 9457. */
export const problemSchema = z
  .object({
    type: z.string().describe("The kind of problem: urn:legwork:error: followed by the code."),
    title: z.string().describe("The kind of problem in words; the same for every problem with this code."),
    status: z.int().describe("The HTTP status."),
    detail: z.string().describe("What is wrong with this request."),
    code: z
      .enum(Object.keys(ERRORS) as [ErrorCode, ...ErrorCode[]])
      .describe("The error code, which is the same in SQL and on the command line."),
    hint: z.string().optional().describe("What to do next."),
    action: z
      .object({ do: z.string(), id: z.string().optional(), name: z.string().optional() })
      .optional()
      .describe("The hint in machine-readable form: an action such as retry_job, and the id or name of its target."),
    retryAt: at.optional().describe("When the same request may succeed; only with LW429."),
    errors: z
      .array(
        z.object({
          in: z.enum(["body", "query", "path", "header"]).describe("The part of the request."),
          field: z.string().describe("The path of the field, separated by dots; empty for the whole part."),
          message: z.string().describe("What is wrong with it."),
        }),
      )
      .optional()
      .describe(`The invalid fields: the first ${MAX_FAULTS}.`),
    moreErrors: z.int().optional().describe("The number of further invalid fields."),
  })
  .describe("A problem as defined in RFC 9457.");

/** A problem as sent to the client. */
export type Problem = z.input<typeof problemSchema>;
