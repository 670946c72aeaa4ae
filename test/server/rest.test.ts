import { afterAll, beforeAll, beforeEach, describe, expect, inject, it } from "vitest";
import type { Server } from "../../src/server/server.ts";
import { connection } from "../support/connections.ts";
import { onServer, testDatabase } from "../support/database.ts";
import { empty } from "../support/empty.ts";
import { rest, type RestAnswer, startRest } from "../support/rest.ts";

const database = testDatabase();
let server: Server;

beforeAll(async () => {
  server = await startRest(database);
});
afterAll(async () => {
  await server.stop();
});

beforeEach(async () => {
  await database.pool.query("delete from graphile_worker._private_jobs");
  await empty(
    database.pool,
    "legwork_private.finished_jobs, legwork_private.failed_attempts, legwork_private.job_logs, legwork_private.pauses, legwork_private.limits, legwork_private.cancellations, legwork_private.id_marks",
  );
  await database.pool.query(`select legwork_private.register_tasks('[
    {"name": "notify/email", "queue": "mail", "payload_schema": {"type": "object", "properties": {"to": {"type": "string"}}, "required": ["to"]}},
    {"name": "other"}]')`);
});

const ask = async (method: string, path: string, body?: unknown, headers?: Record<string, string>): Promise<RestAnswer> =>
  await rest(server, method, path, body, headers);
const get = async (path: string): Promise<RestAnswer> => await ask("GET", path);
const post = async (path: string, body?: unknown, headers?: Record<string, string>): Promise<RestAnswer> =>
  await ask("POST", path, body, headers);

async function enqueue(count: number, parameters = ""): Promise<string[]> {
  const { rows } = await database.pool.query(
    `select legwork.enqueue('other', jsonb_build_object('n', n)${parameters})::text as id from generate_series(1, $1) n order by n`,
    [count],
  );
  return rows.map(({ id }) => id);
}

async function fail(ids: readonly string[], message = "refused"): Promise<void> {
  await database.pool.query("select graphile_worker.permanently_fail_jobs($1::bigint[], $2)", [ids, message]);
}

async function complete(ids: readonly string[]): Promise<void> {
  await database.pool.query("select graphile_worker.complete_jobs($1::bigint[])", [ids]);
}

const idsOf = (answer: RestAnswer): string[] => answer.body.items.map(({ id }: { id: string }) => id);

describe("POST /jobs", () => {
  it("enqueues with every option of legwork.enqueue, under its own name", async () => {
    const answer = await post("/jobs", {
      task: "notify/email",
      payload: { to: "ann@example.com" },
      runAt: "2030-01-01T00:00:00+01:00",
      priority: -3,
      jobKey: "k",
      jobKeyMode: "preserve_run_at",
      serialKey: "s",
      maxAttempts: 3,
      tenant: "acme",
      correlationId: "c",
      expiresAt: "2031-01-01T00:00:00Z",
    });
    expect(answer).toMatchObject({ status: 201, body: { id: expect.stringMatching(/^\d+$/) } });
    expect((await get(`/jobs/${answer.body.id}`)).body).toMatchObject({
      task: "notify/email",
      queue: "mail",
      state: "scheduled",
      payload: { to: "ann@example.com" },
      runAt: "2029-12-31T23:00:00.000Z",
      priority: -3,
      jobKey: "k",
      serialKey: "s",
      maxAttempts: 3,
      tenant: "acme",
      correlationId: "c",
      attemptList: [],
    });
    const { rows } = await database.pool.query("select expires_at from legwork_private.expirations where job_id = $1", [
      answer.body.id,
    ]);
    expect(rows).toEqual([{ expires_at: new Date("2031-01-01Z") }]);
  });

  it("names the invalid field of a payload, also in a batch, in which case nothing is enqueued", async () => {
    expect(await post("/jobs", { task: "notify/email", payload: { to: 7 } })).toMatchObject({
      status: 422,
      body: { code: "LW422", errors: [{ in: "body", field: "payload.to" }] },
    });
    const batch = await post("/jobs/batch", { jobs: [{ task: "other" }, { task: "notify/email", payload: {} }] });
    expect(batch).toMatchObject({ status: 422, body: { errors: [{ in: "body", field: "jobs.1.payload.to" }] } });
    expect(idsOf(await get("/jobs"))).toEqual([]);
  });

  it("suggests the nearest task", async () => {
    const answer = await post("/jobs", { task: "notify/emial" });
    expect(answer).toMatchObject({ status: 404, body: { code: "LW404", hint: expect.stringContaining("'notify/email'") } });
    expect(answer.body.hint).toContain("GET /api/v1/tasks");
  });

  it("says when to retry over a rate limit", async () => {
    const job = { task: "other", rateLimit: 1, ratePer: "10m", rateKey: "rest" };
    expect((await post("/jobs", job)).status).toBe(201);
    const refused = await post("/jobs", job);
    expect(refused).toMatchObject({ status: 429, body: { code: "LW429", retryAt: expect.stringMatching(/Z$/) } });
    expect(Number(refused.headers.get("retry-after"))).toBeGreaterThan(590);
  });

  it("stores an array, a string and null as payloads", async () => {
    for (const payload of [[1, { a: [] }], "text", null, 0, false]) {
      const { body } = await post("/jobs", { task: "other", payload });
      expect((await get(`/jobs/${body.id}`)).body.payload).toEqual(payload);
    }
  });

  it("runs a task by its name, with and without a body", async () => {
    expect((await post("/tasks/notify%2Femail/run", { payload: { to: "x" } })).status).toBe(201);
    expect((await post("/tasks/other/run")).status).toBe(201);
    expect((await get("/jobs?task=notify%2Femail")).body.items).toMatchObject([{ payload: { to: "x" } }]);
  });
});

