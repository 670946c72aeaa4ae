import { once } from "node:events";
import { createServer, type RequestListener } from "node:http";
import { createServer as createTcpServer, type AddressInfo } from "node:net";
import { beforeEach, describe, expect, it, onTestFinished } from "vitest";
import { enqueue } from "../../src/jobs/enqueue.ts";
import { testDatabase } from "../support/database.ts";
import { configure, oneWorker, TASKS } from "../support/job.ts";
import { until } from "../support/until.ts";
import { workerOver } from "../support/worker.ts";

const database = testDatabase();

// The URLs in the tests lead to this machine.
beforeEach(() => configure({ LEGWORK_ALLOWED_ADDRESSES: "127.0.0.1" }));

interface Check {
  name: string;
  target: string;
  healthy: boolean;
  milliseconds: number;
  status?: number;
  error?: string;
}

interface JobRow {
  state: string;
  attempts: number;
  result: { healthy: boolean; checks: Check[] } | null;
  error: string | null;
}

async function probe(payload: Record<string, unknown>): Promise<JobRow> {
  const { rows } = await database.pool.query("select legwork.enqueue('health/probe', $1) as id", [JSON.stringify(payload)]);
  return await until("the job ends", () => ended(rows[0].id));
}

async function ended(id: string): Promise<JobRow | undefined> {
  const { rows } = await database.pool.query<JobRow>(
    "select state, attempts, result, error from legwork.jobs where id = $1 and state in ('completed', 'failed')",
    [id],
  );
  return rows[0];
}

/** An HTTP server on a free port. It and its connections are closed when the test has finished. */
async function serverOf(listener: RequestListener): Promise<{ host: string; url: string }> {
  const server = createServer(listener).listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  const host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  return { host, url: `http://${host}` };
}

/** A port without a listener. */
async function closedPort(): Promise<number> {
  const server = createTcpServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}

