import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ROLES, type Role } from "../../src/access/principal.ts";
import type { Server } from "../../src/server/server.ts";
import { testDatabase } from "../support/database.ts";
import { type OpenApi, operationsOf } from "../support/openapi.ts";
import { makeToken, rest, type RestAnswer, startRest } from "../support/rest.ts";

const database = testDatabase();
let server: Server;

beforeAll(async () => {
  await database.pool.query(`select legwork_private.register_tasks('[{"name": "a", "queue": "mail"}]')`);
  server = await startRest(database);
});
afterAll(async () => {
  await server.stop();
});

/** The required roles that each role satisfies. */
const INCLUDES: Record<Role, readonly string[]> = {
  viewer: ["any", "viewer"],
  enqueuer: ["any", "enqueuer"],
  operator: ["any", "viewer", "enqueuer", "operator"],
  admin: ["any", "viewer", "enqueuer", "operator", "admin"],
};

describe.each(ROLES.flatMap((role) => [null, "acme"].map((tenant) => ({ role, tenant }))))(
  "a token of the role $role of tenant $tenant",
  ({ role, tenant }) => {
    it("may do exactly what its role allows, on every route, and operations on all tenants only without a tenant", async () => {
      const token = await makeToken(database, role, tenant);
      const document = (await (await fetch(`${server.url}/docs/json`)).json()) as OpenApi;
      const operations = operationsOf(document);
      const allowed: string[] = [];
      for (const { method, path, role: needed, body } of operations) {
        const id = path.includes("/tokens/") ? "00000000-0000-4000-8000-000000000000" : "999999999";
        const url = path.replace("/api/v1", "").replace("{id}", id).replace("{name}", "nothing").replace("{kind}", "rate");
        const { status } = await rest(server, method, url, body?.example, { authorization: `Bearer ${token}` });
        if (status !== 403) allowed.push(`${needed} ${method} ${path}`);
      }
      const expected = operations
        .filter(({ role: needed, everybody }) => INCLUDES[role].includes(needed) && (tenant === null || !everybody))
        .map(({ method, path, role: needed }) => `${needed} ${method} ${path}`);
      expect(allowed).toEqual(expected);
      expect(expected.length).toBeGreaterThan(2);
    });
  },
);

describe("two tenants", () => {
  it("can each see and change only their own jobs", async () => {
    const tokens = { acme: await makeToken(database, "operator", "acme"), other: await makeToken(database, "operator", "other") };
    const as = async (
      tenant: keyof typeof tokens,
      method: string,
      path: string,
      body?: unknown,
      headers = {},
    ): Promise<RestAnswer> => await rest(server, method, path, body, { authorization: `Bearer ${tokens[tenant]}`, ...headers });
    const ids = (answer: RestAnswer): string[] => answer.body.items.map(({ id }: { id: string }) => id);
    const mine = (await as("acme", "POST", "/jobs", { task: "a", jobKey: "k" }, { "idempotency-key": "same" })).body.id;
    const theirs = (await as("other", "POST", "/jobs", { task: "a", jobKey: "k" }, { "idempotency-key": "same" })).body.id;
    await database.pool.query("select legwork.enqueue('a')");
    expect(mine).not.toBe(theirs);
    expect(ids(await as("acme", "GET", "/jobs"))).toEqual([mine]);
    expect(ids(await as("other", "GET", "/jobs?state=pending"))).toEqual([theirs]);
    expect(ids(await as("other", "GET", "/jobs?tenant=acme"))).toEqual([]);
    for (const [method, path] of [
      ["GET", ""],
      ["GET", "/logs"],
      ["GET", "/explain"],
      ["GET", "/progress"],
      ["GET", "/attempts"],
      ["POST", "/cancel"],
      ["POST", "/retry"],
      ["POST", "/discard"],
      ["DELETE", ""],
    ] as const) {
      const answer = await as("other", method, `/jobs/${mine}${path}`);
      expect([path, answer.status, answer.body.detail]).toEqual([path, 404, `No job has id ${mine}.`]);
    }
    expect((await as("other", "POST", "/jobs", { task: "a", tenant: "acme" })).body).toMatchObject({ code: "LW403" });
    expect((await as("other", "POST", "/jobs/cancel", { filter: {}, dryRun: false })).body).toMatchObject({
      changed: 1,
      ids: [theirs],
    });
    expect((await as("acme", "GET", `/jobs/${mine}`)).body).toMatchObject({ state: "pending", tenant: "acme" });
    expect((await as("acme", "POST", "/emergency-stop")).body).toMatchObject({ code: "LW403" });
    expect((await as("acme", "GET", "/overview")).body).toMatchObject({ pending: "1" });
  });

  it("an operation over REST is in the audit log under the token's name", async () => {
    const token = await makeToken(database, "operator");
    await rest(server, "POST", "/queues/mail/pause", { reason: "audited" }, { authorization: `Bearer ${token}` });
    const { body } = await rest(server, "GET", "/audit-log?targetType=queue&target=mail&limit=1");
    expect(body.items).toMatchObject([
      { actor: "token:operator null", surface: "rest", operation: "pause", after: { reason: "audited" } },
    ]);
    expect((await rest(server, "GET", "/audit-log?target=mail")).body).toMatchObject({
      errors: [{ in: "query", field: "target" }],
    });
  });
});
