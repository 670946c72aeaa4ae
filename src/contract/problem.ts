import { z } from "zod";
import { at } from "./times.ts";
import { ERRORS, type ErrorCode } from "../errors.ts";

/** Faults that are told of one request. Somebody who reads them mends one and tries again. */
export const MAX_FAULTS = 20;

/** What is answered in place of a result: RFC 9457. */
export const problemSchema = z
  .object({
    type: z.string().describe("Names the kind of problem: urn:legwork:error: and the code."),
    title: z.string().describe("The kind of problem, in words; the same for each of its code."),
    status: z.int().describe("The HTTP status."),
    detail: z.string().describe("What is wrong with this request."),
    code: z.enum(Object.keys(ERRORS) as [ErrorCode, ...ErrorCode[]]).describe("Means the same in SQL and on the command line."),
    hint: z.string().optional().describe("What to do next."),
    retryAt: at.optional().describe("From when on the same request may succeed; of LW429."),
    errors: z
      .array(
        z.object({
          in: z.enum(["body", "query", "path", "header"]).describe("The part of the request."),
          field: z.string().describe("Where in it, as a path with dots; empty for the whole part."),
          message: z.string().describe("What is wrong with it."),
        }),
      )
      .optional()
      .describe(`The fields that are at fault: the first ${MAX_FAULTS}.`),
    moreErrors: z.int().optional().describe("How many more fields are at fault."),
  })
  .describe("A problem, as RFC 9457 has it.");

/** A problem as it is sent. */
export type Problem = z.input<typeof problemSchema>;
