import type { Wording } from "../action.ts";

/** The actions that hints suggest, as commands. */
export const COMMANDS: Wording = {
  cancel_job: ({ id = "<id>" }) => `\`legwork cancel ${id}\``,
  change_setting: ({ name }) => `\`select legwork.change_setting('${name ?? "…"}', …)\` in SQL`,
  discard_job: ({ id = "<id>" }) => `\`legwork discard ${id}\``,
  enqueue_batch: () => "`legwork batch start`",
  list_alert_rules: () => "`legwork alerts --rules`",
  list_alerts: () => "`legwork alerts`",
  list_queues: () => "`legwork queues`",
  list_schedules: () => "`legwork schedule list`",
  list_settings: () => "`select name, value, description from legwork.settings` in SQL",
  list_tasks: () => "`legwork tasks`",
  list_tokens: () => "`legwork token list`",
  list_workflow_steps: ({ id = "<id>" }) => `\`legwork workflow show ${id}\``,
  list_workflows: () => "`legwork workflow list`",
  retry_job: ({ id = "<id>" }) => `\`legwork retry ${id}\``,
  show_task: () => "`legwork tasks --json`",
  start_workflow: () => "`legwork workflow start`",
  ask_for_less: () => "Use a narrower filter, or fewer jobs at a time.",
  await_database: () => "Try again when Postgres can be reached. `legwork doctor` shows what is wrong with it.",
};
