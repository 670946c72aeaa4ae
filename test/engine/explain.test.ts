import { globSync, readFileSync } from "node:fs";
import { beforeEach, expect, it } from "vitest";
import { enqueue } from "../../src/jobs/enqueue.ts";
import { explainJob, type Reason } from "../../src/jobs/explain-job.ts";
import { testDatabase } from "../support/database.ts";
import { resetLegwork } from "../support/reset-legwork.ts";

const database = testDatabase();

const query = async (text: string, values: unknown[] = []): Promise<Record<string, unknown>[]> =>
  (await database.pool.query(text, values)).rows;

beforeEach(async () => {
  await resetLegwork(database.pool);
  await query(`select legwork_private.register_tasks('[{"name": "t", "queue": "q"}, {"name": "other"}]')`);
  // A live worker with a free slot.
  await query("select legwork_private.worker_beat('w1', 'host', 1, 4, array['t', 'other'], '{}')");
});

const add = (options = {}, payload: unknown = {}): Promise<string> => enqueue(database.pool, "t", payload, options);
const explain = (id: string): Promise<Reason[]> => explainJob(database.pool, id);
/** The statements that a fix shows. */
const statements = ({ fix }: Reason): string[] => [...fix.matchAll(/`([^`]+)`/g)].map(([, statement = ""]) => statement);
const reasons = async (id: string): Promise<string[]> => (await explain(id)).map((row) => row.reason);
const fetchBy = (worker: string, id: string): Promise<unknown> =>
  query("update graphile_worker._private_jobs set locked_by = $1, locked_at = now(), attempts = attempts + 1 where id = $2", [
    worker,
    id,
  ]);

it("a job that is not held back is about to start", async () => {
  expect(await reasons(await add())).toEqual(["about_to_start"]);
});

it("a job that no worker fetches although some have capacity gets more than the advice to wait", async () => {
  const id = await add({ runAt: new Date(Date.now() - 34_000) });
  expect(await explain(id)).toEqual([
    {
      position: 1,
      reason: "not_fetched",
      detail: expect.stringMatching(
        /^Nothing holds it back\. It has been due for 3\d seconds, and running workers .+ none has fetched it\.$/,
      ),
      fix: expect.stringContaining("connection pooler in transaction mode"),
      actions: [],
    },
  ]);
});

it("the explanation of a running job whose key is used again shows its first attempt and names the job that replaced it", async () => {
  const first = await add({ jobKey: "k", maxAttempts: 3 });
  await fetchBy("w1", first);
  const second = await add({ jobKey: "k", maxAttempts: 3 });
  const replaced = {
    reason: "replaced",
    detail: expect.stringMatching(
      new RegExp(`^It was replaced or removed at .+ will not be retried\\. Job ${second} was enqueued in its place\\.$`),
    ),
    fix: `See that job: \`select * from legwork.explain_job(${second});\``,
    actions: [{ do: "explain_job", id: second }],
  };
  expect(await explain(first)).toMatchObject([
    { reason: "running", detail: expect.stringContaining("attempt 1, since") },
    replaced,
  ]);
  const seen = (): Promise<unknown> =>
    query(
      "select attempts, max_attempts, array(select attempt from legwork.attempts a where a.job_id = j.id) as each from legwork.jobs j where id = $1",
      [first],
    );
  expect(await seen()).toEqual([{ attempts: 1, max_attempts: 3, each: [1] }]);
  await query(
    "update graphile_worker._private_jobs set locked_at = null, locked_by = null, last_error = 'no', run_at = now() + interval '1 minute' where id = $1",
    [first],
  );
  expect(await seen()).toEqual([{ attempts: 1, max_attempts: 3, each: [1] }]);
  expect(await explain(first)).toMatchObject([{ reason: "failed" }, replaced]);
  // A job in its second attempt reports 2, also when it completes.
  const third = await add({ maxAttempts: 3, jobKey: "other" });
  await fetchBy("w1", third);
  await query(
    "update graphile_worker._private_jobs set locked_at = null, locked_by = null, last_error = 'no', run_at = now() + interval '1 minute' where id = $1",
    [third],
  );
  await fetchBy("w1", third);
  await add({ jobKey: "other" });
  await query("delete from graphile_worker._private_jobs where id = $1", [third]);
  expect(await query("select state, attempts from legwork.jobs where id = $1", [third])).toEqual([
    { state: "completed", attempts: 2 },
  ]);
});

