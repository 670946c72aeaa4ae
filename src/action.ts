/**
 * What a hint may suggest. SQL names it in an error's detail, as in `detail = '{"do": "list_queues"}'`; in the hint, the statement for it stands between
 * backticks. Surfaces without SQL put their own words there.
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
  // No statement does these: what each surface says of them is a sentence of its own.
  "ask_for_less",
  "await_database",
] as const;

type ActionName = (typeof ACTIONS)[number];

/** A suggestion, and what it concerns: an id, or a name. */
export interface Action {
  readonly do: ActionName;
  readonly id?: string;
  readonly name?: string;
}

/** What a surface says for each suggestion, which it is given. */
export type Wording = Readonly<Record<ActionName, (of: Action) => string>>;

/** A suggestion as it comes in JSON; undefined for anything else, such as one that only a newer version knows. */
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

/** A hint in a surface's words: they take the place of the statement between backticks, or follow a hint that has none. */
export function inWordsOf(
  wording: Wording,
  { hint, action }: { readonly hint?: string | undefined; readonly action?: Action | undefined },
): string | undefined {
  if (action === undefined) return hint;
  const words = wording[action.do](action);
  if (hint === undefined) return words;
  return /`[^`]+`/.test(hint) ? hint.replace(/`[^`]+`/, () => words) : `${hint} ${words}`;
}
