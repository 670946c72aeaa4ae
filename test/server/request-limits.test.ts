import { once } from "node:events";
import { request } from "node:http";
import { connect, type Socket } from "node:net";
import { SignJWT } from "jose";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { WebSocket } from "ws";
import { clientAddress, countedAs } from "../../src/server/auth/client-address.ts";
import type { Server } from "../../src/server/server.ts";
import { testDatabase } from "../support/database.ts";
import { makeToken, rest, restToken, startRest } from "../support/rest.ts";
import { scaled } from "../support/slowness.ts";

const database = testDatabase();
const secret = "a secret of thirty-two characters or more";
/** The server reads client addresses from a proxy's header, so that each test can use its own address. */
let server: Server;

beforeAll(async () => {
  server = await startRest(database, {
    auth: { jwtSecret: secret },
    metricsToken: "the token of Prometheus",
    rateLimit: 3,
    trustProxy: 1,
    requestTimeout: 500,
  });
  await database.pool.query(`select legwork_private.register_tasks('[{"name": "a"}]')`);
});
afterAll(async () => {
  await server.stop();
});

let addresses = 0;

/** The headers of a client with a new address. */
function fromElsewhere(headers: Record<string, string> = {}): Record<string, string> {
  return { "x-forwarded-for": `192.0.2.${++addresses}`, ...headers };
}

async function jwt(sub: string, tenant: string): Promise<string> {
  return await new SignJWT({ sub, role: "enqueuer", tenant })
    .setProtectedHeader({ alg: "HS256" })
    .setExpirationTime("5 minutes")
    .sign(new TextEncoder().encode(secret));
}

/** The outcome of opening a WebSocket: the status of a rejection, the close code, or 101. */
async function open(headers: Record<string, string>, token: string): Promise<number> {
  const socket = new WebSocket(server.graphqlUrl.replace("http", "ws"), "graphql-transport-ws", { headers });
  onTestFinished(() => socket.terminate());
  return await new Promise((resolve) => {
    socket.on("error", () => undefined);
    socket.on("unexpected-response", (_request, response) => resolve(response.statusCode ?? 0));
    socket.on("open", () => socket.send(`{"type": "connection_init", "payload": {"authorization": "Bearer ${token}"}}`));
    socket.on("message", () => resolve(101));
    socket.on("close", resolve);
  });
}

/** The statuses of five successive requests. */
async function five(path: string, headers: Record<string, string>): Promise<number[]> {
  const statuses: number[] = [];
  for (let index = 0; index < 5; index++) {
    const response = await fetch(server.url + path, { headers });
    await response.arrayBuffer();
    statuses.push(response.status);
  }
  return statuses;
}

describe("three requests a minute", () => {
  test.each([
    ["/metrics", 401],
    ["/health/details", 401],
    ["/api/v1/me", 401],
    ["/docs/json", 200],
    ["/", 200],
    ["/graphql", 405],
    ["/nothing", 404],
    ["/assets/none.js", 404],
    ["/api/v1/nothing", 401],
  ])("are allowed without a valid token, while probes are unlimited: %s", async (path, status) => {
    const headers = fromElsewhere({ authorization: "Bearer a guess" });
    expect(await five(path, headers)).toEqual([status, status, status, 429, 429]);
    expect((await five("/", headers))[0]).toBe(429);
    expect(new Set([...(await five("/health", headers)), ...(await five("/ready", headers))])).toEqual(new Set([200]));
  });

  test("are allowed with a token, across all routes", async () => {
    const ofViewer = fromElsewhere({ authorization: `Bearer ${await makeToken(database, "viewer")}` });
    expect(await five("/metrics", ofViewer)).toEqual([200, 200, 200, 429, 429]);
    for (const path of ["/health/details", "/api/v1/me"]) expect((await five(path, ofViewer))[0]).toBe(429);
    const ofPrometheus = fromElsewhere({ authorization: "Bearer the token of Prometheus" });
    expect(await five("/metrics", ofPrometheus)).toEqual([200, 200, 200, 429, 429]);
    expect((await five("/health/details", ofPrometheus))[0]).toBe(401);
  });

  test("are allowed for each token, even if several tokens have the same name", async () => {
    for (let index = 0; index < 2; index++) {
      const headers = fromElsewhere({ authorization: `Bearer ${await makeToken(database, "viewer", "acme")}` });
      expect(await five("/api/v1/me", headers)).toEqual([200, 200, 200, 429, 429]);
    }
  });

  test("are counted for the client and not for its proxy, whatever address the client sends in its own header", async () => {
    expect(await five("/", { "x-forwarded-for": "198.51.100.1" })).toEqual([200, 200, 200, 429, 429]);
    expect((await five("/", { "x-forwarded-for": "198.51.100.2" }))[0]).toBe(200);
    expect((await five("/", { "x-forwarded-for": "198.51.100.9, 198.51.100.1" }))[0]).toBe(429);
  });

  test("may open a WebSocket from one address, and with one token", async () => {
    const several = async (headers: () => Record<string, string>, token: string): Promise<number[]> => {
      const answers: number[] = [];
      for (let index = 0; index < 4; index++) answers.push(await open(headers(), token));
      return answers;
    };
    const token = await makeToken(database, "viewer");
    expect(await several(fromElsewhere, token)).toEqual([101, 101, 101, 1013]);
    const headers = fromElsewhere();
    expect(await several(() => headers, "a guess")).toEqual([4401, 4401, 4401, 429]);
    expect((await five("/", headers))[0]).toBe(429);
  });
});

