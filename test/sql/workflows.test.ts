import { beforeEach, describe, expect, it } from "vitest";
import { moveClock } from "../../src/testing/move-clock.ts";
import { testDatabase } from "../support/database.ts";
import { resetLegwork } from "../support/reset-legwork.ts";
import { HandWorker } from "../support/hand-worker.ts";

// Values stored in workflows are hostile input too: no step may affect the jobs that end in the same statement as its dependencies. The results of a
// workflow's steps are available as long as the workflow exists.

const database = testDatabase();
const worker = new HandWorker("w");
const DAY = 86_400_000;

beforeEach(async () => {
  await database.pool.query("update legwork.settings set value = '1 day' where name = 'history_retention'");
  await resetLegwork(database.pool);
  await database.pool.query(`select legwork_private.register_tasks('[{"name": "ok"}, {"name": "undo"}]')`);
});

async function one(sql: string, parameters: unknown[] = []): Promise<unknown> {
  const { rows } = await database.pool.query({ text: sql, values: parameters, rowMode: "array" });
  return rows[0]?.[0];
}

async function start(steps: unknown, more = ""): Promise<string> {
  return String(await one(`select legwork.start_workflow('w', $1 ${more})`, [JSON.stringify(steps)]));
}

/** Completes all jobs that may start, in one statement like a worker, or fails those of the named steps. Returns the names of the steps. */
async function turn(failing: readonly string[] = []): Promise<string[]> {
  const ids = (await worker.fetch(database.pool, 100)).map(({ id }) => id);
  const { rows } = await database.pool.query<{ id: string; name: string }>(
    `select j.id, coalesce(legwork_private.flag_value(j.flags, 'step') || case when legwork_private.flag_value(j.flags, 'compensates') is not null then ' undone' else '' end,
       'neighbor') as name
     from graphile_worker._private_jobs j where j.id = any ($1)`,
    [ids],
  );
  const bad = rows.filter(({ name }) => failing.includes(name)).map(({ id }) => id);
  await worker.complete(
    database.pool,
    ids.filter((id) => !bad.includes(id)),
  );
  if (bad.length > 0) {
    await database.pool.query("update graphile_worker._private_jobs set max_attempts = attempts where id = any ($1)", [bad]);
    await worker.fail(database.pool, bad, "broke");
  }
  return rows.map(({ name }) => name).toSorted();
}

const workflow = async (id: string): Promise<Record<string, unknown>> =>
  (await database.pool.query("select state, reason from legwork.workflows where id = $1", [id])).rows[0];

const states = async (id: string): Promise<unknown> =>
  one("select jsonb_object_agg(name, state) from legwork.workflow_steps where workflow_id = $1", [id]);

const neighbor = async (): Promise<string> => String(await one("select legwork.enqueue('ok')"));

/** Advances the clock, and maintains the history as every Legwork process does. */
async function pass(days: number): Promise<void> {
  await moveClock(database.pool, days * DAY);
  await database.pool.query("select legwork.maintain_history()");
}