it("a job that was failed manually after it had run was not replaced", async () => {
  const id = await add({ maxAttempts: 3 });
  await fetchBy("w1", id);
  await query(
    "update graphile_worker._private_jobs set locked_at = null, locked_by = null, last_error = 'no', run_at = now() + interval '1 minute' where id = $1",
    [id],
  );
  await query("select graphile_worker.permanently_fail_jobs(array[$1]::bigint[], 'by hand')", [id]);
  expect(await reasons(id)).toEqual(["failed"]);
});

it("every pause is named, the widest first, with its actor, its reason and its fix", async () => {
  const id = await add();
  await query("select legwork.pause_task('t', 'bug 7'), legwork.pause_queue('q'), legwork.emergency_stop('help')");
  expect(await explain(id)).toMatchObject([
    {
      position: 1,
      reason: "everything_stopped",
      detail: expect.stringMatching(/by postgres at .*: help\.$/),
      fix: "Resume everything: `select legwork.resume_all();`",
      actions: [{ do: "resume_all" }],
    },
    {
      position: 2,
      reason: "queue_paused",
      detail: expect.stringContaining("no reason was given"),
      fix: "Resume the queue: `select legwork.resume_queue('q');`",
      actions: [{ do: "resume_queue", name: "q" }],
    },
    {
      position: 3,
      reason: "task_paused",
      detail: expect.stringContaining("bug 7"),
      fix: "Resume the task: `select legwork.resume_task('t');`",
    },
  ]);
  // The same pauses are set again. With another reason, both actors are named; without a reason, nothing changes.
  await query("begin; set local legwork.actor = 'ada'; select legwork.pause_queue('q', 'still down!'); commit");
  await query(
    "begin; set local legwork.actor = 'eve'; select legwork.pause_queue('q'), legwork.pause_task('t', 'bug 7'); commit",
  );
  expect((await explain(id)).map(({ detail }) => detail)).toMatchObject([
    expect.stringMatching(/^Everything/),
    expect.stringMatching(/^Queue 'q' was paused by postgres at \S+ \S+ \S+, and again by ada at \S+ \S+ \S+: still down!$/),
    expect.stringMatching(/^Task 't' was paused by postgres at \S+ \S+ \S+, and again by eve at .+: bug 7\.$/),
  ]);
  expect(
    await query(
      `select regexp_replace(finding, '\\d+ \\w+', 'X', 'g') as finding from legwork.doctor_rules() where "check" = 'pauses'`,
    ),
  ).toEqual([
    { finding: "Everything was stopped by postgres X ago: help." },
    { finding: "Queue 'q' was paused by postgres X ago, and again by ada X ago: still down!" },
    { finding: "Task 't' was paused by postgres X ago, and again by eve X ago: bug 7." },
  ]);
  expect(await query("select paused_by, pause_reason from legwork.queues where name = 'q'")).toEqual([
    { paused_by: "ada", pause_reason: "still down!" },
  ]);
  for (const reason of await explain(id)) for (const statement of statements(reason)) await query(statement);
  expect(await reasons(id)).toEqual(["about_to_start"]);
});

it("a full limit is named with the jobs that fill it and the job's position in line", async () => {
  await query("select legwork.limit_concurrency(1, task => 't', key => 'user')");
  const [first, , last] = [await add({}, { user: "u'1" }), await add({}, { user: "u'1" }), await add({}, { user: "u'1" })];
  expect(await explain(last)).toEqual([
    {
      position: 1,
      reason: "concurrency_limit",
      detail: `The concurrency limit of task 't' for user = u'1 is 1, and all slots are taken by job ${first}. It is number 2 in line.`,
      fix: "Wait, or raise the limit: `select legwork.limit_concurrency(2, task => 't', key => 'user');`",
      actions: [{ do: "limit_concurrency", scope: "task", name: "t", max: 2, key: "user" }],
    },
  ]);
});

it("a limit's key that a task redacts is not shown", async () => {
  await query("select legwork.limit_concurrency(1, task => 't', key => 'user')");
  await query("update legwork_private.task_definitions set redact = array['user'] where name = 't'");
  const [, second] = [await add({}, { user: "ann" }), await add({}, { user: "ann" })];
  expect(await explain(second)).toMatchObject([{ detail: expect.stringContaining("for user = [redacted] is 1") }]);
  expect(JSON.stringify(await explain(second))).not.toContain("ann");
  await query("update legwork_private.task_definitions set redact = null where name = 't'");
});

