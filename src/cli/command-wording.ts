import { type Action, fixInWordsOf, type Wording } from "../action.ts";
import type { Reason } from "../jobs/explain-job.ts";

/** Quotes a word of a command for the shell, if necessary. */
const word = (text = "…"): string => (/^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", String.raw`'\''`)}'`);

/** A name as an argument that is not an option; one that begins with a hyphen would be taken for an option. */
export const argument = (text?: string): string => `${text?.startsWith("-") === true ? "-- " : ""}${word(text)}`;

const limit = (option: string, { scope, name, key }: Action): string =>
  `\`legwork limit --${scope} ${word(name)} ${option}${key === undefined ? "" : ` --key ${word(key)}`}\``;

/** The commands for the actions that hints suggest. */
export const COMMANDS: Wording = {
  cancel_job: ({ id = "<id>" }) => `\`legwork cancel ${id}\``,
  change_setting: ({ name }) => `\`select legwork.change_setting('${name ?? "…"}', …)\` in SQL`,
  discard_job: ({ id = "<id>" }) => `\`legwork discard ${id}\``,
  enable_schedule: ({ name }) => `\`legwork schedule enable ${argument(name)}\``,
  enqueue_batch: () => "`legwork batch start`",
  explain_job: ({ id = "<id>" }) => `\`legwork explain ${id}\``,
  limit_concurrency: (action) => limit(`--concurrency ${action.max}`, action),
  limit_rate: (action) => limit(`--rate ${action.max}/${word(action.per)}`, action),
  list_alert_rules: () => "`legwork alerts --rules`",
  list_alerts: () => "`legwork alerts`",
  list_queues: () => "`legwork queues`",
  list_schedules: () => "`legwork schedule list`",
  list_settings: () => "`select name, value, description from legwork.settings` in SQL",
  list_tasks: () => "`legwork tasks`",
  list_workers: () => "`legwork workers`",
  list_tokens: () => "`legwork token list`",
  list_workflow_steps: ({ id = "<id>" }) => `\`legwork workflow show ${id}\``,
  list_workflows: () => "`legwork workflow list`",
  rerun_job: ({ id = "<id>", task, discard, asks = [] }) =>
    `\`legwork rerun ${id}${asks.includes("payload") ? " --payload '{…}'" : ""}${task === undefined ? "" : ` --task ${word(task)}`}${discard === true ? " --discard" : ""}\``,
  resume_all: () => "`legwork resume --all`",
  resume_worker: ({ name }) => `\`legwork workers resume ${word(name)}\``,
  resume_queue: ({ name }) => `\`legwork resume ${argument(name)}\``,
  resume_task: ({ name }) => `\`legwork resume --task ${word(name)}\``,
  retry_job: ({ id = "<id>" }) => `\`legwork retry ${id}\``,
  retry_workflow: ({ id = "<id>" }) => `\`legwork workflow retry ${id}\``,
  run_schedule: ({ name }) => `\`legwork schedule run ${argument(name)}\``,
  send_signal: ({ id = "<id>", name }) => `\`legwork signal ${id} ${argument(name)}\``,
  set_priority: ({ id = "<id>", priority }) => `\`legwork priority ${id} --to ${priority}\``,
  show_log: ({ id = "<id>" }) => `\`legwork job ${id}\``,
  show_task: () => "`legwork tasks --json`",
  start_workflow: () => "`legwork workflow start`",
  ask_for_less: () => "Use a narrower filter, or fewer jobs at a time.",
  await_database: () => "Try again when Postgres can be reached. `legwork doctor` shows what is wrong with it.",
};

/** Converts reasons from the database or a server: their fixes then name commands. */
export function inCommands(reasons: readonly Reason[]): Reason[] {
  return reasons.map((reason) => ({ ...reason, fix: fixInWordsOf(COMMANDS, reason) }));
}
