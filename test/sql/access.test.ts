import { afterAll, beforeAll, beforeEach, describe, expect, inject, it } from "vitest";
import pg from "pg";
import { createPool, type Pool } from "../../src/db/pool.ts";
import { ROLES } from "../../src/access/principal.ts";
import { ACCESS_RULES, type AccessJobs, expectedOutcomes, type OperationName, SQL_OPERATIONS } from "../support/access-table.ts";
import { databaseUrl, onServer, testDatabase, testLog } from "../support/database.ts";
import { empty } from "../support/empty.ts";

const database = testDatabase();
/** Roles belong to the server, and other test files run at the same time. */
const suffix = Math.random().toString(36).slice(2, 8);
const logins = ["reader", "enqueuer", "operator", "worker", "admin", "tenant"] as const;
type Login = (typeof logins)[number];
const pools = new Map<Login, Pool>();

const nameOf = (login: Login): string => `legwork_test_${login}_${suffix}`;
const run = async (text: string, values: unknown[] = []): Promise<pg.QueryResult["rows"]> =>
  (await database.pool.query(text, values)).rows;

beforeAll(async () => {
  if (inject("serverUrl") === "") return;
  await run("select legwork.create_roles()");
  for (const login of logins) {
    const group = login === "tenant" ? "legwork_operator" : `legwork_${login}`;
    await run(`create role ${nameOf(login)} login password 'of the test' in role ${group}`);
    const url = new URL(database.url);
    url.username = nameOf(login);
    url.password = "of the test";
    pools.set(login, createPool(url.href, { log: testLog, max: 3 }));
  }
  await run("select legwork.confine_login($1, 'acme')", [nameOf("tenant")]);
});

afterAll(async () => {
  await Promise.all([...pools.values()].map((pool) => pool.end()));
  if (inject("serverUrl") === "") return;
  // Dropping the database first removes the grants that would keep the roles from being dropped.
  for (const login of logins) await run(`drop role ${nameOf(login)}`);
});

let jobs: Pick<AccessJobs, "acme" | "other" | "acmeFailed" | "otherFailed">;
beforeEach(async () => {
  await run("delete from graphile_worker._private_jobs");
  await empty(database.pool, "legwork_private.finished_jobs, legwork_private.failed_attempts, legwork_private.limits, legwork_private.pauses, legwork_private.retry_policies, legwork_private.waiting_jobs");
  await run(`select legwork_private.register_tasks('[{"name": "a", "queue": "q"}, {"name": "limited"}, {"name": "paused"}]')`);
  const add = async (tenant: string): Promise<string> =>
    (await run("select legwork.enqueue('a', '{\"secret\": 1}', tenant => $1) as id", [tenant]))[0].id;
  jobs = { acme: await add("acme"), other: await add("other"), acmeFailed: await add("acme"), otherFailed: await add("other") };
  await run("select graphile_worker.permanently_fail_jobs(array[$1, $2]::bigint[], 'refused')", [jobs.acmeFailed, jobs.otherFailed]);
});

/** The jobs, together with workflows and schedules of both tenants. */
async function subjects(): Promise<AccessJobs> {
  await empty(database.pool, "legwork_private.workflow_runs, legwork_private.workflow_run_steps, legwork_private.dependencies, legwork_private.schedule_definitions");
  const flow = async (tenant: string): Promise<string> =>
    (await run(`select legwork.start_workflow('w', '[{"name": "s", "task": "a"}]', tenant => $1) as id`, [tenant]))[0].id;
  const made = { acmeFlow: await flow("acme"), otherFlow: await flow("other"), acmeEnded: await flow("acme"), otherEnded: await flow("other") };
  await run("select legwork.cancel_workflow($1), legwork.cancel_workflow($2)", [made.acmeEnded, made.otherEnded]);
  await run("select legwork.schedule(name, 'a', cron => '0 3 * * *', tenant => name) from unnest(array['acme', 'other']) as name");
  await run("delete from legwork_private.tokens; delete from legwork_private.alert_records");
  await run("select legwork.create_token(tenant, 'viewer', tenant) from unnest(array['acme', 'other']) as tenant");
  const [tokens] = await run(
    `select min(id::text) filter (where tenant = 'acme') as "acmeToken", min(id::text) filter (where tenant = 'other') as "otherToken" from legwork_private.tokens`,
  );
  const [{ alert }] = await run(
    `insert into legwork_private.alert_records (rule, kind, target, severity, value, threshold, message, raised_at)
     values ('error_rate', 'error_rate', 'a', 'warning', 1, 0.5, 'failing', now()) returning id as alert`,
  );
  await run("insert into legwork_private.worker_starts (id, host, pid, tasks, started_at) values ('w1', 'h', 1, 1, now()) on conflict do nothing");
  const [{ silence }] = await run("select legwork.silence_alerts('1 hour') as silence");
  await run("select legwork_private.worker_beat('w', 'host', 1, 1, '{}', '{}')");
  return { ...jobs, ...made, ...tokens, alert, silence } as AccessJobs;
}

