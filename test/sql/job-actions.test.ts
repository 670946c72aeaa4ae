import fc from "fast-check";
import { beforeEach, describe, expect, it } from "vitest";
import { listJobs, searchPayloads } from "../../src/jobs/read-jobs.ts";
import { rerunJob } from "../../src/jobs/rerun-job.ts";
import { connection, untilBlocked } from "../support/connections.ts";
import { testDatabase } from "../support/database.ts";
import { empty } from "../support/empty.ts";

const database = testDatabase();
const run = async (text: string, values: unknown[] = []) => (await database.pool.query(text, values)).rows;
const one = async (text: string, values: unknown[] = []) => (await run(text, values))[0];

beforeEach(async () => {
  await run("delete from graphile_worker._private_jobs");
  await empty(database.pool, "legwork_private.finished_jobs, legwork_private.reruns, legwork_private.limits, legwork_private.waiting_jobs, legwork_private.cancellations");
  await run(`select legwork_private.register_tasks('[{"name": "a", "queue": "mail"}, {"name": "secret", "redact": ["password", "cards.*.number"]}]')`);
});

async function make(task: string, payload: object, options = ""): Promise<string> {
  return (await one(`select legwork.enqueue($1, $2 ${options}) as id`, [task, JSON.stringify(payload)])).id;
}

/** A job that has ended in this state. */
async function ended(state: "completed" | "failed" | "cancelled", task = "a", payload: object = { n: 1 }, options = ""): Promise<string> {
  const id = await make(task, payload, options);
  if (state === "completed") await run("select graphile_worker.complete_jobs(array[$1]::bigint[])", [id]);
  if (state === "failed") await run("select graphile_worker.permanently_fail_jobs(array[$1]::bigint[], 'refused')", [id]);
  if (state === "cancelled") await run("select legwork.cancel_job($1)", [id]);
  return id;
}

describe("rerun_job", () => {
  it.each(["completed", "failed", "cancelled"] as const)("creates a new job from a %s one, which is linked to it and otherwise the same", async (state) => {
    const old = await ended(state, "a", { n: 1 }, ", priority => 7, serial_key => 's', max_attempts => 3, tenant => 'acme', correlation_id => 'c', job_key => 'k'");
    const { id } = await one("select legwork.rerun_job($1) as id", [old]);
    expect(await one("select task, payload, priority, serial_key, max_attempts, tenant, correlation_id, parent_id, job_key, state from legwork.jobs where id = $1", [id])).toEqual({
      task: "a",
      payload: { n: 1 },
      priority: 7,
      serial_key: "s",
      max_attempts: 3,
      tenant: "acme",
      correlation_id: "c",
      parent_id: old,
      job_key: null,
      state: "pending",
    });
    expect(await run("select id, original_id, payload_changed from legwork.job_reruns($1)", [old])).toEqual([{ id, original_id: old, payload_changed: false }]);
    expect(await one("select operation, target, tenant, after from legwork.audit_log order by id desc limit 1")).toEqual({
      operation: "rerun_job",
      target: old,
      tenant: "acme",
      after: { job_id: id, payload_changed: false },
    });
    expect(await one("select state from legwork.jobs where id = $1", [old])).toEqual({ state });
  });

  it("rejects a job that has not ended, and an unknown job", async () => {
    const id = await make("a", {});
    await expect(run("select legwork.rerun_job($1)", [id])).rejects.toMatchObject({ code: "LW409", hint: expect.stringContaining("retry_job") });
    await expect(run("select legwork.rerun_job(999999)")).rejects.toMatchObject({ code: "LW404" });
  });

  it("takes redacted values from a failed job, and fails if the job is only in the history", async () => {
    const payload = { user: "ann", password: "hunter22", cards: [{ number: "4111" }, { number: "4222" }] };
    const failed = await ended("failed", "secret", payload);
    const { id } = await one("select legwork.rerun_job($1) as id", [failed]);
    expect((await one("select payload from graphile_worker._private_jobs where id = $1", [id])).payload).toEqual(payload);

    const shown = (await one("select payload from legwork.jobs where id = $1", [failed])).payload;
    expect(shown).toMatchObject({ password: "[redacted]" });
    const edited = await one("select legwork.rerun_job($1, $2, true) as id", [failed, { ...shown, user: "bob" }]);
    expect((await one("select payload from graphile_worker._private_jobs where id = $1", [edited.id])).payload).toEqual({ ...payload, user: "bob" });
    expect(await one("select count(*)::int as kept from graphile_worker._private_jobs where id = $1", [failed])).toEqual({ kept: 0 });

    for (const given of [null, { ...shown, user: "bob" }]) {
      await expect(run("select legwork.rerun_job($1, $2)", [failed, given])).rejects.toMatchObject({ code: "LW409", message: expect.stringContaining("redacted") });
    }
    const whole = await one("select legwork.rerun_job($1, $2) as id", [failed, { password: "new" }]);
    expect((await one("select payload from graphile_worker._private_jobs where id = $1", [whole.id])).payload).toEqual({ password: "new" });
  });

  it("validates another payload against the task, except for redacted values", async () => {
    const schema = { type: "object", properties: { to: { type: "string" }, password: { type: "string", minLength: 20 } }, required: ["to"] };
    await run("select legwork_private.register_tasks($1)", [JSON.stringify([{ name: "secret", payload_schema: schema, redact: ["password"] }])]);
    const failed = await ended("failed", "secret", { to: "x", password: "a".repeat(20) });
    await expect(rerunJob(database.pool, failed, { payload: { to: 1, password: "[redacted]" } })).rejects.toMatchObject({ code: "LW422" });
    const id = await rerunJob(database.pool, failed, { payload: { to: "y", password: "[redacted]" } });
    expect((await one("select payload from graphile_worker._private_jobs where id = $1", [id])).payload).toEqual({ to: "y", password: "a".repeat(20) });
  });

  it("restores exactly the redacted values, wherever they are", async () => {
    const value = fc.letrec((tie) => ({
      json: fc.oneof({ depthSize: "small" }, fc.string({ unit: "grapheme-ascii" }), fc.integer(), fc.boolean(), fc.constant(null), fc.array(tie("json"), { maxLength: 3 }), fc.dictionary(fc.constantFrom("a", "b", "c"), tie("json"))),
    })).json;
    const path = fc.array(fc.constantFrom("a", "b", "c", "*", "0", "1"), { minLength: 1, maxLength: 3 }).map((steps) => steps.join("."));
    await fc.assert(
      fc.asyncProperty(value, fc.array(path, { minLength: 1, maxLength: 3 }), async (json, paths) => {
        const { back } = await one("select legwork_private.restore_redacted(legwork.redact($1::json, $2::text[]), $1::json) as back", [JSON.stringify(json), paths]);
        expect(back).toEqual(json);
      }),
      { numRuns: 60 },
    );
  });
});

