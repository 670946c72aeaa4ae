import type { LogFunctionFactory } from "graphile-worker";
import { isConnectionError } from "../../db/translate-error.ts";
import type { Logger } from "../../log.ts";

/**
 * Forwards graphile-worker's log to Legwork's. Lines that a plain task logs through its helpers keep their level and get the job's id and task. Lines
 * about how a job ended are left out, because attempt/plain-task.ts logs that with the job's context. graphile-worker's own lifecycle messages are logged at
 * level debug.
 */
export function graphileLogger(log: Logger): LogFunctionFactory {
  return (scope) => {
    const fromTask = scope.label === "job";
    // A scope is created for every job and rarely used, so nothing is prepared in advance.
    return (level, message, meta) => {
      if (meta !== undefined && ("success" in meta || "failure" in meta)) return;
      const details = fromTask ? { jobId: scope.jobId, task: scope.taskIdentifier, err: meta?.error } : { err: meta?.error };
      // While the database cannot be reached, a separate line reports that.
      if (!fromTask && meta?.error !== undefined && isConnectionError(meta.error)) log.debug(details, message);
      else if (level === "error") log.error(details, message);
      else if (level === "warning") log.warn(details, message);
      else if (level === "info" && fromTask) log.info(details, message);
      else log.debug(details, message);
    };
  };
}
