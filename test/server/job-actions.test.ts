import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { Server } from "../../src/server/server.ts";
import { testDatabase } from "../support/database.ts";
import { empty } from "../support/empty.ts";
import { makeToken, rest, startRest } from "../support/rest.ts";

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
  await empty(database.pool, "legwork_private.finished_jobs, legwork_private.reruns");
  await database.pool.query(`select legwork_private.register_tasks('[{"name": "a", "queue": "mail"}, {"name": "b"}]')`);
});

async function make(task: string, payload: unknown = {}, options = ""): Promise<string> {
  const { rows } = await database.pool.query(`select legwork.enqueue($1, $2${options}) as id`, [task, JSON.stringify(payload)]);
  return rows[0].id;
}
const complete = async (...ids: string[]): Promise<unknown> =>
  await database.pool.query("select graphile_worker.complete_jobs($1::bigint[])", [ids]);
const ids = (items: { id: string }[]): string[] => items.map(({ id }) => id);

describe("GET /jobs?payload=", () => {
  it("finds jobs by their payload, and reports how far it has searched", async () => {
    const found = [await make("a", { user: { id: 42 } }), await make("b", { user: { id: "42" } })];
    await make("a", { user: { id: 43 } });
    const { body } = await rest(server, "GET", "/jobs?payload=user.id:42");
    expect(ids(body.items)).toEqual(found.toReversed());
    expect(body).toMatchObject({ nextCursor: null, lookedAt: 3, lookedTo: found[0] });
    expect(ids((await rest(server, "GET", "/jobs?payload=user.id:42&task=a")).body.items)).toEqual([found[0]]);
    expect((await rest(server, "GET", "/jobs?payload=nothing")).body).toMatchObject({
      code: "LW400",
      errors: [{ field: "payload" }],
    });
    const acme = await makeToken(database, "viewer", "acme");
    const theirs = await rest(server, "GET", "/jobs?payload=user.id:42", undefined, { authorization: `Bearer ${acme}` });
    expect(theirs.body).toMatchObject({ items: [], lookedAt: 0 });
  });

  it("searches 10,000 jobs, and the next request continues from there, whether any were found or not", async () => {
    await database.pool.query(
      `insert into legwork_private.finished_jobs (id, task, queue, state, priority, attempts, max_attempts, payload, run_at, created_at, finished_at)
       select n, 'a', 'mail', 'completed', 0, 1, 1, json_build_object('n', n), now(), now(), now() from generate_series(1000001, 1012000) n`,
    );
    const first = (await rest(server, "GET", "/jobs?payload=n:1000001&task=a")).body;
    expect(first).toMatchObject({ items: [], lookedAt: 10_000, lookedTo: "1002001" });
    const second = (await rest(server, "GET", `/jobs?payload=n:1000001&task=a&cursor=${first.nextCursor}`)).body;
    expect(second).toMatchObject({ items: [{ id: "1000001" }], lookedAt: 2_000, nextCursor: null });
  });

  it("omits payloads and results from a brief list", async () => {
    await make("a", { much: "x".repeat(1_000) });
    const { text, body } = await rest(server, "GET", "/jobs?brief=true");
    expect(text).not.toContain("xxx");
    expect(body.items[0]).toMatchObject({ task: "a", payload: null, result: null });
  });
});

describe("rerunning", () => {
  it("a job happens once per idempotency key, and both jobs link to each other", async () => {
    const old = await make("a", { n: 1 });
    await complete(old);
    const headers = { "idempotency-key": "again" };
    const answer = await rest(server, "POST", `/jobs/${old}/rerun`, { payload: { n: 2 } }, headers);
    expect(answer.status).toBe(201);
    expect((await rest(server, "POST", `/jobs/${old}/rerun`, { payload: { n: 2 } }, headers)).body).toEqual(answer.body);
    const { id } = answer.body;
    for (const job of [old, id]) {
      expect((await rest(server, "GET", `/jobs/${job}/reruns`)).body.items).toMatchObject([
        { id, originalId: old, payloadChanged: true },
      ]);
    }
    expect((await rest(server, "GET", "/jobs/999999/reruns")).body).toMatchObject({ code: "LW404" });
    expect((await rest(server, "GET", `/jobs/${id}`)).body).toMatchObject({ parentId: old, payload: { n: 2 } });
  });

  it("all matching jobs takes several calls, each with the `asOf` of the previous response", async () => {
    const old = [await make("a"), await make("a"), await make("a"), await make("b")];
    await complete(...old);
    const first = (await rest(server, "POST", "/jobs/rerun", { filter: { task: "a" }, dryRun: false, atMost: 2 })).body;
    expect(first).toMatchObject({ changed: 2, left: 1, ids: old.slice(0, 2) });
    const body = { filter: { task: "a" }, dryRun: false, asOf: first.asOf };
    expect((await rest(server, "POST", "/jobs/rerun", body)).body).toMatchObject({ changed: 1, left: 0, asOf: first.asOf });
    expect((await rest(server, "POST", "/jobs/rerun", { filter: {} })).body).toMatchObject({ code: "LW400" });
  });
});

describe("priorities", () => {
  it("of many jobs change and can be restored from the response", async () => {
    const jobs = [await make("a"), await make("a", {}, ", priority => 3"), await make("b")];
    expect((await rest(server, "POST", "/jobs/priority", { filter: { queue: "mail" }, priority: 9 })).body).toMatchObject({
      dryRun: true,
      changed: 0,
      left: 2,
      before: [],
    });
    const { body } = await rest(server, "POST", "/jobs/priority", { filter: { queue: "mail" }, priority: 9, dryRun: false });
    expect(body).toMatchObject({
      changed: 2,
      left: 0,
      before: [
        { priority: 0, ids: [jobs[0]] },
        { priority: 3, ids: [jobs[1]] },
      ],
    });
    expect((await rest(server, "PUT", `/jobs/${jobs[0]}/priority`, { priority: 0 })).body).toEqual({
      id: jobs[0],
      priority: 0,
      was: 9,
    });
    await complete(jobs[2] ?? "");
    expect((await rest(server, "PUT", `/jobs/${jobs[2]}/priority`, { priority: 1 })).body).toMatchObject({ code: "LW409" });
  });
});
