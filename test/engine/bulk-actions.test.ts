import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { withPrincipal } from "../../src/access/principal.ts";
import { createLegwork, type Legwork } from "../../src/embed.ts";
import { getBulkAction, startBulkAction, stopBulkAction } from "../../src/jobs/bulk-actions.ts";
import { runBulkAction, startBulkRunner } from "../../src/jobs/run-bulk-actions.ts";
import type { Server } from "../../src/server/server.ts";
import { legwork } from "../support/cli.ts";
import { testDatabase, testLog } from "../support/database.ts";
import { resetLegwork } from "../support/reset-legwork.ts";
import { makeToken, rest, startRest } from "../support/rest.ts";
import { until } from "../support/until.ts";

const database = testDatabase();
let tree: Legwork;

beforeAll(async () => {
  await database.pool.query(
    `select legwork_private.register_tasks('[{"name": "notify/email", "queue": "mail"}, {"name": "other"}]')`,
  );
  tree = await createLegwork({ databaseUrl: database.url, migrate: false });
});
beforeEach(() => resetLegwork(database.pool));
afterAll(() => tree.stop());

/** Enqueues jobs and returns their ids. */
async function enqueue(count: number, tenant: string | null = null, task = "notify/email"): Promise<string[]> {
  const { rows } = await database.pool.query("select legwork.enqueue($1, tenant => $2)::text as id from generate_series(1, $3)", [
    task,
    tenant,
    count,
  ]);
  return rows.map(({ id }) => id);
}

async function fail(ids: readonly string[]): Promise<void> {
  await database.pool.query("select graphile_worker.permanently_fail_jobs($1::bigint[], 'HTTP 503 from api')", [ids]);
}

async function enqueueFailed(count: number, tenant: string | null = null): Promise<string[]> {
  const ids = await enqueue(count, tenant);
  await fail(ids);
  return ids;
}

async function count(where: string): Promise<number> {
  return (await database.pool.query(`select count(*)::integer as n from legwork.jobs where ${where}`)).rows[0].n;
}

/** Makes the next chunk due, with this many jobs, and processes it. */
async function oneChunk(jobs = 2): Promise<number | null> {
  await database.pool.query("update legwork_private.bulk_actions set next_at = now(), chunk = $1", [jobs]);
  return await runBulkAction(database.pool);
}

async function finish(id: string): Promise<Awaited<ReturnType<typeof getBulkAction>>> {
  for (;;) {
    const row = await getBulkAction(database.pool, id);
    if (row.state !== "running") return row;
    await oneChunk();
  }
}

test("two processes never process the same chunk, and when one is killed, the other continues after the last complete chunk", async () => {
  const jobs = await enqueueFailed(9);
  const id = await tree.bulkActions.start("rerun", { state: "failed" });
  await oneChunk();
  await oneChunk();
  expect(await tree.bulkActions.get(id)).toMatchObject({ state: "running", total: "9", changed: "2", action: "rerun" });

  // This process has processed a chunk and is killed before its transaction ends.
  const killed = await database.pool.connect();
  killed.on("error", () => undefined);
  await database.pool.query("update legwork_private.bulk_actions set next_at = now()");
  await killed.query("begin");
  const { rows } = await killed.query("select pg_backend_pid() as pid, legwork_private.run_bulk_action() as wait");
  expect(await runBulkAction(database.pool)).toBe(0);
  expect(await tree.bulkActions.get(id)).toMatchObject({ changed: "2" });
  await database.pool.query("select pg_terminate_backend($1)", [rows[0].pid]);
  killed.release(true);

  const runners = [startBulkRunner(database.pool, testLog), startBulkRunner(tree.pool, testLog)];
  try {
    await until("the bulk action has completed", async () => (await tree.bulkActions.get(id)).state === "completed");
  } finally {
    await Promise.all(runners.map((runner) => runner.stop()));
  }
  expect(await tree.bulkActions.get(id)).toMatchObject({ changed: "9", skipped: "0", total: "9", lastError: null });
  const reruns = await database.pool.query("select original_id::text as id from legwork_private.reruns order by original_id");
  expect(reruns.rows.map((row) => row.id)).toEqual(jobs);
  const { rows: audit } = await database.pool.query(
    "select operation, target, count, after ->> 'action' as action from legwork.audit_log where target_type = 'bulk_action' order by id",
  );
  expect(audit).toEqual([
    { operation: "start_bulk_action", target: id, count: null, action: "rerun" },
    { operation: "end_bulk_action", target: id, count: "9", action: "rerun" },
  ]);
});

