/**
 * The actions that a hint may suggest. SQL names the action in an error's detail, as in `detail = '{"do": "list_queues"}'`; the hint has the
 * statement for it in backticks. Surfaces without SQL replace it by their own words.
 */
const ACTIONS = [
  "cancel_job",
  "change_setting",
  "discard_job",
  "enqueue_batch",
  "list_alert_rules",
  "list_alerts",
  "list_queues",
  "list_schedules",
  "list_settings",
  "list_tasks",
  "list_tokens",
  "list_workflow_steps",
  "list_workflows",
  "retry_job",
  "show_task",
  "start_workflow",
  // These have no statement: each surface has its own sentence for them.
  "ask_for_less",
  "await_database",
] as const;

type ActionName = (typeof ACTIONS)[number];

/** A suggested action and its target: an id or a name. */
export interface Action {
  readonly do: ActionName;
  readonly id?: string;
  readonly name?: string;
}

/** The words of a surface for each action. */
export type Wording = Readonly<Record<ActionName, (of: Action) => string>>;

/** Reads an action from JSON; undefined for anything else, such as an action of a newer version. */
export function readAction(value: unknown): Action | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  const { do: name, id, name: of } = value as Record<string, unknown>;
  const known = ACTIONS.find((action) => action === name);
  if (known === undefined) return undefined;
  return {
    do: known,
    ...(typeof id === "string" || typeof id === "number" ? { id: String(id) } : {}),
    ...(typeof of === "string" ? { name: of } : {}),
  };
}

/** Phrases a hint in a surface's words: they replace the statement in backticks, or follow a hint without one. */
export function inWordsOf(
  wording: Wording,
  { hint, action }: { readonly hint?: string | undefined; readonly action?: Action | undefined },
): string | undefined {
  if (action === undefined) return hint;
  const words = wording[action.do](action);
  if (hint === undefined) return words;
  return /`[^`]+`/.test(hint) ? hint.replace(/`[^`]+`/, () => words) : `${hint} ${words}`;
}
