import { readFile } from "node:fs/promises";
import { createClient } from "graphql-ws";
import pg from "pg";
import { afterAll, afterEach, beforeAll, describe, expect, inject, it, onTestFinished } from "vitest";
import { WebSocket } from "ws";
import { migrate } from "../../src/db/migrate.ts";
import { createLegwork } from "../../src/embed.ts";
import { createPool } from "../../src/db/pool.ts";
import { findPooling } from "../../src/db/pooler.ts";
import { enqueue } from "../../src/jobs/enqueue.ts";
import { explainJob } from "../../src/jobs/explain-job.ts";
import { legwork } from "../support/cli.ts";
import { databaseUrl, onServer, testDatabase, testLog } from "../support/database.ts";
import { empty } from "../support/empty.ts";
import { type PgBouncer, pgBouncer } from "../support/pgbouncer.ts";
import { rest, restToken, startRest } from "../support/rest.ts";
import { tcpProxy } from "../support/tcp-proxy.ts";
import { until } from "../support/until.ts";
import { directoryOf, workerOver } from "../support/worker.ts";

const database = testDatabase();
const TASKS = { "note.mjs": "export default async () => {};\n" };

/** In transaction mode, with one connection to Postgres: the next client inherits any state that was left on it. */
let one: PgBouncer;
let three: PgBouncer;
beforeAll(async () => {
  one = await pgBouncer(database.url, { mode: "transaction", size: 1 });
  three = await pgBouncer(database.url, { mode: "transaction", size: 3 });
  await database.pool.query(`select legwork_private.register_tasks('[{"name": "note"}]')`);
});
afterAll(() => Promise.all([one.stop(), three.stop()]));

async function behind(mode: "session" | "transaction" | "statement", size: number, ...settings: string[]): Promise<string> {
  const pooler = await pgBouncer(database.url, { mode, size, settings });
  onTestFinished(() => pooler.stop());
  return pooler.url;
}

describe("a connection pooler is detected", () => {
  async function found(url: string): Promise<string | undefined> {
    const pool = createPool(url, { log: testLog, max: 2 });
    try {
      return await findPooling(pool, { listens: true });
    } finally {
      await pool.end();
    }
  }

  it("neither on a direct connection nor behind a TCP proxy", async () => {
    expect(await found(database.url)).toBeUndefined();
    expect(await found((await tcpProxy(database.url)).url)).toBeUndefined();
  });

  it.each([0, 1])("in transaction mode, however many connections it has (server_round_robin = %i)", async (roundRobin) => {
    for (const size of [1, 2, 20]) {
      const url = await behind("transaction", size, `server_round_robin = ${roundRobin}`);
      // In the second and third rounds, the pooler has several connections to choose from.
      for (let time = 0; time < 3; time++) expect(await found(url)).toBe("transaction");
    }
  });

  it("in transaction mode while other clients use it", async () => {
    const others = createPool(three.url, { log: testLog, max: 4 });
    let isDone = false;
    const work = Promise.all(
      [1, 2, 3, 4].map(async () => {
        while (!isDone) await others.query("select pg_sleep(0.002)");
      }),
    );
    for (let time = 0; time < 5; time++) expect(await found(three.url)).toBe("transaction");
    isDone = true;
    await work;
    await others.end();
  });

  it("in statement mode", async () => {
    expect(await found(await behind("statement", 3))).toBe("statement");
  });

  it("not in session mode", async () => {
    const url = await behind("session", 2);
    for (let time = 0; time < 3; time++) expect(await found(url)).toBeUndefined();
  });
});