test("a bulk action that is stopped ends after its chunk, and jobs that fail after its start are left alone", async () => {
  await enqueueFailed(6);
  const stopped = await tree.bulkActions.start("discard", {});
  await oneChunk();
  await oneChunk();
  expect(await tree.bulkActions.stop(stopped)).toBe("stopped");
  expect(await tree.bulkActions.stop(stopped)).toBe("stopped");
  expect(await oneChunk()).toBeNull();
  expect(await tree.bulkActions.get(stopped)).toMatchObject({ state: "stopped", changed: "2", total: "6" });

  const later = await enqueue(1);
  const id = await tree.bulkActions.start("retry", { failedSince: "1h" });
  await fail(later);
  expect(await finish(id)).toMatchObject({ state: "completed", changed: "4", filter: { failed_after: expect.any(String) } });
  expect([await count("state = 'failed' and id = " + later[0]), await count("state = 'pending'")]).toEqual([1, 4]);
  await expect(tree.bulkActions.stop("999")).rejects.toMatchObject({ code: "LW404" });
});

test("a bulk action has the rights of the user who started it: a tenant's action changes and shows only that tenant's jobs", async () => {
  await enqueueFailed(3, "acme");
  await enqueueFailed(4, "globex");
  const as = (tenant: string | null, role: "operator" | "viewer" = "operator") => ({ subject: `ann of ${tenant}`, role, tenant });
  const id = await withPrincipal(database.pool, as("acme"), "rest", (client) => startBulkAction(client, "retry", {}));
  // This holds even if the filter of the bulk action is changed.
  await database.pool.query('update legwork_private.bulk_actions set filter = \'{"tenant": "globex"}\' where id = $1', [id]);
  expect(await finish(id)).toMatchObject({ state: "completed", changed: "0", total: "0", actor: "ann of acme", tenant: "acme" });
  expect(await count("state = 'failed'")).toBe(7);

  const own = await withPrincipal(database.pool, as("acme"), "rest", (client) =>
    startBulkAction(client, "cancel", { task: "notify/email" }),
  );
  await enqueue(1, "acme");
  await stopBulkAction(database.pool, own);
  const all = await withPrincipal(database.pool, as("acme"), "rest", (client) => startBulkAction(client, "retry", {}));
  expect(await finish(all)).toMatchObject({ changed: "3" });
  expect(await count("state = 'failed' and tenant = 'globex'")).toBe(4);
  await withPrincipal(database.pool, as("globex"), "rest", async (client) => {
    expect((await client.query("select from legwork.bulk_actions")).rows).toEqual([]);
    await expect(getBulkAction(client, all)).rejects.toMatchObject({ code: "LW404" });
  });
  await expect(withPrincipal(database.pool, as("globex"), "rest", (client) => stopBulkAction(client, all))).rejects.toMatchObject(
    { code: "LW404" },
  );
  await expect(
    withPrincipal(database.pool, as("acme", "viewer"), "rest", (client) => startBulkAction(client, "retry", {})),
  ).rejects.toMatchObject({ code: "LW403" });

  const lost = await tree.bulkActions.start("retry", {});
  await database.pool.query("update legwork_private.bulk_actions set login = 'pg_monitor' where id = $1", [lost]);
  expect(await finish(lost)).toMatchObject({ state: "failed", last_error: "pg_monitor no longer has the right to do this." });
});

