import { afterAll, beforeAll, beforeEach, describe, expect, inject, it } from "vitest";
import type pg from "pg";
import { createPool, type Pool } from "../../src/db/pool.ts";
import { enableSchedule } from "../../src/schedules/enable-schedule.ts";
import { schedule } from "../../src/schedules/schedule.ts";
import { testDatabase, testLog } from "../support/database.ts";
import { resetLegwork } from "../support/reset-legwork.ts";

const database = testDatabase();
const run = async (text: string, values: unknown[] = []): Promise<pg.QueryResult["rows"]> =>
  (await database.pool.query(text, values)).rows;
const suffix = Math.random().toString(36).slice(2, 8);
const logins = { operator: `legwork_test_op_${suffix}`, tenant: `legwork_test_acme_${suffix}`, admin: `legwork_test_adm_${suffix}` };
const pools = {} as Record<keyof typeof logins, Pool>;

beforeAll(async () => {
  if (inject("serverUrl") === "") return;
  await run("select legwork.create_roles()");
  for (const [name, login] of Object.entries(logins) as [keyof typeof logins, string][]) {
    await run(`create role ${login} login password 'of the test' in role ${name === "admin" ? "legwork_admin" : "legwork_operator"}`);
    const url = new URL(database.url);
    url.username = login;
    url.password = "of the test";
    pools[name] = createPool(url.href, { log: testLog, max: 2 });
  }
  await run("select legwork.confine_login($1, 'acme')", [logins.tenant]);
});
afterAll(async () => {
  await Promise.all(Object.values(pools).map((pool) => pool.end()));
  if (inject("serverUrl") === "") return;
  for (const login of Object.values(logins)) await run(`drop role ${login}`);
});

beforeEach(async () => {
  await resetLegwork(database.pool);
  await run(`select legwork_private.register_tasks('[{"name": "a"}]')`);
});

const acme = async (text: string): Promise<pg.QueryResult["rows"]> => (await pools.tenant.query(text)).rows;
const refusal = async (text: string): Promise<{ code: string; message: string }> =>
  await pools.tenant.query(text).then(
    () => ({ code: "ok", message: "" }),
    ({ code, message }: { code: string; message: string }) => ({ code, message }),
  );
const every = "'a', every => '1 hour'";

