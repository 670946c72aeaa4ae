import { fastify, type FastifyInstance } from "fastify";
import { pino } from "pino";
import { buildSchema, graphql as runQuery, GraphQLError } from "postgraphile/graphql";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { z } from "zod";
import { reportError } from "../../src/cli/report-error.ts";
import { selectRows } from "../../src/db/select-rows.ts";
import { LegworkError } from "../../src/errors.ts";
import { masked } from "../../src/server/graphql/masked-errors.ts";
import { asLegworkError, clientStatus, sendError } from "../../src/server/plain-errors.ts";
import { sendProblem } from "../../src/server/rest/problem.ts";
import { testDatabase } from "../support/database.ts";

const database = testDatabase();
const logged: string[] = [];
const log = pino({}, { write: (line) => void logged.push(line) });

/** The error that the server's routes throw. */
let thrown: unknown;
let app: FastifyInstance;

beforeAll(async () => {
  app = fastify({ genReqId: () => "6e1f" });
  await app.register(async (api) => {
    api.setErrorHandler((error: Error, request, reply) => sendProblem(error, request, reply, log));
    api.get("/rest", () => Promise.reject(thrown as Error));
  });
  app.setErrorHandler((error: never, request, reply) =>
    sendError(reply, asLegworkError(error, request, log), clientStatus(error)),
  );
  app.get("/plain", () => Promise.reject(thrown as Error));
});
afterAll(async () => {
  await app.close();
});

interface Answer {
  code: unknown;
  text: string;
}

/** The response of each surface to the given error. */
async function answersTo(error: unknown): Promise<Record<"rest" | "plain" | "graphql" | "cli", Answer>> {
  thrown = error;
  const [rest, plain] = [await app.inject("/rest"), await app.inject("/plain")];
  const graphql = masked(new GraphQLError("wrapped", { originalError: error as Error, path: ["jobs"] }), log);
  const print = vi.spyOn(console, "error").mockImplementation(() => undefined);
  reportError(error);
  const printed = print.mock.calls.join("\n");
  print.mockRestore();
  return {
    rest: { code: rest.json().code, text: rest.body },
    plain: { code: plain.json().code, text: plain.body },
    graphql: { code: graphql.extensions.code, text: JSON.stringify(graphql) },
    cli: { code: /\((LW\d+)\)/.exec(printed)?.[1], text: printed },
  };
}

/** The error that a SQL function raises with this SQLSTATE. */
async function raised(sqlState: string, message = "something secret"): Promise<Error> {
  const error = await database.pool.query(`do $$ begin raise exception '${message}' using errcode = '${sqlState}'; end $$`).then(
    () => new Error("Nothing was raised."),
    (reason: unknown) => reason as Error,
  );
  expect(error).toMatchObject({ code: sqlState });
  return error;
}

/** Every class of Postgres's SQLSTATEs, with a code that no line below covers. */
const CLASSES =
  "02 03 08 09 0A 0B 0F 0L 0P 0Z 20 21 22 23 24 25 26 27 28 2B 2D 2F 34 38 39 3B 3D 3F 40 42 44 53 54 55 57 58 F0 HV P0 XX"
    .split(" ")
    .map((name) => `${name}Z99`);

const CODES: Record<string, string> = {
  "08Z99": "LW503",
  "22Z99": "LW400",
  "28Z99": "LW503",
  "40Z99": "LW503",
  "53Z99": "LW503",
  "54Z99": "LW413",
  "08006": "LW503",
  "22003": "LW400",
  "22P02": "LW400",
  "2200H": "LW503",
  "23505": "LW500",
  "23514": "LW400",
  "25006": "LW503",
  "25P03": "LW503",
  "25P04": "LW504",
  "28P01": "LW503",
  "3D000": "LW503",
  "40001": "LW503",
  "40P01": "LW503",
  "42501": "LW403",
  "42P01": "LW500",
  "53100": "LW503",
  "53300": "LW503",
  "54001": "LW413",
  "55P03": "LW503",
  "57014": "LW504",
  "57P01": "LW503",
  "57P02": "LW503",
  "57P03": "LW503",
  P0001: "LW500",
  LW404: "LW404",
  LW409: "LW409",
};

const coded = (code: string | undefined, message: string): Error => Object.assign(new Error(message), { code });
const refused = (statusCode: number, code: string): Error => Object.assign(new Error("It cannot be read"), { statusCode, code });