describe("a worker", () => {
  afterEach(() => empty(database.pool, "legwork_private.worker_faults"));

  it("refuses to start behind a pooler in transaction mode, as doctor and explain report", async () => {
    const tasks = await directoryOf(TASKS);
    const environment = { DATABASE_URL: three.url };
    const result = await legwork(["worker", "--tasks", tasks, "--crontab", "/dev/null"], environment);
    expect(result).toMatchObject({ code: 1, stdout: "" });
    expect(result.stderr).toBe(
      "legwork: This worker reaches Postgres through a connection pooler in transaction mode, where it cannot run jobs. (LW516)\n" +
        "hint: Set DATABASE_URL for the worker to the URL of Postgres itself, or of a pool in session mode with enough connections. " +
        "The rest of Legwork works through a pooler in transaction mode; see docs/guides/poolers.md.\n",
    );
    const { stdout: id } = await legwork(["add", "note", "{}"], environment);
    const doctor = await legwork(["doctor", "--json"], environment);
    const findings = JSON.parse(doctor.stdout);
    expect(findings).toContainEqual(
      expect.objectContaining({
        check: "pooler",
        severity: "critical",
        finding: expect.stringMatching(
          /^The worker on .+ failed to start at .+: This worker reaches Postgres through a connection pooler/,
        ),
      }),
    );
    expect(findings).toContainEqual(
      expect.objectContaining({
        check: "connection",
        severity: "warning",
        finding: "The doctor reaches Postgres through a connection pooler in transaction mode. A worker would not start here.",
      }),
    );
    const pool = createPool(three.url, { log: testLog, max: 2 });
    const reasons = await explainJob(pool, id.trim());
    await pool.end();
    expect(reasons[0]).toMatchObject({
      reason: "worker_refused",
      detail: expect.stringContaining("through a connection pooler in transaction mode"),
      fix: expect.stringContaining("DATABASE_URL"),
    });
    // The finding disappears once a worker has started.
    await workerOver(database.url, TASKS);
    const { rows } = await database.pool.query(`select severity from legwork.doctor() where "check" = 'pooler'`);
    expect(rows).toEqual([{ severity: "ok" }]);
  });

  it("runs jobs behind a pooler in session mode", async () => {
    await workerOver(await behind("session", 40), TASKS);
    const id = await enqueue(database.pool, "note", {});
    await until("the job has run", async () => {
      const { rows } = await database.pool.query("select from legwork.jobs where id = $1 and state = 'completed'", [id]);
      return rows.length > 0;
    });
  });
});

