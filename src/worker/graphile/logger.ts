import type { LogFunctionFactory } from "graphile-worker";
import type { Logger } from "../../log.ts";

/**
 * graphile-worker's log in ours. What a plain task says through its helpers keeps its level and gets the job's id and task; how
 * single jobs ended is left out, because attempt/run.ts says it with the job's context; graphile-worker's own comings and goings
 * are for debugging.
 */
export function graphileLogger(log: Logger): LogFunctionFactory {
  return (scope) => {
    const fromTask = scope.label === "job";
    // Scopes are made for every job and seldom used: nothing is prepared for them.
    return (level, message, meta) => {
      if (meta !== undefined && ("success" in meta || "failure" in meta)) return;
      const details = fromTask ? { jobId: scope.jobId, task: scope.taskIdentifier, err: meta?.error } : { err: meta?.error };
      if (level === "error") log.error(details, message);
      else if (level === "warning") log.warn(details, message);
      else if (level === "info" && fromTask) log.info(details, message);
      else log.debug(details, message);
    };
  };
}
