import { LegworkError } from "../errors.ts";
import { nearestName } from "./nearest-name.ts";
import type { Operations } from "./operations/operations.ts";

/**
 * For a filter that matched nothing: throws LW404, with the most similar name, if it names a task or queue that does not exist. The history may
 * have jobs of a task that has since been removed, so a filter that matches is not checked.
 */
export async function assertKnownNames(
  operations: Operations,
  { task, queue }: { task?: string; queue?: string },
): Promise<void> {
  if (task !== undefined) {
    const names = (await operations.listTasks()).map(({ name }) => name);
    if (!names.includes(task)) throw unknown("task", task, names, "`legwork tasks` lists the tasks.");
  }
  if (queue !== undefined) {
    const names = (await operations.listQueues()).map(({ name }) => name);
    if (!names.includes(queue)) throw unknown("queue", queue, names, "`legwork queues` lists the queues.");
  }
}

/** The error for a name that does not exist. */
function unknown(what: string, name: string, names: readonly string[], list: string): LegworkError {
  const nearest = nearestName(name, names);
  return new LegworkError("LW404", `There is no ${what} named '${name}'.`, {
    hint: `${nearest === undefined ? "" : `Did you mean '${nearest}'? `}${list}`,
  });
}
