import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { exportJWK, generateKeyPair, SignJWT } from "jose";
import { pino } from "pino";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { createPool, type Pool } from "../../src/db/pool.ts";
import { LegworkError } from "../../src/errors.ts";
import { createAuthenticator } from "../../src/server/auth/authenticate.ts";
import { assertRole, type Principal, type Role, ROLES, withPrincipal } from "../../src/access/principal.ts";
import { type Server, startServer } from "../../src/server/server.ts";
import { legwork } from "../support/cli.ts";
import { testDatabase, testLog } from "../support/database.ts";
import { type OpenApi, operationsOf } from "../support/openapi.ts";

const database = testDatabase();
/** A database without tokens. */
const bare = testDatabase();

function principal(role: Role, tenant: string | null = null): Principal {
  return { subject: `test:${role}`, role, tenant };
}

describe("a principal", () => {
  test("has the permissions of its role, and an enqueuer cannot read", () => {
    const refusal = (role: Role, needed: Role): unknown => {
      try {
        assertRole(principal(role), needed);
        return undefined;
      } catch (error) {
        return error;
      }
    };
    const pairs = ROLES.flatMap((role) =>
      ROLES.map((needed) => ({ text: `${role} as ${needed}`, error: refusal(role, needed) })),
    );
    const allowed = pairs.filter(({ error }) => error === undefined).map(({ text }) => text);
    expect(allowed).toEqual([
      "viewer as viewer",
      "enqueuer as enqueuer",
      "operator as viewer",
      "operator as enqueuer",
      "operator as operator",
      "admin as viewer",
      "admin as enqueuer",
      "admin as operator",
      "admin as admin",
    ]);
    expect(refusal("viewer", "operator")).toBeInstanceOf(LegworkError);
    expect(refusal("viewer", "operator")).toMatchObject({ code: "LW403", hint: expect.stringContaining("token") });
  });

  test("is set only for its transaction", async () => {
    const read = "select current_setting('legwork.actor', true) as actor, current_setting('legwork.confined_to', true) as tenant";
    const { rows } = await withPrincipal(database.pool, principal("viewer", "acme"), "rest", (inside) => inside.query(read));
    expect(rows).toEqual([{ actor: "test:viewer", tenant: "acme" }]);
    for (const { actor, tenant } of (await database.pool.query(read)).rows) expect([actor ?? "", tenant ?? ""]).toEqual(["", ""]);
  });

  test("changes nothing if its work throws an error", async () => {
    await database.pool.query(`select legwork_private.register_tasks('[{"name": "a"}]')`);
    const work = withPrincipal(database.pool, principal("enqueuer"), "rest", async (client) => {
      await client.query("select legwork.enqueue('a')");
      await client.query("select legwork.enqueue('b')");
    });
    await expect(work).rejects.toMatchObject({ name: "LegworkError", code: "LW404" });
    expect((await database.pool.query("select from legwork.jobs where task = 'a'")).rows).toHaveLength(0);
  });
});

