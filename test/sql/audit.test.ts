import { beforeEach, describe, expect, it } from "vitest";
import { testDatabase } from "../support/database.ts";
import { empty } from "../support/empty.ts";

const database = testDatabase();
const run = async (text: string, values: unknown[] = []) => (await database.pool.query(text, values)).rows;

/** The current audit log without times and ids. */
async function log(): Promise<Record<string, unknown>[]> {
  const rows = await run(
    "select operation, target_type, target, tenant, count, before, after, surface, actor, database_role from legwork.audit_log order by id",
  );
  return rows;
}

let waiting: string;
let failed: string;
beforeEach(async () => {
  await run("delete from graphile_worker._private_jobs");
  await empty(database.pool, "legwork_private.finished_jobs, legwork_private.failed_attempts, legwork_private.limits, legwork_private.pauses, legwork_private.retry_policies, legwork_private.waiting_jobs");
  await run(`select legwork_private.register_tasks('[{"name": "a", "queue": "q"}]')`);
  [{ id: waiting }] = await run("select legwork.enqueue('a', tenant => 'acme') as id");
  [{ id: failed }] = await run("select legwork.enqueue('a', tenant => 'acme') as id");
  await run("select graphile_worker.permanently_fail_jobs(array[$1::bigint], 'refused')", [failed]);
  // The trigger that protects the entries is on the partitioned table itself, so rows can be deleted from the partitions.
  await run(`do $$ declare p regclass; begin
    for p in select inhrelid from pg_inherits where inhparent = 'legwork_private.audit_entries'::regclass loop execute format('delete from %s', p); end loop; end $$`);
});