describe("rerun_jobs", () => {
  it("continues where the previous call stopped, and does not rerun a rerun", async () => {
    for (let n = 0; n < 5; n++) await ended("completed", "a", { n });
    const { now } = await one("select clock_timestamp() as now");
    const rerun = async () => (await run("select x from legwork.rerun_jobs('{\"task\": \"a\"}', $1, at_most => 2) x", [now])).length;
    expect([await rerun(), await rerun(), await rerun(), await rerun()]).toEqual([2, 2, 1, 0]);
    await run("select graphile_worker.complete_jobs((select array_agg(id) from graphile_worker._private_jobs))");
    expect(await rerun()).toBe(0);
    expect((await one("select count(*)::int as jobs from legwork_private.finished_jobs")).jobs).toBe(10);
  });

  it("reruns each job once when two calls run at the same time", async () => {
    for (let n = 0; n < 4; n++) await ended("completed", "a", { n });
    const { now } = await one("select clock_timestamp() as now");
    const [first, second] = [await connection(database), await connection(database)];
    const call = `select count(*)::int as jobs from legwork.rerun_jobs('{"task": "a"}', $1)`;
    await first.query("begin");
    expect((await first.query(call, [now])).rows).toEqual([{ jobs: 4 }]);
    const waiting = second.query(call, [now]);
    await untilBlocked(database, second.backend);
    await first.query("commit");
    expect((await waiting).rows).toEqual([{ jobs: 0 }]);
  });

  it("refuses to search the whole history, and does nothing if a payload is redacted", async () => {
    await expect(run("select legwork.rerun_jobs('{}')")).rejects.toMatchObject({ code: "LW400", hint: expect.stringContaining("Add a task") });
    await ended("completed", "secret", { user: 1 });
    await ended("completed", "secret", { password: "hunter22" });
    await expect(run(`select legwork.rerun_jobs('{"task": "secret"}')`)).rejects.toMatchObject({ code: "LW409" });
    expect(await one("select count(*)::int as jobs from graphile_worker._private_jobs")).toEqual({ jobs: 0 });
  });
});