describe("a login that is confined to a tenant", () => {
  it("sees only that tenant's schedules, workflows, batches and steps, and errors reveal nothing about others", async () => {
    await run(`select legwork_private.register_crontab('[{"identifier": "line", "task": "a", "cron": "0 0 * * *", "upcoming": []}]')`);
    for (const tenant of ["acme", "other"]) {
      await run(`select legwork.schedule($1, ${every}, tenant => $1), legwork.run_schedule($1)`, [tenant]);
      await run(`select legwork.start_workflow('w', '[{"name": "s", "task": "a"}]', tenant => $1)`, [tenant]);
      await run(`select legwork.enqueue_batch('[{"task": "a"}]', tenant => $1)`, [tenant]);
      await run(
        "insert into legwork_private.job_steps (job_id, kind, name, state, attempt, started_at, tenant) values ($2, 'run', 's', 'completed', 1, now(), $1)",
        [tenant, tenant.length],
      );
    }
    await run(`select legwork.schedule('shared', ${every}), legwork.start_workflow('w', '[{"name": "s", "task": "a"}]'), legwork.enqueue_batch('[{"task": "a"}]')`);
    for (const view of ["schedules", "schedule_runs", "workflows", "workflow_steps", "batches", "steps"]) {
      expect([view, await acme(`select tenant from legwork.${view}`)]).toEqual([view, [{ tenant: "acme" }]]);
      const telltale = `select from legwork.${view} where 1 / (case when tenant = 'other' then 0 else 1 end) = 1`;
      expect([view, await refusal(telltale)]).toMatchObject([view, { code: "ok" }]);
      expect((await pools.operator.query(`select from legwork.${view}`)).rows.length).toBeGreaterThan(1);
    }
    expect(await acme("select last_outcome from legwork.schedules")).toEqual([{ last_outcome: "pending" }]);
    expect(await acme("select outcome from legwork.schedule_runs")).toEqual([{ outcome: "pending" }]);
    expect(await acme("select state from legwork.workflow_steps")).toEqual([{ state: "pending" }]);
  });

  it("creates schedules, workflows and batches for that tenant, with separate serial keys", async () => {
    await acme(`select legwork.schedule('mine', ${every}), legwork.run_schedule('mine')`);
    await acme(`select legwork.start_workflow('w', '[{"name": "s", "task": "a", "serial_key": "k"}]')`);
    await acme(`select legwork.enqueue_batch('[{"task": "a", "serial_key": "k"}]', callback => '{"task": "a"}')`);
    await run(`select legwork.enqueue('a', tenant => 'other', serial_key => 'k')`);
    expect(await run("select tenant, serial_key from legwork.jobs order by id")).toEqual([
      { tenant: "acme", serial_key: null },
      { tenant: "acme", serial_key: "k" },
      { tenant: "acme", serial_key: "k" },
      { tenant: "acme", serial_key: null },
      { tenant: "other", serial_key: "k" },
    ]);
    expect(await run("select count(distinct job_queue_id)::int as queues from graphile_worker._private_jobs where job_queue_id is not null")).toEqual([
      { queues: 2 },
    ]);
    expect(await run("select tenant from legwork.schedules union all select tenant from legwork.workflows union all select tenant from legwork.batches")).toEqual([
      { tenant: "acme" },
      { tenant: "acme" },
      { tenant: "acme" },
    ]);
  });

  it("gets an error if a schedule's name is taken, which does not reveal its owner or definition", async () => {
    await run(`select legwork.schedule('taken', ${every}, tenant => 'other'), legwork.schedule('free', ${every})`);
    await run(`select legwork_private.register_crontab('[{"identifier": "line", "task": "a", "cron": "0 0 * * *", "upcoming": []}]')`);
    for (const name of ["taken", "free", "line"]) {
      expect(await refusal(`select legwork.schedule('${name}', ${every})`)).toEqual({
        code: "LW409",
        message: `A schedule called '${name}' already exists.`,
      });
      for (const call of ["unschedule", "enable_schedule", "disable_schedule", "run_schedule"]) {
        expect(await refusal(`select legwork.${call}('${name}')`)).toEqual({ code: "LW404", message: `There is no schedule named '${name}'.` });
      }
    }
    // The hint does not suggest a similar name either.
    await expect(pools.tenant.query("select legwork.run_schedule('takem')")).rejects.toMatchObject({ hint: expect.not.stringContaining("taken") });
    expect(await run("select name, tenant from legwork.schedules where source = 'database' order by name")).toEqual([
      { name: "free", tenant: null },
      { name: "taken", tenant: "other" },
    ]);
  });

  it("cannot set the current time: no occurrence is accounted for ahead of its time", async () => {
    await acme(`select legwork.schedule('mine', ${every})`);
    for (const call of ["unschedule", "enable_schedule", "disable_schedule", "run_schedule"]) {
      expect(await refusal(`select legwork.${call}('mine', now() + interval '1 day')`)).toMatchObject({ code: "LW403" });
    }
    expect(await refusal(`select legwork.schedule('mine', ${every}, as_of => now() + interval '1 day')`)).toMatchObject({ code: "LW403" });
    expect(await refusal("select legwork.run_schedule('mine', now() - interval '1 second')")).toMatchObject({ code: "ok" });
  });

  it("cannot plan another tenant's schedule", async () => {
    await run("select legwork.schedule(name, 'a', cron => '0 0 * * *', tenant => name) from unnest(array['acme', 'other']) name");
    const put = (name: string): string =>
      `select legwork_private.put_plan(name, revision, planned_from::timestamptz, array[now() + interval '1 hour'], true, now() + interval '1 hour', 0, null, null, null)
       from (values ('${name}', 1, (select planned_to from legwork_private.schedule_definitions where name = '${name}'))) as v (name, revision, planned_from)`;
    expect((await acme("select name from legwork_private.plans_wanted()")).map(({ name }) => name)).toEqual(["acme"]);
    const asTenant = async (name: string): Promise<unknown> => {
      const client = await database.pool.connect();
      try {
        await client.query("begin");
        await client.query("select set_config('legwork.confined_to', 'acme', true)");
        return (await client.query(put(name))).rows[0].put_plan;
      } finally {
        await client.query("rollback");
        client.release();
      }
    };
    expect(await asTenant("acme")).toBe(true);
    expect(await asTenant("other")).toBe(null);
  });

  it("can create dependencies only on its own jobs, and an existing dependency on another tenant's job is not named", async () => {
    const [{ mine, others }] = await run("select legwork.enqueue('a', tenant => 'acme') as mine, legwork.enqueue('a', tenant => 'other') as others");
    expect(await refusal(`select legwork.enqueue('a', depends_on => array[${others}]::bigint[])`)).toEqual({
      code: "LW404",
      message: `Cannot depend on job ${others}, which does not exist.`,
    });
    expect(await refusal("select legwork.enqueue('a', depends_on => array[999999999]::bigint[])")).toMatchObject({
      message: "Cannot depend on job 999999999, which does not exist.",
    });
    const [{ id }] = await run("select legwork.enqueue('a', tenant => 'acme', depends_on => array[$1, $2]::bigint[]) as id", [mine, others]);
    const told = await acme(`select detail from legwork.explain_job(${id}) where reason = 'dependency'`);
    expect(told).toEqual([
      { detail: `It is waiting for job ${mine} (a), which is pending.` },
      { detail: "It is waiting for a job outside your tenant." },
    ]);
  });

  it("gets an empty object for the results of another tenant's workflow, as for an unknown one", async () => {
    const start = `select legwork.start_workflow('w', '[{"name": "s", "task": "a"}]', tenant => $1) as id`;
    for (const tenant of ["acme", "other"]) {
      const [{ id }] = await run(start, [tenant]);
      await run("select graphile_worker.complete_jobs(array(select job_id from legwork.workflow_steps where workflow_id = $1))", [id]);
      expect(await acme(`select legwork.step_results(${id}) as results`)).toEqual([{ results: tenant === "acme" ? { s: null } : {} }]);
    }
  });
});