describe("the audit log has", () => {
  const one = async (statement: string): Promise<Record<string, unknown> | undefined> => {
    await run(statement);
    const lines = await log();
    expect(lines.length).toBeLessThan(2);
    return lines[0];
  };

  it("no entry for enqueueing, reading and running", async () => {
    await run("select legwork.enqueue('a'), legwork.enqueue_many('[{\"task\": \"a\"}]'), legwork.tick()");
    await run(`select * from legwork.explain_job(${waiting})`);
    await run("select graphile_worker.complete_jobs(array[$1::bigint])", [waiting]);
    await run("select legwork.retry_jobs('{}', preview => true)");
    expect(await log()).toEqual([]);
  });

  it("the actor and the surface", async () => {
    expect(await one(`select legwork.cancel_job(${waiting}, 'wrong')`)).toMatchObject({
      operation: "cancel_job",
      target_type: "job",
      target: waiting,
      tenant: "acme",
      count: null,
      before: { state: "pending" },
      after: { state: "cancelled", reason: expect.stringContaining("wrong") },
      surface: "sql",
      actor: null,
      database_role: expect.any(String),
    });
    const client = await database.pool.connect();
    await client.query("begin");
    await client.query("select set_config('legwork.actor', 'token:deploy', true), set_config('legwork.surface', 'rest', true)");
    await client.query(`select legwork.retry_job(${failed})`);
    await client.query("select legwork.pause_task('a')");
    expect((await client.query("select paused_by from legwork_private.pauses")).rows).toEqual([{ paused_by: "token:deploy" }]);
    await client.query("select legwork.resume_task('a')");
    await client.query("commit");
    await client.query("begin");
    await client.query("select set_config('legwork.surface', 'no such surface', true)");
    await client.query("select legwork.pause_queue('q')");
    await client.query("commit");
    client.release();
    expect((await log()).slice(1)).toMatchObject([
      { operation: "retry_job", surface: "rest", actor: "token:deploy", before: { state: "failed" }, after: { state: "pending" } },
      { operation: "pause", surface: "rest", before: null, after: { paused_by: "token:deploy" } },
      { operation: "resume", surface: "rest", before: { paused_by: "token:deploy" }, after: null },
      { operation: "pause", surface: "sql", actor: null },
    ]);
  });

  it("a job that was discarded", async () => {
    expect(await one(`select legwork.discard_job(${failed})`)).toMatchObject({ operation: "discard_job", target: failed, tenant: "acme" });
  });

  it.each(["retry_jobs", "discard_jobs"])("a call of %s as one entry with the count and the filter", async (operation) => {
    expect(await one(`select legwork.${operation}('{"task": "a"}')`)).toMatchObject({
      operation,
      target_type: "jobs",
      target: null,
      count: "1",
      after: { filter: { task: "a" } },
    });
  });

  it.each([
    ["select legwork.pause_queue('q', 'x')", "pause", "queue", "q", null, { reason: "x" }],
    ["select legwork.pause_task('a')", "pause", "task", "a", null, {}],
    ["select legwork.emergency_stop('x')", "pause", "all", null, null, { reason: "x" }],
    ["select legwork.limit_concurrency(3, queue => 'q')", "limit", "queue", "q", null, { kind: "concurrency", max_count: 3 }],
    ["select legwork.set_retry_policy(task => 'a', attempts => 3)", "set_retry_policy", "task", "a", null, { attempts: 3 }],
    [
      "update legwork.settings set value = '29 days' where name = 'history_retention'",
      "change_setting",
      "setting",
      "history_retention",
      { value: "30 days" },
      { value: "29 days" },
    ],
    [
      "select legwork.change_setting('history_retention', '30 days')",
      "change_setting",
      "setting",
      "history_retention",
      { value: "29 days" },
      { value: "30 days" },
    ],
  ])("%s", async (statement, operation, target_type, target, before, after) => {
    const line = await one(statement);
    expect(line).toMatchObject({ operation, target_type, target, before, after });
  });

  it("schedules that were created, changed, enabled, disabled, run manually and removed, but not occurrences or calls without an effect", async () => {
    const make = (rest: string): Promise<unknown> => run(`select legwork.schedule('s', 'a', every => '1 hour', tenant => 'acme'${rest})`);
    await make("");
    await make("");
    await make(", priority => 3");
    await make(`, priority => 3, payload => '{"secret": 1}'`);
    await run("select legwork.disable_schedule('s'), legwork.disable_schedule('s')");
    await run("select legwork.enable_schedule('s'), legwork.enable_schedule('s')");
    const [{ job }] = await run("select legwork.run_schedule('s') as job");
    await run("select legwork_private.fire_schedules(now() + interval '3 hours')");
    await run("select legwork.unschedule('s')");
    const lines = await log();
    expect(lines).toMatchObject([
      { operation: "schedule", before: null, after: { every: "01:00:00", task: "a", tenant: "acme", is_enabled: true } },
      { operation: "schedule", before: { every: "01:00:00" }, after: { every: "01:00:00", priority: 3 } },
      { operation: "schedule", after: { payload_changed: true } },
      { operation: "disable_schedule", before: { is_enabled: true }, after: { is_enabled: false } },
      { operation: "enable_schedule", before: { is_enabled: false }, after: { is_enabled: true } },
      { operation: "run_schedule", before: null, after: { job: Number(job) } },
      { operation: "unschedule", before: { every: "01:00:00", priority: 3 }, after: null },
    ]);
    for (const line of lines) expect(line).toMatchObject({ target_type: "schedule", target: "s", tenant: "acme" });
    expect(JSON.stringify(lines)).not.toContain("secret");
  });

  it("no entry for jobs that a schedule cancels because it is due again", async () => {
    await run("select legwork.schedule('c', 'a', every => '1 hour', overlap => 'cancel')");
    await run("select legwork_private.fire_schedules(now() + interval '61 minutes'), legwork_private.fire_schedules(now() + interval '121 minutes')");
    expect(await run("select from legwork.jobs where state = 'cancelled' and error like '%due again%'")).toHaveLength(1);
    expect((await log()).map((line) => line.operation)).toEqual(["schedule"]);
    await empty(database.pool, "legwork_private.schedule_definitions");
  });

  it("workflows that were cancelled and retried, but not their starts or their jobs", async () => {
    const [{ id }] = await run(`select legwork.start_workflow('w', '[{"name": "s", "task": "a"}, {"name": "t", "task": "a"}]', tenant => 'acme') as id`);
    await run(`select legwork.enqueue_batch('[{"task": "a"}]')`);
    expect(await log()).toEqual([]);
    await run("select legwork.cancel_workflow($1, 'wrong'), legwork.cancel_workflow($1)", [id]);
    await run("select legwork.retry_workflow($1)", [id]);
    const of = { target_type: "workflow", target: id, tenant: "acme" };
    expect(await log()).toMatchObject([
      { ...of, operation: "cancel_workflow", before: { state: "running" }, after: { state: "cancelled", reason: expect.stringContaining("wrong") } },
      { ...of, operation: "retry_workflow", before: { state: "cancelled" }, after: { state: "running" } },
    ]);
  });

  it("signals by name, and only the first signal with each name, because later ones have no effect", async () => {
    await run("select legwork.send_signal($1, 'go', '{\"secret\": 1}'), legwork.send_signal($1, 'go')", [waiting]);
    const lines = await log();
    expect(lines).toMatchObject([
      { operation: "send_signal", target_type: "job", target: waiting, tenant: "acme", before: null, after: { signal: "go" } },
    ]);
    expect(JSON.stringify(lines)).not.toContain("secret");
  });

  it("the previous value of a removed setting", async () => {
    await run("select legwork.pause_queue('q', 'x'), legwork.limit_rate(5, '1 minute', task => 'a'), legwork.set_retry_policy(queue => 'q', attempts => 2)");
    await run("select legwork.resume_queue('q'), legwork.drop_limit('rate', task => 'a'), legwork.drop_retry_policy(queue => 'q')");
    expect((await log()).slice(3)).toMatchObject([
      { operation: "resume", target: "q", before: { reason: "x" }, after: null },
      { operation: "drop_limit", target: "a", before: { kind: "rate", max_count: 5 }, after: null },
      { operation: "drop_retry_policy", target: "q", before: { attempts: 2 }, after: null },
    ]);
  });

  it("no entry for a call that changed nothing", async () => {
    await run("select legwork.pause_queue('q', 'x'), legwork.limit_concurrency(3, queue => 'q'), legwork.set_retry_policy(task => 'a', attempts => 3)");
    const lines = (await log()).length;
    await run("select legwork.pause_queue('q'), legwork.limit_concurrency(3, queue => 'q'), legwork.set_retry_policy(task => 'a', attempts => 3)");
    await run("select legwork.resume_task('a'), legwork.drop_limit('rate', task => 'a')");
    expect(await log()).toHaveLength(lines);
  });

  it("tokens, but no part of a token that could be used to sign in", async () => {
    const [{ token }] = await run("select legwork.create_token('t', 'operator', 'acme') as token");
    const [{ id }] = await run("select id from legwork.token_list");
    await run("select * from legwork_private.find_token(sha256(convert_to($1, 'UTF8')))", [token]);
    await run("select legwork.revoke_token($1), legwork.revoke_token($1)", [id]);
    const lines = await log();
    expect(lines).toMatchObject([
      { operation: "create_token", target_type: "token", target: id, tenant: "acme", after: { name: "t", role: "operator" } },
      { operation: "revoke_token", target: id, before: { name: "t" }, after: { revoked_at: expect.any(String) } },
    ]);
    expect(JSON.stringify(lines)).not.toContain("hash");
    expect(JSON.stringify(lines)).not.toContain(token);
  });

  it("no entry for a change that was rolled back", async () => {
    await expect(run(`select legwork.cancel_job(${waiting}), 1 / 0`)).rejects.toMatchObject({ code: "22012" });
    await expect(run("select legwork.pause_queue('nowhere')")).rejects.toMatchObject({ code: "LW404" });
    expect(await log()).toEqual([]);
  });
});