describe("Idempotency-Key", () => {
  const key = (): { "idempotency-key": string } => ({ "idempotency-key": `k${Math.random()}` });

  it("returns the first response to a repeated request, which does nothing else", async () => {
    const header = key();
    const first = await post("/jobs", { task: "other" }, header);
    const second = await post("/jobs", { task: "other" }, header);
    expect(second).toMatchObject({ status: 201, body: first.body });
    expect(first.headers.get("idempotency-replayed")).toBeNull();
    expect(second.headers.get("idempotency-replayed")).toBe("true");
    expect(idsOf(await get("/jobs"))).toEqual([first.body.id]);
  });

  it("creates one job for ten concurrent requests", async () => {
    const header = key();
    const answers = await Promise.all(Array.from({ length: 10 }, () => post("/jobs", { task: "other" }, header)));
    expect(new Set(answers.map(({ status, body }) => `${status} ${body.id}`)).size).toBe(1);
    expect(idsOf(await get("/jobs"))).toHaveLength(1);
  });

  it("is rejected for a different request, including one to another route", async () => {
    const header = key();
    await post("/jobs", { task: "other" }, header);
    for (const other of [
      await post("/jobs", { task: "other", payload: { n: 1 } }, header),
      await post("/jobs/batch", { jobs: [{ task: "other" }] }, header),
    ]) {
      expect(other).toMatchObject({ status: 409, body: { code: "LW409", hint: expect.stringContaining("new key") } });
    }
    expect(idsOf(await get("/jobs"))).toHaveLength(1);
  });

  it("is not used up by a failed request, so that the corrected one succeeds", async () => {
    const header = key();
    expect((await post("/jobs", { task: "notify/email", payload: {} }, header)).status).toBe(422);
    expect((await post("/jobs", { task: "notify/email", payload: { to: "x" } }, header)).status).toBe(201);
  });

  it("expires after a day", async () => {
    const header = key();
    const first = await post("/jobs", { task: "other" }, header);
    await database.pool.query("update legwork_private.idempotent_requests set requested_at = now() - interval '25 hours'");
    expect((await post("/jobs", { task: "other" }, header)).body.id).not.toBe(first.body.id);
    await database.pool.query("update legwork_private.idempotent_requests set requested_at = now() - interval '25 hours'");
    await database.pool.query("select legwork.maintain_history()");
    expect((await database.pool.query("select from legwork_private.idempotent_requests")).rows).toEqual([]);
  });
});