it("a page of workflows, batches and runs is read from an index without a sort, for every caller", async () => {
  for (const pool of [pools.tenant, pools.operator]) {
    const client = await pool.connect();
    try {
      // With these settings, a plan contains a sort only if it cannot be avoided.
      await client.query("set enable_sort = off; set enable_seqscan = off; set enable_bitmapscan = off");
      for (const page of [
        "legwork.workflows order by id desc limit 50",
        "legwork.batches order by id desc limit 50",
        "legwork.schedule_runs where schedule = 's' order by due_at desc limit 20",
      ]) {
        const plan = (await client.query(`explain (costs off) select * from ${page}`)).rows.map((row) => row["QUERY PLAN"]).join("\n");
        expect([page, plan]).toEqual([page, expect.not.stringMatching(/\bSort\b(?! Key)/)]);
      }
    } finally {
      client.release(true);
    }
  }
});

describe("a tenant's schedule", () => {
  const other = `'a', every => '1 hour', tenant => 'other'`;

  it("cannot require another tenant's schedule, whatever login creates it", async () => {
    await run(`select legwork.schedule('first', ${other}), legwork.schedule('shared', ${every})`);
    const second = (name: string): string =>
      `select legwork.schedule('second', 'a', every => '1 hour', tenant => 'acme', requires => '{"${name}": "1 day"}')`;
    await expect(run(second("first"))).rejects.toMatchObject({ code: "LW400" });
    await run(second("shared"));
    expect(await refusal(`select legwork.schedule('third', ${every}, requires => '{"first": "1 day"}')`)).toMatchObject({
      code: "LW404",
      message: "The schedule 'third' requires 'first', which does not exist.",
    });
  });

  it("reveals nothing about another tenant's schedule that took the name of a required one", async () => {
    await acme(`select legwork.schedule('first', ${every}), legwork.schedule('second', ${every}, requires => '{"first": "1 day"}')`);
    await acme("select legwork.unschedule('first')");
    await run(`select legwork.schedule('first', ${other}), legwork.run_schedule('first')`);
    await run("select graphile_worker.complete_jobs(array(select last_job_id from legwork.schedules where name = 'first'))");
    await run("select legwork_private.fire_schedules(now() + interval '61 minutes')");
    expect(await acme("select state, reason from legwork.schedule_runs where schedule = 'second'")).toEqual([
      { state: "waiting", reason: "It requires first, which is no longer a schedule of its tenant." },
    ]);
  });

  it("does not affect the waiting occurrences of other schedules when it is removed", async () => {
    await run(`select legwork.schedule('first', ${other})`);
    await run(`select legwork.schedule('second', ${other}, requires => '{"first": "1 minute"}', requires_wait => '1 minute')`);
    await run(`select legwork.schedule('mine', ${every}, tenant => 'acme')`);
    await run("select legwork_private.fire_schedules(now() + interval '60 minutes 1 second', schedule => 'second')");
    const waits = async (): Promise<unknown> => (await run("select state from legwork.schedule_runs where schedule = 'second' order by due_at"))[0]?.state;
    expect(await waits()).toBe("waiting");
    await run("select legwork.unschedule('mine', now() + interval '1 day')");
    expect(await waits()).toBe("waiting");
    await run("select legwork_private.fire_schedules(now() + interval '1 day')");
    expect(await waits()).toBe("held_back");
  });
});