it("no entry can be changed, deleted or truncated, not even by mistake by the owner of the table", async () => {
  await run("select legwork.pause_queue('q')");
  for (const text of [
    "update legwork_private.audit_entries set actor = 'mallory'",
    "delete from legwork_private.audit_entries",
    "truncate legwork_private.audit_entries",
    "update legwork.audit_log set actor = 'mallory'",
    "delete from legwork.audit_log",
  ]) {
    await expect(run(text)).rejects.toMatchObject({ code: "LW403" });
  }
  expect(await log()).toHaveLength(1);
});

it("the audit log is kept for the period in audit_retention, not for the history's retention", async () => {
  await run("create table legwork.audit_entries_old partition of legwork_private.audit_entries for values from ('2020-01-01Z') to ('2020-02-01Z')");
  await run("update legwork.settings set value = '1 hour' where name = 'history_retention'");
  await run("update legwork.settings set value = '100 years' where name = 'audit_retention'");
  await run("insert into legwork_private.audit_entries (occurred_at, surface, operation, target_type) values ('2020-01-10Z', 'sql', 'x', 'job')");
  await run("select * from legwork.maintain_history()");
  expect(await run("select 1 from legwork.audit_log where operation = 'x'")).toHaveLength(1);
  await run("update legwork.settings set value = '1 year' where name = 'audit_retention'");
  await run("select * from legwork.maintain_history()");
  expect(await run("select 1 from legwork.audit_log where operation = 'x'")).toEqual([]);
  await run("update legwork.settings set value = '30 days' where name = 'history_retention'");
});