it("an exhausted rate limit is named with the next possible start", async () => {
  await query("select legwork.limit_rate(1, '1 hour', queue => 'q')");
  const [first, second] = [await add(), await add()];
  await fetchBy("w1", first);
  await query("delete from graphile_worker._private_jobs where id = $1", [first]);
  expect(await explain(second)).toMatchObject([
    {
      reason: "rate_limit",
      detail: expect.stringMatching(
        /queue 'q' is 1 per hour, and it is used up\. It is number 1 in line\. This job can start at [-\d]+ [:\d]+ UTC \(in 59 minutes( \d+ seconds?)?\) at the earliest\.$/,
      ),
    },
  ]);
});

it("a start time in the future is shown, and for a retry also the error", async () => {
  const later = await add({ runAt: new Date(Date.now() + 3_600_000) });
  expect(await explain(later)).toMatchObject([
    {
      reason: "run_at_ahead",
      detail: expect.stringMatching(/^It is due at .* \(in 59 minutes( \d+ seconds?)?\)\.$/),
      fix: `Wait, or start it now: \`select legwork.retry_job(${later});\``,
    },
  ]);
  const failing = await add();
  await fetchBy("w1", failing);
  await query(
    "update graphile_worker._private_jobs set locked_by = null, locked_at = null, last_error = 'boom', run_at = now() + interval '1 minute' where id = $1",
    [failing],
  );
  expect(await explain(failing)).toMatchObject([
    { reason: "retry_ahead", detail: expect.stringMatching(/^Attempt 1 of 25 failed, and .*\. Last error: boom$/) },
  ]);
});

it("a taken serial key names the job that holds it", async () => {
  const [first, second] = [await add({ serialKey: "s" }), await add({ serialKey: "s" })];
  await fetchBy("w1", first);
  await query("update graphile_worker._private_job_queues set locked_by = 'w1', locked_at = now()");
  expect(await explain(second)).toMatchObject([
    {
      reason: "serial_key_taken",
      detail: `Jobs with the serial key 's' run one at a time, and job ${first} is running now.`,
      fix: expect.stringContaining(`cancel_job(${first})`),
    },
  ]);
});

it("a row that a transaction has locked is reported", async () => {
  const id = await add();
  const holder = await database.pool.connect();
  await holder.query("begin");
  await holder.query("update graphile_worker._private_jobs set priority = 1 where id = $1", [id]);
  expect(await explain(id)).toMatchObject([
    {
      reason: "row_locked",
      detail: expect.stringMatching(
        /It is session \d+ of user 'postgres' in 'legwork', open since .+ now idle in transaction, last statement: update graphile_worker/,
      ),
      fix: expect.stringMatching(
        /^Commit or roll back that transaction, or end its session: `select pg_terminate_backend\(\d+\);`$/,
      ),
      actions: [{ do: "end_session", id: expect.stringMatching(/^\d+$/) }],
    },
  ]);
  await holder.query("rollback");
  holder.release();
});

it("no worker, no worker with the task, and only busy workers are three different reasons", async () => {
  const id = await add();
  await query("update legwork_private.worker_processes set concurrency = 1, running = array[99]");
  expect(await explain(id)).toMatchObject([
    {
      reason: "workers_busy",
      detail: expect.stringContaining("The only worker that has its task is full: 1 of 1 job running."),
    },
  ]);
  await query("update legwork_private.worker_processes set tasks = array['tt', 'x']");
  expect(await explain(id)).toMatchObject([{ reason: "no_worker", detail: expect.stringContaining("Did you mean 'tt'?") }]);
  await query("delete from legwork_private.worker_processes");
  expect(await explain(id)).toMatchObject([{ reason: "no_worker", detail: "No Legwork worker is running." }]);
});

