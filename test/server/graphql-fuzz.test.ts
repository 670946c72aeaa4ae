import fc from "fast-check";
import {
  buildClientSchema,
  getIntrospectionQuery,
  getNamedType,
  GraphQLEnumType,
  type GraphQLField,
  GraphQLInputObjectType,
  type GraphQLInputType,
  GraphQLList,
  GraphQLNonNull,
  GraphQLObjectType,
  type GraphQLSchema,
} from "postgraphile/graphql";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Server, startServer } from "../../src/server/server.ts";
import { testDatabase, testLog } from "../support/database.ts";
import { sized } from "../support/long.ts";
import { scaled } from "../support/slowness.ts";

const database = testDatabase();
const token = "a token of the test";

let server: Server;
let schema: GraphQLSchema;
beforeAll(async () => {
  server = await startServer({ databaseUrl: database.url, host: "127.0.0.1", port: 0, token, log: testLog });
  await database.pool.query(`
    select legwork.enqueue('a', tenant => 'acme'), legwork.schedule('s', 'a', every => '1 hour'),
      legwork.start_workflow('w', '[{"name": "one", "task": "a"}]')
    from legwork_private.register_tasks('[{"name": "a"}]')`);
  const { body } = await post(getIntrospectionQuery());
  schema = buildClientSchema(JSON.parse(body).data);
});
afterAll(async () => {
  await server.stop();
});

async function post(query: string): Promise<{ status: number; body: string }> {
  const response = await fetch(server.graphqlUrl, {
    method: "POST",
    headers: { "content-type": "application/json", authorization: `Bearer ${token}` },
    body: JSON.stringify({ query }),
  });
  return { status: response.status, body: await response.text() };
}

/** A value for an argument: usually of the right type, sometimes of another type, and sometimes a hostile value. */
function literal(type: GraphQLInputType, depth = 0): fc.Arbitrary<string> {
  const right = ((): fc.Arbitrary<string> => {
    if (type instanceof GraphQLNonNull) return literal(type.ofType, depth);
    if (type instanceof GraphQLList) {
      return fc.array(literal(type.ofType, depth), { maxLength: 3 }).map((values) => `[${values.join(", ")}]`);
    }
    if (type instanceof GraphQLEnumType) return fc.constantFrom(...type.getValues().map(({ name }) => name));
    if (type instanceof GraphQLInputObjectType) {
      if (depth > 2) return fc.constant("{}");
      const fields = Object.values(type.getFields());
      return fc
        .subarray(fields, { maxLength: Math.min(2, fields.length) })
        .chain((chosen) =>
          fc.tuple(...chosen.map((field) => literal(field.type, depth + 1).map((value) => `${field.name}: ${value}`))),
        )
        .map((entries) => `{${entries.join(", ")}}`);
    }
    const { name } = getNamedType(type);
    if (name === "Int") return fc.oneof(fc.integer({ min: -1, max: 3 }), fc.integer()).map(String);
    if (name === "BigInt")
      return fc
        .oneof(fc.integer({ min: 0, max: 5 }), fc.bigInt({ min: -(2n ** 65n), max: 2n ** 65n }))
        .map((value) => `"${value}"`);
    if (name === "Boolean") return fc.constantFrom("true", "false");
    if (name === "Datetime") return fc.date({ noInvalidDate: true }).map((date) => `"${date.toISOString()}"`);
    return fc.constantFrom("a", "acme", "s", "w", "x'; drop table t", "\\u0000", "é").map((text) => `"${text}"`);
  })();
  const wrong = fc.constantFrom(
    "null",
    "1.5",
    `"\\u0000"`,
    `"infinity"`,
    "{}",
    "[]",
    "ENUM",
    "-1",
    `"9999999999999999999"`,
    `"'"`,
    "1e400",
  );
  return fc.oneof({ weight: 12, arbitrary: right }, { weight: 1, arbitrary: wrong });
}

function field(definition: GraphQLField<unknown, unknown>, depth: number): fc.Arbitrary<string> {
  const given = definition.args.map((argument) =>
    fc
      .option(literal(argument.type), { freq: argument.type instanceof GraphQLNonNull ? 20 : 1, nil: undefined })
      .map((value) => (value === undefined ? "" : `${argument.name}: ${value}`)),
  );
  const written = fc.tuple(...given).map((values) => {
    const some = values.filter((value) => value !== "").join(", ");
    return some === "" ? "" : `(${some})`;
  });
  const type = getNamedType(definition.type);
  if (!(type instanceof GraphQLObjectType)) return written.map((text) => `${definition.name}${text}`);
  return fc.tuple(written, selection(type, depth - 1)).map(([text, below]) => `${definition.name}${text} ${below}`);
}

function selection(type: GraphQLObjectType, depth: number): fc.Arbitrary<string> {
  const fields = Object.values(type.getFields());
  const possible = depth > 0 ? fields : fields.filter((each) => !(getNamedType(each.type) instanceof GraphQLObjectType));
  if (possible.length === 0) return fc.constant("{ __typename }");
  return fc
    .subarray(possible, { minLength: 1, maxLength: Math.min(depth > 3 ? 2 : 3, possible.length) })
    .chain((chosen) => fc.tuple(...chosen.map((each) => field(each, depth))))
    .map((texts) => `{ ${texts.join(" ")} }`);
}

test(
  "no query that the schema allows, even with invalid values, gets a 5xx, a stack trace or SQL",
  async () => {
    let answered = 0;
    let refused = 0;
    await fc.assert(
      fc.asyncProperty(selection(schema.getQueryType()!, 6), async (query) => {
        const { status, body } = await post(query);
        const { data, errors = [] } = JSON.parse(body) as {
          data?: unknown;
          errors?: { message: string; extensions: { code: string; hint?: string }; path?: unknown; locations?: unknown }[];
        };
        if (errors.length === 0) answered++;
        else refused++;
        expect(status).toBeLessThan(500);
        for (const { message, extensions, path, locations } of errors) {
          expect(extensions.code).toMatch(/^LW(400|413|504)$/);
          // The error says where the problem is: the field, the position in the text, or the name of the limit.
          expect(path ?? locations ?? message.startsWith("The query may have")).toBeTruthy();
        }
        const said = errors.map(({ message, extensions }) => `${message} ${extensions.hint ?? ""}`).join("\n");
        expect(said).not.toMatch(/\bselect |\bfrom |__\w+__|legwork\.|\.[jt]s:|node_modules|\bat \w+ \(|\brelation|\bcolumn/i);
        expect(data === undefined && errors.length === 0).toBe(false);
      }),
      { numRuns: sized(200, 400), endOnFailure: true, interruptAfterTimeLimit: 20_000 },
    );
    // Both kinds of query must occur often enough to be meaningful.
    expect(answered).toBeGreaterThan(20);
    expect(refused).toBeGreaterThan(20);
  },
  scaled(60_000),
);
