import { LegworkError } from "../errors.ts";
import { nearestName } from "../nearest-name.ts";
import type { LoadedTask } from "./load-tasks.ts";

/** Which of its tasks a worker runs, by names such as `notify/mail`, patterns such as `notify/*`, and queues such as `queue:mail`. */
export interface TaskSelection {
  /** The tasks that the worker runs; all tasks if this is empty. */
  readonly only?: readonly string[] | undefined;
  /** The tasks among these that the worker does not run. */
  readonly except?: readonly string[] | undefined;
  /** How many attempts of each queue run here at a time. */
  readonly slots?: Readonly<Record<string, number>> | undefined;
}

const QUEUE = "queue:";

export function queueOf(task: LoadedTask): string {
  return task.definition?.queue ?? "default";
}

/** Returns the names of the tasks that a worker runs. Throws LW514 for a name that matches no task or queue, and if no task is left. */
export function selectTasks(tasks: ReadonlyMap<string, LoadedTask>, selection: TaskSelection): ReadonlySet<string> {
  const { only = [], except = [], slots = {} } = selection;
  const all = [...tasks.values()];
  const queues = [...new Set(all.map(queueOf))];
  const matching = (setting: string, name: string): readonly LoadedTask[] => {
    const matches = matcher(name.startsWith(QUEUE) ? name.slice(QUEUE.length) : name);
    const found = all.filter((task) => matches(name.startsWith(QUEUE) ? queueOf(task) : task.name));
    if (found.length === 0) throw unknown(setting, name, [...tasks.keys()], queues);
    return found;
  };
  const wanted = only.length === 0 ? all : only.flatMap((name) => matching("only", name));
  const unwanted = new Set(except.flatMap((name) => matching("except", name)));
  const selected = wanted.filter((task) => !unwanted.has(task));
  if (selected.length === 0) {
    throw new LegworkError("LW514", "except leaves no task for this worker to run.", {
      hint: `It excludes all of: ${wanted
        .slice(0, 10)
        .map(({ name }) => name)
        .join(", ")}.`,
    });
  }
  for (const queue of Object.keys(slots)) {
    if (!selected.some((task) => queueOf(task) === queue)) {
      const nearest = nearestName(queue, [...new Set(selected.map(queueOf))]);
      throw new LegworkError("LW514", `slots: no task that this worker runs is in the queue '${queue}'.`, {
        hint: nearest === undefined ? `Its queues are ${queues.join(", ")}.` : `Did you mean '${nearest}'?`,
      });
    }
  }
  return new Set(selected.map(({ name }) => name));
}

/** Returns a function that checks whether a name matches a pattern, in which `*` stands for any text. */
function matcher(pattern: string): (name: string) => boolean {
  if (!pattern.includes("*")) return (name) => name === pattern;
  const escaped = pattern.split("*").map((part) => part.replaceAll(/[\\^$.|?+()[\]{}]/g, String.raw`\$&`));
  const expression = new RegExp(`^${escaped.join(".*")}$`, "s");
  return (name) => expression.test(name);
}

function unknown(setting: string, name: string, tasks: readonly string[], queues: readonly string[]): LegworkError {
  const isQueue = name.startsWith(QUEUE);
  const folders = tasks.flatMap((task) => (task.includes("/") ? [`${task.slice(0, task.lastIndexOf("/"))}/*`] : []));
  const names = [...tasks, ...new Set(folders), ...queues.map((queue) => `${QUEUE}${queue}`)];
  const nearest = queues.includes(name) ? `${QUEUE}${name}` : nearestName(name, names);
  return new LegworkError(
    "LW514",
    `${setting}: this worker has no ${isQueue ? "task in the queue" : "task"} '${isQueue ? name.slice(QUEUE.length) : name}'.`,
    {
      hint:
        nearest === undefined
          ? `It has ${tasks.slice(0, 10).join(", ")}${tasks.length > 10 ? ", …" : ""}.`
          : `Did you mean '${nearest}'?`,
    },
  );
}