const LIBRARY_ERRORS: [name: string, error: () => unknown, code: string][] = [
  ["a refused connection", () => coded("ECONNREFUSED", "connect ECONNREFUSED"), "LW503"],
  ["a reset connection", () => coded("ECONNRESET", "read ECONNRESET"), "LW503"],
  ["a closed pipe", () => coded("EPIPE", "write EPIPE"), "LW503"],
  ["an unknown host", () => coded("ENOTFOUND", "getaddrinfo ENOTFOUND"), "LW503"],
  ["an ended connection", () => coded(undefined, "Connection terminated unexpectedly"), "LW503"],
  ["no connection in time", () => coded(undefined, "timeout exceeded when trying to connect"), "LW503"],
  ["a database that is being dropped", () => coded("55000", 'database "a" is not currently accepting connections'), "LW503"],
  ["no response in time", () => coded(undefined, "Query read timeout"), "LW504"],
  ["a value that its schema rejects", () => z.object({ a: z.string() }).safeParse({ a: 1 }).error, "LW400"],
  ["a body that is not JSON", () => refused(400, "FST_ERR_CTP_INVALID_JSON_BODY"), "LW400"],
  ["a body of another type", () => refused(415, "FST_ERR_CTP_INVALID_MEDIA_TYPE"), "LW400"],
  ["a body that is too long", () => refused(413, "FST_ERR_CTP_BODY_TOO_LARGE"), "LW413"],
  ["a missing right", () => new LegworkError("LW403", "This needs the role admin."), "LW403"],
  ["a bug", () => new TypeError("x is not a function"), "LW500"],
  ["a failure without a message", () => new Error(""), "LW500"],
];

describe("every error has one code on all surfaces", () => {
  it.each([...new Set([...CLASSES, ...Object.keys(CODES)])])("SQLSTATE %s", async (sqlState) => {
    const expected = CODES[sqlState] ?? "LW500";
    const error = await raised(sqlState);
    const answers = await answersTo(error);
    const codes = Object.values(answers).map(({ code }) => code);
    expect(codes).toEqual([expected, expected, expected, expected]);
    const call = await selectRows(database.pool, `do $$ begin raise exception 'x' using errcode = '${sqlState}'; end $$`).catch(
      (reason: unknown) => reason,
    );
    // TypeScript callers receive an unknown error unchanged.
    expect(call).toMatchObject({ code: expected === "LW500" ? sqlState : expected });
  });

  it.each(LIBRARY_ERRORS)("%s", async (_name, error, expected) => {
    const codes = Object.values(await answersTo(error())).map(({ code }) => code);
    expect(codes).toEqual([expected, expected, expected, expected]);
  });
});

it("an unknown error is LW500 with the request's id, and only the log has its details", async () => {
  const error = await raised("XX000", "password hunter2 in table secrets");
  const { rest, plain, graphql } = await answersTo(error);
  for (const { code, text } of [rest, plain, graphql]) {
    expect(code).toBe("LW500");
    expect(text).not.toMatch(/hunter2|secrets|XX000/);
    const [, id] = /See the server's log for details on request ([\w-]+)\./.exec(text) ?? [];
    expect(logged.filter((line) => line.includes(`"requestId":"${id}"`) && line.includes("hunter2"))).not.toEqual([]);
  }
  expect(rest.text).toContain("request 6e1f.");
});

it("an error about an invalid value in SQL names the field", async () => {
  const error = await database.pool
    .query("select legwork_private.assert_number('max_attempts', 0, 1, 32767)")
    .catch((reason: unknown) => reason);
  const { rest } = await answersTo(error);
  expect(JSON.parse(rest.text)).toMatchObject({
    code: "LW400",
    errors: [{ field: "maxAttempts", message: "max_attempts is 0; it must be between 1 and 32767." }],
  });
});

it("an error about an invalid variable or argument in GraphQL names the field", async () => {
  const schema = buildSchema("type Query { job(id: Int): Int }");
  const told = async (source: string, variableValues = {}): Promise<unknown[]> =>
    ((await runQuery({ schema, source, variableValues })).errors ?? []).map((error) => masked(error, log).extensions);
  expect(await told("query ($from: Int) { job(id: $from) }", { from: "x" })).toEqual([{ code: "LW400", field: "from" }]);
  expect(await told('{ job(id: "x") }')).toMatchObject([{ code: "LW400" }]);
  expect(await told("{ jop }")).toMatchObject([{ code: "LW400" }]);
});

it("the time to wait before a retry is at least a second on every surface that returns it", async () => {
  thrown = new LegworkError("LW429", "Too many.", { retryAt: new Date(Date.now() - 5_000) });
  expect((await app.inject("/rest")).headers["retry-after"]).toBe("1");
  expect((await app.inject("/plain")).headers["retry-after"]).toBe("1");
});
