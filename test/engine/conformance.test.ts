import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { Server } from "../../src/server/server.ts";
import { cancelJob, cancelJobs } from "../../src/jobs/cancel-job.ts";
import { discardJob, discardJobs } from "../../src/jobs/discard-job.ts";
import { enqueue } from "../../src/jobs/enqueue.ts";
import { explainJob } from "../../src/jobs/explain-job.ts";
import { rerunJob } from "../../src/jobs/rerun-job.ts";
import { retryJob, retryJobs } from "../../src/jobs/retry-job.ts";
import { setPriority } from "../../src/jobs/set-priority.ts";
import { sendSignal } from "../../src/jobs/send-signal.ts";
import { dropLimit, limitConcurrency, limitRate } from "../../src/queues/limits.ts";
import { emergencyStop, pauseQueue, pauseTask, resumeAll, resumeQueue, resumeTask } from "../../src/queues/pause.ts";
import { cancelWorkflow } from "../../src/workflows/cancel-workflow.ts";
import { retryWorkflow } from "../../src/workflows/retry-workflow.ts";
import { startWorkflow } from "../../src/workflows/start-workflow.ts";
import { disableSchedule, enableSchedule } from "../../src/schedules/enable-schedule.ts";
import { runSchedule } from "../../src/schedules/run-schedule.ts";
import { schedule } from "../../src/schedules/schedule.ts";
import { unschedule } from "../../src/schedules/unschedule.ts";
import { legwork } from "../support/cli.ts";
import { testDatabase } from "../support/database.ts";
import { resetLegwork } from "../support/reset-legwork.ts";
import { rest, startRest } from "../support/rest.ts";

const database = testDatabase();

beforeEach(async () => {
  await resetLegwork(database.pool);
  await database.pool.query(
    `select legwork_private.register_tasks('[{"name": "notify/email", "queue": "mail"}, {"name": "other"}]')`,
  );
});

/** Jobs of notify/email: one that waits, one that has failed, and another with the same failure. */
interface Jobs {
  waiting: string;
  failed: string;
  alike: string;
}

async function makeJobs(): Promise<Jobs> {
  const [waiting, failed, alike] = [
    await enqueue(database.pool, "notify/email", { userId: "u1" }),
    await enqueue(database.pool, "notify/email", { userId: "u1" }),
    await enqueue(database.pool, "notify/email", { userId: "u2" }),
  ];
  await database.pool.query("select graphile_worker.permanently_fail_jobs(array[$1::bigint, $2], 'refused by host 7')", [
    failed,
    alike,
  ]);
  return { waiting, failed, alike };
}

interface Operation {
  name: string;
  /** SQL that runs before the operation. */
  before?: string;
  sql: (jobs: Jobs) => string;
  ts: (jobs: Jobs) => Promise<unknown>;
  cli: (jobs: Jobs) => string[];
  rest: (jobs: Jobs) => [method: string, path: string, body?: unknown];
  /** The query to run afterwards and its result, or the code that is raised. */
  read?: (jobs: Jobs) => string;
  says?: unknown;
  raises?: { code: string; exit: 1 | 2; hint?: string };
}

const state = (which: keyof Jobs) => (jobs: Jobs) => `select state as it from legwork.jobs where id = ${jobs[which]}`;
const limits = (): string => "select jsonb_agg(limits) as it from legwork.queues where limits is not null";
const live = (): string => "select count(*)::int as it from graphile_worker._private_jobs";
const pauses = (): string =>
  "select string_agg(concat_ws(' ', scope, nullif(name, ''), reason), ',') as it from legwork_private.pauses";

const SCHEDULE = "select legwork.schedule('s', 'other', every => '1 day')";
const schedules = (): string =>
  "select concat_ws(' ', name, is_enabled::text, (next_at is not null)::text) as it from legwork.schedules";

/** Each surface has its own name for the actor. */
const byWhom = "regexp_replace(error, 'by [^:]+:', 'by actor:')";

const db = (): typeof database.pool => database.pool;

/** A step that runs notify/email, and one that runs other and depends on the first. `STARTED` gives the workflow the id 1. */
const STEPS = { a: { task: "notify/email" }, b: { task: "other", dependsOn: ["a"] } };
const STEPS_IN_SQL = '{"a": {"task": "notify/email"}, "b": {"task": "other", "depends_on": ["a"]}}';
const STARTED = `alter sequence legwork_private.run_ids restart; select legwork.start_workflow('w', '${STEPS_IN_SQL}')`;
const workflow = (): string =>
  "select w.state || ' ' || string_agg(s.name || ' ' || s.state, ', ' order by s.position) as it from legwork.workflows w join legwork.workflow_steps s on s.workflow_id = w.id group by w.id, w.state";

