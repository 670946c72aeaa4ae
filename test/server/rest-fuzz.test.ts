import assert from "node:assert/strict";
import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import { z } from "zod";
import type { Server } from "../../src/server/server.ts";
import { testDatabase } from "../support/database.ts";
import { sized } from "../support/long.ts";
import { fitting, HOSTILE, nearly, type OpenApi, type Operation, operationsOf, type Schema } from "../support/openapi.ts";
import { restToken, startRest } from "../support/rest.ts";
import { scaled } from "../support/slowness.ts";

const database = testDatabase();
let server: Server;
let operations: Operation[];
let jobs: string[];

beforeAll(async () => {
  await database.pool.query(`select legwork_private.register_tasks('[
    {"name": "notify/email", "queue": "notification"}, {"name": "report/daily"}, {"name": "mail/send", "queue": "mail"}]')`);
  const { rows } = await database.pool.query(
    "select legwork.enqueue('notify/email', jsonb_build_object('n', n), correlation_id => 'c')::text as id from generate_series(1, 30) n",
  );
  jobs = rows.map(({ id }) => id);
  await database.pool.query("select graphile_worker.permanently_fail_jobs($1::bigint[], 'broken')", [jobs.slice(0, 10)]);
  await database.pool.query("select graphile_worker.complete_jobs($1::bigint[])", [jobs.slice(10, 15)]);
  server = await startRest(database);
  operations = operationsOf(await openApi());
});
afterAll(async () => {
  await server.stop();
});

async function openApi(): Promise<OpenApi> {
  return (await (await fetch(`${server.url}/docs/json`)).json()) as OpenApi;
}

interface Request {
  path: Record<string, unknown>;
  query: Record<string, unknown>;
  headers: Record<string, string>;
  body: unknown;
}

/** A value as text, cut to a length that Node accepts in a URL or header. */
function asText(value: unknown): string {
  return (typeof value === "string" ? value : JSON.stringify(value)).toWellFormed().slice(0, 3_000);
}