describe("health/probe", () => {
  oneWorker(database);

  it("probes only the database by default", async () => {
    const job = await probe({});
    const name = new URL(database.url).pathname.slice(1);
    expect(job).toMatchObject({ state: "completed", error: null });
    expect(job.result).toEqual({
      healthy: true,
      checks: [{ name: "database", target: name, healthy: true, milliseconds: expect.any(Number) }],
    });
  });

  it("reports a URL as healthy if it returns any 2xx, or the expected status", async () => {
    const { url, host } = await serverOf((request, response) => response.writeHead(Number(request.url?.slice(1))).end());
    const job = await probe({
      database: false,
      http: [{ url: `${url}/200` }, { url: `${url}/204`, name: "billing" }, { url: `${url}/401`, expectStatus: 401 }],
    });
    expect(job.result).toMatchObject({
      healthy: true,
      checks: [
        { name: host, target: `${url}/200`, healthy: true, status: 200 },
        { name: "billing", target: `${url}/204`, healthy: true, status: 204 },
        { target: `${url}/401`, healthy: true, status: 401 },
      ],
    });
  });

  it("reports unhealthy checks without failing its job", async () => {
    const { url } = await serverOf((request, response) => {
      if (request.url === "/slow") return; // Never responds.
      response.writeHead(request.url === "/moved" ? 302 : 500, { location: "/" }).end();
    });
    const port = await closedPort();
    const job = await probe({
      http: [
        { url: `${url}/broken` },
        { url: `${url}/slow`, timeout: "50ms" },
        { url: `${url}/slow`, timeout: 50 },
        { url: `${url}/moved` },
        { url: `${url}/broken`, expectStatus: 503 },
        { url: `http://127.0.0.1:${port}/` },
      ],
    });
    expect(job).toMatchObject({ state: "completed", attempts: 1, error: null });
    expect(job.result?.healthy).toBe(false);
    expect(job.result?.checks.map(({ healthy, status, error }) => [healthy, status, error])).toEqual([
      [true, undefined, undefined],
      [false, 500, "Status 500, expected 200 to 299."],
      [false, undefined, "No response within 50 ms."],
      [false, undefined, "No response within 50 ms."],
      [false, 302, "Status 302, expected 200 to 299."],
      [false, 500, "Status 500, expected 503."],
      [false, undefined, `connect ECONNREFUSED 127.0.0.1:${port}`],
    ]);
    expect(job.result?.checks[2]?.milliseconds).toBeGreaterThanOrEqual(49);
  });

  it("probes all URLs at the same time", async () => {
    // Responds only when all 50 requests have arrived.
    const waiting: (() => void)[] = [];
    const { url } = await serverOf((_request, response) => {
      waiting.push(() => response.end());
      if (waiting.length === 50) for (const answer of waiting) answer();
    });
    const job = await probe({ http: Array.from({ length: 50 }, (_, index) => ({ url: `${url}/${index}` })) });
    expect(job.result?.healthy).toBe(true);
    expect(job.result?.checks).toHaveLength(51);
  });

  it("uses a URL's credentials and shows neither them nor the query", async () => {
    const seen: (string | undefined)[] = [];
    const { url, host } = await serverOf((request, response) => {
      seen.push(request.headers.authorization, request.url);
      response.writeHead(403).end("s3cret p4ss");
    });
    const port = await closedPort();
    const job = await probe({
      http: [
        { url: `http://s3cret:p4ss%20word@${host}/path?token=t0ken#fragment` },
        { url: `http://s3cret:p4ss@127.0.0.1:${port}/?token=t0ken` },
      ],
    });
    expect(seen).toEqual([`Basic ${btoa("s3cret:p4ss word")}`, "/path?token=t0ken"]);
    expect(job.result?.checks[1]).toMatchObject({ name: host, target: `${url}/path`, status: 403 });
    expect(JSON.stringify([job.result, job.error])).not.toMatch(/s3cret|p4ss|t0ken/);
  });

  it("connects only to public addresses, unless others are allowed", async () => {
    configure({ LEGWORK_ALLOWED_ADDRESSES: undefined });
    const { url } = await serverOf((_request, response) => response.end());
    const job = await probe({
      database: false,
      http: [{ url }, { url: url.replace("127.0.0.1", "localhost") }, { url: "http://169.254.169.254/" }],
    });
    expect(job.result?.checks.map(({ healthy, error }) => [healthy, /not public \((\w+)\)/.exec(error ?? "")?.[1]])).toEqual([
      [false, "loopback"],
      [false, "loopback"],
      [false, "linkLocal"],
    ]);
  });

  it("does not read an endless body", async () => {
    const { url } = await serverOf((_request, response) => {
      const more = (): void => {
        while (response.write("x".repeat(65_536)));
        response.once("drain", more);
      };
      more();
    });
    const job = await probe({ database: false, http: [{ url }] });
    expect(job.result).toMatchObject({ healthy: true, checks: [{ status: 200 }] });
  });

  it.each([
    ["a URL that is not HTTP", { http: [{ url: "file:///etc/passwd" }] }, "http.0.url: expected an http:// or https:// URL"],
    [
      "an invalid timeout",
      { http: [{ url: "http://a/", timeout: "soon" }] },
      "http.0.timeout: expected a duration such as 500ms",
    ],
    ["a timeout that is too long", { http: [{ url: "http://a/", timeout: "1h" }] }, "http.0.timeout: expected a duration"],
    ["more than 50 URLs", { http: Array.from({ length: 51 }, () => ({ url: "http://a/" })) }, "http: "],
  ])("rejects %s at once", async (_what, payload, message) => {
    const job = await probe(payload);
    expect(job).toMatchObject({ state: "failed", attempts: 1 });
    expect(job.error).toContain(message);
  });

  it("uses each row of a view as a check, unhealthy ones with their error", async () => {
    await database.pool.query(`create view checks as select * from
      (values ('b', false, 'too old'), ('a', true, 'not shown'), ('c', null, null), (null, true, null)) as v (name, healthy, error)`);
    onTestFinished(async () => void (await database.pool.query("drop view checks")));
    const job = await probe({ database: false, view: "checks" });
    expect(job.result).toMatchObject({ healthy: false });
    expect(job.result?.checks.map(({ name, target, healthy, error }) => [name, target, healthy, error])).toEqual([
      ["a", "public.checks", true, undefined],
      ["b", "public.checks", false, "too old"],
      ["c", "public.checks", false, undefined],
      ["public.checks", "public.checks", true, undefined],
    ]);
  });

  it("reports a view that cannot be read as unhealthy, and does not let a view change anything", async () => {
    await database.pool.query(`
      create table visits (n int);
      create function visit() returns boolean language sql as 'insert into visits values (1) returning true';
      create view broken as select 'x' as name, 1 / (random() * 0)::int = 1 as healthy, null::text as error;
      create view writing as select 'x' as name, visit() as healthy, null::text as error`);
    onTestFinished(
      async () => void (await database.pool.query("drop table visits cascade; drop view broken, writing; drop function visit")),
    );
    expect((await probe({ database: false, view: "broken" })).result).toMatchObject({
      healthy: false,
      checks: [{ name: "public.broken", healthy: false, error: expect.stringContaining("division by zero") }],
    });
    expect((await probe({ database: false, view: "writing" })).result).toMatchObject({
      checks: [{ healthy: false, error: expect.stringContaining("read-only") }],
    });
    expect((await database.pool.query("select from visits")).rows).toEqual([]);
  });

  it("rejects an unknown or unsuitable view at once", async () => {
    await database.pool.query(
      "create table no_view (name text, healthy boolean, error text); create view half as select 'x' as name",
    );
    onTestFinished(async () => void (await database.pool.query("drop table no_view; drop view half")));
    for (const [view, said] of [
      ["nowhere", "view 'nowhere' does not exist"],
      ["no_view", "'public.no_view' is not a view"],
      ["half", "healthy"],
      ["legwork.jobs", "view: "],
    ] as const) {
      const job = await probe({ view });
      expect(job).toMatchObject({ state: "failed", attempts: 1 });
      expect(job.error).toContain(said);
    }
  });
});

