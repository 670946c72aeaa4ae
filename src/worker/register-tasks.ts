import { type Pool, setLocally, transaction } from "../db/pool.ts";
import { toError } from "../errors.ts";
import type { Logger } from "../log.ts";
import { describeTasks, type LoadedTask } from "./load-tasks.ts";
import { storable } from "./graphile/outcomes.ts";
import { isRowError } from "./graphile/send-batch.ts";

/**
 * Registers the tasks that this worker runs, with their limits and retry policies. If the database rejects the description of a task, the task is
 * removed from `tasks`, because it would run without its limits; the others are registered. Rejects with any other error.
 */
export async function registerTasks(pool: Pool, tasks: Map<string, LoadedTask>, log: Logger): Promise<void> {
  const register = async (some: ReadonlyMap<string, LoadedTask>): Promise<void> => {
    await transaction(pool, async (client) => {
      // For the audit log, which records the limits that tasks declare.
      await setLocally(client, { "legwork.surface": "worker" });
      await client.query("select legwork_private.register_tasks($1)", [storable(JSON.stringify(describeTasks(some)))]);
    });
  };
  try {
    await register(tasks);
    return;
  } catch (error) {
    if (!isRowError(toError(error)) || tasks.size === 0) throw error;
  }
  for (const [name, task] of tasks) {
    try {
      await register(new Map([[name, task]]));
    } catch (thrown) {
      const error = toError(thrown);
      if (!isRowError(error)) throw error;
      tasks.delete(name);
      log.error(
        { event: "task_refused", task: name, err: error },
        `Task '${name}' does not run on this worker, because the database rejects its definition: ${error.message}.`,
      );
    }
  }
}