describe("the server", () => {
  const own = "the token of legwork up";
  const secret = "a secret of thirty-two characters or more";
  const auth = {
    jwtSecret: secret,
    jwtIssuer: "https://issuer.example",
    jwtAudience: "legwork",
    jwtRoleClaim: "role",
    jwtTenantClaim: "tenant",
  };
  let server: Server;
  let admin: Pool;
  const login = `legwork_test_server_${Math.random().toString(36).slice(2, 8)}`;

  beforeAll(async () => {
    // The server uses a login that owns nothing, as in production.
    await database.pool.query("select legwork.create_roles()");
    await database.pool.query(`create role ${login} login password 'of the test' in role legwork_admin`);
    const url = new URL(database.url);
    url.username = login;
    url.password = "of the test";
    server = await startServer({ databaseUrl: url.href, host: "127.0.0.1", port: 0, token: own, log: testLog, auth });
    admin = database.pool;
    await admin.query(`select legwork_private.register_tasks('[{"name": "a"}]')`);
    for (const tenant of ["acme", "other", null]) {
      await admin.query("select legwork.enqueue('a', '{\"n\": 1}', tenant => $1)", [tenant]);
      const { rows } = await admin.query("select legwork.enqueue('a', tenant => $1, max_attempts => 1) as id", [tenant]);
      await admin.query("select graphile_worker.permanently_fail_jobs(array[$1::bigint], 'refused')", [rows[0].id]);
      const { rows: done } = await admin.query("select legwork.enqueue('a', tenant => $1) as id", [tenant]);
      await admin.query(
        "update graphile_worker._private_jobs set locked_at = now(), locked_by = 'w', attempts = 1 where id = $1",
        [done[0].id],
      );
      await admin.query("delete from graphile_worker._private_jobs where id = $1", [done[0].id]);
    }
  });
  afterAll(async () => {
    await server.stop();
    await database.pool.query(`drop role ${login}`);
  });

  const token = async (role: Role, tenant: string | null = null): Promise<string> =>
    (await admin.query("select legwork.create_token('of the test', $1, $2) as token", [role, tenant])).rows[0].token;
  const ask = async (
    bearer: string,
    query = "{ jobs(orderBy: ID_ASC) { nodes { tenant attempts { nodes { job { tenant } } } } } attempts { nodes { tenant job { tenant } } } }",
    to = server,
  ) => {
    const response = await fetch(to.graphqlUrl, {
      method: "POST",
      headers: { "content-type": "application/json", authorization: `Bearer ${bearer}` },
      body: JSON.stringify({ query }),
    });
    const text = await response.text();
    return { status: response.status, headers: response.headers, text, body: JSON.parse(text) };
  };
  const tenants = (text: string): string[] =>
    [...new Set([...text.matchAll(/"tenant":("\w+"|null)/g)].map((match) => match[1] ?? ""))].toSorted();

  test("needs only the role legwork_admin for every REST route that reads", async () => {
    const document = (await (await fetch(`${server.url}/docs/json`)).json()) as OpenApi;
    const answers: Record<string, number> = {};
    for (const { method, path } of operationsOf(document)) {
      if (method !== "GET") continue;
      // First a name that does not exist, and then one that does.
      for (const name of ["nothing", path.includes("queues") ? "default" : "a"]) {
        const query = path.endsWith("/job-counts") ? "?by=state" : "";
        const url = server.url + path.replace("{id}", "999999999").replace("{name}", name) + query;
        answers[path] = (await fetch(url, { headers: { authorization: `Bearer ${own}` } })).status;
        if (answers[path] >= 500) break;
      }
    }
    expect(Object.entries(answers).filter(([, status]) => status !== 200 && status !== 404)).toEqual([]);
    expect(answers).toMatchObject({
      "/api/v1/alert-rules": 200,
      "/api/v1/task-statistics": 200,
      "/api/v1/health": 200,
      "/api/v1/alerts": 200,
      "/api/v1/tasks/{name}": 200,
      "/api/v1/queues/{name}": 200,
    });
  });

  test("shows all jobs to a token without a tenant, and only its own to a tenant's token, in every relation", async () => {
    for (const bearer of [own, await token("viewer"), await token("operator"), await token("admin")]) {
      const { text, body } = await ask(bearer);
      expect(body.errors).toBeUndefined();
      expect(body.data.jobs.nodes).toHaveLength(9);
      expect(tenants(text)).toEqual(['"acme"', '"other"', "null"]);
    }
    for (const role of ["viewer", "operator", "admin"] as const) {
      const { text, body } = await ask(await token(role, "acme"));
      expect(body.errors).toBeUndefined();
      expect(body.data.jobs.nodes).toHaveLength(3);
      expect(tenants(text)).toEqual(['"acme"']);
    }
    expect((await ask(await token("viewer", "unknown"))).body.data).toEqual({ jobs: { nodes: [] }, attempts: { nodes: [] } });
  });

  test("treats another tenant's job like an unknown one", async () => {
    const { rows } = await admin.query("select id from legwork.jobs where tenant = 'other' limit 1");
    const query = `{ job(id: "${rows[0].id}") { id payload } jobs(filter: { tenant: { equalTo: "other" } }) { nodes { id } } }`;
    expect((await ask(await token("viewer", "acme"), query)).body.data).toEqual({ job: null, jobs: { nodes: [] } });
    expect((await ask(await token("viewer", "other"), query)).body.data.jobs.nodes).toHaveLength(3);
  });

  test("serves two tenants at the same time, each with its own rows", async () => {
    const [acme, other] = [await token("viewer", "acme"), await token("viewer", "other")];
    const answers = await Promise.all(Array.from({ length: 40 }, (_, index) => ask(index % 2 === 0 ? acme : other)));
    expect(answers.map(({ text }) => tenants(text)[0])).toEqual(
      answers.map((_, index) => (index % 2 === 0 ? '"acme"' : '"other"')),
    );
  });

  test("does not let an enqueuer read", async () => {
    const { status, body } = await ask(await token("enqueuer"));
    expect([status, body.code]).toEqual([403, "LW403"]);
  });

  test("rejects a token that is unknown, expired, revoked or truncated", async () => {
    const [expired, revoked, valid] = [await token("viewer"), await token("viewer"), await token("viewer")];
    const hash = "sha256(convert_to($1, 'UTF8'))";
    await admin.query(`update legwork_private.tokens set expires_at = now() - interval '1 second' where hash = ${hash}`, [
      expired,
    ]);
    expect((await ask(revoked)).status).toBe(200);
    await admin.query(`select legwork.revoke_token((select id from legwork_private.tokens where hash = ${hash}))`, [revoked]);
    for (const bearer of [
      expired,
      revoked,
      `lw_${"0".repeat(64)}`,
      valid.slice(0, -1),
      `${valid}0`,
      "",
      "undefined",
      "x".repeat(9_000),
    ]) {
      const { status, body, text } = await ask(bearer);
      expect([bearer.slice(0, 20), status, body.code]).toEqual([bearer.slice(0, 20), 401, "LW401"]);
      expect(text).not.toContain(bearer.length > 20 ? bearer : "lw_");
    }
    expect((await ask(valid)).status).toBe(200);
    const { rows } = await admin.query(
      `select last_used_at > now() - interval '1 minute' as used from legwork_private.tokens where hash = ${hash}`,
      [valid],
    );
    expect(rows).toEqual([{ used: true }]);
  });

  const jwt = async (
    claims: Record<string, unknown>,
    options: { key?: string; alg?: string; exp?: string | null; iss?: string; aud?: string } = {},
  ): Promise<string> => {
    const unsigned = new SignJWT({ sub: "alice", ...claims })
      .setProtectedHeader({ alg: options.alg ?? "HS256" })
      .setIssuer(options.iss ?? auth.jwtIssuer)
      .setAudience(options.aud ?? auth.jwtAudience);
    if (options.exp !== null) unsigned.setExpirationTime(options.exp ?? "5 minutes");
    return await unsigned.sign(new TextEncoder().encode(options.key ?? secret));
  };

  test("accepts a JWT with a role and a tenant, where * stands for all tenants", async () => {
    expect(tenants((await ask(await jwt({ role: "viewer", tenant: "acme" }))).text)).toEqual(['"acme"']);
    expect(tenants((await ask(await jwt({ role: "operator", tenant: "*" }))).text)).toHaveLength(3);
    expect((await ask(await jwt({ role: "enqueuer", tenant: "*" }))).status).toBe(403);
    const bounds = { sub: "é".repeat(200), role: "viewer", tenant: "日本", exp: 253_402_300_799 };
    expect((await ask(await jwt(bounds, { exp: null }))).status).toBe(200);
  });

  test("rejects a JWT with a missing, invalid or foreign claim", async () => {
    const good = { role: "admin", tenant: "*" };
    const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString("base64url");
    const claims = {
      ...good,
      sub: "alice",
      iss: auth.jwtIssuer,
      aud: auth.jwtAudience,
      exp: Math.floor(Date.now() / 1_000) + 300,
    };
    const refused: [string, string][] = [
      ["no tenant", await jwt({ role: "admin" })],
      ["an empty tenant", await jwt({ role: "admin", tenant: "" })],
      ["a tenant that is not a string", await jwt({ role: "admin", tenant: null })],
      ["several tenants", await jwt({ role: "admin", tenant: ["acme"] })],
      ["no role", await jwt({ tenant: "*" })],
      ["an unknown role", await jwt({ role: "root", tenant: "*" })],
      ["a role of the prototype", await jwt({ role: "constructor", tenant: "*" })],
      ["no subject", await jwt({ ...good, sub: "" })],
      ["a subject that is not a string", await jwt({ ...good, sub: ["alice"] })],
      ["a subject with a new line", await jwt({ ...good, sub: "alice\r\nbob" })],
      ["a subject with a terminal's codes", await jwt({ ...good, sub: "\u001b[31malice" })],
      ["a long subject", await jwt({ ...good, sub: "x".repeat(201) })],
      ["a tenant with NUL", await jwt({ role: "admin", tenant: "ac\u0000me" })],
      ["a tenant with half a surrogate pair", await jwt({ role: "admin", tenant: "ac\ud800me" })],
      ["a long tenant", await jwt({ role: "admin", tenant: "x".repeat(201) })],
      ["a tenant that is a number", await jwt({ role: "admin", tenant: 7 })],
      ["an expiry beyond all times", await jwt({ ...good, exp: 1e300 }, { exp: null })],
      ["an expiry in the year 10000", await jwt({ ...good, exp: 253_402_300_800 }, { exp: null })],
      ["an expiry that is not a number", await jwt({ ...good, exp: "9999999999" }, { exp: null })],
      ["another secret", await jwt(good, { key: "another secret of thirty-two characters" })],
      ["another issuer", await jwt(good, { iss: "https://evil.example" })],
      ["another audience", await jwt(good, { aud: "another" })],
      ["no expiry", await jwt(good, { exp: null })],
      ["an expiry in the past", await jwt(good, { exp: "1 minute ago" })],
      ["no signature", `${part({ alg: "none", typ: "JWT" })}.${part(claims)}.`],
    ];
    for (const [what, bearer] of refused) expect([what, (await ask(bearer)).status]).toEqual([what, 401]);
  });

  test("verifies JWTs with the issuer's public keys, and rejects a JWT that was signed with a public key as its secret", async () => {
    const { publicKey, privateKey } = await generateKeyPair("ES256");
    const jwk = { ...(await exportJWK(publicKey)), kid: "one", alg: "ES256" };
    const issuer = createServer((_request, response) =>
      response.setHeader("content-type", "application/json").end(JSON.stringify({ keys: [jwk] })),
    );
    await new Promise<void>((resolve) => issuer.listen(0, "127.0.0.1", resolve));
    onTestFinished(() => void issuer.close());
    const jwtJwks = `http://127.0.0.1:${(issuer.address() as AddressInfo).port}/jwks.json`;
    const authenticator = createAuthenticator({
      pool: database.pool,
      config: { ...auth, jwtSecret: undefined, jwtJwks },
      log: testLog,
    });
    const principalOf = (bearer: string): Promise<Principal> =>
      authenticator.authenticate({ headers: { authorization: `Bearer ${bearer}` } });
    const sign = async (key: Parameters<SignJWT["sign"]>[0], alg: string): Promise<string> =>
      await new SignJWT({ sub: "alice", role: "operator", tenant: "acme" })
        .setProtectedHeader({ alg, kid: "one" })
        .setIssuer(auth.jwtIssuer)
        .setAudience(auth.jwtAudience)
        .setExpirationTime("5 minutes")
        .sign(key);
    expect(await principalOf(await sign(privateKey, "ES256"))).toMatchObject({
      subject: "jwt:alice",
      role: "operator",
      tenant: "acme",
      expiresAt: expect.any(Date),
    });
    await expect(principalOf(await sign(new TextEncoder().encode(JSON.stringify(jwk)), "HS256"))).rejects.toMatchObject({
      code: "LW401",
    });
    await expect(principalOf(await jwt({ role: "admin", tenant: "*" }))).rejects.toMatchObject({ code: "LW401" });
  });

  test("returns LW503 or LW401, and authenticates no client, while tokens cannot be checked", async () => {
    const gone = createPool("postgres://user@127.0.0.1:1/nothing", { log: testLog });
    const authenticator = createAuthenticator({
      pool: gone,
      config: { ...auth, jwtSecret: undefined, jwtJwks: "http://127.0.0.1:1/" },
      log: testLog,
    });
    for (const bearer of [`lw_${"0".repeat(64)}`, await jwt({ role: "admin", tenant: "*" }, { alg: "HS256" })]) {
      await expect(authenticator.authenticate({ headers: { authorization: `Bearer ${bearer}` } })).rejects.toMatchObject({
        code: expect.stringMatching(/LW503|LW401/),
      });
    }
    await gone.end();
  });

  test("never writes a token to its log", async () => {
    const lines: string[] = [];
    const log = pino({ level: "trace" }, { write: (line) => void lines.push(line) });
    const authenticator = createAuthenticator({ pool: database.pool, config: { ...auth, token: own }, log });
    const valid = await token("viewer");
    const bearers = [
      own,
      valid,
      `${valid}x`,
      await jwt({ role: "viewer" }),
      await jwt({ role: "viewer", tenant: "x" }, { iss: "x" }),
    ];
    for (const bearer of bearers) {
      await authenticator.authenticate({ headers: { authorization: `Bearer ${bearer}` } }).catch(() => undefined);
    }
    expect(lines.length).toBeGreaterThan(0);
    for (const bearer of bearers) expect(lines.join("")).not.toContain(bearer);
  });

  test("limits the requests per minute with a valid or an invalid token, and LW429 says when to retry", async () => {
    const limited = await startServer({
      databaseUrl: database.url,
      host: "127.0.0.1",
      port: 0,
      token: own,
      log: testLog,
      rateLimit: 3,
    });
    onTestFinished(() => limited.stop());
    const statuses = async (bearer: string): Promise<number[]> => {
      const answers = [];
      for (let index = 0; index < 4; index += 1) answers.push(await ask(bearer, "{ jobs { nodes { id } } }", limited));
      const last = answers.at(-1);
      expect(Number(last?.headers.get("retry-after"))).toBeGreaterThan(0);
      expect(last?.body.code).toBe("LW429");
      return answers.map(({ status }) => status);
    };
    expect(await statuses(own)).toEqual([200, 200, 200, 429]);
    expect(await statuses(await token("viewer", "acme"))).toEqual([200, 200, 200, 429]);
    expect(await statuses("a guess")).toEqual([401, 401, 401, 429]);
  });

  test("listens on other addresses only if there is a token or a JWT secret", async () => {
    const start = (): Promise<Server> =>
      startServer({ databaseUrl: bare.url, host: "0.0.0.0", port: 0, token: own, log: testLog });
    await expect(start()).rejects.toMatchObject({ code: "LW514", hint: expect.stringContaining("legwork token create") });
    const { rows } = await bare.pool.query(
      "select legwork.create_token('t') is not null as made, (select id from legwork.token_list) as id",
    );
    await (await start()).stop();
    await bare.pool.query("select legwork.revoke_token((select id from legwork.token_list))");
    await expect(start()).rejects.toMatchObject({ code: "LW514" });
    await (await startServer({ databaseUrl: bare.url, host: "0.0.0.0", port: 0, token: own, log: testLog, auth })).stop();
    expect(rows).toHaveLength(1);
  });

  test("sends headers that prevent scripts and framing, and allows only configured origins", async () => {
    const open = await startServer({
      databaseUrl: database.url,
      host: "127.0.0.1",
      port: 0,
      token: own,
      log: testLog,
      corsOrigins: ["https://app.example.com"],
      hosts: ["legwork.example.com"],
    });
    onTestFinished(() => open.stop());
    const closed = await fetch(`${server.url}/health`, { headers: { origin: "https://app.example.com" } });
    expect(closed.headers.get("access-control-allow-origin")).toBeNull();
    expect(closed.headers.get("x-content-type-options")).toBe("nosniff");
    expect(closed.headers.get("content-security-policy")).toContain("frame-ancestors 'none'");
    const allowed = async (origin: string): Promise<string | null> => {
      const response = await fetch(open.graphqlUrl, {
        method: "OPTIONS",
        headers: { origin, "access-control-request-method": "POST" },
      });
      return response.headers.get("access-control-allow-origin");
    };
    expect(await allowed("https://app.example.com")).toBe("https://app.example.com");
    expect(await allowed("https://evil.example.com")).toBeNull();
  });

  test("accepts tokens that were created on the command line, which shows a token's secret only once", async () => {
    const environment = { DATABASE_URL: database.url };
    const made = await legwork(
      ["token", "create", "--role", "viewer", "--tenant", "acme", "--name", "grafana", "--json"],
      environment,
    );
    expect(made.code).toBe(0);
    const { token: secretOnce } = JSON.parse(made.stdout);
    expect(tenants((await ask(secretOnce)).text)).toEqual(['"acme"']);
    const list = await legwork(["token", "list", "--json"], environment);
    expect(list.stdout).not.toContain(secretOnce);
    const { id } = JSON.parse(list.stdout).find((row: { name: string }) => row.name === "grafana");
    expect(await legwork(["token", "revoke", id], environment)).toMatchObject({
      code: 0,
      stdout: `Token ${id} has been revoked.\n`,
    });
    expect((await ask(secretOnce)).status).toBe(401);
    const audit = await legwork(["audit", "--target", id, "--json"], environment);
    expect(audit.stderr).toBe("");
    expect(JSON.parse(audit.stdout)).toMatchObject([
      { operation: "revoke_token", surface: "cli", actor: expect.stringContaining("@") },
      { operation: "create_token", surface: "cli", tenant: "acme" },
    ]);
    expect(await legwork(["token", "create", "--role", "root"], environment)).toMatchObject({ code: 2 });
    expect(await legwork(["token", "revoke", "00000000-0000-0000-0000-000000000000"], environment)).toMatchObject({ code: 1 });
    expect(JSON.parse((await legwork(["roles", "create", "--json"], environment)).stdout)).toHaveLength(5);
  });
});
