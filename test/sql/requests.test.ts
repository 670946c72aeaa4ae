import { beforeEach, describe, expect, it } from "vitest";
import { connection, untilBlocked } from "../support/connections.ts";
import { testDatabase } from "../support/database.ts";
import { empty } from "../support/empty.ts";

const database = testDatabase();

beforeEach(async () => {
  await database.pool.query(`select legwork_private.register_tasks('[{"name": "a", "queue": "mail"}, {"name": "b"}]')`);
  await database.pool.query("delete from graphile_worker._private_jobs");
  await empty(database.pool, "legwork_private.finished_jobs, legwork_private.cancellations, legwork_private.id_marks, legwork_private.idempotent_requests");
});

const claim = "select legwork_private.claim_request('me', 'k', $1) as answer";

describe("claim_request", () => {
  it("accepts the first request, and returns its response to the others once it has committed", async () => {
    const [first, second] = [await connection(database), await connection(database)];
    await first.query("begin");
    expect((await first.query(claim, ["h"])).rows).toEqual([{ answer: null }]);
    const waiting = second.query(claim, ["h"]);
    await untilBlocked(database, second.backend);
    await first.query(`select legwork_private.keep_response('me', 'k', '{"id": "1"}')`);
    await first.query("commit");
    expect((await waiting).rows).toEqual([{ answer: { id: "1" } }]);
  });

  it("accepts the second request when the first is rolled back", async () => {
    const [first, second] = [await connection(database), await connection(database)];
    await first.query("begin");
    await first.query(claim, ["h"]);
    const waiting = second.query(claim, ["other"]);
    await untilBlocked(database, second.backend);
    await first.query("rollback");
    expect((await waiting).rows).toEqual([{ answer: null }]);
  });

  it("rejects a different request with the same key, but not another caller's", async () => {
    await database.pool.query(claim, ["h"]);
    await expect(database.pool.query(claim, ["other"])).rejects.toMatchObject({ code: "LW409", hint: expect.stringContaining("new key") });
    expect((await database.pool.query("select legwork_private.claim_request('you', 'k', 'other') as answer")).rows).toEqual([{ answer: null }]);
  });
});

describe("cancel_jobs", () => {
  it("cancels matching jobs, oldest first and up to the given number, and leaves the rest", async () => {
    await database.pool.query(`select legwork.enqueue(case when n % 2 = 0 then 'a' else 'b' end, tenant => 'acme') from generate_series(1, 6) n`);
    const cancel = async (options: string): Promise<number> =>
      (await database.pool.query(`select * from legwork.cancel_jobs('{"queue": "mail", "tenant": "acme"}', 'wrong', ${options})`)).rows.length;
    expect(await cancel("preview => true")).toBe(3);
    expect(await cancel("at_most => 2")).toBe(2);
    expect(await cancel("at_most => 2")).toBe(1);
    expect(await cancel("at_most => 2")).toBe(0);
    const { rows } = await database.pool.query("select task, state, error, count(*)::int from legwork.jobs group by 1, 2, 3 order by 1");
    expect(rows).toEqual([
      { task: "a", state: "cancelled", error: "Cancelled by postgres: wrong", count: 3 },
      { task: "b", state: "pending", error: null, count: 3 },
    ]);
    const audit = await database.pool.query("select operation, count, tenant from legwork.audit_log order by id desc limit 1");
    expect(audit.rows).toEqual([{ operation: "cancel_jobs", count: "0", tenant: "acme" }]);
  });

  it.each([
    ["a filter that is not an object", "'[]'", "LW400"],
    ["an unknown field", `'{"tsak": "a"}'`, "LW400"],
    ["a state in which jobs have ended", `'{"state": "failed"}'`, "LW400"],
    ["an unknown task", `'{"task": "c"}'`, "LW404"],
    ["an unknown queue", `'{"queue": "mial"}'`, "LW404"],
  ])("rejects %s", async (_what, filter, code) => {
    await expect(database.pool.query(`select legwork.cancel_jobs(${filter})`)).rejects.toMatchObject({ code, hint: expect.any(String) });
  });
});

describe("id marks", () => {
  it("are recorded once a minute, and deleted with the history", async () => {
    await database.pool.query("select legwork.enqueue('a')");
    await database.pool.query("select legwork_private.record_id_mark()");
    await database.pool.query("select legwork.tick()");
    const { rows } = await database.pool.query("select last_id, (select max(id) from legwork.jobs) as newest from legwork_private.id_marks");
    expect(rows).toEqual([{ last_id: rows[0].newest, newest: rows[0].newest }]);
    await database.pool.query("update legwork_private.id_marks set at = now() - interval '40 days'");
    await database.pool.query("select legwork.maintain_history()");
    expect((await database.pool.query("select from legwork_private.id_marks")).rows).toEqual([]);
  });
});