describe("a step's time or number that is out of range", () => {
  it("is rejected at the workflow's start, with the step, the value and the range", async () => {
    const cases: [object, string][] = [
      [{ delay: "300000 years" }, "delay is 300,000 years; it must be between 0 seconds and 100 years."],
      [{ delay: "1300 months" }, "delay is 108 years 4 months; it must be between 0 seconds and 100 years."],
      [{ delay: "-1 hour" }, "delay is -1 hours; it must be between 0 seconds and 100 years."],
      [{ delay: "3000000 months -91000000 days" }, "delay is 250,000 years -91,000,000 days; it must be between 0 seconds and 100 years."],
      [{ delay: "soon" }, "delay is soon; it must be an interval between 0 seconds and 100 years."],
      [{ run_at: "infinity" }, "run_at is infinity; it must be between 1970-01-01 and 9999-12-31."],
      [{ run_at: "290000-01-01Z" }, "run_at is 290000-01-01 00:00:00+00; it must be between 1970-01-01 and 9999-12-31."],
      [{ run_at: "300000-01-01Z" }, "run_at is 300000-01-01Z; it must be a time between 1970-01-01 and 9999-12-31."],
      [{ run_at: {} }, "run_at is {}; it must be a time between 1970-01-01 and 9999-12-31."],
      [{ priority: 40_000 }, "priority is 40000; it must be a whole number between -32768 and 32767."],
      [{ priority: 1.5 }, "priority is 1.5; it must be a whole number between -32768 and 32767."],
      [{ priority: true }, "priority is true; it must be a whole number between -32768 and 32767."],
      [{ max_attempts: 0 }, "max_attempts is 0; it must be a whole number between 1 and 32767."],
      [{ max_attempts: "1e400" }, "max_attempts is 1e400; it must be a whole number between 1 and 32767."],
      [{ serial_key: "k".repeat(129) }, "serial_key has 129 characters; it must have 1 to 128."],
    ];
    for (const [field, message] of cases) {
      await expect(start({ a: { task: "ok" }, b: { task: "ok", depends_on: ["a"], ...field } })).rejects.toMatchObject({
        code: "LW400",
        message: `Step 'b': ${message}`,
      });
      await expect(start({ group: { steps: { b: { task: "ok", ...field } } } })).rejects.toMatchObject({
        code: "LW400",
        message: `Step 'group/b': ${message}`,
      });
    }
    // Postgres has supported infinite intervals since version 17.
    await expect(start({ a: { task: "ok", delay: "infinity" } })).rejects.toMatchObject({
      code: "LW400",
      message: expect.stringMatching(/^Step 'a': delay is infinity; it must be/),
    });
    expect(await one("select count(*)::int from graphile_worker._private_jobs")).toBe(0);
  });

  it("is accepted up to the limits of the range", async () => {
    const id = await start({
      a: { task: "ok", priority: -32_768, max_attempts: 32_767, serial_key: "k".repeat(128), run_at: "1970-01-01T00:00:00Z" },
      b: { task: "ok", depends_on: ["a"], delay: "100 years", priority: "7", max_attempts: "1" },
    });
    expect(await turn()).toEqual(["a"]);
    expect(await states(id)).toEqual({ a: "completed", b: "scheduled" });
  });

  it.each(["infinity", "290000-01-01Z"])("a deadline of %s is rejected, both at the start and for a retry", async (deadline) => {
    const refused = { code: "LW400", message: expect.stringMatching(/^deadline is .*; it must be between 1970-01-01 and 9999-12-31\.$/) };
    await expect(start({ a: { task: "ok" } }, `, deadline => '${deadline}'`)).rejects.toMatchObject(refused);
    const id = await start({ a: { task: "ok" } });
    await one("select legwork.cancel_workflow($1)", [id]);
    await expect(one("select legwork.retry_workflow($1, $2)", [id, deadline])).rejects.toMatchObject(refused);
  });

  it.each(["300000 years", "-300000 years", "3000000 months -91000000 days", "infinity", "-infinity"])(
    "stored by an older version affects neither its own job nor others: a delay of %s",
    async (delay) => {
      const knows = Number(await one("select current_setting('server_version_num')::int")) >= 170_000 || !delay.includes("infinity");
      const id = await start({ a: { task: "ok" }, b: { task: "ok", depends_on: ["a"], delay: "1 hour" } });
      if (knows) await database.pool.query("update legwork_private.waiting_jobs set delay = $1::interval", [delay]);
      if (knows) await database.pool.query("update legwork_private.workflow_run_steps set delay = $1::interval where name = 'b'", [delay]);
      await neighbor();
      expect(await turn()).toEqual(["a", "neighbor"]);
      expect(await states(id)).toEqual({ a: "completed", b: delay.includes("-") && knows ? "pending" : "scheduled" });
      expect(await one("select isfinite(run_at) from legwork.jobs where finished_at is null")).toBe(true);
      await one("select legwork.cancel_workflow($1)", [id]);
      expect(await one("select legwork.retry_workflow($1)", [id])).toBe("running");
      expect(await one("select legwork.tick() is null or true")).toBe(true);
    },
  );
});