describe("GET /jobs", () => {
  it("returns every job on one page, newest or oldest first, whether it waits or has ended", async () => {
    const ids = await enqueue(23);
    await complete(ids.filter((_, index) => index % 3 === 0));
    await fail(ids.filter((_, index) => index % 3 === 1));
    for (const [order, expected] of [
      ["newest", ids.toReversed()],
      ["oldest", ids],
    ] as const) {
      const seen: string[] = [];
      let cursor: string | null = "";
      for (; cursor !== null;) {
        const { body }: RestAnswer = await get(`/jobs?limit=5&order=${order}${cursor === "" ? "" : `&cursor=${cursor}`}`);
        expect(body.items.length).toBeLessThanOrEqual(5);
        seen.push(...body.items.map(({ id }: { id: string }) => id));
        cursor = body.nextCursor;
      }
      expect(seen).toEqual(expected);
    }
  });

  it("finds jobs by tenant, keys and other fields, waiting and ended", async () => {
    const [a = "", b = ""] = await enqueue(2, ", tenant => 'acme', correlation_id => 'c', job_key => 'k' || n, priority => -3");
    const client = await connection(database);
    await client.query("select set_config('legwork.parent_id', $1, false)", [a]);
    const { rows } = await client.query("select legwork.enqueue('other')::text as child");
    const child = rows[0].child as string;
    const [late = ""] = await enqueue(1, ", run_at => now() + interval '1 day'");
    await fail([b], "Refused by host 7");
    const found: [string, string[]][] = [
      ["tenant=acme", [b, a]],
      ["correlationId=c", [b, a]],
      ["jobKey=k1", [a]],
      ["jobKey=k2", [b]],
      [`parentId=${a}`, [child]],
      ["state=failed", [b]],
      ["state=scheduled", [late]],
      ["state=pending&priority=-3", [a]],
      ["state=failed&error=REFUSED%20by", [b]],
      ["state=failed&error=other", []],
      ["tenant=acme&state=pending", [a]],
      ["queue=mail", []],
      ["task=other&limit=2", [late, child]],
      ["tenant=unknown", []],
    ];
    for (const [query, ids] of found) expect([query, idsOf(await get(`/jobs?${query}`))]).toEqual([query, ids]);
  });

  it("rejects a filter without an index, and says what to add", async () => {
    for (const [query, field] of [
      ["priority=1", "priority"],
      ["error=x&task=other", "error"],
      ["error=x&state=completed", "error"],
      ["task=other&queue=default", "queue"],
    ]) {
      const { status, body } = await get(`/jobs?${query}`);
      expect(status).toBe(400);
      expect(body).toMatchObject({
        code: "LW400",
        hint: expect.stringMatching(/^(Add|Leave)/),
        errors: [{ in: "query", field }],
      });
    }
  });

  it("finds jobs by creation time, with and without id marks, including those of a long transaction", async () => {
    const time = async (): Promise<string> =>
      encodeURIComponent(((await database.pool.query("select clock_timestamp() as t")).rows[0].t as Date).toISOString());
    // Records another mark now. Normally, one is recorded every minute.
    const mark = async (): Promise<void> => {
      const { rows } = await database.pool.query("delete from legwork_private.id_marks returning to_jsonb(id_marks) as mark");
      await database.pool.query("select legwork_private.record_id_mark()");
      await database.pool.query(
        "insert into legwork_private.id_marks select m.* from jsonb_populate_recordset(null::legwork_private.id_marks, $1) m",
        [JSON.stringify(rows.map((row) => row.mark))],
      );
    };
    const slow = await connection(database);
    await database.pool.query("select pg_sleep(0.01)");
    const before = await time();
    await slow.query("begin");
    await slow.query("select pg_sleep(0.01)");
    const middle = await time();
    await mark();
    const [early = ""] = await enqueue(1);
    // A mark can rely only on transactions that began over a second ago. The slow transaction is still open.
    await database.pool.query("select pg_sleep(1.1)");
    await mark();
    const { rows } = await slow.query("select legwork.enqueue('other')::text as id");
    await slow.query("commit");
    await mark();
    await database.pool.query("select pg_sleep(0.01)");
    const after = await time();
    const [last = ""] = await enqueue(1);
    await database.pool.query("select pg_sleep(1.1)");
    await mark();
    const bounds = await database.pool.query("select * from legwork_private.ids_created($1, $2)", [
      decodeURIComponent(after),
      decodeURIComponent(middle),
    ]);
    expect(bounds.rows).toEqual([{ above: rows[0].id, up_to: rows[0].id }]);
    const spans: [string, string[]][] = [
      [`createdAfter=${before}&createdBefore=${middle}`, [rows[0].id]],
      [`createdAfter=${middle}&createdBefore=${after}`, [early]],
      [`createdAfter=${after}`, [last]],
      [`createdBefore=${before}`, []],
    ];
    for (const round of ["live", "ended"]) {
      if (round === "ended") await complete([early, rows[0].id, last]);
      for (const [query, ids] of spans) expect([round, query, idsOf(await get(`/jobs?${query}`))]).toEqual([round, query, ids]);
    }
    await empty(database.pool, "legwork_private.id_marks");
    for (const [query, ids] of spans) expect([query, idsOf(await get(`/jobs?${query}`))]).toEqual([query, ids]);
  });

  it("rejects a cursor from another list", async () => {
    const tasks = await get("/tasks?limit=1");
    expect(await get(`/jobs?cursor=${tasks.body.nextCursor}`)).toMatchObject({
      status: 400,
      body: { errors: [{ in: "query", field: "cursor" }] },
    });
    expect(idsOf(tasks).length + (await get(`/tasks?cursor=${tasks.body.nextCursor}`)).body.items.length).toBeGreaterThan(1);
  });
});