/** The outcome of a statement: "ok", or the code of the error it raised. */
async function outcome(target: { query(text: string): Promise<unknown> }, text: string): Promise<string> {
  return await target.query(text).then(
    () => "ok",
    (error: { code?: string }) => error.code ?? "an error without a code",
  );
}

/** Runs a statement in a transaction that sets the caller, as the server does, and then rolls it back. */
async function as(settings: Record<string, string>, text: string): Promise<{ outcome: string; rows: pg.QueryResult["rows"] }> {
  const client = await database.pool.connect();
  try {
    await client.query("begin");
    for (const [name, value] of Object.entries(settings)) await client.query("select set_config($1, $2, true)", [name, value]);
    const { rows } = await client.query(text);
    return { outcome: "ok", rows };
  } catch (error) {
    return { outcome: (error as { code?: string }).code ?? "an error without a code", rows: [] };
  } finally {
    await client.query("rollback");
    client.release();
  }
}

describe("a principal of the server", () => {
  it.each(
    [null, "acme"].flatMap((tenant) => ROLES.map((role) => ({ role, tenant }))),
  )("that is $role of tenant $tenant may do exactly what the access table says", async ({ role, tenant }) => {
    const settings = { "legwork.role": role, "legwork.confined_to": tenant ?? "" };
    const all = await subjects();
    const outcomes: Record<string, string[]> = {};
    const expected: Record<string, string[]> = {};
    for (const name of Object.keys(ACCESS_RULES) as OperationName[]) {
      const { own, others } = SQL_OPERATIONS[name](all);
      expected[name] = expectedOutcomes(name, { role, tenant });
      outcomes[name] = [];
      for (const text of others === undefined ? [own] : [own, others]) outcomes[name].push((await as(settings, text)).outcome);
    }
    expect(outcomes).toEqual(expected);
  });

  it("with an unknown role may do nothing", async () => {
    const all = await subjects();
    for (const make of Object.values(SQL_OPERATIONS)) {
      expect((await as({ "legwork.role": "root" }, make(all).own)).outcome).toBe("LW403");
    }
  });

  it("of a tenant retries and discards only that tenant's jobs, whatever the filter says", async () => {
    const settings = { "legwork.role": "operator", "legwork.confined_to": "acme" };
    const ids = async (text: string): Promise<unknown> => (await as(settings, text)).rows.map((row) => row.id);
    expect(await ids("select id from legwork.retry_jobs('{}') as id")).toEqual([jobs.acmeFailed]);
    expect(await ids("select id from legwork.discard_jobs('{}', preview => true) as id")).toEqual([jobs.acmeFailed]);
    expect(await ids(`select id from legwork.retry_jobs('{"tenant": "other"}') as id`)).toEqual([]);
    expect(await ids(`select id from legwork.retry_jobs('{"ids": [${jobs.otherFailed}]}') as id`)).toEqual([]);
  });

  it("of a tenant sees that tenant's rows in every view, and no workers", async () => {
    const settings = { "legwork.role": "viewer", "legwork.confined_to": "acme" };
    await run("insert into legwork_private.worker_processes (id, host, pid, concurrency, tasks) values ('w', 'h', 1, 1, '{}') on conflict do nothing");
    await run(
      `insert into legwork_private.job_logs (job_id, attempt, logged_at, level, message, tenant)
       select id, 1, now(), 'info', 'x', tenant from legwork.jobs`,
    );
    const see = async (text: string): Promise<unknown> => (await as(settings, text)).rows;
    expect(await see("select distinct tenant from legwork_confined.jobs")).toEqual([{ tenant: "acme" }]);
    expect(await see("select count(*)::int as jobs from legwork_confined.jobs")).toEqual([{ jobs: 2 }]);
    expect(await see("select distinct tenant from legwork.logs")).toEqual([{ tenant: "acme" }]);
    expect(await see("select jobs::int from legwork.failed_groups")).toEqual([{ jobs: 1 }]);
    expect(await see("select pending::int from legwork.queues where name = 'q'")).toEqual([{ pending: 1 }]);
    await run("select legwork.create_token('t', 'viewer', 'other'), legwork.create_token('t')");
    for (const view of ["legwork.jobs", "legwork.attempts", "legwork.workers", "legwork.audit_log", "legwork.token_list"]) {
      expect([view, await see(`select * from ${view}`)]).toEqual([view, []]);
    }
    const unconfined = await as({}, "select count(*)::int as jobs from legwork.jobs");
    expect(unconfined.rows).toEqual([{ jobs: 4 }]);
    expect((await as({}, "select from legwork_confined.jobs")).rows).toEqual([]);
    await run("delete from legwork_private.worker_processes");
  });

  it("of a tenant enqueues for that tenant, with keys that belong to the tenant", async () => {
    await run("select legwork.enqueue('a', '{\"of\": \"other\"}', job_key => 'import', tenant => 'other')");
    const client = await database.pool.connect();
    await client.query("begin");
    await client.query("select set_config('legwork.confined_to', 'acme', true)");
    await client.query(`select legwork.enqueue('a', '{"of": "acme"}', job_key => 'import', serial_key => 's')`);
    await client.query(`select legwork.enqueue_many('[{"task": "a", "serial_key": "s"}, {"task": "a", "job_key": "two"}]')`);
    await client.query("select set_config('legwork.confined_to', '', true)");
    const made = await client.query(
      "select tenant, job_key, serial_key from legwork.jobs where job_key is not null or serial_key is not null order by id",
    );
    expect(made.rows).toEqual([
      { tenant: "other", job_key: "import", serial_key: null },
      { tenant: "acme", job_key: "import", serial_key: "s" },
      { tenant: "acme", job_key: null, serial_key: "s" },
      { tenant: "acme", job_key: "two", serial_key: null },
    ]);
    await client.query("rollback");
    client.release();
  });

  it("of a tenant sees nothing about the jobs ahead of its own", async () => {
    await run("select legwork.limit_concurrency(1, task => 'limited')");
    await run("select legwork.enqueue('limited', tenant => 'other')");
    const [{ id }] = await run("select legwork.enqueue('limited', tenant => 'acme') as id");
    const { rows } = await as({ "legwork.confined_to": "acme", "legwork.role": "viewer" }, `select * from legwork.explain_job(${id})`);
    expect(rows[0]).toMatchObject({ reason: "concurrency_limit", detail: expect.stringContaining("taken by 1 job") });
  });
});

