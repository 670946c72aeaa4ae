import { toError } from "../errors.ts";
import { flushLog, type Logger } from "../log.ts";
import { propertyOf } from "../thrown.ts";

/**
 * Waits for SIGTERM or SIGINT, then runs `stop` and exits with code 0. A second signal stops the waiting: it runs `stopNow` and exits with code 1.
 */
export async function untilStopped(log: Logger, stop: () => Promise<void>, stopNow?: () => Promise<void>): Promise<never> {
  // A task's unawaited promise or throwing callback must not end the process and every other job that it runs.
  process.on("unhandledRejection", (reason) =>
    log.error({ err: toError(reason), event: "unhandled_rejection" }, "Unhandled promise rejection."),
  );
  process.on("uncaughtException", (error: unknown) => {
    // The reader of our output has gone. Logging that would throw the same error again.
    if (propertyOf(error, "code") === "EPIPE") return;
    log.error({ err: toError(error), event: "uncaught_exception" }, "Uncaught exception in a callback.");
  });
  let signals = 0;
  return await new Promise<never>(() => {
    const end = (work: Promise<void> | undefined, code: number): void => {
      void Promise.resolve(work)
        .then(
          () => code,
          (error: unknown) => {
            log.error({ err: error }, "Failed to stop cleanly.");
            return 1;
          },
        )
        .then(async (exitCode) => {
          await flushLog();
          process.exit(exitCode);
        });
    };
    for (const signal of ["SIGTERM", "SIGINT"] as const) {
      process.on(signal, () => {
        signals += 1;
        if (signals === 1) {
          log.info(`${signal} received. Stopping when running jobs have finished; send it again to stop immediately.`);
          end(stop(), 0);
        } else if (signals === 2) {
          log.warn(`${signal} received again. Stopping immediately.`);
          end(stopNow?.(), 1);
        }
      });
    }
  });
}