describe("one job", () => {
  it("returns 304 while it is unchanged", async () => {
    const [id] = await enqueue(1);
    const first = await get(`/jobs/${id}`);
    const etag = first.headers.get("etag") ?? "";
    expect(etag).toMatch(/^".+"$/);
    expect(await ask("GET", `/jobs/${id}`, undefined, { "if-none-match": `"x", W/${etag}` })).toMatchObject({
      status: 304,
      text: "",
    });
    await post(`/jobs/${id}/cancel`, { reason: "wrong" });
    const changed = await ask("GET", `/jobs/${id}`, undefined, { "if-none-match": etag });
    expect(changed).toMatchObject({ status: 200, body: { state: "cancelled", error: "Cancelled by legwork up: wrong" } });
  });

  it("is removed by DELETE, whether it is waiting or has failed, but not after another end", async () => {
    const [waiting = "", failed = "", done = ""] = await enqueue(3);
    await fail([failed]);
    await complete([done]);
    expect(await ask("DELETE", `/jobs/${waiting}`)).toMatchObject({ status: 200, body: { id: waiting, state: "cancelled" } });
    expect(await ask("DELETE", `/jobs/${failed}`)).toMatchObject({ status: 200, body: { id: failed, state: "failed" } });
    expect(await ask("DELETE", `/jobs/${done}`)).toMatchObject({ status: 409, body: { code: "LW409" } });
    expect((await database.pool.query("select from graphile_worker._private_jobs")).rows).toEqual([]);
    expect(await post(`/jobs/${failed}/retry`)).toMatchObject({ status: 409 });
  });

  it("returns its log in pages, each from where the last one ended", async () => {
    const [id] = await enqueue(1);
    const lines = Array.from({ length: 7 }, (_, n) => ({
      job_id: id,
      attempt: 1,
      at: Date.now(),
      level: "info",
      message: `line ${n}`,
    }));
    await database.pool.query("select legwork_private.record_output('[]', $1)", [JSON.stringify(lines)]);
    const first = await get(`/jobs/${id}/logs?limit=5`);
    const second = await get(`/jobs/${id}/logs?limit=5&cursor=${first.body.nextCursor}`);
    const messages = [...first.body.items, ...second.body.items].map(({ message }: { message: string }) => message);
    expect(messages).toEqual(lines.map(({ message }) => message));
    expect(second.body.nextCursor).toBeNull();
    expect((await get("/jobs/999999/logs")).status).toBe(404);
  });
});