it("a running job shows its worker and its start, and whether the worker is silent or the job was cancelled", async () => {
  const id = await add();
  await fetchBy("w1", id);
  await query("select legwork_private.worker_beat('w1', 'host', 1, 4, array['t'], array[$1::bigint])", [id]);
  expect(await explain(id)).toMatchObject([
    { reason: "running", detail: expect.stringMatching(/attempt 1, .* worker w1 \(host, process 1\)/) },
  ]);
  await query("update graphile_worker._private_jobs set locked_at = now() - interval '2 minutes' where id = $1", [id]);
  expect((await explain(id))[0]!.fix).toMatch(
    /^Wait, or cancel it: `select legwork\.cancel_job\(\d+\);`\. Its task has no timeout\. If it also ignores its abort signal, /,
  );
  await query("update graphile_worker._private_jobs set locked_at = now() where id = $1", [id]);
  await expect(query("select legwork.rerun_job($1)", [id])).rejects.toMatchObject({
    code: "LW409",
    hint: "Wait for it to end. To run it twice, enqueue it again.",
  });
  await query("select legwork.cancel_job($1, 'wrong')", [id]);
  await query("update legwork_private.worker_processes set seen_at = seen_at - interval '1 minute'");
  expect(await reasons(id)).toEqual(["running", "worker_silent", "cancelling"]);
  // It cannot be cancelled twice.
  expect((await explain(id))[0]).toMatchObject({ fix: "Wait.", actions: [] });
  expect((await explain(id))[2]!.fix).toMatch(
    /If it does not, the only way to stop it is to restart worker w1 .+, because the task has no timeout/,
  );
  await query(`select legwork_private.register_tasks('[{"name": "t", "queue": "q", "timeout": 90061000}]')`);
  expect((await explain(id))[0]!.detail).toMatch(/ Its timeout of 1 day 1 hour ends it in about 1 day 1 hour\./);
  expect((await explain(id))[2]!.fix).toMatch(/If it does not, its timeout ends it\.$/);
  await query("update legwork_private.task_definitions set timeout = '1 s' where name = 't'");
  await query("update graphile_worker._private_jobs set locked_at = locked_at - interval '2 seconds' where id = $1", [id]);
  expect((await explain(id))[0]!.detail).toMatch(/ Its timeout of 1 second has passed: /);
  expect(await query("select timeout from legwork.tasks where name = 't'")).toEqual([{ timeout: "1s" }]);
  await query("update legwork_private.task_definitions set timeout = null");
  await fetchBy("plain", id);
  expect((await explain(id))[0]!.detail).toContain("plain, which is not a running Legwork worker");
});

it("a fetched job counts as not started, instead of as running, only if its worker has sent a heartbeat since the fetch", async () => {
  const id = await add();
  await fetchBy("w1", id);
  const moved = (column: string, table: string, by: string): Promise<unknown> =>
    query(`update ${table} set ${column} = clock_timestamp() - $1::interval`, [by]);
  await moved("locked_at", "graphile_worker._private_jobs", "20 seconds");
  await moved("seen_at", "legwork_private.worker_processes", "21 seconds");
  expect(await explain(id)).toMatchObject([
    { reason: "running" },
    {
      reason: "worker_silent",
      detail: expect.stringContaining("has sent no heartbeat since it fetched this job"),
      fix: expect.stringContaining("No other Legwork worker is running."),
    },
  ]);
  await moved("seen_at", "legwork_private.worker_processes", "1 second");
  expect(await explain(id)).toMatchObject([
    {
      reason: "fetched_ahead",
      detail: expect.stringMatching(/^It has not started\. Worker w1 \(host, process 1\) has fetched it in advance and is about/),
      fix: expect.stringMatching(
        /^Wait, or cancel it: `select legwork\.cancel_job\(\d+\);`\. If LEGWORK_LOCAL_QUEUE_SIZE is set, /,
      ),
    },
  ]);
  await query("update legwork_private.worker_processes set concurrency = 2, running = array[97, 98]");
  expect(await explain(id)).toMatchObject([
    { detail: expect.stringContaining("will start it when one of its 2 running jobs ends") },
  ]);
  // The blocked thread cannot report that it has started the job, but the heartbeat's thread can report which job blocks it.
  await query("update legwork_private.worker_processes set blocked_since = clock_timestamp(), blocked_jobs = array[$1::bigint]", [
    id,
  ]);
  expect(await explain(id)).toMatchObject([
    // A signal cannot interrupt it.
    { reason: "running", fix: "Wait.", actions: [] },
    { reason: "worker_blocked" },
  ]);
});

