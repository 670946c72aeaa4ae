import type { Wording } from "../action.ts";

const of = (name: string | undefined): string => (name === undefined ? "{name}" : encodeURIComponent(name));

/** The actions that hints suggest, as requests: for REST, and for GraphQL, which is read-only. */
export const REQUESTS: Wording = {
  cancel_job: ({ id = "{id}" }) => `\`POST /api/v1/jobs/${id}/cancel\``,
  change_setting: ({ name }) => `\`select legwork.change_setting('${name ?? "…"}', …)\` in SQL`,
  discard_job: ({ id = "{id}" }) => `\`POST /api/v1/jobs/${id}/discard\``,
  enqueue_batch: () => "`POST /api/v1/batches`",
  list_alert_rules: () => "`GET /api/v1/alert-rules`",
  list_alerts: () => "`GET /api/v1/alerts`",
  list_queues: () => "`GET /api/v1/queues`",
  list_schedules: () => "`GET /api/v1/schedules`",
  list_settings: () => "`select name, value, description from legwork.settings` in SQL",
  list_tasks: () => "`GET /api/v1/tasks`",
  list_tokens: () => "`GET /api/v1/tokens`",
  list_workflow_steps: ({ id = "{id}" }) => `\`GET /api/v1/workflows/${id}\``,
  list_workflows: () => "`GET /api/v1/workflows`",
  retry_job: ({ id = "{id}" }) => `\`POST /api/v1/jobs/${id}/retry\``,
  show_task: ({ name }) => `\`GET /api/v1/tasks/${of(name)}\``,
  start_workflow: () => "`POST /api/v1/workflows`",
  ask_for_less: () => "Use a smaller page, a narrower filter, or fewer jobs at a time.",
  await_database: () => "Try again when GET /ready reports that the database is available.",
};
