import { type Logger, ownBindings } from "../log.ts";

/** A log whose lines have the id of the worker that writes them. */
export interface WorkerLog {
  readonly log: Logger;
  /**
   * Sets the id, which becomes known when a runner has started and changes when it is restarted. Child loggers keep the id with which they were
   * created.
   */
  readonly name: (workerId: string) => void;
}

/** Creates the log of a worker. Its lines have no id until `name` is called. */
export function workerLog(parent: Logger): WorkerLog {
  const log = parent.child({});
  // pino's `setBindings` only adds bindings, so the lines of a restarted worker would have all of its ids.
  const bindings = ownBindings(log);
  const own = log as unknown as Record<symbol, unknown>;
  const first = bindings === undefined ? undefined : own[bindings];
  return {
    log,
    name: (worker) => {
      if (bindings !== undefined) own[bindings] = first;
      log.setBindings({ worker });
    },
  };
}

/** The maximum number of ids that a line lists. */
const IDS_LIMIT = 100;

/** Returns the fields that identify jobs in a line: the number of jobs, and the ids of the first hundred. */
export function jobFields(ids: readonly string[]): { jobs: number; jobIds: readonly string[] } {
  return { jobs: ids.length, jobIds: ids.slice(0, IDS_LIMIT) };
}
