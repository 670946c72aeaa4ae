import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pg from "pg";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { createLegwork, type Legwork } from "../../src/embed.ts";
import { JobNotCompleted, LegworkError, ResultTimeout, toError } from "../../src/errors.ts";
import type { Server } from "../../src/server/server.ts";
import { startWorker, type Worker } from "../../src/worker/worker.ts";
import { legwork as command } from "../support/cli.ts";
import { testDatabase, testLog } from "../support/database.ts";
import { makeToken, rest, restToken, startRest } from "../support/rest.ts";
import { until } from "../support/until.ts";

const database = testDatabase();
let legwork: Legwork;
let server: Server;
let worker: Worker;
let directory: string;

/** Tasks that return their payload, always fail, fail once, and wait until the test opens their gate. */
const TASKS = {
  "echo.mjs": "export default async (payload) => payload;",
  "bad.mjs": "export default async (payload) => { throw new TypeError('no such user'); };",
  "twice.mjs": `export default async (payload, { job }) => { if (job.attempts < 2) throw new Error("again"); return "second"; };`,
  "held.mjs": `export default async ({ gate }, { query }) => {
    while ((await query("select from gates where name = $1", [gate])).rows.length === 0) await new Promise((wake) => setTimeout(wake, 20));
    return gate;
  };`,
};

const open = (gate: string): Promise<unknown> => database.pool.query("insert into gates values ($1)", [gate]);
const one = async (text: string, values: unknown[] = []): Promise<unknown> =>
  Object.values((await database.pool.query(text, values)).rows[0] as object)[0];
const rows = async (): Promise<number> => (await one("select count(*)::int from legwork_private.awaited_jobs")) as number;
const listeners = (): Promise<unknown> =>
  one("select count(*)::int from pg_stat_activity where application_name = 'legwork listener' and datname = current_database()");

/** The job's id, and how its wait ended: its result, or the error's class with its code and text. */
async function ending(wait: Promise<unknown>): Promise<unknown> {
  try {
    return await wait;
  } catch (thrown) {
    const { name, message } = toError(thrown);
    return [name, thrown instanceof LegworkError ? thrown.code : "", message];
  }
}

beforeAll(async () => {
  await database.pool.query("create table gates (name text primary key)");
  directory = await mkdtemp(join(tmpdir(), "legwork-results-"));
  for (const [path, content] of Object.entries(TASKS)) await writeFile(join(directory, path), content);
  worker = await startWorker({
    databaseUrl: database.url,
    log: testLog,
    tasks: [directory],
    concurrency: 20,
    localQueueSize: 100,
    shutdownTimeout: 500,
  });
  legwork = await createLegwork({ databaseUrl: database.url, log: testLog });
  server = await startRest(database);
});
afterAll(async () => {
  await legwork.stop();
  await server.stop();
  await worker.stop();
  await rm(directory, { recursive: true });
});

