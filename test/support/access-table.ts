import type { Principal, Role } from "../../src/server/principal.ts";

/** Jobs that the operations are tried on: one that waits and one that has failed, of the tenant acme and of another one. */
export interface AccessJobs {
  acme: string;
  other: string;
  acmeFailed: string;
  otherFailed: string;
}

/**
 * One operation, by every surface that offers it. `own` is done to what is acme's (or concerns everybody); `others`, where there is such a
 * thing, to what is another tenant's.
 */
export interface AccessOperation<Call> {
  own: Call;
  others?: Call;
}

interface Rule {
  needs: Role;
  /** A tenant's principal may not do it at all. */
  everybody?: boolean;
  /** What it gets to hear who tries it on another tenant's job, or in another tenant's name. */
  others?: "LW403" | "LW404";
}

/** Every operation, with what it needs. A surface that offers one answers according to this. */
export const ACCESS_RULES = {
  enqueue: { needs: "enqueuer", others: "LW403" },
  enqueue_many: { needs: "enqueuer", others: "LW403" },
  cancel_job: { needs: "operator", others: "LW404" },
  retry_job: { needs: "operator", others: "LW404" },
  discard_job: { needs: "operator", others: "LW404" },
  explain_job: { needs: "viewer", others: "LW404" },
  retry_jobs: { needs: "operator" },
  discard_jobs: { needs: "operator" },
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
  create_token: { needs: "admin", others: "LW403" },
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

/** What a principal of acme, or of no tenant, gets to hear: "ok" or a code; of `own`, and of `others` where there is that. */
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
  cancel_job: ({ acme, other }) => ({ own: `select legwork.cancel_job(${acme})`, others: `select legwork.cancel_job(${other})` }),
  retry_job: ({ acmeFailed, otherFailed }) => ({
    own: `select legwork.retry_job(${acmeFailed})`,
    others: `select legwork.retry_job(${otherFailed})`,
  }),
  discard_job: ({ acmeFailed, otherFailed }) => ({
    own: `select legwork.discard_job(${acmeFailed})`,
    others: `select legwork.discard_job(${otherFailed})`,
  }),
  explain_job: ({ acme, other }) => ({
    own: `select * from legwork.explain_job(${acme})`,
    others: `select * from legwork.explain_job(${other})`,
  }),
  retry_jobs: () => ({ own: "select legwork.retry_jobs('{}')" }),
  discard_jobs: () => ({ own: "select legwork.discard_jobs('{}')" }),
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
  create_token: () => ({
    own: "select legwork.create_token('t')",
    others: "select legwork.create_token('t', tenant => 'other')",
  }),
  change_setting: () => ({ own: "select legwork.change_setting('history_retention', '20 days')" }),
  confine_login: () => ({ own: "select legwork.confine_login('legwork_reader', 'acme')" }),
};