const OPERATIONS: Operation[] = [
  {
    name: "enqueues a job that waits for another",
    sql: ({ waiting }) => `select legwork.enqueue('other', depends_on => array[${waiting}], on_dependency_failure => 'run')`,
    ts: ({ waiting }) => enqueue(db(), "other", {}, { dependsOn: [waiting], onDependencyFailure: "run" }),
    cli: ({ waiting }) => ["add", "other", "--depends-on", waiting, "--on-dependency-failure", "run"],
    rest: ({ waiting }) => ["POST", "/jobs", { task: "other", dependsOn: [waiting], onDependencyFailure: "run" }],
    read: () =>
      "select string_agg(state || ' ' || (select on_failure from legwork_private.dependencies), ',') as it from legwork.jobs where task = 'other'",
    says: "blocked run",
  },
  {
    name: "cancels a job whose dependency has failed",
    sql: ({ failed }) => `select legwork.enqueue('other', depends_on => array[${failed}])`,
    ts: ({ failed }) => enqueue(db(), "other", {}, { dependsOn: [failed] }),
    cli: ({ failed }) => ["add", "other", "--depends-on", failed],
    rest: ({ failed }) => ["POST", "/jobs", { task: "other", dependsOn: [failed] }],
    read: () => "select string_agg(state::text, ',') as it from legwork.jobs where task = 'other'",
    says: "cancelled",
  },
  {
    name: "rejects a dependency that does not exist",
    sql: () => "select legwork.enqueue('other', depends_on => array[999999])",
    ts: () => enqueue(db(), "other", {}, { dependsOn: ["999999"] }),
    cli: () => ["add", "other", "--depends-on", "999999"],
    rest: () => ["POST", "/jobs", { task: "other", dependsOn: ["999999"] }],
    raises: { code: "LW404", exit: 1, hint: "Nothing was enqueued" },
  },
  {
    name: "starts a workflow",
    sql: () => `select legwork.start_workflow('w', '${STEPS_IN_SQL}')`,
    ts: () => startWorkflow(db(), { name: "w", steps: STEPS }),
    cli: () => ["workflow", "start", "w", JSON.stringify(STEPS)],
    rest: () => ["POST", "/workflows", { name: "w", steps: STEPS }],
    read: workflow,
    says: "running a pending, b blocked",
  },
  {
    name: "rejects a workflow with an unknown step",
    sql: () =>
      `select legwork.start_workflow('w', '{"fetch": {"task": "other"}, "b": {"task": "other", "depends_on": ["fetsch"]}}')`,
    ts: () =>
      startWorkflow(db(), { name: "w", steps: { fetch: { task: "other" }, b: { task: "other", dependsOn: ["fetsch"] } } }),
    cli: () => ["workflow", "start", "w", '{"fetch": {"task": "other"}, "b": {"task": "other", "dependsOn": ["fetsch"]}}'],
    rest: () => [
      "POST",
      "/workflows",
      { name: "w", steps: { fetch: { task: "other" }, b: { task: "other", dependsOn: ["fetsch"] } } },
    ],
    raises: { code: "LW404", exit: 1, hint: "'fetch'" },
  },
  {
    name: "cancels a workflow",
    before: STARTED,
    sql: () => "select legwork.cancel_workflow(1, 'wrong')",
    ts: () => cancelWorkflow(db(), "1", "wrong"),
    cli: () => ["workflow", "cancel", "1", "--reason", "wrong"],
    rest: () => ["POST", "/workflows/1/cancel", { reason: "wrong" }],
    read: workflow,
    says: "cancelled a cancelled, b cancelled",
  },
  {
    name: "retries a workflow",
    before: `${STARTED}; select legwork.cancel_workflow(1)`,
    sql: () => "select legwork.retry_workflow(1)",
    ts: () => retryWorkflow(db(), "1"),
    cli: () => ["workflow", "retry", "1"],
    rest: () => ["POST", "/workflows/1/retry"],
    read: workflow,
    says: "running a pending, b blocked",
  },
  {
    name: "refuses to retry a workflow that runs",
    before: STARTED,
    sql: () => "select legwork.retry_workflow(1)",
    ts: () => retryWorkflow(db(), "1"),
    cli: () => ["workflow", "retry", "1"],
    rest: () => ["POST", "/workflows/1/retry"],
    raises: { code: "LW409", exit: 1, hint: "cancel" },
  },
  {
    name: "reports an unknown workflow",
    sql: () => "select legwork.cancel_workflow(999999)",
    ts: () => cancelWorkflow(db(), "999999"),
    cli: () => ["workflow", "cancel", "999999"],
    rest: () => ["POST", "/workflows/999999/cancel"],
    raises: { code: "LW404", exit: 1 },
  },
  {
    name: "cancels a waiting job",
    sql: ({ waiting }) => `select legwork.cancel_job(${waiting}, 'wrong')`,
    ts: ({ waiting }) => cancelJob(db(), waiting, "wrong"),
    cli: ({ waiting }) => ["cancel", waiting, "--reason", "wrong"],
    rest: ({ waiting }) => ["POST", `/jobs/${waiting}/cancel`, { reason: "wrong" }],
    read: ({ waiting }) => `select state || ' ' || ${byWhom} as it from legwork.jobs where id = ${waiting}`,
    says: "cancelled Cancelled by actor: wrong",
  },
  {
    name: "refuses to cancel a job that has failed",
    sql: ({ failed }) => `select legwork.cancel_job(${failed})`,
    ts: ({ failed }) => cancelJob(db(), failed),
    cli: ({ failed }) => ["cancel", failed],
    rest: ({ failed }) => ["POST", `/jobs/${failed}/cancel`],
    raises: { code: "LW409", exit: 1, hint: "discard" },
  },
  {
    name: "reports an unknown job",
    sql: () => "select legwork.cancel_job(999999)",
    ts: () => cancelJob(db(), "999999"),
    cli: () => ["cancel", "999999"],
    rest: () => ["POST", "/jobs/999999/cancel"],
    raises: { code: "LW404", exit: 1 },
  },
  {
    name: "retries a failed job",
    sql: ({ failed }) => `select legwork.retry_job(${failed})`,
    ts: ({ failed }) => retryJob(db(), failed),
    cli: ({ failed }) => ["retry", failed],
    rest: ({ failed }) => ["POST", `/jobs/${failed}/retry`],
    read: ({ failed }) => `select state || ' ' || attempts as it from legwork.jobs where id = ${failed}`,
    says: "pending 0",
  },
  {
    name: "retries all failed jobs that match the filter",
    sql: () => `select legwork.retry_jobs('{"error": "REFUSED by", "queue": "mail"}')`,
    ts: () => retryJobs(db(), { error: "REFUSED by", queue: "mail" }),
    cli: () => ["retry", "--error", "REFUSED by", "--queue", "mail"],
    rest: () => ["POST", "/jobs/retry", { filter: { error: "REFUSED by", queue: "mail" }, dryRun: false }],
    read: () => "select string_agg(state::text, ',') as it from legwork.jobs",
    says: "pending,pending,pending",
  },
  {
    name: "cancels all matching jobs that have not ended",
    sql: () => `select legwork.cancel_jobs('{"queue": "mail", "state": "pending"}', 'all wrong')`,
    ts: () => cancelJobs(db(), { queue: "mail", state: "pending" }, { reason: "all wrong" }),
    cli: () => ["cancel", "--queue", "mail", "--state", "pending", "--reason", "all wrong"],
    rest: () => ["POST", "/jobs/cancel", { filter: { queue: "mail", state: "pending" }, reason: "all wrong", dryRun: false }],
    read: () => `select string_agg(${byWhom}, ',') as it from legwork.jobs where state = 'cancelled'`,
    says: "Cancelled by actor: all wrong",
  },
  {
    name: "previews a retry and changes nothing",
    sql: () => `select legwork.retry_jobs('{}', preview => true)`,
    ts: () => retryJobs(db(), {}, { preview: true }),
    cli: () => ["retry", "--all", "--preview"],
    rest: () => ["POST", "/jobs/retry", { filter: {} }],
    read: () => "select count(*)::int as it from legwork.jobs where state = 'failed'",
    says: 2,
  },
  {
    name: "discards a failed job, which stays in the history",
    sql: ({ failed }) => `select legwork.discard_job(${failed})`,
    ts: ({ failed }) => discardJob(db(), failed),
    cli: ({ failed }) => ["discard", failed],
    rest: ({ failed }) => ["POST", `/jobs/${failed}/discard`],
    read: ({ failed }) =>
      `select (select count(*) from graphile_worker._private_jobs where id = ${failed}) || ' ' || state as it from legwork.jobs where id = ${failed}`,
    says: "0 failed",
  },
  {
    name: "discards a group of failed jobs",
    sql: () => "select legwork.discard_jobs(jsonb_build_object('fingerprint', (select fingerprint from legwork.failed_groups)))",
    ts: async () =>
      discardJobs(db(), { fingerprint: (await db().query("select fingerprint from legwork.failed_groups")).rows[0].fingerprint }),
    cli: () => ["discard", "--task", "notify/email"],
    rest: () => ["POST", "/jobs/discard", { filter: { task: "notify/email" }, dryRun: false }],
    read: live,
    says: 1,
  },
  {
    name: "runs a failed job again with another payload, and discards the old one",
    sql: ({ failed }) => `select legwork.rerun_job(${failed}, '{"userId": "u9"}', discard => true)`,
    ts: ({ failed }) => rerunJob(db(), failed, { payload: { userId: "u9" }, discard: true }),
    cli: ({ failed }) => ["rerun", failed, "--payload", '{"userId": "u9"}', "--discard"],
    rest: ({ failed }) => ["POST", `/jobs/${failed}/rerun`, { payload: { userId: "u9" }, discard: true }],
    read: ({ failed }) =>
      `select (select count(*) from graphile_worker._private_jobs where id = ${failed}) || ' ' || state || ' ' || (payload ->> 'userId') as it
       from legwork.jobs where parent_id = ${failed}`,
    says: "0 pending u9",
  },
  {
    name: "refuses to rerun a job that has not ended",
    sql: ({ waiting }) => `select legwork.rerun_job(${waiting})`,
    ts: ({ waiting }) => rerunJob(db(), waiting),
    cli: ({ waiting }) => ["rerun", waiting],
    rest: ({ waiting }) => ["POST", `/jobs/${waiting}/rerun`],
    raises: { code: "LW409", exit: 1, hint: "enqueue it again" },
  },
  {
    name: "changes the priority of a job",
    sql: ({ waiting }) => `select legwork.set_priority(${waiting}, -7)`,
    ts: ({ waiting }) => setPriority(db(), waiting, -7),
    cli: ({ waiting }) => ["priority", waiting, "--to", "-7"],
    rest: ({ waiting }) => ["PUT", `/jobs/${waiting}/priority`, { priority: -7 }],
    read: ({ waiting }) => `select priority as it from legwork.jobs where id = ${waiting}`,
    says: -7,
  },
  {
    name: "rejects a filter with an unknown task",
    sql: () => `select legwork.retry_jobs('{"task": "notify/emial"}')`,
    ts: () => retryJobs(db(), { task: "notify/emial" }),
    cli: () => ["retry", "--task", "notify/emial"],
    rest: () => ["POST", "/jobs/retry", { filter: { task: "notify/emial" } }],
    raises: { code: "LW404", exit: 1, hint: "notify/email" },
  },
  {
    name: "sends a job a signal, and of two signals the first counts",
    sql: ({ waiting }) =>
      `select legwork.send_signal(${waiting}, 'approval', '{"by": "ada"}'), legwork.send_signal(${waiting}, 'approval', '2')`,
    ts: async ({ waiting }) => [
      await sendSignal(db(), waiting, "approval", { by: "ada" }),
      await sendSignal(db(), waiting, "approval", 2),
    ],
    cli: ({ waiting }) => ["signal", waiting, "approval", '{"by": "ada"}'],
    rest: ({ waiting }) => ["POST", `/jobs/${waiting}/signals/approval`, { payload: { by: "ada" } }],
    read: () => "select jsonb_agg(jsonb_build_array(name, payload)) as it from legwork_private.job_signals",
    says: [["approval", { by: "ada" }]],
  },
  {
    name: "rejects a signal to a job that has failed",
    sql: ({ failed }) => `select legwork.send_signal(${failed}, 'approval')`,
    ts: ({ failed }) => sendSignal(db(), failed, "approval"),
    cli: ({ failed }) => ["signal", failed, "approval"],
    rest: ({ failed }) => ["POST", `/jobs/${failed}/signals/approval`],
    raises: { code: "LW409", exit: 1, hint: "retry" },
  },
  {
    name: "pauses a queue with a reason",
    sql: () => "select legwork.pause_queue('mail', 'host is down')",
    ts: () => pauseQueue(db(), "mail", "host is down"),
    cli: () => ["pause", "mail", "--reason", "host is down"],
    rest: () => ["POST", "/queues/mail/pause", { reason: "host is down" }],
    read: ({ waiting }) => `select state || ' ' || (${pauses()}) as it from legwork.jobs where id = ${waiting}`,
    says: "paused queue mail host is down",
  },
  {
    name: "resumes a queue",
    before: "select legwork.pause_queue('mail')",
    sql: () => "select legwork.resume_queue('mail')",
    ts: () => resumeQueue(db(), "mail"),
    cli: () => ["resume", "mail"],
    rest: () => ["POST", "/queues/mail/resume"],
    read: state("waiting"),
    says: "pending",
  },
  {
    name: "suggests the nearest name for an unknown queue",
    sql: () => "select legwork.pause_queue('mial')",
    ts: () => pauseQueue(db(), "mial"),
    cli: () => ["pause", "mial"],
    rest: () => ["POST", "/queues/mial/pause"],
    raises: { code: "LW404", exit: 1, hint: "'mail'" },
  },
  {
    name: "pauses a task",
    sql: () => "select legwork.pause_task('notify/email')",
    ts: () => pauseTask(db(), "notify/email"),
    cli: () => ["pause", "--task", "notify/email"],
    rest: () => ["POST", "/tasks/notify%2Femail/pause"],
    read: state("waiting"),
    says: "paused",
  },
  {
    name: "resumes a task",
    before: "select legwork.pause_task('notify/email')",
    sql: () => "select legwork.resume_task('notify/email')",
    ts: () => resumeTask(db(), "notify/email"),
    cli: () => ["resume", "--task", "notify/email"],
    rest: () => ["POST", "/tasks/notify%2Femail/resume"],
    read: state("waiting"),
    says: "pending",
  },
  {
    name: "stops everything",
    sql: () => "select legwork.emergency_stop('help')",
    ts: () => emergencyStop(db(), "help"),
    cli: () => ["stop", "--all", "--reason", "help"],
    rest: () => ["POST", "/emergency-stop", { reason: "help" }],
    read: ({ waiting }) => `select state || ' ' || (${pauses()}) as it from legwork.jobs where id = ${waiting}`,
    says: "paused all help",
  },
  {
    name: "ends the emergency stop and leaves individual pauses in place",
    before: "select legwork.pause_task('other'), legwork.emergency_stop()",
    sql: () => "select legwork.resume_all()",
    ts: () => resumeAll(db()),
    cli: () => ["resume", "--all"],
    rest: () => ["POST", "/resume-all"],
    read: ({ waiting }) => `select state || ' ' || (${pauses()}) as it from legwork.jobs where id = ${waiting}`,
    says: "pending task other",
  },
  {
    name: "limits a queue's concurrency, by key",
    sql: () => "select legwork.limit_concurrency(3, queue => 'mail', key => 'user.id')",
    ts: () => limitConcurrency(db(), 3, { queue: "mail", key: "user.id" }),
    cli: () => ["limit", "--queue", "mail", "--concurrency", "3", "--key", "user.id"],
    rest: () => ["PUT", "/queues/mail/limits", { kind: "concurrency", max: 3, key: "user.id" }],
    read: limits,
    says: [[{ kind: "concurrency", max: 3, key: "user.id" }]],
  },
  {
    name: "limits a queue's rate",
    sql: () => "select legwork.limit_rate(100, '90 seconds', queue => 'mail')",
    ts: () => limitRate(db(), 100, "90s", { queue: "mail" }),
    cli: () => ["limit", "--queue", "mail", "--rate", "100/90s"],
    rest: () => ["PUT", "/queues/mail/limits", { kind: "rate", max: 100, per: "90s" }],
    read: limits,
    says: [[{ kind: "rate", max: 100, per: "00:01:30" }]],
  },
  {
    name: "removes a limit",
    before: "select legwork.limit_rate(1, '1 minute', queue => 'mail')",
    sql: () => "select legwork.drop_limit('rate', queue => 'mail')",
    ts: () => dropLimit(db(), "rate", { queue: "mail" }),
    cli: () => ["limit", "--queue", "mail", "--drop", "rate"],
    rest: () => ["DELETE", "/queues/mail/limits/rate"],
    read: ({ waiting }) =>
      `select state || ' ' || (select count(*) from legwork_private.limits) as it from legwork.jobs where id = ${waiting}`,
    says: "pending 0",
  },
  {
    name: "rejects a limit below 1",
    sql: () => "select legwork.limit_concurrency(0, queue => 'mail')",
    ts: () => limitConcurrency(db(), 0, { queue: "mail" }),
    cli: () => ["limit", "--queue", "mail", "--concurrency", "0"],
    rest: () => ["PUT", "/queues/mail/limits", { kind: "concurrency", max: 0 }],
    raises: { code: "LW400", exit: 2, hint: "pause" },
  },
  {
    name: "rejects a rate limit with an invalid window",
    sql: () => "select legwork.limit_rate(5, '0 seconds', queue => 'mail')",
    ts: () => limitRate(db(), 5, 0, { queue: "mail" }),
    cli: () => ["limit", "--queue", "mail", "--rate", "5/0s"],
    rest: () => ["PUT", "/queues/mail/limits", { kind: "rate", max: 5, per: 0 }],
    raises: { code: "LW400", exit: 2 },
  },
  {
    name: "creates a schedule",
    sql: () =>
      `select legwork.schedule('s', 'other', every => '1 day', timezone => 'Europe/Berlin', overlap => 'skip', payload => '{"a": 1}')`,
    ts: () => schedule(db(), "s", "other", { every: "1d", timezone: "Europe/Berlin", overlap: "skip", payload: { a: 1 } }),
    cli: () => ["schedule", "add", "s", "other", '{"a": 1}', "--every", "1d", "--timezone", "Europe/Berlin", "--overlap", "skip"],
    rest: () => [
      "PUT",
      "/schedules/s",
      { task: "other", every: "1d", timezone: "Europe/Berlin", overlap: "skip", payload: { a: 1 } },
    ],
    read: () =>
      "select concat_ws(' ', task, every, timezone, overlap, max_instances, payload, sentence, next_at is not null) as it from legwork.schedules",
    says: 'other 1 day Europe/Berlin skip 1 {"a": 1} Every day t',
  },
  {
    name: "rejects a schedule that never fires and marks the reason",
    sql: () => "select legwork.schedule('s', 'other', cron => '0 0 30 2 *')",
    ts: () => schedule(db(), "s", "other", { cron: "0 0 30 2 *" }),
    cli: () => ["schedule", "add", "s", "other", "--cron", "0 0 30 2 *"],
    rest: () => ["PUT", "/schedules/s", { task: "other", cron: "0 0 30 2 *" }],
    raises: { code: "LW400", exit: 2, hint: "Use L for the last day" },
  },
  {
    name: "rejects a schedule for an unknown task",
    sql: () => "select legwork.schedule('s', 'othr', every => '1 day')",
    ts: () => schedule(db(), "s", "othr", { every: "1d" }),
    cli: () => ["schedule", "add", "s", "othr", "--every", "1d"],
    rest: () => ["PUT", "/schedules/s", { task: "othr", every: "1d" }],
    raises: { code: "LW404", exit: 1, hint: "'other'" },
  },
  {
    name: "disables a schedule",
    before: SCHEDULE,
    sql: () => "select legwork.disable_schedule('s')",
    ts: () => disableSchedule(db(), "s"),
    cli: () => ["schedule", "disable", "s"],
    rest: () => ["POST", "/schedules/s/disable"],
    read: schedules,
    says: "s false false",
  },
  {
    name: "enables a schedule",
    before: `${SCHEDULE}; select legwork.disable_schedule('s')`,
    sql: () => "select legwork.enable_schedule('s')",
    ts: () => enableSchedule(db(), "s"),
    cli: () => ["schedule", "enable", "s"],
    rest: () => ["POST", "/schedules/s/enable"],
    read: schedules,
    says: "s true true",
  },
  {
    name: "runs a schedule manually",
    before: SCHEDULE,
    sql: () => "select legwork.run_schedule('s')",
    ts: () => runSchedule(db(), "s"),
    cli: () => ["schedule", "run", "s"],
    rest: () => ["POST", "/schedules/s/run"],
    read: () => "select state || ' ' || outcome as it from legwork.schedule_runs",
    says: "manual pending",
  },
  {
    name: "removes a schedule",
    before: SCHEDULE,
    sql: () => "select legwork.unschedule('s')",
    ts: () => unschedule(db(), "s"),
    cli: () => ["schedule", "remove", "s"],
    rest: () => ["DELETE", "/schedules/s"],
    read: () => "select count(*)::int as it from legwork.schedules",
    says: 0,
  },
  {
    name: "suggests the nearest name for an unknown schedule",
    before: "select legwork.schedule('nightly', 'other', every => '1 day')",
    sql: () => "select legwork.disable_schedule('nigthly')",
    ts: () => disableSchedule(db(), "nigthly"),
    cli: () => ["schedule", "disable", "nigthly"],
    rest: () => ["POST", "/schedules/nigthly/disable"],
    raises: { code: "LW404", exit: 1, hint: "'nightly'" },
  },
];