describe("set_priority", () => {
  it("returns the previous priority, changes the order, and is audited if the priority changes", async () => {
    const id = await make("a", {}, ", tenant => 'acme'");
    expect(await one("select legwork.set_priority($1, -5) as was", [id])).toEqual({ was: 0 });
    expect(await one("select priority, state from legwork.jobs where id = $1", [id])).toEqual({ priority: -5, state: "pending" });
    const last = "select operation, before, after, tenant from legwork.audit_log order by id desc limit 1";
    expect(await one(last)).toEqual({ operation: "set_priority", before: { priority: 0 }, after: { priority: -5 }, tenant: "acme" });
    expect(await one("select legwork.set_priority($1, -5) as was", [id])).toEqual({ was: -5 });
    await expect(run("select legwork.set_priority($1, 40000)", [id])).rejects.toMatchObject({ code: "LW400" });
  });

  it("moves a job within its line", async () => {
    await run("select legwork.limit_concurrency(1, task => 'a')");
    const [holder, second, third] = [await make("a", {}), await make("a", {}), await make("a", {})];
    await run("select legwork.set_priority($1, -1)", [third]);
    expect(await run("select state::text from legwork.jobs order by id")).toEqual([{ state: "pending" }, { state: "blocked" }, { state: "blocked" }]);
    await run("select graphile_worker.complete_jobs(array[$1]::bigint[])", [holder]);
    await run("select legwork.tick()");
    expect(await run("select id, state::text from legwork.jobs where id = any ($1) order by id", [[second, third]])).toEqual([
      { id: second, state: "blocked" },
      { id: third, state: "pending" },
    ]);
  });

  it("of a running job applies to its next attempt, even after its worker was lost", async () => {
    const id = await make("a", {});
    const hold = "update graphile_worker._private_jobs set locked_at = now(), locked_by = 'w', attempts = max_attempts where id = $1";
    await run(hold, [id]);
    expect(await one("select legwork.set_priority($1, 3) as was", [id])).toEqual({ was: 0 });
    await run("update graphile_worker._private_jobs set locked_at = null, locked_by = null, run_at = now() where id = $1", [id]);
    expect(await one("select state, priority from legwork.jobs where id = $1", [id])).toEqual({ state: "pending", priority: 3 });
    await run(hold, [id]);
    await run("update graphile_worker._private_jobs set locked_at = null, locked_by = null, last_error = 'boom', run_at = now() + interval '1 min' where id = $1", [id]);
    expect(await one("select state, error, priority from legwork.jobs where id = $1", [id])).toEqual({ state: "failed", error: "boom", priority: 3 });
    await expect(run("select legwork.set_priority($1, 1)", [id])).rejects.toMatchObject({ code: "LW409" });
  });

  it("of many jobs skips those that already have the priority, returns the previous priorities, and can be undone", async () => {
    const ids = [await make("a", {}), await make("a", {}, ", priority => 4"), await make("a", {}, ", priority => 9")];
    const call = `select * from legwork.set_priorities('{"queue": "mail"}', 9`;
    expect(await run(`${call}, preview => true)`)).toEqual([
      { id: ids[0], was: 0 },
      { id: ids[1], was: 4 },
    ]);
    expect(await run(`${call}, at_most => 1)`)).toEqual([{ id: ids[0], was: 0 }]);
    expect(await run(`${call})`)).toEqual([{ id: ids[1], was: 4 }]);
    expect(await run(`${call})`)).toEqual([]);
    expect(await one("select operation, count from legwork.audit_log order by id desc limit 1 offset 1")).toEqual({ operation: "set_priorities", count: "1" });
  });
});

describe("a search in payloads", () => {
  it("finds texts, numbers and nested values of live and ended jobs, but no redacted values", async () => {
    const jobs = [await make("a", { user: { id: 42 } }), await ended("completed", "a", { user: { id: "42" }, tags: ["x"] }), await make("a", { user: 42 })];
    await make("secret", { password: "42" });
    const find = async (payload: string) => (await listJobs(database.pool, { payload, limit: 10 })).map(({ id }) => id);
    expect(await find("user.id:42")).toEqual([jobs[1], jobs[0]]);
    expect(await find("tags.0:x")).toEqual([jobs[1]]);
    expect(await find("password:42")).toEqual([]);
    expect(await find("password:[redacted]")).toHaveLength(1);
    await expect(listJobs(database.pool, { payload: "nothing", limit: 10 })).rejects.toMatchObject({ code: "LW400" });
  });

  it("tolerates JSON that cannot be converted to text, and reports how far it has searched", async () => {
    await run(`select graphile_worker.add_job('a', '{"x": "\\u0000y"}'::json)`);
    await run(
      `insert into legwork_private.finished_jobs (id, task, queue, state, priority, attempts, max_attempts, payload, run_at, created_at, finished_at)
       select n, 'a', 'mail', 'completed', 0, 1, 1, json_build_object('n', n), now(), now(), now() from generate_series(1000001, 1012000) n`,
    );
    const first = await searchPayloads(database.pool, { task: "a", limit: 5 }, "n:1000005");
    expect(first).toEqual({ rows: [], isMore: false, looked_at: 10_000, looked_to: "1002001" });
    const second = await searchPayloads(database.pool, { task: "a", limit: 5, before: "1002001" }, "n:1000005");
    expect(second).toMatchObject({ rows: [{ id: "1000005" }], looked_at: 2_001 });
  });
});