describe("a worker that runs health/probe", () => {
  it("accepts the same payload from TypeScript as from SQL", async () => {
    const { url } = await serverOf((_request, response) => response.end());
    await workerOver(database.url, [TASKS]);
    const id = await enqueue(database.pool, "health/probe", {
      http: [
        { url, timeout: "2s" },
        { url, timeout: 2_000 },
      ],
    });
    expect((await until("the job ends", () => ended(id))).result?.healthy).toBe(true);
    await expect(enqueue(database.pool, "health/probe", { http: [{ url: "not a URL" }] })).rejects.toThrow("http.0.url");
  });

  it("reports no health if its worker stops halfway", async () => {
    const asked = Promise.withResolvers<void>();
    const closed = Promise.withResolvers<void>();
    let answers = false;
    const { url } = await serverOf((request, response) => {
      if (answers) response.end();
      request.socket.once("close", () => closed.resolve());
      asked.resolve();
    });
    const worker = await workerOver(database.url, [TASKS], { shutdownTimeout: 500 });
    const id = await enqueue(database.pool, "health/probe", { http: [{ url, timeout: "1m" }] });
    await asked.promise;
    await worker.stop();
    await closed.promise;
    const { rows } = await database.pool.query("select result, finished_at from legwork.jobs where id = $1", [id]);
    expect(rows).toEqual([{ result: null, finished_at: null }]);
    answers = true;
    await workerOver(database.url, [TASKS]);
    expect((await until("another worker ends the job", () => ended(id))).result?.healthy).toBe(true);
  });
});
