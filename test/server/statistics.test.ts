import { afterAll, beforeAll, expect, it } from "vitest";
import type { Server } from "../../src/server/server.ts";
import { testDatabase } from "../support/database.ts";
import { makeToken, rest, startRest } from "../support/rest.ts";

const database = testDatabase();
let server: Server;

beforeAll(async () => {
  server = await startRest(database);
});
afterAll(async () => {
  await server.stop();
});

it("the series has the results of all jobs or of one task over time", async () => {
  await database.pool.query(
    `select legwork_private.add_metrics(array[
       row('a', 'completed', date_trunc('minute', now()) - interval '5 minutes', 2, 8, 3, 0.1, 6, now())::legwork_private.counted_rows,
       row('b', 'failed', date_trunc('minute', now()) - interval '5 minutes', 2, 8, 2, 0.1, 6, now())::legwork_private.counted_rows])`,
  );
  const { body } = await rest(server, "GET", "/statistics/series?period=1h");
  expect(body.items[0]).toMatchObject({ seconds: 60, completed: "3", failed: "2", isWhole: false });
  expect((await rest(server, "GET", "/statistics/series?period=1h&task=a")).body.items[0]).toMatchObject({
    completed: "3",
    failed: "0",
  });
  expect((await rest(server, "GET", "/statistics/series?task=a&queue=default")).status).toBe(400);
  expect((await rest(server, "GET", "/statistics/series?period=forever")).status).toBe(400);
});

it("a tenant's token cannot read statistics", async () => {
  const token = await makeToken(database, "admin", "acme");
  for (const path of [
    "/statistics/series",
    "/statistics/limits",
    "/statistics/worker-starts?from=2026-01-01T00:00:00Z",
    "/silences",
  ]) {
    const { status, body } = await rest(server, "GET", path, undefined, { authorization: `Bearer ${token}` });
    expect([path, status, body.code]).toEqual([path, 403, "LW403"]);
  }
});

it("limits are shown with their use at the last sample", async () => {
  await database.pool.query(`select legwork_private.register_tasks('[{"name": "mail", "queue": "mail"}]')`);
  await database.pool.query("select legwork.limit_concurrency(2, queue => 'mail')");
  await database.pool.query("select legwork.enqueue('mail') from generate_series(1, 3)");
  await database.pool.query("select legwork_private.sample_queues()");
  expect((await rest(server, "GET", "/statistics/limits")).body.items).toMatchObject([
    { scope: "queue", name: "mail", kind: "concurrency", key: null, max: 2, used: "2", fullKeys: "1" },
  ]);
});

it("silences are listed while they are in effect", async () => {
  const { body } = await rest(server, "POST", "/silences", { duration: "1h", rule: "backlog_age", reason: "importing" });
  expect((await rest(server, "GET", "/silences")).body.items).toMatchObject([
    { id: body.id, rule: "backlog_age", target: null, reason: "importing" },
  ]);
  await rest(server, "POST", `/silences/${body.id}/end`);
  expect((await rest(server, "GET", "/silences")).body.items).toEqual([]);
});

it("audit log entries are found by operation, actor and target", async () => {
  await database.pool.query("select legwork.pause_queue('mail'), legwork.pause_task('mail')");
  const audited = async (query: string): Promise<string[]> =>
    (await rest(server, "GET", `/audit-log?${query}`)).body.items.map(
      (line: Record<string, string>) => `${line.operation} ${line.targetType} ${line.target}`,
    );
  expect(await audited("targetType=queue&target=mail&operation=pause")).toEqual(["pause queue mail"]);
  expect(await audited("targetType=task&target=mail")).toEqual(["pause task mail"]);
  expect(await audited("actor=mallory")).toEqual([]);
  expect(await audited("since=2100-01-01T00:00:00Z")).toEqual([]);
  expect((await audited("operation=pause&since=2020-01-01T00:00:00Z")).length).toBe(2);
});