describe("a workflow can be retried whatever names its steps have", () => {
  const chain = (names: readonly string[], last: object = {}): unknown =>
    Object.fromEntries(
      names.map((name, n) => [
        name,
        { task: "ok", depends_on: names.slice(Math.max(0, n - 1), n), compensate: { task: "undo" }, ...(n === names.length - 1 ? last : {}) },
      ]),
    );

  it.each([
    ["in alphabetical order", ["a", "b", "c", "d"]],
    ["in reverse alphabetical order", ["d", "c", "b", "a"]],
    ["in no particular order", ["import", "transform", "report", "archive"]],
    ["in other scripts", ["ω", "Ä", "\u{1f680}", "a'b\"c"]],
  ])("%s", async (_, names) => {
    // With statistics that say that a workflow has one step, Postgres reads the steps in alphabetical order, and the others again for each step.
    await database.pool.query(
      `insert into legwork_private.workflow_run_steps (workflow_id, name, position, groups, task, depends_on, on_failure, effect, waits_for, waits_how)
       select -n, 'a', 1, '{}', 'ok', '{}', 'stop', 'stop', '{}', '{}' from generate_series(1, 300) n`,
    );
    await database.pool.query("analyze legwork_private.workflow_run_steps");

    const cancelled = await start(chain(names));
    const drawn = Number(await one("select max(id) from graphile_worker._private_jobs"));
    await one("select legwork.cancel_workflow($1)", [cancelled]);
    expect(await one("select legwork.retry_workflow($1)", [cancelled])).toBe("running");
    expect(Number(await one("select max(id) from graphile_worker._private_jobs"))).toBe(drawn + names.length);
    for (const name of names) expect(await turn()).toEqual([name]);
    expect(await workflow(cancelled)).toMatchObject({ state: "completed" });

    const undone = await start(chain(names, { on_failure: "compensate" }));
    for (const name of names) expect(await turn(names.slice(-1))).toEqual([name]);
    for (const name of names.slice(0, -1).toReversed()) expect(await turn()).toEqual([`${name} undone`]);
    expect(await one("select legwork.retry_workflow($1)", [undone])).toBe("running");
    for (const name of names) expect(await turn()).toEqual([name]);
    expect(await workflow(undone)).toMatchObject({ state: "completed" });
    expect(await one("select legwork.retry_workflow($1, from_step => $2)", [undone, names[1]])).toBe("running");
    for (const name of names.slice(1)) expect(await turn()).toEqual([name]);
    expect((await database.pool.query("select problem, job_id from legwork.reconcile()")).rows).toEqual([]);
  });
});