describe("behind a pooler in transaction mode", () => {
  /** The connection's state that the next client finds before it has set anything. */
  async function inherited(): Promise<unknown> {
    const client = new pg.Client({ connectionString: one.url, application_name: "the next" });
    await client.connect();
    const { rows } = await client.query(`select
        array(select name || '=' || setting from pg_settings where source = 'session' and name not in ('application_name', 'client_encoding', 'DateStyle', 'TimeZone')) as settings,
        array(select s from unnest(array['actor', 'surface', 'role', 'confined_to', 'tenant', 'correlation_id', 'parent_id', 'traceparent', 'admitting']) s
          where current_setting('legwork.' || s, true) <> '') as ours,
        array(select name from pg_prepared_statements) as prepared,
        array(select pg_listening_channels()) as channels,
        array(select relname from pg_class where relpersistence = 't') as tables,
        array(select objid from pg_locks where locktype = 'advisory' and pid = pg_backend_pid()) as locks,
        current_setting('search_path') as search_path, current_setting('timezone') as zone, current_user = session_user as itself`);
    await client.end();
    return rows[0];
  }

  it("the command line records its own actor, and the next client inherits nothing", async () => {
    const before = await inherited();
    expect(await legwork(["pause", "default", "--reason", "test"], { DATABASE_URL: one.url })).toMatchObject({
      code: 0,
      stderr: "",
    });
    expect(await inherited()).toEqual(before);
    const { rows: paused } = await database.pool.query(
      "select paused_by = (select actor from legwork.audit_log where target = 'default') as same from legwork.queues where name = 'default'",
    );
    expect(paused).toEqual([{ same: true }]);
    const next = new pg.Client({ connectionString: one.url });
    await next.connect();
    await next.query("select legwork.resume_queue('default')");
    await next.end();
    const { rows } = await database.pool.query(
      "select operation, surface, actor is null as nameless from legwork.audit_log where target = 'default' order by id",
    );
    expect(rows).toEqual([
      { operation: "pause", surface: "cli", nameless: false },
      { operation: "resume", surface: "sql", nameless: true },
    ]);
  });

  it("REST, GraphQL, the page and live views work, also concurrently, and the next client inherits nothing", async () => {
    const before = await inherited();
    const server = await startRest({ ...database, url: one.url });
    const graphql = async (query: string): Promise<unknown> => {
      const response = await fetch(server.graphqlUrl, {
        method: "POST",
        headers: { authorization: `Bearer ${restToken}`, "content-type": "application/json" },
        body: JSON.stringify({ query }),
      });
      return await response.json();
    };
    try {
      const { body } = await rest(server, "POST", "/jobs", { task: "note", payload: { a: 1 } });
      const [lists, answers] = await Promise.all([
        Promise.all(Array.from({ length: 4 }, () => rest(server, "GET", "/jobs?limit=5"))),
        Promise.all(
          Array.from({ length: 8 }, (_, index) =>
            graphql(
              `{ jobs(first: ${1 + (index % 4)}, filter: { id: { greaterThanOrEqualTo: "${body.id}" } }) { nodes { id task attemptCount } } queues { nodes { name } } }`,
            ),
          ),
        ),
      ]);
      expect(lists.map(({ status }) => status)).toEqual([200, 200, 200, 200]);
      for (const answer of answers) expect(answer).toMatchObject({ data: { jobs: { nodes: [{ id: body.id, task: "note" }] } } });
      expect((await fetch(`${server.url}/`)).status).toBe(200);
      const socket = createClient({
        url: server.graphqlUrl.replace(/^http/, "ws"),
        webSocketImpl: WebSocket,
        connectionParams: { authorization: `Bearer ${restToken}` },
        retryAttempts: 0,
      });
      const live = socket.iterate({ query: `subscription { job(id: "${body.id}") { id state } }` });
      expect((await live.next()).value).toMatchObject({ data: { job: { id: body.id } } });
      await live.return?.();
      await socket.dispose();
    } finally {
      await server.stop();
    }
    expect(await inherited()).toEqual(before);
  });

  it("enqueueing leaves no state on the connection, with and without a transaction", async () => {
    const before = await inherited();
    const pool = createPool(one.url, { log: testLog, max: 2 });
    await enqueue(pool, "note", {}, { tenant: "acme", correlationId: "c" });
    await pool.end();
    expect(await inherited()).toEqual(before);
  });

  it("a result is awaited without a listening connection, and the next client inherits nothing", async () => {
    const own = await createLegwork({ databaseUrl: three.url, log: testLog });
    onTestFinished(() => own.stop());
    await own.jobs.enqueueAndWait("note", {}, { timeout: 100 }).catch(() => undefined);
    const worker = await workerOver(database.url, TASKS);
    const listening =
      "select count(*)::int as n from pg_stat_activity where application_name = 'legwork listener' and datname = current_database()";
    const { rows: before } = await database.pool.query(listening);
    expect(await Promise.all(Array.from({ length: 20 }, () => own.jobs.enqueueAndWait("note")))).toEqual(Array(20).fill(null));
    expect((await database.pool.query(listening)).rows).toEqual(before);
    expect((await database.pool.query("select from legwork_private.awaited_jobs")).rows).toEqual([]);
    await worker.stop();
  });

  it("migrating installs everything through a single connection, from several processes at once", async () => {
    const name = `legwork_pooled_${crypto.randomUUID().slice(0, 8)}`;
    await onServer(inject("serverUrl"), (client) => client.query(`create database ${name} template template1`));
    onTestFinished(() =>
      onServer(inject("serverUrl"), async (client) => void (await client.query(`drop database ${name} with (force)`))),
    );
    const pools = [1, 2].map(() => createPool(databaseUrl(one.url, name), { log: testLog, max: 3 }));
    const results = await Promise.all(pools.map((pool) => migrate(pool, testLog)));
    await Promise.all(pools.map((pool) => pool.end()));
    expect(results.map(({ applied }) => applied.length > 0).filter(Boolean)).toHaveLength(1);
  });
});

it("a pooler in statement mode is reported by every command", async () => {
  const url = await behind("statement", 2);
  const result = await legwork(["jobs"], { DATABASE_URL: url, LEGWORK_LOG_LEVEL: "error" });
  expect(result.code).toBe(1);
  expect(result.stderr).toMatch(
    /^legwork: 127\.0\.0\.1:\d+\/\w+ is a connection pooler in statement mode, which does not support transactions\. \(LW516\)\nhint: .+docs\/guides\/poolers\.md\.\n$/,
  );
});

it("docs/guides/poolers.md names every mode", async () => {
  const page = await readFile(new URL("../../docs/guides/poolers.md", import.meta.url), "utf8");
  for (const mode of ["session", "transaction", "statement"]) expect(page).toContain(mode);
});
