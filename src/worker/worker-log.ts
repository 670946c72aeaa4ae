import { type Logger, ownBindings } from "../log.ts";

/** A log whose lines have the id of the worker that writes them. */
export interface WorkerLog {
  readonly log: Logger;
  /** Sets the id, which is known when a runner has started, and changes when it is restarted. Children keep the one they were created with. */
  readonly name: (workerId: string) => void;
}

/** Creates the log of a worker. Its lines have no id until it has a name. */
export function workerLog(parent: Logger): WorkerLog {
  const log = parent.child({});
  // pino's `setBindings` only adds: the lines of a worker that has restarted would have all of its ids.
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

/** How many ids a line lists. */
const IDS_LIMIT = 100;

/** The fields that name jobs in a line: how many they are, and their ids, of which only the first hundred are listed. */
export function jobFields(ids: readonly string[]): { jobs: number; jobIds: readonly string[] } {
  return { jobs: ids.length, jobIds: ids.slice(0, IDS_LIMIT) };
}