let server: Server;
beforeAll(async () => {
  server = await startRest(database);
});
afterAll(async () => {
  await server.stop();
});

describe.each(OPERATIONS)("$name", ({ before, sql, ts, cli, rest: request, read, says, raises }) => {
  async function check(run: (jobs: Jobs) => Promise<{ code: string; hint?: string } | undefined>): Promise<void> {
    const jobs = await makeJobs();
    if (before !== undefined) await database.pool.query(before);
    const error = await run(jobs);
    const it = read === undefined ? undefined : (await database.pool.query(read(jobs))).rows[0].it;
    expect({ code: error?.code, it }).toEqual({ code: raises?.code, it: says });
    expect(error?.hint ?? "").toContain(raises?.hint ?? "");
    expect((await database.pool.query("select * from legwork.reconcile()")).rows).toEqual([]);
  }

  it("in SQL", async () => {
    await check((jobs) =>
      database.pool.query(sql(jobs)).then(
        () => undefined,
        (error: { code: string; hint?: string }) => error,
      ),
    );
  });

  it("in TypeScript", async () => {
    await check((jobs) =>
      ts(jobs).then(
        () => undefined,
        (error: { code: string; hint?: string }) => error,
      ),
    );
  });

  it("on the command line", async () => {
    await check(async (jobs) => {
      const { code, stderr } = await legwork(cli(jobs), { DATABASE_URL: database.url });
      expect(code).toBe(raises?.exit ?? 0);
      return code === 0 ? undefined : { code: /\((LW\d{3})\)/.exec(stderr)?.[1] ?? stderr, hint: stderr };
    });
  });

  it("over REST", async () => {
    await check(async (jobs) => {
      const { status, body } = await rest(server, ...request(jobs));
      return status < 300 ? undefined : { code: body.code, hint: JSON.stringify(body) };
    });
  });
});

