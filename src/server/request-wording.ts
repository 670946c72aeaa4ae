import type { Action, Wording } from "../action.ts";

const body = (fields: Readonly<Record<string, unknown>>): string => JSON.stringify(fields).replaceAll("`", "\\u0060");

const limit = (kind: string, { scope, name, max, per, key }: Action): string =>
  `\`PUT /api/v1/${scope}s/${of(name)}/limits ${body({ kind, max, per, key })}\``;

const of = (name: string | undefined): string => (name === undefined ? "{name}" : encodeURIComponent(name));

/** The REST requests for the actions that hints suggest. GraphQL uses them too, because it is read-only. */
export const REQUESTS: Wording = {
  cancel_job: ({ id = "{id}" }) => `\`POST /api/v1/jobs/${id}/cancel\``,
  change_setting: ({ name }) => `\`select legwork.change_setting('${name ?? "…"}', …)\` in SQL`,
  discard_job: ({ id = "{id}" }) => `\`POST /api/v1/jobs/${id}/discard\``,
  enable_schedule: ({ name }) => `\`POST /api/v1/schedules/${of(name)}/enable\``,
  enqueue_batch: () => "`POST /api/v1/batches`",
  explain_job: ({ id = "{id}" }) => `\`GET /api/v1/jobs/${id}/explain\``,
  limit_concurrency: (action) => limit("concurrency", action),
  limit_rate: (action) => limit("rate", action),
  list_alert_rules: () => "`GET /api/v1/alert-rules`",
  list_alerts: () => "`GET /api/v1/alerts`",
  list_queues: () => "`GET /api/v1/queues`",
  list_schedules: () => "`GET /api/v1/schedules`",
  list_settings: () => "`select name, value, description from legwork.settings` in SQL",
  list_tasks: () => "`GET /api/v1/tasks`",
  list_workers: () => "`GET /api/v1/workers`",
  list_tokens: () => "`GET /api/v1/tokens`",
  list_workflow_steps: ({ id = "{id}" }) => `\`GET /api/v1/workflows/${id}\``,
  list_workflows: () => "`GET /api/v1/workflows`",
  rerun_job: ({ id = "{id}", task, discard, asks = [] }) =>
    `\`POST /api/v1/jobs/${id}/rerun${asks.includes("payload") ? ` {"payload": {…}${discard === true ? ', "discard": true' : ""}}` : task === undefined && discard === undefined ? "" : ` ${body({ task, discard })}`}\``,
  resume_all: () => "`POST /api/v1/resume-all`",
  resume_worker: ({ name }) => `\`POST /api/v1/workers/${of(name)}/resume\``,
  resume_queue: ({ name }) => `\`POST /api/v1/queues/${of(name)}/resume\``,
  resume_task: ({ name }) => `\`POST /api/v1/tasks/${of(name)}/resume\``,
  retry_job: ({ id = "{id}" }) => `\`POST /api/v1/jobs/${id}/retry\``,
  retry_workflow: ({ id = "{id}" }) => `\`POST /api/v1/workflows/${id}/retry\``,
  run_schedule: ({ name }) => `\`POST /api/v1/schedules/${of(name)}/run\``,
  send_signal: ({ id = "{id}", name }) => `\`POST /api/v1/jobs/${id}/signals/${of(name)}\``,
  set_priority: ({ id = "{id}", priority }) => `\`PUT /api/v1/jobs/${id}/priority ${body({ priority })}\``,
  show_log: ({ id = "{id}" }) => `\`GET /api/v1/jobs/${id}/logs\``,
  show_task: ({ name }) => `\`GET /api/v1/tasks/${of(name)}\``,
  start_workflow: () => "`POST /api/v1/workflows`",
  ask_for_less: () => "Use a smaller page, a narrower filter, or fewer jobs at a time.",
  await_database: () => "Try again when GET /ready reports that the database is available.",
};
