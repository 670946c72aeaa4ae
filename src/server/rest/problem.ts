import type { FastifyError, FastifyReply, FastifyRequest } from "fastify";
import type { z } from "zod";
import { MAX_FAULTS, type Problem } from "../../contract/problem.ts";
import { fromDatabaseError } from "../../db/pool.ts";
import { ERRORS, type FieldError, LegworkError, toError } from "../../errors.ts";
import type { Logger } from "../../log.ts";
import { cut, propertyOf } from "../../thrown.ts";

/** The longest detail and hint of a problem, and the longest message and name of a field (characters): they may quote what was sent. */
const MAX_TEXT = 1_000;
const MAX_FIELD_TEXT = 300;

/** Where Fastify finds what is validated, and what we call it. */
const PARTS = { body: "body", querystring: "query", params: "path", headers: "header" } as const;
type Part = (typeof PARTS)[keyof typeof PARTS];

/** A request that does not fit its route's schema. */
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
        hint: "GET /docs describes what each route takes.",
        fields,
      },
    );
    this.part = part;
  }
}

/** Validates by zod, and says which field of which part of the request is at fault. */
export function validatorCompiler({ schema, httpPart }: { schema: z.ZodType; httpPart?: string }) {
  const part = PARTS[(httpPart ?? "body") as keyof typeof PARTS] ?? "body";
  return (data: unknown): { value: unknown } | { error: Error } => {
    // No body at all comes as null.
    const parsed = schema.safeParse(data ?? undefined);
    return parsed.success ? { value: parsed.data } : { error: new InvalidRequest(part, parsed.error.issues) };
  };
}

function fieldsOf(issue: z.core.$ZodIssue): FieldError[] {
  if (issue.code === "unrecognized_keys") {
    return issue.keys.map((key) => ({ path: [...issue.path, key], message: "there is no such field" }));
  }
  return [{ path: issue.path, message: issue.message }];
}

function fieldName(path: readonly PropertyKey[]): string {
  return path.map(String).join(".");
}

/** Answers with a problem. What the client can act on is told; of anything else it learns only that there is a bug. */
export function sendProblem(
  thrown: FastifyError | Error,
  request: FastifyRequest,
  reply: FastifyReply,
  log: Logger,
): FastifyReply {
  const error = explain(thrown, request, log);
  const status = httpStatus(thrown as { statusCode?: unknown }) ?? error.status;
  const faults = error.fields?.slice(0, MAX_FAULTS);
  const more = (error.fields?.length ?? 0) - MAX_FAULTS;
  const problem: Problem = {
    type: `urn:legwork:error:${error.code}`,
    title: ERRORS[error.code].title,
    status,
    detail: cut(error.message, MAX_TEXT),
    code: error.code,
    hint: error.hint === undefined ? undefined : cut(inWordsOfRest(error.hint), MAX_TEXT),
    retryAt: error.retryAt?.toISOString(),
    errors: faults?.map(({ path, message }) => ({
      in: error instanceof InvalidRequest ? error.part : request.method === "GET" ? "query" : "body",
      field: cut(fieldName(path), MAX_FIELD_TEXT),
      message: cut(message, MAX_FIELD_TEXT),
    })),
    ...(more > 0 ? { moreErrors: more } : {}),
  };
  if (error.code === "LW401") reply.header("www-authenticate", 'Bearer realm="legwork"');
  if (error.retryAt !== undefined) {
    reply.header("retry-after", Math.max(0, Math.ceil((error.retryAt.getTime() - Date.now()) / 1_000)));
  }
  return reply.code(status).type("application/problem+json").send(JSON.stringify(problem));
}

/** What a hint says in SQL, as somebody who has only HTTP can do it. */
function inWordsOfRest(hint: string): string {
  return hint
    .replaceAll(/select (?:id, )?name from legwork\.(\w+) lists them/g, "GET /api/v1/$1 lists them")
    .replaceAll(
      /select name from legwork\.workflow_steps where workflow_id = (\d+) lists them/g,
      "GET /api/v1/workflows/$1 lists them",
    )
    .replaceAll(/select payload_schema from legwork\.tasks where name = '.*' shows/g, "GET /api/v1/tasks/{name} shows")
    .replaceAll(/legwork\.(cancel|retry|discard)_job /g, "POST /api/v1/jobs/{id}/$1 ")
    .replaceAll(/ => '?([^',.]+)'?/g, " $1");
}

/** The status that Fastify itself gives to a request it cannot read, such as 415. */
function httpStatus(error: { statusCode?: unknown }): number | undefined {
  const status = error.statusCode;
  return typeof status === "number" && status >= 400 && status < 500 && !(error instanceof LegworkError) ? status : undefined;
}

function explain(thrown: Error & { code?: unknown }, request: FastifyRequest, log: Logger): LegworkError {
  const error = fromDatabaseError(thrown);
  if (error instanceof LegworkError) {
    // A right that the server's own login lacks is for its administrator to see, too.
    if (propertyOf(error.cause, "code") === "42501")
      log.error({ err: error, method: request.method, url: request.url }, "A request failed.");
    return error;
  }
  const known = explainDatabase(thrown) ?? explainHttp(thrown);
  if (known !== undefined) return known;
  log.error({ err: toError(thrown), method: request.method, url: request.url }, "A request failed.");
  return new LegworkError("LW500", "Internal error.", { hint: "The server's log says more." });
}

function explainDatabase(error: Error & { code?: unknown }): LegworkError | undefined {
  const code = typeof error.code === "string" ? error.code : "";
  if (code === "57014") {
    return new LegworkError("LW504", "The database took too long and was stopped.", {
      hint: "Ask for less: a smaller page, a filter that fewer jobs fit, fewer jobs at once.",
    });
  }
  if (/^(40001|40P01|55P03)$/.test(code)) {
    return new LegworkError("LW503", "Somebody else was changing the same.", {
      hint: "Nothing was done. Send the request again.",
    });
  }
  // Nested too deeply, too many arguments, too long for an index.
  if (/^54...$/.test(code)) {
    return new LegworkError("LW413", "A value is too large for the database.", { hint: "Send a smaller or flatter one." });
  }
  if (
    /^(08...|28...|3D000|53300|57P0.|ECONN.*|ENOTFOUND|EAI_AGAIN|ETIMEDOUT|EPIPE)$/.test(code) ||
    /timeout exceeded when trying to connect|Connection terminated|not currently accepting connections/.test(error.message)
  ) {
    return new LegworkError("LW503", "The database does not answer.", { hint: "Try again; GET /ready says when it does." });
  }
  return undefined;
}

function explainHttp(error: Error & { code?: unknown }): LegworkError | undefined {
  const status = httpStatus(error as { statusCode?: unknown });
  if (status === undefined) return undefined;
  if (status === 413) return new LegworkError("LW413", "The request is too large.", { hint: "Send it in several requests." });
  const message =
    error.code === "FST_ERR_CTP_INVALID_JSON_BODY"
      ? "The body is not valid JSON, or has a field __proto__ or constructor.prototype, which is not taken."
      : `${error.message.replace(/\.?$/, "")}.`;
  return new LegworkError("LW400", message, {
    hint: "Send JSON with Content-Type: application/json.",
    // The body as a whole: nothing of it could be read.
    fields: status === 400 || status === 415 ? [{ path: [], message }] : undefined,
  });
}