test("a WebSocket's close reason is cut to the size of a close frame", async () => {
  expect(await open(fromElsewhere(), await jwt("日本".repeat(100), "acme"))).toBe(4403);
});

test("a client's address is the last one that is not a trusted proxy", () => {
  const at = (forwarded: string, trusted: number | string[]): string =>
    clientAddress({ socket: { remoteAddress: "::ffff:10.0.0.1" } as Socket, headers: { "x-forwarded-for": forwarded } }, trusted);
  expect(at("198.51.100.7, 203.0.113.5, 10.0.0.2", 0)).toBe("::ffff:10.0.0.1");
  expect(at("198.51.100.7, 203.0.113.5, 10.0.0.2", 1)).toBe("10.0.0.2");
  expect(at("198.51.100.7, 203.0.113.5, 10.0.0.2", 2)).toBe("203.0.113.5");
  expect(at("198.51.100.7, 203.0.113.5, 10.0.0.2", ["10.0.0.0/8"])).toBe("203.0.113.5");
  expect(at("198.51.100.7", ["10.0.0.1"])).toBe("198.51.100.7");
  expect(at("198.51.100.7", ["10.0.0.3", "2001:db8::/32"])).toBe("::ffff:10.0.0.1");
  expect(at("", 1)).toBe("::ffff:10.0.0.1");
  expect(at("10.0.0.2, 10.0.0.3", ["10.0.0.0/8"])).toBe("10.0.0.2");
  const counted = ["::ffff:192.0.2.1", "192.0.2.1:4711", "2001:db8:1:2:3:4:5:6", "[2001:db8:1:2::9]:80", "unknown"].map(
    countedAs,
  );
  expect(counted).toEqual(["192.0.2.1", "192.0.2.1", "2001:db8:1:2::/64", "2001:db8:1:2::/64", "unknown"]);
});

test.each([
  ["headers", "GET / HTTP/1.1\r\n"],
  [
    "a body",
    `POST /graphql HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer ${restToken}\r\ncontent-type: application/json\r\ncontent-length: 1000\r\n\r\n`,
  ],
])("a request that sends %s byte by byte is aborted", async (_what, begin) => {
  const socket = connect(Number(new URL(server.url).port), "127.0.0.1");
  socket.on("error", () => undefined);
  const start = performance.now();
  socket.write(begin);
  const drip = setInterval(() => socket.write("a"), 20);
  onTestFinished(() => clearInterval(drip));
  let answer = "";
  socket.on("data", (data) => (answer += data));
  await once(socket, "close");
  expect(performance.now() - start).toBeLessThan(scaled(5_000));
  // A client that is still sending may be unable to read the response.
  expect(answer).toMatch(/^(HTTP\/1\.1 408 LW400|$)/);
});

test("headers that are too long are rejected with an error code", async () => {
  const response = await fetch(`${server.url}/health`, { headers: fromElsewhere({ "x-long": "x".repeat(20_000) }) });
  expect([response.status, await response.json()]).toMatchObject([431, { code: "LW413" }]);
});

test("idempotency keys belong to one token, whatever its name", async () => {
  const key = { "idempotency-key": "one" };
  const enqueue = async (token: string): Promise<string> =>
    (await rest(server, "POST", "/jobs", { task: "a" }, { ...key, authorization: `Bearer ${token}` })).body.id;
  const create = async (name: string, tenant: string): Promise<string> =>
    (await database.pool.query("select legwork.create_token($1, 'enqueuer', $2) as token", [name, tenant])).rows[0].token;
  const tokens = [
    await create("deploy", "acme"),
    await create("deploy", "acme"),
    await create("b", "t token:a"),
    await create("a token:b", "t"),
    await jwt("alice", "acme"),
    await jwt("alice", "other"),
    await jwt("b", "t jwt:a"),
    await jwt("a jwt:b", "t"),
  ];
  const ids = [];
  for (const token of tokens) ids.push(await enqueue(token));
  expect(new Set(ids).size).toBe(tokens.length);
  expect(await enqueue(tokens[0] ?? "")).toBe(ids[0]);
  expect(await enqueue(await jwt("alice", "other"))).toBe(ids[5]);
});

test("paths outside the dashboard's files are not found", async () => {
  for (const path of ["/assets/../x", "/assets/..%2f..%2fpackage.json", "/assets/%2e%2e/x", "/assets/.hidden", "/assets/"]) {
    const sent = request(server.url, { path, headers: fromElsewhere() }).end();
    const [response] = await once(sent, "response");
    let text = "";
    for await (const part of response) text += part;
    expect([path, response.statusCode, JSON.parse(text).code]).toEqual([path, 404, "LW404"]);
  }
});

test("JSON responses forbid loading and framing", async () => {
  const { headers } = await fetch(`${server.url}/health`);
  expect(headers.get("content-security-policy")).toBe("default-src 'none';frame-ancestors 'none'");
  expect(headers.get("x-frame-options")).toBe("DENY");
});