async function send(
  operation: Operation,
  { path, query, headers, body }: Request,
): Promise<{ status: number; type: string; text: string }> {
  const url = new URL(
    server.url + operation.path.replaceAll(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(segment(path[name]))),
  );
  for (const [name, value] of Object.entries(query))
    if (value !== undefined) url.searchParams.append(name.toWellFormed(), asText(value));
  const response = await fetch(url, {
    method: operation.method,
    headers: {
      authorization: `Bearer ${restToken}`,
      ...headers,
      ...(body === undefined ? {} : { "content-type": "application/json" }),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  return {
    status: response.status,
    type: response.headers.get("content-type")?.split(";")[0] ?? "",
    text: await response.text(),
  };
}

/** Mostly names that exist, because only existing names reach the code behind the lookup. */
function parameter(name: string, schema: Schema): fc.Arbitrary<unknown> {
  const known = name === "id" ? jobs : name === "name" ? ["notify/email", "notification", "mail", "default"] : undefined;
  if (known === undefined) return nearly(schema);
  return fc.oneof({ weight: 4, arbitrary: fc.constantFrom(...known) }, { weight: 1, arbitrary: nearly(schema) });
}

function requests(operation: Operation): fc.Arbitrary<Request> {
  const of = (part: string, optional: boolean): fc.Arbitrary<Record<string, unknown>> =>
    fc.record(
      Object.fromEntries(
        operation.parameters.filter((p) => p.in === part).map(({ name, schema }) => [name, parameter(name, schema)]),
      ),
      optional ? { requiredKeys: [] } : {},
    );
  const headers = of("header", true).map((record) =>
    Object.fromEntries(
      Object.entries(record)
        .map(([name, value]) => [name, asText(value).slice(0, 500).trim()] as const)
        .filter(([, value]) => /^[\x20-\x7e]*$/.test(value)),
    ),
  );
  const body =
    operation.body === undefined
      ? fc.constant(undefined)
      : fc.oneof(
          { weight: 1, arbitrary: fc.constant(operation.body.example) },
          { weight: 6, arbitrary: nearly(operation.body.schema) },
        );
  return fc.record({ path: of("path", false), query: of("query", true), headers, body });
}

/** Checks that the OpenAPI document describes the response, and that the response reveals no internals. */
function assertDescribed(operation: Operation, answer: { status: number; type: string; text: string }): void {
  const told = `${operation.method} ${operation.path}: ${answer.status} ${answer.type} ${answer.text.slice(0, 500)}`;
  assert.ok(answer.status < 500, told);
  const schema = operation.answers.get(`${answer.status} ${answer.type}`);
  assert.ok(schema, `not described: ${told}`);
  if (answer.text === "") return;
  const body = JSON.parse(answer.text);
  assert.deepEqual(schema.safeParse(body).error?.issues, undefined, told);
  if (answer.status < 400) return;
  assert.equal(body.status, answer.status, told);
  // No stack trace, no statement and no internal name.
  assert.doesNotMatch(
    answer.text,
    /node_modules|\.[tj]s:\d|_private_|\bat \w+ \(|\b(select|insert into|delete from) \S+ (from|values|where)\b|sqlstate|violates|PL\/pgSQL/i,
  );
}

/** Path parameters for which a request reaches its handler. */
function pathOf(operation: Operation): Record<string, unknown> {
  const known: Record<string, unknown> = { id: jobs.at(-1), name: "notify/email" };
  return Object.fromEntries(
    operation.parameters
      .filter((p) => p.in === "path")
      .map(({ name, schema }) => [name, known[name] ?? (schema.enum as unknown[] | undefined)?.[0] ?? "x"]),
  );
}

test("every route has a summary, its security, responses, problems, and an example body", async () => {
  expect(operations.length).toBeGreaterThan(35);
  const document = await openApi();
  for (const [path, methods] of Object.entries(document.paths)) {
    assert.match(path, /^\/api\/v1\//);
    for (const [method, { summary = "", security, responses }] of Object.entries(methods)) {
      const told = `${method} ${path}`;
      assert.match(summary, /^[A-Z].{8,}[^.]$/, told);
      assert.deepEqual(security, [{ token: [] }], told);
      const statuses = Object.keys(responses);
      for (const status of ["400", "401", "403", "503"]) assert.ok(statuses.includes(status), `${told} ${status}`);
      assert.ok(
        statuses.some((status) => status.startsWith("20")),
        told,
      );
    }
  }
  for (const { method, path, body } of operations)
    assert.ok(body === undefined || body.example !== undefined, `${method} ${path} has no example`);
});

test("the example of each body is accepted", async () => {
  for (const operation of operations.filter(({ body }) => body !== undefined)) {
    const answer = await send(operation, { path: pathOf(operation), query: {}, headers: {}, body: operation.body?.example });
    assert.notEqual(answer.status, 400, `${operation.method} ${operation.path}: ${answer.text}`);
    assertDescribed(operation, answer);
  }
});

test(
  "no request gets a 5xx, and each response matches the description",
  async () => {
    for (const operation of operations) {
      await fc.assert(
        fc.asyncProperty(requests(operation), async (request) => {
          assertDescribed(operation, await send(operation, request));
        }),
        { numRuns: sized(8, 40) },
      );
    }
  },
  scaled(120_000),
);

interface Place {
  in: string;
  name: string;
  schema: Schema;
  make: (value: unknown) => Request;
}

/** Each field of an operation's request, and a request that is valid except for it. */
function placesOf(operation: Operation): Place[] {
  const base = { path: pathOf(operation), query: {}, headers: {}, body: operation.body?.example };
  const parameters = operation.parameters
    .filter((p) => p.in !== "header")
    .map(({ in: part, name, schema }) => ({
      in: part,
      name,
      schema,
      make: (value: unknown) => ({ ...base, [part]: { ...base[part as "path"], [name]: value } }),
    }));
  const { oneOf, anyOf, ...plain } = operation.body?.schema ?? {};
  const [variant = plain] = ((oneOf ?? anyOf) as Schema[] | undefined) ?? [];
  const fields = Object.entries((variant.properties ?? {}) as Record<string, Schema>).map(([name, schema]) => ({
    in: "body",
    name,
    schema,
    make: (value: unknown) => ({ ...base, body: { ...(base.body as object), [name]: value } }),
  }));
  return [...parameters, ...fields];
}

/** A value as a path segment. Segments that URL parsers normalize cannot be sent. */
function segment(value: unknown): string {
  const text = asText(value);
  return text === "." || text === ".." ? `${text} ` : text;
}

/** Whether the field's schema rejects a hostile value. */
function isRefused({ in: part, schema }: Place, value: unknown): boolean {
  const validator = z.fromJSONSchema(schema);
  if (part === "body") return !validator.safeParse(value).success;
  const text = asText(value);
  // An empty segment would result in a different path.
  if (text === "" || text.includes("\u0000")) return false;
  return !validator.safeParse(schema.type === "integer" ? Number(text) : text).success;
}

test(
  "an invalid value gets a 400 that names the field",
  async () => {
    for (const operation of operations) {
      for (const place of placesOf(operation)) {
        for (const value of HOSTILE.filter((hostile) => isRefused(place, hostile)).slice(0, sized(4, 12))) {
          const { status, text } = await send(operation, place.make(value));
          const told = `${operation.method} ${operation.path} ${place.in}.${place.name} = ${JSON.stringify(value)?.slice(0, 80)}: ${status} ${text.slice(0, 300)}`;
          assert.equal(status, 400, told);
          const errors: { in: string; field: string }[] = JSON.parse(text).errors ?? [];
          // The name is empty if the whole body cannot be parsed.
          const isNamed = errors.some(
            ({ in: part, field }) => part === place.in && [place.name, ""].includes(field.split(".")[0] ?? ""),
          );
          assert.ok(isNamed, told);
        }
      }
    }
  },
  scaled(120_000),
);

test("an unknown field is named", async () => {
  for (const operation of operations.filter(({ body }) => body !== undefined)) {
    const body = { ...(operation.body?.example as object), pripority: 1 };
    const { status, text } = await send(operation, { path: pathOf(operation), query: {}, headers: {}, body });
    expect([operation.path, status, JSON.parse(text).errors]).toEqual([
      operation.path,
      400,
      [{ in: "body", field: "pripority", message: "unknown field" }],
    ]);
  }
});

test("generated values match their schema", () => {
  const schema: Schema = {
    type: "object",
    properties: { id: { type: "string", pattern: "^\\d{1,18}$" }, n: { type: "integer", minimum: 1, maximum: 5 } },
    required: ["id"],
  };
  const validator = z.fromJSONSchema(schema);
  fc.assert(fc.property(fitting(schema), (value) => validator.safeParse(value).success));
});
