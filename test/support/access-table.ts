import type { Principal, Role } from "../../src/access/principal.ts";

/**
 * The targets of the operations, for the tenant acme and for another tenant: a waiting and a failed job, a running and a cancelled workflow, and a
 * token. Each tenant also has a schedule that is named after it. An alert and a silence affect all tenants.
 */
export interface AccessJobs {
  acme: string;
  other: string;
  acmeFailed: string;
  otherFailed: string;
  acmeFlow: string;
  otherFlow: string;
  acmeEnded: string;
  otherEnded: string;
  acmeToken: string;
  otherToken: string;
  alert: string;
  silence: string;
}

/**
 * An operation on one of the surfaces that offer it. `own` targets acme's row (or affects all tenants). `others`, where possible, targets another
 * tenant's row.
 */
export interface AccessOperation<Call> {
  own: Call;
  others?: Call;
}

interface Rule {
  needs: Role;
  /** Whether a tenant's principal may not use the operation at all. */
  everybody?: boolean;
  /** The error for another tenant's job, or for an operation on another tenant's behalf. */
  others?: "LW403" | "LW404" | "LW409";
}

/** Every operation with the role that it needs. Each surface that offers the operation must behave accordingly. */
export const ACCESS_RULES = {
  enqueue: { needs: "enqueuer", others: "LW403" },
  enqueue_many: { needs: "enqueuer", others: "LW403" },
  enqueue_behind: { needs: "enqueuer", others: "LW404" },
  enqueue_batch: { needs: "enqueuer", others: "LW403" },
  start_workflow: { needs: "enqueuer", others: "LW403" },
  cancel_workflow: { needs: "operator", others: "LW404" },
  retry_workflow: { needs: "operator", others: "LW404" },
  step_results: { needs: "viewer" },
  send_signal: { needs: "operator", others: "LW404" },
  schedule: { needs: "operator", others: "LW403" },
  replace_schedule: { needs: "operator", others: "LW409" },
  require_schedule: { needs: "operator", others: "LW404" },
  unschedule: { needs: "operator", others: "LW404" },
  enable_schedule: { needs: "operator", others: "LW404" },
  disable_schedule: { needs: "operator", others: "LW404" },
  run_schedule: { needs: "operator", others: "LW404" },
  plans_wanted: { needs: "operator" },
  cancel_job: { needs: "operator", others: "LW404" },
  retry_job: { needs: "operator", others: "LW404" },
  discard_job: { needs: "operator", others: "LW404" },
  rerun_job: { needs: "operator", others: "LW404" },
  set_priority: { needs: "operator", others: "LW404" },
  job_reruns: { needs: "viewer", others: "LW404" },
  explain_job: { needs: "viewer", others: "LW404" },
  explain_schedule: { needs: "viewer", others: "LW404" },
  explain_workflow: { needs: "viewer", others: "LW404" },
  explain_queue: { needs: "viewer" },
  explain_worker: { needs: "viewer", everybody: true },
  retry_jobs: { needs: "operator" },
  discard_jobs: { needs: "operator" },
  rerun_jobs: { needs: "operator" },
  set_priorities: { needs: "operator" },
  quiet_worker: { needs: "operator", everybody: true },
  drain_worker: { needs: "operator", everybody: true },
  resume_worker: { needs: "operator", everybody: true },
  start_bulk_action: { needs: "operator" },
  pause_queue: { needs: "operator", everybody: true },
  resume_task: { needs: "operator", everybody: true },
  emergency_stop: { needs: "operator", everybody: true },
  resume_all: { needs: "operator", everybody: true },
  limit_concurrency: { needs: "operator", everybody: true },
  limit_rate: { needs: "operator", everybody: true },
  drop_limit: { needs: "operator", everybody: true },
  reset_limits: { needs: "operator", everybody: true },
  set_retry_policy: { needs: "operator", everybody: true },
  drop_retry_policy: { needs: "operator", everybody: true },
  doctor: { needs: "viewer", everybody: true },
  health: { needs: "viewer", everybody: true },
  task_statistics: { needs: "viewer", everybody: true },
  workers_needed: { needs: "viewer", everybody: true },
  set_alert_rule: { needs: "operator", everybody: true },
  drop_alert_rule: { needs: "operator", everybody: true },
  restore_alert_rules: { needs: "operator", everybody: true },
  set_alert_channels: { needs: "operator", everybody: true },
  silence_alerts: { needs: "operator", everybody: true },
  end_silence: { needs: "operator", everybody: true },
  acknowledge_alert: { needs: "operator", everybody: true },
  create_token: { needs: "admin", others: "LW403" },
  revoke_token: { needs: "admin", others: "LW404" },
  change_setting: { needs: "admin", everybody: true },
  confine_login: { needs: "admin", everybody: true },
} as const satisfies Record<string, Rule>;