describe("a login with the role", () => {
  const attempt = async (login: Login, text: string): Promise<string> => await outcome(pools.get(login)!, text);

  it("legwork_reader can read every view and change nothing", async () => {
    // The views must have rows, because the functions that a view calls run with the reader's rights.
    await subjects();
    await run("update legwork_private.task_definitions set redact = '{secret}' where name = 'a'");
    await run(`select legwork.run_schedule('acme'), legwork.enqueue_batch('[{"task": "a"}]')`);
    await run("insert into legwork_private.job_steps (job_id, kind, name, state, attempt, started_at) values (1, 'run', 's', 'completed', 1, now()) on conflict do nothing");
    const views = ["jobs", "attempts", "logs", "tasks", "queues", "workers", "failed_groups"];
    views.push("schedules", "schedule_runs", "workflows", "workflow_steps", "batches", "steps");
    for (const view of views) {
      expect([view, await attempt("reader", `select * from legwork.${view}`)]).toEqual([view, "ok"]);
    }
    expect(await attempt("reader", `select * from legwork.explain_job(${jobs.acme})`)).toBe("ok");
    for (const text of [
      "select legwork.enqueue('a')",
      `select legwork.cancel_job(${jobs.acme})`,
      "select legwork.pause_queue('q')",
      "select * from legwork_private.finished_jobs",
      "select * from legwork_private.all_jobs",
      "select * from legwork_private.all_schedules",
      "select * from legwork_private.schedule_definitions",
      "select legwork.schedule('s', 'a', every => '1 hour')",
      "select legwork.start_workflow('w', '[]')",
      `select legwork.send_signal(${jobs.acme}, 'go')`,
      "select legwork_private.fire_schedules()",
      "select * from legwork_private.tokens",
      "select * from legwork.audit_log",
      "select * from graphile_worker._private_jobs",
      "delete from legwork_private.limits",
      "select legwork_private.audit('x', 'job', '1')",
    ]) {
      expect([text, await attempt("reader", text)]).toEqual([text, "42501"]);
    }
  });

  it("legwork_enqueuer can enqueue jobs of limited and paused tasks and jobs for later, but cannot read payloads", async () => {
    await run("select legwork.limit_concurrency(1, task => 'limited'), legwork.pause_task('paused')");
    for (const text of [
      "select legwork.enqueue('limited')",
      "select legwork.enqueue('limited')",
      "select legwork.enqueue('paused', serial_key => 's')",
      "select legwork.enqueue('a', run_at => now() + interval '1 hour', job_key => 'k', debounce => null)",
      "select legwork.enqueue('a', job_key => 'd', debounce => '1 second')",
      "select legwork.enqueue('a', unique_for => '1 hour', expires_at => now() + interval '1 hour')",
      "select legwork.enqueue('a', rate_limit => 5, rate_per => '1 minute')",
      `select legwork.enqueue_many('[{"task": "limited"}, {"task": "a", "job_key": "x"}]')`,
      `select legwork.enqueue('a', depends_on => array[${jobs.acme}]::bigint[])`,
      `select legwork.enqueue_batch('[{"task": "a"}]', callback => '{"task": "a"}')`,
      `select legwork.start_workflow('w', '[{"name": "s", "task": "a", "serial_key": "flow"}]')`,
      "select * from legwork.tasks",
    ]) {
      expect([text, await attempt("enqueuer", text)]).toEqual([text, "ok"]);
    }
    const states = await run("select task, state, count(*)::int from legwork.jobs where task <> 'a' group by 1, 2 order by 1, 2");
    expect(states).toEqual([
      { task: "limited", state: "pending", count: 1 },
      { task: "limited", state: "blocked", count: 2 },
      { task: "paused", state: "paused", count: 1 },
    ]);
    for (const text of [
      "select payload from legwork.jobs",
      "select payload from legwork_tenant.jobs",
      "select * from legwork.logs",
      "select payload from graphile_worker._private_jobs",
      "select graphile_worker.add_job('a')",
      `select legwork.cancel_job(${jobs.acme})`,
      `select * from legwork.explain_job(${jobs.acme})`,
      "select legwork.step_results(1)",
      "select * from legwork.workflows",
      "select legwork.schedule('s', 'a', every => '1 hour')",
      "select legwork.cancel_workflow(1)",
    ]) {
      expect([text, await attempt("enqueuer", text)]).toEqual([text, "42501"]);
    }
  });

  it("legwork_operator reads, enqueues and operates, but cannot manage tokens", async () => {
    for (const text of [
      "select * from legwork.jobs",
      "select legwork.enqueue('a')",
      `select legwork.cancel_job(${jobs.acme})`,
      `select legwork.retry_job(${jobs.otherFailed})`,
      `select legwork.discard_job(${jobs.acmeFailed})`,
      "select legwork.retry_jobs('{}'), legwork.discard_jobs('{}')",
      "select legwork.pause_queue('q', 'x'), legwork.resume_queue('q'), legwork.pause_task('a'), legwork.resume_task('a')",
      "select legwork.emergency_stop(), legwork.resume_all()",
      "select legwork.limit_concurrency(1, task => 'a'), legwork.drop_limit('concurrency', task => 'a'), legwork.reset_limits('a')",
      "select legwork.set_retry_policy(task => 'a', attempts => 2), legwork.drop_retry_policy(task => 'a')",
      "select * from legwork.doctor()",
      `select legwork.send_signal((select legwork.enqueue('a')), 'go')`,
      `select legwork.retry_workflow(x) from (select legwork.start_workflow('w', '[{"name": "s", "task": "a"}]') as x) w, legwork.cancel_workflow(x)`,
      "select legwork.schedule('s', 'a', every => '1 hour'), legwork.disable_schedule('s'), legwork.enable_schedule('s')",
      "select legwork.run_schedule('s'), legwork.unschedule('s')",
    ]) {
      expect([text, await attempt("operator", text)]).toEqual([text, "ok"]);
    }
    for (const text of [
      "select legwork.create_token('t')",
      "select * from legwork.token_list",
      "select * from legwork.audit_log",
      "select legwork.change_setting('history_retention', '1 day')",
      "update legwork.settings set value = '1 day'",
      "delete from graphile_worker._private_jobs",
      "select legwork_private.worker_stopped('w')",
    ]) {
      expect([text, await attempt("operator", text)]).toEqual([text, "42501"]);
    }
  });

  it("legwork_admin manages tokens and settings, reads the audit log, and cannot change it", async () => {
    for (const text of [
      "select legwork.create_token('t', 'viewer', 'acme')",
      "select legwork.revoke_token((select id from legwork.token_list where is_valid limit 1))",
      "select * from legwork.audit_log",
      "select legwork.change_setting('history_retention', '30 days')",
      "select * from legwork_confined.jobs",
    ]) {
      expect([text, await attempt("admin", text)]).toEqual([text, "ok"]);
    }
    for (const value of ["-1 days", "abc", "1001 years", "0", "P1X"]) {
      expect(await attempt("admin", `select legwork.change_setting('history_retention', '${value}')`)).toBe("LW400");
    }
    for (const value of ["x", "{}"]) {
      expect(await attempt("admin", `select legwork.change_setting('alert_channels', '${value}')`)).toBe("LW400");
    }
    for (const text of ["select hash from legwork_private.tokens", "delete from legwork_private.audit_entries", "select * from legwork_private.audit_entries"]) {
      expect([text, await attempt("admin", text)]).toEqual([text, "42501"]);
    }
  });

  it("legwork_operator, confined to a tenant, changes only that tenant's jobs whatever settings it changes, and sees them in legwork_tenant", async () => {
    const client = await pools.get("tenant")!.connect();
    try {
      for (const setting of ["legwork.confined_to", "legwork.role", "legwork.tenant"]) {
        await client.query("select set_config($1, $2, false)", [setting, setting === "legwork.role" ? "admin" : "other"]);
      }
      const tenants = async (view: string): Promise<unknown> =>
        (await client.query(`select distinct tenant from ${view} order by 1`)).rows.map((row) => row.tenant);
      expect(await tenants("legwork_tenant.jobs")).toEqual(["acme"]);
      expect(await tenants("legwork.jobs")).toEqual([]);
      expect(await tenants("legwork.logs")).not.toContain("other");
      expect(await outcome(client, "select * from legwork_confined.jobs")).toBe("42501");
      // An expression that raises an error for a row would reveal the row. Such an expression is never evaluated for another tenant's rows.
      expect(await outcome(client, "select * from legwork_tenant.jobs where 1 / (case when tenant = 'other' then 0 else 1 end) = 1")).toBe("ok");
      expect(await outcome(client, "select * from legwork.jobs where 1 / (case when tenant = 'other' then 0 else 1 end) = 1")).toBe("ok");
      expect(await outcome(client, `select legwork.cancel_job(${jobs.other})`)).toBe("LW404");
      expect(await outcome(client, `select * from legwork.explain_job(${jobs.other})`)).toBe("LW404");
      expect(await outcome(client, "select legwork.enqueue('a', tenant => 'other')")).toBe("LW403");
      expect(await outcome(client, "select legwork.pause_queue('q')")).toBe("LW403");
      expect(await outcome(client, "select legwork.confine_login(session_user, null)")).toBe("42501");
      expect(await outcome(client, "delete from legwork_private.confined_logins")).toBe("42501");
      expect(await outcome(client, `select legwork.cancel_job(${jobs.acme})`)).toBe("ok");
      expect((await client.query("select tenant from legwork_tenant.jobs where id = (select legwork.enqueue('a'))")).rows).toEqual([]);
      const [made] = await run("select tenant from legwork.jobs order by id desc limit 1");
      expect(made.tenant).toBe("acme");
    } finally {
      client.release(true);
    }
  });

  it("legwork_admin, confined to a tenant, finds nothing in the views that the server reads", async () => {
    await run("select legwork.confine_login($1, 'acme')", [nameOf("admin")]);
    const client = await pools.get("admin")!.connect();
    try {
      await client.query("select set_config('legwork.confined_to', 'other', false)");
      expect((await client.query("select tenant from legwork_confined.jobs")).rows).toEqual([]);
      const tellTale = "select from legwork_confined.jobs where 1 / (case when tenant = 'other' then 0 else 1 end) = 1";
      expect(await outcome(client, tellTale)).toBe("ok");
      expect(await outcome(client, "select legwork.confine_login(session_user, null)")).toBe("LW403");
      expect(await outcome(client, "select legwork.create_token('t', 'admin', 'other')")).toBe("LW403");
    } finally {
      client.release(true);
      await run("select legwork.confine_login($1, null)", [nameOf("admin")]);
    }
  });

  it("roles that two databases create at the same time are created once", async () => {
    const other = `legwork_test_roles_${suffix}`;
    await onServer(inject("serverUrl"), (client) => client.query(`create database ${other} template ${inject("template")}`));
    const pool = createPool(databaseUrl(inject("serverUrl"), other), { log: testLog });
    try {
      const made = await Promise.all([pool.query("select legwork.create_roles()"), run("select legwork.create_roles()")]);
      expect(made[0].rows).toHaveLength(5);
    } finally {
      await pool.end();
      await onServer(inject("serverUrl"), (client) => client.query(`drop database ${other} with (force)`));
    }
  });
});