it("a server with the login legwork_admin, an operator's program and a tenant's program create schedules and get their next time at once", async () => {
  for (const pool of [pools.admin, pools.operator, pools.tenant]) {
    expect(await schedule(pool, "nightly", "a", { cron: "0 3 * * *" })).toBeInstanceOf(Date);
    await pool.query("select legwork.disable_schedule('nightly')");
    expect(await enableSchedule(pool, "nightly")).toBeInstanceOf(Date);
    await pool.query("select legwork.unschedule('nightly')");
  }
});

it("the actor that the server sets is recorded when a schedule is created or run, a workflow cancelled or a signal sent", async () => {
  const client = await database.pool.connect();
  await client.query("begin");
  await client.query("select set_config('legwork.actor', 'token:deploy', true), set_config('legwork.surface', 'rest', true)");
  const ask = async (text: string): Promise<unknown> => Object.values((await client.query(text)).rows[0])[0];
  try {
    await client.query(`select legwork.schedule('s', ${every}), legwork.run_schedule('s')`);
    expect(await ask("select created_by from legwork.schedules")).toBe("token:deploy");
    expect(await ask("select reason from legwork.schedule_runs")).toBe("Run by token:deploy.");
    const id = await ask(`select legwork.start_workflow('w', '[{"name": "s", "task": "a"}]')`);
    await client.query("select legwork.cancel_workflow($1)", [id]);
    expect(await ask("select reason from legwork.workflows")).toBe("Cancelled by token:deploy.");
    const job = await ask("select legwork.enqueue('a')");
    await client.query("select legwork.send_signal($1, 'go')", [job]);
    expect(await ask("select sent_by from legwork_private.job_signals")).toBe("token:deploy");
  } finally {
    await client.query("rollback");
    client.release();
  }
});