test("a job that makes a chunk fail is skipped with its reason, and a locked job is retried at the end", async () => {
  const [bad = "", locked = "", ...others] = await enqueue(6);
  await database.pool.query(`
    create function public.refuse() returns trigger language plpgsql as $$ begin raise exception 'job % is odd', old.id; end $$;
    create trigger refuse before update of priority on graphile_worker._private_jobs for each row when (old.id = ${bad}) execute function public.refuse()`);
  try {
    const id = await tree.bulkActions.start("priority", {}, { priority: 5 });
    await oneChunk(10);
    const other = await database.pool.connect();
    await other.query("begin");
    await other.query("select from graphile_worker._private_jobs where id = $1 for update", [locked]);
    await oneChunk(10);
    expect(await tree.bulkActions.get(id)).toMatchObject({ state: "running", changed: String(others.length), skipped: "1" });
    await other.query("commit");
    other.release();
    expect(await finish(id)).toMatchObject({
      state: "completed",
      changed: "5",
      skipped: "1",
      skip_reasons: { "job … is odd": 1 },
    });
    expect([await count("priority = 5"), await count(`id = ${bad} and priority = 0`)]).toEqual([5, 1]);
  } finally {
    await database.pool.query("drop trigger refuse on graphile_worker._private_jobs; drop function public.refuse()");
  }
});

describe("the surfaces", () => {
  let server: Server;
  beforeAll(async () => {
    server = await startRest(database);
  });
  afterAll(() => server.stop());

  test("preview, start, list, show and stop bulk actions over REST, and reject invalid requests", async () => {
    await enqueueFailed(3, "acme");
    await fail(await enqueue(2, null, "other"));
    const body = { action: "retry", filter: { failedSince: "10m" } };
    expect((await rest(server, "POST", "/bulk-actions/preview", body)).body).toMatchObject({
      jobs: 5,
      isCapped: false,
      byTask: [
        { task: "notify/email", jobs: 3 },
        { task: "other", jobs: 2 },
      ],
      samples: Array.from({ length: 5 }, () => expect.objectContaining({ state: "failed", error: "HTTP 503 from api" })),
    });
    const started = await rest(server, "POST", "/bulk-actions", body);
    expect(started.status).toBe(201);
    // The server itself carries out the bulk action.
    await until(
      "the bulk action has completed",
      async () => (await rest(server, "GET", `/bulk-actions/${started.body.id}`)).body.state === "completed",
    );
    expect((await rest(server, "GET", "/bulk-actions")).body.items).toMatchObject([
      { id: started.body.id, action: "retry", changed: "5", skipped: "0", actor: expect.any(String) },
    ]);
    expect((await rest(server, "POST", `/bulk-actions/${started.body.id}/stop`)).body).toMatchObject({ state: "completed" });
    for (const [wrong, status] of [
      [{ action: "explode", filter: {} }, 400],
      [{ action: "priority", filter: {} }, 400],
      [{ action: "retry", filter: { task: "unknown" } }, 404],
      [{ action: "rerun", filter: {} }, 400],
    ] as const) {
      expect([wrong, (await rest(server, "POST", "/bulk-actions", wrong)).status]).toEqual([wrong, status]);
    }
    const viewer = { authorization: `Bearer ${await makeToken(database, "viewer")}` };
    expect((await rest(server, "POST", "/bulk-actions", body, viewer)).status).toBe(403);
    expect((await rest(server, "GET", "/bulk-actions", undefined, viewer)).status).toBe(200);
  });

  test("legwork retry runs a bulk action for many jobs, with or without a server, and --detach leaves it running", async () => {
    const environment = { DATABASE_URL: database.url };
    await enqueueFailed(1_005);
    const detached = await legwork(["discard", "--task", "other", "--detach"], environment);
    expect(detached.stdout).toMatch(/^Bulk action (\d+) started\.\n.*legwork bulk show \1 .*legwork bulk stop \1\.$/m);
    const ran = await legwork(["retry", "--state", "failed"], environment);
    expect([ran.code, ran.stdout]).toEqual([0, expect.stringMatching(/^1,005 jobs retried \(bulk action \d+\)\.\n$/)]);
    const remote = { LEGWORK_URL: server.url, LEGWORK_TOKEN: "a token of the test" };
    const cancelled = await legwork(["cancel", "--all", "--reason", "enough", "--json"], remote);
    expect(JSON.parse(cancelled.stdout)).toMatchObject({ action: "cancel", state: "completed", changed: "1005" });
    expect(await count("state = 'cancelled' and error like 'Cancelled by %: enough'")).toBe(1_005);
    const list = await legwork(["bulk", "list"], environment);
    expect(list.stdout).toContain("cancel");
    expect((await legwork(["bulk", "show", "999"], environment)).code).toBe(1);
  });
});