describe("bulk actions", () => {
  it("are a dry run unless dryRun is false", async () => {
    const ids = await enqueue(4);
    await fail(ids.slice(0, 3));
    for (const verb of ["retry", "discard"]) {
      expect((await post(`/jobs/${verb}`, { filter: {} })).body).toEqual({
        dryRun: true,
        changed: 0,
        left: 3,
        leftIsCapped: false,
        ids: ids.slice(0, 3),
      });
    }
    expect((await post("/jobs/cancel", { filter: {} })).body).toMatchObject({
      dryRun: true,
      changed: 0,
      left: 1,
      ids: ids.slice(3),
    });
    expect((await get("/jobs?state=failed")).body.items).toHaveLength(3);
  });

  it("continue in chunks until no job is left", async () => {
    const ids = await enqueue(25);
    await fail(ids, "connect ECONNREFUSED");
    const chunks: unknown[] = [];
    for (let left = 1; left > 0;) {
      const { body } = await post("/jobs/retry", {
        filter: { task: "other", error: "econnrefused" },
        dryRun: false,
        atMost: 10,
      });
      chunks.push([body.changed, body.left]);
      left = body.left;
    }
    expect(chunks).toEqual([
      [10, 15],
      [10, 5],
      [5, 0],
    ]);
    expect((await post("/jobs/cancel", { filter: { state: "pending" }, dryRun: false, reason: "all wrong" })).body).toMatchObject(
      {
        changed: 25,
        left: 0,
        ids,
      },
    );
    expect((await get(`/jobs/${ids[0]}`)).body).toMatchObject({
      state: "cancelled",
      error: "Cancelled by legwork up: all wrong",
    });
  });

  it("cancel running jobs once", async () => {
    const ids = await enqueue(2);
    await database.pool.query(
      "update graphile_worker._private_jobs set locked_at = now(), locked_by = 'w', attempts = 1 where id = $1",
      [ids[0]],
    );
    const { body } = await post("/jobs/cancel", { filter: { task: "other" }, dryRun: false });
    expect(body).toMatchObject({ changed: 2, left: 0, ids });
    expect((await post("/jobs/cancel", { filter: {}, dryRun: false })).body).toMatchObject({ changed: 0, left: 0 });
    expect((await database.pool.query("select job_id::text as id from legwork_private.cancellations")).rows).toEqual([
      { id: ids[0] },
    ]);
  });

  it("skip a job that is being fetched, and find it in the next request", async () => {
    const ids = await enqueue(2);
    const taking = await connection(database);
    await taking.query("begin");
    await taking.query("select from graphile_worker._private_jobs where id = $1 for update", [ids[0]]);
    expect((await post("/jobs/cancel", { filter: {}, dryRun: false })).body).toMatchObject({
      changed: 1,
      left: 1,
      ids: [ids[1]],
    });
    await taking.query("commit");
    expect((await post("/jobs/cancel", { filter: {}, dryRun: false })).body).toMatchObject({
      changed: 1,
      left: 0,
      ids: [ids[0]],
    });
  });

  it("reject a filter with an unknown name or an unsuitable state", async () => {
    expect(await post("/jobs/retry", { filter: { task: "othre" } })).toMatchObject({
      status: 404,
      body: { hint: expect.stringContaining("'other'") },
    });
    expect(await post("/jobs/cancel", { filter: { state: "failed" } })).toMatchObject({
      status: 400,
      body: { errors: [{ field: "filter.state" }] },
    });
  });

  it("find groups of failed jobs by their fingerprint", async () => {
    const ids = await enqueue(3);
    await fail(ids, "refused by host 7");
    const { body } = await get("/failed-groups");
    expect(body.items).toMatchObject([{ task: "other", jobs: "3", lastError: "refused by host 7" }]);
    const { fingerprint } = body.items[0];
    expect((await post("/jobs/discard", { filter: { fingerprint }, dryRun: false })).body).toMatchObject({
      changed: 3,
      left: 0,
    });
  });
});

describe("queues and tasks", () => {
  it("are returned in their new state by each operation", async () => {
    expect((await post("/queues/mail/pause", { reason: "host is down" })).body).toMatchObject({
      name: "mail",
      pauseReason: "host is down",
      pausedAt: expect.any(String),
    });
    expect((await post("/queues/mail/resume")).body).toMatchObject({ pausedAt: null });
    expect((await ask("PUT", "/queues/mail/limits", { kind: "concurrency", max: 3 })).body.limits).toEqual([
      { kind: "concurrency", max: 3 },
    ]);
    const limited = await ask("PUT", "/tasks/notify%2Femail/limits", { kind: "rate", max: 5, per: "90s", key: "to" });
    expect(limited.body.limits).toEqual([{ kind: "rate", max: 5, per: "00:01:30", key: "to" }]);
    expect((await ask("DELETE", "/tasks/notify%2Femail/limits/rate?key=to")).body.limits).toBeNull();
    const queue = await ask("PUT", "/queues/mail/retry-policy", { attempts: 7 });
    expect(queue.body.retry).toMatchObject({ attempts: 7, backoff: null });
    expect((await ask("DELETE", "/queues/mail/retry-policy")).body.retry).toBeNull();
    const retried = await ask("PUT", "/tasks/notify%2Femail/retry-policy", {
      attempts: 3,
      backoff: "fixed",
      delay: "1s",
      on: ["ECONNREFUSED"],
    });
    expect(retried.body.retry).toMatchObject({ attempts: 3, backoff: "fixed", on: ["ECONNREFUSED"] });
    expect((await ask("DELETE", "/tasks/notify%2Femail/retry-policy")).body.retry).toBeNull();
  });

  it("can all be stopped and resumed", async () => {
    const [id] = await enqueue(1);
    expect((await post("/emergency-stop", { reason: "help" })).body).toMatchObject({ stopReason: "help", paused: "1" });
    expect((await get(`/jobs/${id}/explain`)).body.items[0]).toMatchObject({ reason: "everything_stopped" });
    expect((await post("/resume-all")).body).toMatchObject({ stoppedAt: null, pending: "1" });
    expect((await get("/stats")).body, "the old path").toEqual((await get("/overview")).body);
    expect((await get("/overview")).body).toMatchObject({ pending: "1", queues: 2, tasks: 2, workers: 0 });
  });
});