it("superusers and unknown logins cannot be confined", async () => {
  const { rows } = await database.pool.query("select session_user::text as name");
  expect(await outcome(database.pool, `select legwork.confine_login('${rows[0].name}', 'acme')`)).toBe("LW409");
  expect(await outcome(database.pool, "select legwork.confine_login('no such login', 'acme')")).toBe("LW404");
});

it("every definer function is granted to a role or used by a trigger", async () => {
  const rows = await run(`
    select p.proname as name from pg_proc p
    where p.pronamespace in ('legwork'::regnamespace, 'legwork_private'::regnamespace) and p.prosecdef and p.prorettype <> 'trigger'::regtype
      and p.proname not in (select f.function from legwork_private.role_functions() f)
    order by 1`);
  // These functions are called by other functions, with the owner's rights.
  expect(rows.map((row) => row.name)).toEqual([
    "admit_waiting",
    "alert_conditions",
    "apply_limits_and_pauses",
    "check_dependencies",
    "declare_limits",
    "declare_retry",
    "deliver_child_ends",
    "deliver_signals",
    "evaluate_alerts",
    "expire_jobs",
    "expire_workflows",
    "forget_enqueue_limits",
    "forget_metrics",
    "forget_requests",
    "forget_steps",
    "note_usual_runs",
    "put_retry_policy",
    "record_id_mark",
    "roll_up",
    "sample_database",
    "sample_queues",
    "sample_schedules",
    "settle_dependants",
    "settle_limit_changes",
  ]);
});

it("every view of tenants' data is confined, and reveals nothing through errors", async () => {
  const rows = await run(`
    select c.relname as name from pg_class c
    where c.relnamespace in ('legwork'::regnamespace, 'legwork_private'::regnamespace) and c.relkind = 'v'
      and exists (select from pg_attribute a where a.attrelid = c.oid and a.attname = 'tenant')
      and (pg_get_viewdef(c.oid) not like '%legwork_private.confined_tenant()%' or not coalesce(c.reloptions @> array['security_barrier=true'], false))
    order by 1`);
  // The all_ views are not granted to any role. The others show no rows to a confined login.
  const names: string[] = rows.map((row) => row.name);
  expect(names.filter((name) => !name.startsWith("all_"))).toEqual(["attempts", "audit_log_page", "jobs", "schedule_runs_page", "workflows_page"]);
});
