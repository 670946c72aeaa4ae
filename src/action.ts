/**
 * The actions that a hint or a fix may suggest. In SQL, an error's detail names the action of its hint, as in `detail = '{"do": "list_queues"}'`, and
 * the column `actions` names the actions of a fix. The text contains the SQL statement for each action in backticks. Other surfaces replace it with
 * their own wording.
 */
const ACTIONS = [
  "cancel_job",
  "change_setting",
  "discard_job",
  "enable_schedule",
  "enqueue_batch",
  "explain_job",
  "limit_concurrency",
  "limit_rate",
  "list_alert_rules",
  "list_alerts",
  "list_queues",
  "list_schedules",
  "list_settings",
  "list_tasks",
  "list_tokens",
  "list_workers",
  "list_workflow_steps",
  "list_workflows",
  "rerun_job",
  "resume_all",
  "resume_queue",
  "resume_task",
  "resume_worker",
  "retry_job",
  "retry_workflow",
  "run_schedule",
  "send_signal",
  "set_priority",
  "show_log",
  "show_task",
  "start_workflow",
  // These have no statement: each surface has its own sentence for them.
  "ask_for_less",
  "await_database",
] as const;

/** Actions that exist only in SQL: every surface shows their statements. */
const SQL_ACTIONS = ["end_session", "give_back_jobs", "take_up", "tick"] as const;

type WordedAction = (typeof ACTIONS)[number];

type ActionName = WordedAction | (typeof SQL_ACTIONS)[number];

/**
 * A suggested action with its arguments. The arguments depend on the action: `retry_job` has an id, `limit_rate` has scope, name, max, per and key.
 */
export interface Action {
  readonly do: ActionName;
  readonly id?: string;
  readonly name?: string;
  readonly scope?: string;
  readonly max?: number;
  readonly per?: string;
  readonly key?: string;
  readonly priority?: number;
  /** The task under which to run the job. */
  readonly task?: string;
  readonly discard?: boolean;
  /** Arguments that the user has to fill in, such as payload. */
  readonly asks?: readonly string[];
}

/** A surface's wording for each action. */
export type Wording = Readonly<Record<WordedAction, (of: Action) => string>>;

function wordsFor(wording: Wording, action: Action | undefined): string | undefined {
  const worded = ACTIONS.find((name) => name === action?.do);
  return worded === undefined || action === undefined ? undefined : wording[worded](action);
}

const isText = (value: unknown): value is string => typeof value === "string";
const isNumber = (value: unknown): value is number => typeof value === "number";

/** Reads an action from JSON; undefined for anything else, such as an action that was added in a newer version. */
export function readAction(value: unknown): Action | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  const given = value as Record<string, unknown>;
  const known = [...ACTIONS, ...SQL_ACTIONS].find((action) => action === given["do"]);
  if (known === undefined) return undefined;
  const texts = ["name", "scope", "per", "key", "task"].filter((field) => isText(given[field]));
  const numbers = ["max", "priority"].filter((field) => isNumber(given[field]));
  const { id, discard, asks } = given;
  return {
    do: known,
    ...(isText(id) || isNumber(id) ? { id: String(id) } : {}),
    ...Object.fromEntries([...texts, ...numbers].map((field) => [field, given[field]])),
    ...(discard === true ? { discard } : {}),
    ...(Array.isArray(asks) ? { asks: asks.filter(isText) } : {}),
  };
}

/**
 * Phrases a fix for a surface: each text in backticks is replaced with the surface's wording for the action at the same position in `actions`. A
 * statement stays if the surface has no wording for its action, or if the action was added in a newer version.
 */
export function fixInWordsOf(
  wording: Wording,
  { fix, actions }: { readonly fix: string; readonly actions: readonly unknown[] },
): string {
  let place = 0;
  return fix.replaceAll(/`[^`]+`/g, (text) => wordsFor(wording, readAction(actions[place++])) ?? text);
}

/** Phrases a hint for a surface: its wording replaces the statement in backticks, or is appended if the hint contains no statement. */
export function inWordsOf(
  wording: Wording,
  { hint, action }: { readonly hint?: string | undefined; readonly action?: Action | undefined },
): string | undefined {
  const words = wordsFor(wording, action);
  if (words === undefined) return hint;
  if (hint === undefined) return words;
  return /`[^`]+`/.test(hint) ? hint.replace(/`[^`]+`/, () => words) : `${hint} ${words}`;
}