describe("a result", () => {
  it("is returned to each of many callers, which share one connection and leave no rows", async () => {
    await legwork.queues.setRetryPolicy("default", { attempts: 2, backoff: "fixed", delay: 1 });
    const before = await listeners();
    const numbers = Array.from({ length: 600 }, (_, n) => n);
    const waits = Promise.all(numbers.map((n) => legwork.jobs.enqueueAndWait("echo", { n }, { timeout: "1m" })));
    expect(await waits).toEqual(numbers.map((n) => ({ n })));
    expect(await listeners()).toBe((before as number) + 1);
    expect(await legwork.jobs.enqueueAndWait("twice")).toBe("second");
    const id = await legwork.jobs.enqueue("echo", { n: 7 });
    expect(await Promise.all([1, 2, 3].map(() => legwork.jobs.result(id)))).toEqual([{ n: 7 }, { n: 7 }, { n: 7 }]);
    // Long after the job has ended.
    expect(await legwork.jobs.result(id, { timeout: "10s" })).toEqual({ n: 7 });
    await until("the rows are deleted", async () => (await rows()) === 0);
  });

  it("of a job that does not complete is a typed error with the state and the last error, the same on every surface", async () => {
    await legwork.queues.pause("default");
    const ids = {
      failed: await legwork.jobs.enqueue("bad", {}, { maxAttempts: 1 }),
      discarded: await legwork.jobs.enqueue("bad", {}, { maxAttempts: 1 }),
      cancelled: await legwork.jobs.enqueue("echo"),
      expired: await legwork.jobs.enqueue("echo", {}, { expiresAt: new Date(Date.now() + 300) }),
    };
    const waits = Object.fromEntries(Object.entries(ids).map(([name, id]) => [name, ending(legwork.jobs.result(id))]));
    await legwork.jobs.cancel(ids.cancelled, "wrong user");
    const code = "LW424";
    expect(await waits.expired).toEqual([
      "JobNotCompleted",
      code,
      expect.stringMatching(`^Job ${ids.expired} has expired: It had not started by `),
    ]);
    await legwork.queues.resume("default");
    expect(await waits.failed).toEqual(["JobNotCompleted", code, `Job ${ids.failed} has failed: no such user`]);
    await waits.discarded;
    await legwork.jobs.discard(ids.discarded);
    const [, , text] = (await waits.cancelled) as string[];
    expect(text).toMatch(/^Job \d+ was cancelled: Cancelled by .*wrong user/);
    for (const [name, id] of Object.entries(ids)) {
      const state = name === "discarded" ? "failed" : name;
      const error = await legwork.jobs.result(id).catch((thrown: unknown) => thrown);
      if (!(error instanceof JobNotCompleted)) throw error;
      expect(error).toMatchObject({ jobId: id, state });
      const { body } = await rest(server, "GET", `/jobs/${id}/result?wait=5s`);
      expect(body).toEqual({ id, state, result: null, error: error.reason, finishedAt: expect.any(String) });
      const environment = { DATABASE_URL: database.url };
      const plain = await command(["job", id, "--wait"], environment);
      expect([plain.code, plain.stdout, plain.stderr.split("\n")[0]]).toEqual([1, "", `legwork: ${error.message} (LW424)`]);
      const json = await command(["job", id, "--wait", "--json"], { LEGWORK_URL: server.url, LEGWORK_TOKEN: restToken });
      expect([json.code, JSON.parse(json.stdout)]).toEqual([1, body]);
    }
    const added = await command(["add", "echo", '{"n": [1]}', "--wait", "--timeout", "20s"], { DATABASE_URL: database.url });
    expect(added).toMatchObject({ code: 0, stdout: '{"n":[1]}\n', stderr: expect.stringMatching(/^Job \d+\n$/) });
  });

  it("is awaited no longer than the timeout or the abort signal allows, and the job continues", async () => {
    const id = await legwork.jobs.enqueue("held", { gate: "late" });
    expect(await ending(legwork.jobs.result(id, { timeout: 30 }))).toEqual([
      "ResultTimeout",
      "LW504",
      `Job ${id} has not ended within 30 ms.`,
    ]);
    await expect(legwork.jobs.result(id, { timeout: 30 })).rejects.toBeInstanceOf(ResultTimeout);
    const stop = new AbortController();
    const wait = ending(legwork.jobs.result(id, { signal: stop.signal }));
    stop.abort(new Error("the user has left"));
    expect(await wait).toEqual(["Error", "", "the user has left"]);
    expect(await ending(legwork.jobs.enqueueAndWait("echo", {}, { signal: stop.signal }))).toEqual([
      "Error",
      "",
      "the user has left",
    ]);
    expect(await ending(legwork.jobs.result(id, { timeout: "soon" }))).toEqual([
      "LegworkError",
      "LW400",
      expect.stringContaining("timeout is 'soon'"),
    ]);
    const { code, stderr } = await command(["job", id, "--wait", "--timeout", "20ms"], { DATABASE_URL: database.url });
    expect([code, stderr.split("\n")[0]]).toEqual([1, `legwork: Job ${id} has not ended within 20 ms. (LW504)`]);
    await open("late");
    expect(await legwork.jobs.result(id)).toBe("late");
  });

  it("of a job that does not exist, or that the caller may not see, is rejected", async () => {
    const unknown = ["LegworkError", "LW404", "No job has id 999999."];
    expect(await ending(legwork.jobs.result("999999"))).toEqual(unknown);
    expect(await ending(legwork.jobs.result("x"))).toEqual(["LegworkError", "LW400", "'x' is not a job id."]);
    const id = await legwork.jobs.enqueue("echo", {}, { tenant: "other" });
    const acme = { authorization: `Bearer ${await makeToken(database, "viewer", "acme")}` };
    const enqueuer = { authorization: `Bearer ${await makeToken(database, "enqueuer")}` };
    expect(await rest(server, "GET", `/jobs/${id}/result?wait=5s`, undefined, acme)).toMatchObject({
      status: 404,
      body: { code: "LW404" },
    });
    expect(await rest(server, "GET", `/jobs/${id}/result`, undefined, enqueuer)).toMatchObject({
      status: 403,
      body: { code: "LW403" },
    });
    expect(await rest(server, "GET", `/jobs/${id}/result?wait=56s`)).toMatchObject({ status: 400, body: { code: "LW400" } });
    // A login that is confined to a tenant, and one that may only enqueue.
    await database.pool.query("select legwork.create_roles()");
    const logins = { reply_acme: "legwork_operator", reply_enqueuer: "legwork_enqueuer" };
    onTestFinished(async () => {
      for (const login of Object.keys(logins)) await database.pool.query(`drop owned by ${login}; drop role ${login}`);
    });
    for (const [login, role] of Object.entries(logins))
      await database.pool.query(`create role ${login} login password 'p' in role ${role}`);
    await database.pool.query("select legwork.confine_login('reply_acme', 'acme')");
    const as = async (login: string): Promise<Legwork> => {
      const url = new URL(database.url);
      [url.username, url.password] = [login, "p"];
      const own = await createLegwork({ databaseUrl: url.href, migrate: false, log: testLog });
      onTestFinished(() => own.stop());
      return own;
    };
    const confined = await as("reply_acme");
    expect(await ending(confined.jobs.result(id))).toEqual(["LegworkError", "LW404", `No job has id ${id}.`]);
    expect(await confined.jobs.enqueueAndWait("echo", { mine: true })).toEqual({ mine: true });
    const before = await one("select count(*)::int from legwork.jobs");
    expect(await ending((await as("reply_enqueuer")).jobs.enqueueAndWait("echo"))).toMatchObject([
      "LegworkError",
      "LW403",
      expect.any(String),
    ]);
    expect(await one("select count(*)::int from legwork.jobs")).toBe(before);
  });
});