it("every sentence of a fix ends before the next one begins, and every time has its date", () => {
  const sources = globSync("sql/definitions/**/*.sql").map((path) => [path, readFileSync(path, "utf8")] as const);
  expect(sources.length).toBeGreaterThan(50);
  const suspicious = sources.flatMap(([path, text]) =>
    text
      .split("\n")
      .filter((line) => /'HH24:MI/.test(line) || /suggest\(.*\) \|\| (' [A-Z]|format\(' [A-Z])/.test(line))
      .map((line) => `${path}: ${line.trim()}`),
  );
  expect(suspicious).toEqual([]);
});

it("a job that was cancelled because of another one leads to that one first", async () => {
  const first = await add();
  const second = await add({ dependsOn: [first] });
  await query("select graphile_worker.permanently_fail_jobs(array[$1::bigint], 'boom')", [first]);
  await query("select legwork.tick()");
  expect((await explain(second))[0]!.fix).toBe(
    `See what happened to that job: \`select * from legwork.explain_job(${first});\`. Then, if it should run, run it again: \`select legwork.rerun_job(${second});\``,
  );
});

it("a job that has ended shows how it ended and what can be done", async () => {
  const [failed, cancelled] = [await add(), await add()];
  await query("select graphile_worker.permanently_fail_jobs(array[$1::bigint], 'boom'), legwork.cancel_job($2)", [
    failed,
    cancelled,
  ]);
  expect(await explain(failed)).toMatchObject([
    {
      reason: "failed",
      detail: expect.stringMatching(/: boom$/),
      fix: `Fix the cause, then retry it: \`select legwork.retry_job(${failed});\``,
    },
  ]);
  expect(await reasons(cancelled)).toEqual(["cancelled"]);
  await query("select legwork.discard_job($1)", [failed]);
  expect(await explain(failed)).toMatchObject([{ reason: "discarded", actions: [{ do: "rerun_job", id: failed }] }]);
  await expect(explain("999999")).rejects.toMatchObject({ code: "LW404" });
});

it("durations are written in words, and an unknown duration is null", async () => {
  const say = async (interval: string | null): Promise<unknown> =>
    (
      await query(
        "select legwork_private.in_words($1::interval) as words, legwork_private.period_in_words($1::interval) as period",
        [interval],
      )
    )[0];
  expect(await say("3 days 01:00:02.5")).toEqual({ words: "3 days 1 hour", period: "3 days 1 hour 2.5 seconds" });
  expect(await say("14 days 00:44:41")).toEqual({ words: "14 days", period: "14 days 44 minutes 41 seconds" });
  expect(await say("100:59:59")).toEqual({ words: "100 hours 59 minutes", period: "100 hours 59 minutes 59 seconds" });
  expect(await say("00:02:01.5")).toEqual({ words: "2 minutes 1 second", period: "2 minutes 1.5 seconds" });
  expect(await say("14 months")).toEqual({ words: "1 year 2 months", period: "1 year 2 months" });
  expect(await say("1 minute")).toEqual({ words: "1 minute", period: "minute" });
  expect(await say("-00:00:01")).toEqual({ words: "-1 seconds", period: "-1 seconds" });
  expect(await say("0")).toEqual({ words: "0 seconds", period: "0 seconds" });
  expect(await say(null)).toEqual({ words: null, period: null });
});

it("a fix and its actions suggest only what the caller may do", async () => {
  await query("select legwork.limit_concurrency(1, task => 't')");
  const [, held] = [await add({ tenant: "acme" }), await add({ tenant: "acme" })];
  const failed = await add({ tenant: "acme", serialKey: "a`b" });
  await query("select graphile_worker.permanently_fail_jobs(array[$1::bigint], 'boom')", [failed]);
  const asked = async (id: string, settings: Record<string, string>): Promise<Reason | undefined> => {
    const client = await database.pool.connect();
    try {
      await client.query("begin");
      for (const [name, value] of Object.entries(settings)) await client.query("select set_config($1, $2, true)", [name, value]);
      return (await explainJob(client, id))[0];
    } finally {
      await client.query("rollback");
      client.release();
    }
  };
  expect(await asked(failed, { "legwork.role": "viewer" })).toMatchObject({
    fix: "Fix the cause, then ask an operator to retry it.",
    actions: [],
  });
  expect(await asked(failed, { "legwork.role": "operator", "legwork.confined_to": "acme" })).toMatchObject({
    fix: `Fix the cause, then retry it: \`select legwork.retry_job(${failed});\``,
    actions: [{ do: "retry_job", id: failed }],
  });
  expect(await asked(held, { "legwork.role": "operator", "legwork.confined_to": "acme" })).toMatchObject({
    fix: "Wait, or ask an operator of the whole system to raise the limit.",
    actions: [],
  });
  expect(await asked(held, { "legwork.role": "operator" })).toMatchObject({ actions: [{ do: "limit_concurrency", max: 2 }] });
});
