import type { FastifyError, FastifyReply, FastifyRequest } from "fastify";
import type { z } from "zod";
import { inWordsOf } from "../../action.ts";
import { MAX_FAULTS, type Problem } from "../../contract/problem.ts";
import { ERRORS, type FieldError, LegworkError } from "../../errors.ts";
import type { Logger } from "../../log.ts";
import { cut } from "../../thrown.ts";
import { validate } from "../../validate.ts";
import { clientStatus, retryAfter, translateForClient } from "../plain-errors.ts";
import { REQUESTS } from "../request-wording.ts";

/** The longest detail and hint of a problem, and the longest message and name of a field (characters). They may quote the request. */
const MAX_TEXT = 1_000;
const MAX_FIELD_TEXT = 300;

/** The parts of a request that Fastify validates, and their names in problems. */
const PARTS = { body: "body", querystring: "query", params: "path", headers: "header" } as const;
type Part = (typeof PARTS)[keyof typeof PARTS];

/** A request that does not match its route's schema. */
class InvalidRequest extends LegworkError {
  readonly part: Part;

  constructor(part: Part, issues: readonly z.core.$ZodIssue[]) {
    const fields = issues.flatMap(fieldsOf);
    const [first] = fields;
    const field = first === undefined ? "" : fieldName(first.path);
    const isTooLarge = issues.some((issue) => issue.code === "custom" && issue.params?.code === "LW413");
    super(
      isTooLarge ? "LW413" : "LW400",
      `${field === "" ? `The ${part}` : `'${field}' (${part})`}: ${first?.message ?? "not valid"}.`,
      {
        hint: "GET /docs describes the requests of each route.",
        fields,
      },
    );
    this.part = part;
  }
}

/** Validates with zod, and reports which field of which part of the request is invalid. */
export function validatorCompiler({ schema, httpPart }: { schema: z.ZodType; httpPart?: string }) {
  const part = PARTS[(httpPart ?? "body") as keyof typeof PARTS] ?? "body";
  return (data: unknown): { value: unknown } | { error: Error } => {
    // A missing body is passed as null.
    const parsed = validate(schema, data ?? undefined);
    return parsed.success ? { value: parsed.data } : { error: new InvalidRequest(part, parsed.error.issues) };
  };
}

function fieldsOf(issue: z.core.$ZodIssue): FieldError[] {
  if (issue.code === "unrecognized_keys") {
    return issue.keys.map((key) => ({ path: [...issue.path, key], message: "unknown field" }));
  }
  return [{ path: issue.path, message: issue.message }];
}

function fieldName(path: readonly PropertyKey[]): string {
  return path.map(String).join(".");
}

/** Sends a problem, with details if the client can act on it. For a bug, the response contains only a general message. */
export function sendProblem(
  thrown: FastifyError | Error,
  request: FastifyRequest,
  reply: FastifyReply,
  log: Logger,
): FastifyReply {
  const error = translateForClient(thrown, request, log);
  const status = clientStatus(thrown) ?? error.status;
  const hint = inWordsOf(REQUESTS, error);
  const faults = error.fields?.slice(0, MAX_FAULTS);
  const more = (error.fields?.length ?? 0) - MAX_FAULTS;
  const problem: Problem = {
    type: `urn:legwork:error:${error.code}`,
    title: ERRORS[error.code].title,
    status,
    detail: cut(error.message, MAX_TEXT),
    code: error.code,
    hint: hint === undefined ? undefined : cut(hint, MAX_TEXT),
    action: error.action,
    retryAt: error.retryAt?.toISOString(),
    errors: faults?.map(({ path, message }) => ({
      in: error instanceof InvalidRequest ? error.part : request.method === "GET" ? "query" : "body",
      field: cut(fieldName(path), MAX_FIELD_TEXT),
      message: cut(message, MAX_FIELD_TEXT),
    })),
    ...(more > 0 ? { moreErrors: more } : {}),
  };
  if (error.code === "LW401") reply.header("www-authenticate", 'Bearer realm="legwork"');
  const wait = retryAfter(error);
  if (wait !== undefined) reply.header("retry-after", wait);
  return reply.code(status).type("application/problem+json").send(JSON.stringify(problem));
}