describe("a notification", () => {
  it("is sent only when an awaited job ends, and a forged notification does not end a wait", async () => {
    const client = new pg.Client({ connectionString: database.url });
    await client.connect();
    onTestFinished(() => client.end());
    const heard: string[] = [];
    client.on("notification", ({ payload = "" }) => void heard.push(payload));
    await client.query("listen legwork_results");
    const unwatched = await legwork.jobs.enqueue("echo");
    await until("the job has ended", async () => (await legwork.jobs.get(unwatched)).finishedAt !== null);
    const id = await legwork.jobs.enqueue("held", { gate: "forged" });
    const wait = legwork.jobs.result(id);
    await until("the wait is registered", async () => (await rows()) === 1);
    for (const payload of [id, "*", "x", "999,,-1", `${id},${id}`])
      await client.query("select pg_notify('legwork_results', $1)", [payload]);
    heard.length = 0;
    await open("forged");
    expect(await wait).toBe("forged");
    await until("the notification has arrived", () => heard.length > 0);
    expect(heard).toEqual([id]);
  });

  it("is not required: a wait also ends if the job's transaction could not see the wait, or if the notification is lost", async () => {
    await legwork.tasks.pause("echo");
    const [early, lost] = [await legwork.jobs.enqueue("echo"), await legwork.jobs.enqueue("held", { gate: "lost" })];
    const client = await database.pool.connect();
    await client.query("begin");
    await client.query("select graphile_worker.complete_jobs(array[$1::bigint])", [early]);
    const wait = legwork.jobs.result(early, { timeout: "8s" });
    await until("the wait is registered", async () => (await rows()) === 1);
    await client.query("commit");
    client.release();
    expect(await wait).toBeNull();
    await legwork.tasks.resume("echo");
    // The wait's row is missing, as after a server crash, and the listening connection is lost: the server reconnects and reads the job.
    const other = legwork.jobs.result(lost, { timeout: "20s" });
    await until("the wait is registered", async () => (await rows()) === 1);
    await database.pool.query("delete from legwork_private.awaited_jobs");
    await open("lost");
    await until("the job has ended", async () => (await legwork.jobs.get(lost)).finishedAt !== null);
    await database.pool.query(
      "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'legwork listener' and datname = current_database()",
    );
    expect(await other).toBe("lost");
  });
});

it("open requests wait without holding a connection, end with a response when the job ends, and also when the server stops", async () => {
  const id = await legwork.jobs.enqueue("held", { gate: "many" });
  const never = await legwork.jobs.enqueue("echo", {}, { runAt: new Date("2099-01-01") });
  const own = await startRest(database);
  const ask = (job: string): Promise<{ status: number; body: unknown }> => rest(own, "GET", `/jobs/${job}/result?wait=50s`);
  const asked = Array.from({ length: 150 }, () => ask(id));
  const last = ask(never);
  await until("both jobs are awaited", async () => (await rows()) === 2);
  const busy =
    "select count(*)::int from pg_stat_activity where application_name = 'legwork server' and datname = current_database() and state <> 'idle'";
  await until("no request holds a connection", async () => (await one(busy)) === 0);
  await open("many");
  for (const { status, body } of await Promise.all(asked))
    expect([status, body]).toMatchObject([200, { id, state: "completed", result: "many", error: null }]);
  await own.stop();
  expect((await last).body).toMatchObject({ id: never, state: "scheduled", result: null, finishedAt: null });
  expect(await rows()).toBe(0);
});