export type OperationName = keyof typeof ACCESS_RULES;

const INCLUDES: Record<Role, readonly Role[]> = {
  viewer: ["viewer"],
  enqueuer: ["enqueuer"],
  operator: ["viewer", "enqueuer", "operator"],
  admin: ["viewer", "enqueuer", "operator", "admin"],
};

/** The results ("ok" or a code) of `own`, and of `others` if it is given, for a principal of acme or one without a tenant. */
export function expectedOutcomes(name: OperationName, { role, tenant }: Pick<Principal, "role" | "tenant">): string[] {
  const rule: Rule = ACCESS_RULES[name];
  const isAllowed = INCLUDES[role].includes(rule.needs) && (tenant === null || rule.everybody !== true);
  const own = isAllowed ? "ok" : "LW403";
  if (rule.others === undefined) return [own];
  return [own, isAllowed && tenant !== null ? rule.others : own];
}

/** The operations as SQL. */
export const SQL_OPERATIONS: Record<OperationName, (jobs: AccessJobs) => AccessOperation<string>> = {
  enqueue: () => ({ own: "select legwork.enqueue('a')", others: "select legwork.enqueue('a', tenant => 'other')" }),
  enqueue_many: () => ({
    own: `select legwork.enqueue_many('[{"task": "a"}]')`,
    others: `select legwork.enqueue_many('[{"task": "a", "tenant": "other"}]')`,
  }),
  enqueue_behind: ({ acme, other }) => ({
    own: `select legwork.enqueue('a', depends_on => array[${acme}]::bigint[])`,
    others: `select legwork.enqueue('a', depends_on => array[${other}]::bigint[])`,
  }),
  enqueue_batch: () => ({
    own: `select legwork.enqueue_batch('[{"task": "a"}]', callback => '{"task": "a"}')`,
    others: `select legwork.enqueue_batch('[{"task": "a"}]', tenant => 'other')`,
  }),
  start_workflow: () => ({
    own: `select legwork.start_workflow('w', '[{"name": "s", "task": "a"}]')`,
    others: `select legwork.start_workflow('w', '[{"name": "s", "task": "a"}]', tenant => 'other')`,
  }),
  cancel_workflow: ({ acmeFlow, otherFlow }) => ({
    own: `select legwork.cancel_workflow(${acmeFlow})`,
    others: `select legwork.cancel_workflow(${otherFlow})`,
  }),
  retry_workflow: ({ acmeEnded, otherEnded }) => ({
    own: `select legwork.retry_workflow(${acmeEnded})`,
    others: `select legwork.retry_workflow(${otherEnded})`,
  }),
  step_results: ({ acmeFlow }) => ({ own: `select legwork.step_results(${acmeFlow})` }),
  send_signal: ({ acme, other }) => ({
    own: `select legwork.send_signal(${acme}, 'go')`,
    others: `select legwork.send_signal(${other}, 'go')`,
  }),
  schedule: () => ({
    own: "select legwork.schedule('new', 'a', every => '1 hour')",
    others: "select legwork.schedule('new', 'a', every => '1 hour', tenant => 'other')",
  }),
  replace_schedule: () => ({
    own: "select legwork.schedule('acme', 'a', every => '2 hours')",
    others: "select legwork.schedule('other', 'a', every => '2 hours')",
  }),
  require_schedule: () => ({
    own: `select legwork.schedule('new', 'a', every => '1 hour', requires => '{"acme": "1 day"}')`,
    others: `select legwork.schedule('new', 'a', every => '1 hour', requires => '{"other": "1 day"}')`,
  }),
  unschedule: () => ({ own: "select legwork.unschedule('acme')", others: "select legwork.unschedule('other')" }),
  enable_schedule: () => ({ own: "select legwork.enable_schedule('acme')", others: "select legwork.enable_schedule('other')" }),
  disable_schedule: () => ({
    own: "select legwork.disable_schedule('acme')",
    others: "select legwork.disable_schedule('other')",
  }),
  run_schedule: () => ({ own: "select legwork.run_schedule('acme')", others: "select legwork.run_schedule('other')" }),
  plans_wanted: () => ({ own: "select * from legwork_private.plans_wanted()" }),
  cancel_job: ({ acme, other }) => ({ own: `select legwork.cancel_job(${acme})`, others: `select legwork.cancel_job(${other})` }),
  retry_job: ({ acmeFailed, otherFailed }) => ({
    own: `select legwork.retry_job(${acmeFailed})`,
    others: `select legwork.retry_job(${otherFailed})`,
  }),
  discard_job: ({ acmeFailed, otherFailed }) => ({
    own: `select legwork.discard_job(${acmeFailed})`,
    others: `select legwork.discard_job(${otherFailed})`,
  }),
  rerun_job: ({ acmeFailed, otherFailed }) => ({
    own: `select legwork.rerun_job(${acmeFailed})`,
    others: `select legwork.rerun_job(${otherFailed})`,
  }),
  set_priority: ({ acme, other }) => ({
    own: `select legwork.set_priority(${acme}, 5)`,
    others: `select legwork.set_priority(${other}, 5)`,
  }),
  job_reruns: ({ acme, other }) => ({
    own: `select * from legwork.job_reruns(${acme})`,
    others: `select * from legwork.job_reruns(${other})`,
  }),
  explain_job: ({ acme, other }) => ({
    own: `select * from legwork.explain_job(${acme})`,
    others: `select * from legwork.explain_job(${other})`,
  }),
  explain_schedule: () => ({
    own: "select * from legwork.explain_schedule('acme')",
    others: "select * from legwork.explain_schedule('other')",
  }),
  explain_workflow: ({ acmeFlow, otherFlow }) => ({
    own: `select * from legwork.explain_workflow(${acmeFlow})`,
    others: `select * from legwork.explain_workflow(${otherFlow})`,
  }),
  explain_queue: () => ({ own: "select * from legwork.explain_queue('q')" }),
  explain_worker: () => ({ own: "select * from legwork.explain_worker('w1')" }),
  retry_jobs: () => ({ own: "select legwork.retry_jobs('{}')" }),
  discard_jobs: () => ({ own: "select legwork.discard_jobs('{}')" }),
  rerun_jobs: () => ({ own: `select legwork.rerun_jobs('{"state": "failed"}')` }),
  set_priorities: () => ({ own: "select legwork.set_priorities('{}', 5)" }),
  quiet_worker: () => ({ own: "select legwork.quiet_worker('w')" }),
  drain_worker: () => ({ own: "select legwork.drain_worker('w')" }),
  resume_worker: () => ({ own: "select legwork.resume_worker('host:1')" }),
  start_bulk_action: () => ({ own: "select legwork.start_bulk_action('cancel', '{}')" }),
  pause_queue: () => ({ own: "select legwork.pause_queue('q')" }),
  resume_task: () => ({ own: "select legwork.resume_task('a')" }),
  emergency_stop: () => ({ own: "select legwork.emergency_stop()" }),
  resume_all: () => ({ own: "select legwork.resume_all()" }),
  limit_concurrency: () => ({ own: "select legwork.limit_concurrency(1, task => 'a')" }),
  limit_rate: () => ({ own: "select legwork.limit_rate(1, '1 minute', task => 'a')" }),
  drop_limit: () => ({ own: "select legwork.drop_limit('rate', task => 'a')" }),
  reset_limits: () => ({ own: "select legwork.reset_limits('a')" }),
  set_retry_policy: () => ({ own: "select legwork.set_retry_policy(task => 'a', attempts => 2)" }),
  drop_retry_policy: () => ({ own: "select legwork.drop_retry_policy(task => 'a')" }),
  doctor: () => ({ own: `select "check" from legwork.doctor()` }),
  health: () => ({ own: "select * from legwork.health()" }),
  task_statistics: () => ({ own: "select * from legwork.task_statistics('1 hour')" }),
  workers_needed: () => ({ own: "select * from legwork.workers_needed()" }),
  set_alert_rule: () => ({ own: "select legwork.set_alert_rule('error_rate', warning => 0.1)" }),
  drop_alert_rule: () => ({ own: "select legwork.drop_alert_rule('error_rate')" }),
  restore_alert_rules: () => ({ own: "select legwork.restore_alert_rules()" }),
  set_alert_channels: () => ({ own: `select legwork.set_alert_channels('[{"task": "a"}]')` }),
  silence_alerts: () => ({ own: "select legwork.silence_alerts('1 hour')" }),
  end_silence: ({ silence }) => ({ own: `select legwork.end_silence(${silence})` }),
  acknowledge_alert: ({ alert }) => ({ own: `select legwork.acknowledge_alert(${alert})` }),
  create_token: () => ({
    own: "select legwork.create_token('t')",
    others: "select legwork.create_token('t', tenant => 'other')",
  }),
  revoke_token: ({ acmeToken, otherToken }) => ({
    own: `select legwork.revoke_token('${acmeToken}')`,
    others: `select legwork.revoke_token('${otherToken}')`,
  }),
  change_setting: () => ({ own: "select legwork.change_setting('history_retention', '20 days')" }),
  confine_login: () => ({ own: "select legwork.confine_login('legwork_reader', null)" }),
};