describe("the results of a workflow's steps are available as long as the workflow exists:", () => {
  const charge = { task: "ok", compensate: { task: "undo" } };

  it("a step that completed before the history was deleted is compensated", async () => {
    const id = await start({
      charge,
      ship: { task: "ok", depends_on: ["charge"], delay: "40 days", on_failure: "compensate" },
    });
    expect(await turn()).toEqual(["charge"]);
    await pass(41);
    expect(await one("select count(*)::int from legwork_private.finished_jobs")).toBe(0);
    expect(await states(id)).toEqual({ charge: "completed", ship: "pending" });
    expect(await turn(["ship"])).toEqual(["ship"]);
    expect(await workflow(id)).toMatchObject({ state: "compensating" });
    await pass(2);
    expect(await turn()).toEqual(["charge undone"]);
    expect(await workflow(id)).toEqual({ state: "failed", reason: "Step 'ship' failed: broke" });
  });

  it("a step's result can be read by later steps and by users", async () => {
    const id = await start({ a: { task: "ok" }, b: { task: "ok", depends_on: ["a"], delay: "5 days" } });
    await turn();
    await database.pool.query("update legwork_private.finished_jobs set result = '42', attempts = 3, error = 'once'");
    await pass(6);
    expect(await one("select legwork.step_results($1)", [id])).toEqual({ a: 42 });
    await turn();
    await database.pool.query("update legwork_private.finished_jobs set result = '1'");
    expect(await one("select legwork.step_results($1)", [id])).toEqual({ a: 42, b: 1 });
    const { rows } = await database.pool.query(
      "select name, state, result, attempts, error, started_at < finished_at as times from legwork.workflow_steps where workflow_id = $1 order by position",
      [id],
    );
    expect(rows).toEqual([
      { name: "a", state: "completed", result: 42, attempts: 3, error: "once", times: true },
      { name: "b", state: "completed", result: 1, attempts: 1, error: null, times: true },
    ]);
  });

  it("a retry keeps completed steps, but repeats those that were undone", async () => {
    const id = await start({ charge, b: { task: "ok", depends_on: ["charge"], delay: "5 days" } });
    await turn();
    await pass(6);
    await turn(["b"]);
    expect(await workflow(id)).toMatchObject({ state: "failed" });
    expect(await one("select legwork.retry_workflow($1)", [id])).toBe("running");
    expect(await turn()).toEqual(["b"]);
    expect(await workflow(id)).toMatchObject({ state: "completed" });

    const other = await start({ charge, b: { task: "ok", depends_on: ["charge"], on_failure: "compensate" } });
    await turn();
    await turn(["b"]);
    await turn();
    await database.pool.query("update legwork_private.workflow_runs set ended_at = now() + interval '2 years' where id = $1", [other]);
    await pass(6);
    expect(
      await one("select compensation_state from legwork.workflow_steps where workflow_id = $1 and name = 'charge'", [other]),
    ).toBe("completed");
    await one("select legwork.retry_workflow($1)", [other]);
    expect(await turn()).toEqual(["charge"]);
  });

  it("a workflow ends in the same way as if the history had not been deleted", async () => {
    const id = await start({
      a: { task: "ok" },
      b: { task: "ok", depends_on: ["a"], delay: "5 days", on_failure: "continue" },
      c: { task: "ok", depends_on: ["b"], delay: "5 days" },
    });
    await turn();
    await pass(6);
    await turn(["b"]);
    await pass(6);
    expect(await states(id)).toEqual({ a: "completed", b: "failed", c: "pending" });
    await turn();
    expect(await workflow(id)).toEqual({ state: "completed", reason: null });
  });

  it("rows in the default partition are covered too, and the saved results are deleted with the workflow", async () => {
    const id = await start({ a: { task: "ok" }, b: { task: "ok", depends_on: ["a"], delay: "40 days" } });
    await turn();
    await database.pool.query("update legwork_private.finished_jobs set finished_at = now() - interval '2 years', result = '7'");
    await database.pool.query("update legwork_private.workflow_runs set created_at = now() - interval '3 years'");
    await pass(0);
    expect(await one("select legwork.step_results($1)", [id])).toEqual({ a: 7 });
    expect(await one("select count(*)::int from legwork_private.workflow_step_ends")).toBe(1);
    await one("select legwork.cancel_workflow($1)", [id]);
    await pass(2);
    expect(await one("select count(*)::int from legwork_private.workflow_run_steps")).toBe(0);
    expect(await one("select count(*)::int from legwork_private.workflow_step_ends")).toBe(0);
  });

  it("results are saved only for workflow steps whose history is deleted, and not for other jobs", async () => {
    await start({ a: { task: "ok" }, b: { task: "ok", depends_on: ["a"], delay: "9 days" } });
    await neighbor();
    await turn();
    await pass(0);
    expect(await one("select count(*)::int from legwork_private.workflow_step_ends")).toBe(0);
    await pass(5);
    expect(await one("select array_agg(state::text) from legwork_private.workflow_step_ends")).toEqual(["completed"]);
  });

  it("a batch continues to count, and runs its callback, after its first jobs were deleted from the history", async () => {
    const id = await one(
      `select legwork.enqueue_batch('[{"task": "ok"}, {"task": "ok", "run_at": "${new Date(Date.now() + 5 * DAY).toISOString()}"}]', callback => '{"task": "undo"}')`,
    );
    await turn();
    await pass(6);
    expect(await one("select state || ' ' || completed || '/' || total from legwork.batches where id = $1", [id])).toBe("running 1/2");
    await turn();
    expect(await one("select state || ' ' || completed || '/' || total from legwork.batches where id = $1", [id])).toBe("completed 2/2");
    expect(await worker.fetch(database.pool)).toMatchObject([{ task: "undo" }]);
  });
});