it("explains a job in the same way on every surface", async () => {
  const { waiting } = await makeJobs();
  await database.pool.query("select legwork.pause_queue('mail', 'host is down')");
  const { rows } = await database.pool.query("select * from legwork.explain_job($1)", [waiting]);
  expect(rows.map((row) => row.reason)).toEqual(["queue_paused", "no_worker"]);
  expect(rows[0].detail).toMatch(/^Queue 'mail' was paused by postgres at .*: host is down\.$/);
  expect(await explainJob(database.pool, waiting)).toEqual(rows);
  const asked = await rest(server, "GET", `/jobs/${waiting}/explain`);
  const phrased = (words: string): unknown[] => [{ ...rows[0], fix: `Resume the queue: \`${words}\`` }, rows[1]];
  expect(asked.body.items).toEqual(phrased("POST /api/v1/queues/mail/resume"));
  const shown = await legwork(["explain", waiting, "--json"], { DATABASE_URL: database.url });
  expect(JSON.parse(shown.stdout)).toEqual(phrased("legwork resume mail"));
  // The timeline is also the same.
  const { items } = (await rest(server, "GET", `/jobs/${waiting}/timeline`)).body;
  expect(items.map(({ kind, actor }: { kind: string; actor: string | null }) => [kind, actor])).toEqual([
    ["enqueued", null],
    ...(items.length === 3 ? [["worker", null]] : []),
    ["paused", "postgres"],
  ]);
  const details = JSON.parse((await legwork(["job", waiting, "--json"], { DATABASE_URL: database.url })).stdout);
  expect(details.timeline).toEqual(items);
  expect((await legwork(["job", waiting], { DATABASE_URL: database.url })).stdout).toMatch(
    /Timeline\n +\+0 ms +Enqueued\n(.*\n)*.* so far {2}Queue 'mail' paused {2}by postgres {2}host is down/,
  );
});
