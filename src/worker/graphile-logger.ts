import type { LogFunctionFactory } from "graphile-worker";
import type { Logger } from "../log.ts";

/**
 * graphile-worker's log in ours. What it says of single jobs is left out, because run-task.ts says it with the job's
 * context; its own comings and goings are for debugging.
 */
export function graphileLogger(log: Logger): LogFunctionFactory {
  return () => (level, message, meta) => {
    if (meta !== undefined && ("success" in meta || "failure" in meta)) return;
    const error: unknown = meta?.error;
    switch (level) {
      case "error":
        log.error({ err: error }, message);
        break;
      case "warning":
        log.warn({ err: error }, message);
        break;
      default:
        log.debug(message);
    }
  };
}
