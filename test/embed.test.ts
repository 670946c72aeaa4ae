import { once } from "node:events";
import { createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { fastify } from "fastify";
import { createClient } from "graphql-ws";
import { beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { WebSocket } from "ws";
import { createLegwork, type Legwork, type LegworkOptions } from "../src/embed.ts";
import { testDatabase, testLog } from "./support/database.ts";
import { until } from "./support/until.ts";
import { directoryOf } from "./support/worker.ts";

const database = testDatabase();
const empty = testDatabase({ empty: true });
const token = "a token of the test";

beforeAll(async () => {
  await database.pool.query(`select legwork_private.register_tasks('[{"name": "a"}]')`);
});

async function start(options: LegworkOptions = {}): Promise<Legwork> {
  const legwork = await createLegwork({ databaseUrl: database.url, log: testLog, token, ...options });
  onTestFinished(() => legwork.stop());
  return legwork;
}

/** Starts the user's own server. */
async function serve(listener: RequestListener): Promise<string> {
  const server = createServer(listener).listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

const headers = { authorization: `Bearer ${token}`, "content-type": "application/json" };

/** Expects every route to work below a path of the user's server. */
async function expectEverythingAt(url: string): Promise<void> {
  const created = await fetch(`${url}/api/v1/jobs`, {
    method: "POST",
    headers,
    body: JSON.stringify({ task: "a", payload: { n: 1 } }),
  });
  expect(created.status).toBe(201);
  const { id } = (await created.json()) as { id: string };
  expect(await (await fetch(`${url}/api/v1/jobs/${id}`, { headers })).json()).toMatchObject({ id, payload: { n: 1 } });
  expect(await (await fetch(`${url}/api/v1/jobs?limit=1`, { headers })).json()).toMatchObject({ items: [{ id }] });
  const query = JSON.stringify({ query: `{ job(id: ${id}) { id task } }` });
  expect(await (await fetch(`${url}/graphql`, { method: "POST", headers, body: query })).json()).toEqual({
    data: { job: { id, task: "a" } },
  });
  expect(await (await fetch(`${url}/health`)).json()).toEqual({ status: "ok" });
  expect((await fetch(`${url}/api/v1/jobs`)).status).toBe(401);
  const docs = await fetch(`${url}/docs`);
  const page = await docs.text();
  const loaded = [...page.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, path = ""]) => new URL(path, docs.url).href);
  expect(loaded.length).toBeGreaterThan(3);
  for (const path of loaded) expect([path, (await fetch(path)).status]).toEqual([path, 200]);
  const document = (await (await fetch(`${url}/docs/json`)).json()) as { servers: { url: string }[] };
  expect(new URL(document.servers[0]?.url ?? "", url).href.replace(/\/$/, "")).toBe(url);
}

/** Expects live views to work below a path of the user's server. */
async function expectLiveAt(url: string): Promise<void> {
  const client = createClient({
    url: `${url.replace("http", "ws")}/graphql`,
    webSocketImpl: WebSocket,
    connectionParams: { authorization: `Bearer ${token}` },
    retryAttempts: 0,
  });
  const first = await client.iterate({ query: "subscription { overview { running } }" }).next();
  expect(first.value).toMatchObject({ data: { overview: { running: expect.any(Number) } } });
  await client.dispose();
}

describe("createLegwork", () => {
  it("enqueues, also in the caller's transaction", async () => {
    const legwork = await start();
    const id = await legwork.jobs.enqueue("a", { n: 1 }, { priority: -1 });
    const client = await database.pool.connect();
    await client.query("begin");
    const undone = await legwork.with(client).jobs.enqueue("a");
    const [many] = await legwork.jobs.enqueueMany([{ task: "a" }]);
    await client.query("rollback");
    client.release();
    const { rows } = await database.pool.query("select id::text from legwork.jobs where id = any ($1)", [[id, undone, many]]);
    expect(new Set(rows.map((row) => row.id))).toEqual(new Set([id, many]));
    expect([legwork.url, legwork.taskNames]).toEqual([undefined, []]);
    expect(() => legwork.handler({} as never, {} as never)).toThrow("There is no server to mount.");
  });

  it("migrates the database, runs jobs and serves requests in one process", async () => {
    const tasks = await directoryOf({ "double.mjs": "export default async ({ n }) => ({ n: n * 2 });" });
    const legwork = await start({
      databaseUrl: empty.url,
      worker: true,
      tasks: [tasks],
      server: "listen",
      port: 0,
      concurrency: 2,
    });
    expect(legwork.taskNames).toEqual(["double"]);
    const id = await legwork.jobs.enqueue("double", { n: 21 });
    const job = await until("the job has run", async () => {
      const answer = await fetch(`${legwork.url}/api/v1/jobs/${id}`, { headers });
      const body = (await answer.json()) as { state: string };
      return body.state === "completed" && body;
    });
    expect(job).toMatchObject({ task: "double", attempts: 1 });
  });

  it("leaves no connection open after it has stopped or failed to start", async () => {
    const connections = async (): Promise<number> => {
      const { rows } = await database.pool.query(
        "select count(*)::int as n from pg_stat_activity where datname = current_database() and application_name like 'legwork%' and application_name <> 'legwork'",
      );
      return rows[0].n;
    };
    const before = await connections();
    const legwork = await start({ server: "mount" });
    await legwork.pool.query("select 1");
    await legwork.stop();
    await expect(
      createLegwork({ databaseUrl: database.url, log: testLog, worker: true, tasks: ["/nowhere"], server: "mount" }),
    ).rejects.toMatchObject({
      code: "LW515",
    });
    await until("the connections are closed", async () => (await connections()) === before);
  });

  it("rejects invalid options", async () => {
    const dataDir = await directoryOf({ "ready.json": "{}" });
    await expect(createLegwork({ log: testLog, dataDir })).rejects.toMatchObject({
      code: "LW514",
      hint: `Pass databaseUrl, or set DATABASE_URL. To use the Postgres of \`legwork dev\`: export DATABASE_URL=$(node -p 'require("${dataDir}/ready.json").databaseUrl')`,
    });
    await expect(createLegwork({ log: testLog, databaseUrl: "mysql://x" })).rejects.toMatchObject({ code: "LW514" });
    await expect(createLegwork({ log: testLog, databaseUrl: database.url, prefix: "legwork/" })).rejects.toMatchObject({
      code: "LW514",
    });
  });
});

describe("Legwork in a user's server", () => {
  it("works in a plain Node handler, below a prefix", async () => {
    const legwork = await start({ server: "mount", prefix: "/admin/legwork" });
    const url = await serve((request, response) => {
      if (request.url?.startsWith("/admin/legwork") === true) legwork.handler(request, response);
      else response.end("my own");
    });
    await expectEverythingAt(`${url}/admin/legwork`);
    expect(await (await fetch(`${url}/other`)).text()).toBe("my own");
    const server = createServer(legwork.handler).on("upgrade", (request, socket, head) => {
      if (!legwork.upgrade(request, socket, head)) socket.end("HTTP/1.1 418 mine\r\n\r\n");
    });
    await once(server.listen(0, "127.0.0.1"), "listening");
    onTestFinished(() => void server.close());
    const { port } = server.address() as AddressInfo;
    await expectLiveAt(`http://127.0.0.1:${port}/admin/legwork`);
    const other = new WebSocket(`ws://127.0.0.1:${port}/graphql`);
    expect(String(await new Promise((resolve) => other.once("error", resolve)))).toContain("418");
  });

  it("works behind a router that strips the prefix, like Express", async () => {
    const legwork = await start({ server: "mount", prefix: "/legwork" });
    const url = await serve((request, response) => {
      request.url = request.url?.replace("/legwork", "") ?? "/";
      if (!request.url.startsWith("/")) request.url = `/${request.url}`;
      legwork.handler(request, response);
    });
    await expectEverythingAt(`${url}/legwork`);
  });

  it("works as a Fastify plugin, next to the user's own routes and parsers", async () => {
    const legwork = await start({ server: "mount", prefix: "/legwork" });
    const app = fastify();
    onTestFinished(() => app.close());
    app.post("/mine", (request, reply) => reply.send(request.body));
    await app.register(legwork.fastify, { prefix: "/legwork" });
    const url = await app.listen({ port: 0, host: "127.0.0.1" });
    await expectEverythingAt(`${url}/legwork`);
    await expectLiveAt(`${url}/legwork`);
    expect(await (await fetch(`${url}/mine`, { method: "POST", headers, body: '{"a": 1}' })).json()).toEqual({ a: 1 });
  });

  it("does not delay the server's shutdown: live views are closed, and so is the connection of a request in progress", async () => {
    const legwork = await start({ server: "mount", prefix: "/legwork" });
    // The server's keep-alive of 72 s is longer than this test may take.
    const app = fastify();
    await app.register(legwork.fastify, { prefix: "/legwork" });
    const url = await app.listen({ port: 0, host: "127.0.0.1" });
    const live = new WebSocket(`${url.replace("http", "ws")}/legwork/graphql`, "graphql-transport-ws");
    await once(live, "open");
    const blocker = await database.pool.connect();
    try {
      await blocker.query("begin; lock table graphile_worker._private_jobs in access exclusive mode");
      const asked = fetch(`${url}/legwork/api/v1/jobs`, { headers });
      await until("the request waits", async () => {
        const { rows } = await database.pool.query(
          "select 1 from pg_stat_activity where application_name = 'legwork server' and wait_event_type = 'Lock'",
        );
        return rows.length > 0;
      });
      const closed = app.close();
      await until("the server closes", async () => !app.server.listening);
      await blocker.query("rollback");
      const response = await asked;
      expect(response.status).toBe(200);
      expect(response.headers.get("connection")).toBe("close");
      await closed;
      expect(live.readyState).toBeGreaterThanOrEqual(WebSocket.CLOSING);
    } finally {
      blocker.release(true);
    }
  });

  it("refuses to start as a plugin under a different prefix", async () => {
    const legwork = await start({ server: "mount", prefix: "/legwork" });
    const app = fastify();
    onTestFinished(() => app.close());
    await expect(app.register(legwork.fastify, { prefix: "/other" }).ready()).rejects.toMatchObject({ code: "LW514" });
  });
});