describe("problems", () => {
  it("are LW401 without a token on every route, whatever else is wrong with the request", async () => {
    for (const [method, path] of [
      ["GET", "/jobs?limit=x"],
      ["POST", "/jobs"],
      ["DELETE", "/jobs/x"],
      ["GET", "/doctor"],
    ] as const) {
      const answer = await ask(method, path, method === "POST" ? "{" : undefined, { authorization: "Bearer wrong" });
      expect(answer).toMatchObject({
        status: 401,
        body: { type: "urn:legwork:error:LW401", title: "Not authenticated", status: 401, code: "LW401" },
      });
      expect(answer.headers.get("content-type")).toMatch(/^application\/problem\+json/);
      expect(answer.headers.get("www-authenticate")).toMatch(/^Bearer/);
    }
  });

  it("name an unknown route, an invalid body and a body that is too large", async () => {
    expect(await get("/nothing")).toMatchObject({
      status: 404,
      body: { code: "LW404", detail: "Unknown route: GET /api/v1/nothing." },
    });
    expect(await get("/jobs/%E0%A4%A")).toMatchObject({ status: 400, body: { code: "LW400" } });
    expect(await post("/jobs", "{")).toMatchObject({ status: 400, body: { code: "LW400", errors: [{ in: "body", field: "" }] } });
    expect(await post("/jobs", "{}", { "content-type": "text/plain" })).toMatchObject({ status: 415, body: { code: "LW400" } });
    expect(await post("/jobs", { task: "other", payload: "x".repeat(200_000) })).toMatchObject({
      status: 413,
      body: { code: "LW413" },
    });
  });

  it("name every invalid field", async () => {
    const { body } = await post("/jobs", {
      task: "",
      priority: 1.5,
      pripority: 1,
      runAt: "tomorrow",
      payload: { a: ["\u0000"] },
    });
    const named = body.errors.map(({ in: part, field }: { in: string; field: string }) => `${part} ${field}`);
    expect(new Set(named)).toEqual(new Set(["body task", "body priority", "body pripority", "body runAt", "body payload.a.0"]));
  });

  it("are LW504 for a slow database, and LW503 for one that cannot be reached", async () => {
    const holder = await connection(database);
    await holder.query("begin");
    await holder.query("lock table legwork_private.job_logs in access exclusive mode");
    const [id] = await enqueue(1);
    expect(await get(`/jobs/${id}/logs`)).toMatchObject({ status: 504, body: { code: "LW504" } });
    await holder.query("rollback");
    const allow = async (connections: boolean): Promise<unknown> =>
      await onServer(inject("serverUrl"), (client) =>
        client.query(`alter database ${new URL(database.url).pathname.slice(1)} allow_connections ${connections}`),
      );
    await allow(false);
    await database.pool.query(
      "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'legwork server' and datname = current_database()",
    );
    expect(await get("/jobs")).toMatchObject({ status: 503, body: { code: "LW503" } });
    await allow(true);
    expect((await get("/jobs")).status).toBe(200);
  });
});

describe("/docs", () => {
  it("needs no token and loads nothing from other hosts", async () => {
    const page = await fetch(`${server.url}/docs`);
    expect(page.status).toBe(200);
    expect(page.headers.get("content-security-policy")).toMatch(/^default-src 'none'; script-src 'self';/);
    const html = await page.text();
    const loaded = [...html.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, path = ""]) => path);
    expect(loaded.length).toBeGreaterThan(3);
    for (const path of loaded) {
      // These URLs are relative, so that they work below any path.
      const url = new URL(path, page.url);
      expect(url.href).toContain(`${server.url}/docs/`);
      expect((await fetch(url)).status).toBe(200);
    }
    expect(html).not.toMatch(/<script>|<style>/);
    expect(await (await fetch(`${server.url}/docs/static/swagger-initializer.js`)).text()).toContain('"validatorUrl":null');
  });
});
