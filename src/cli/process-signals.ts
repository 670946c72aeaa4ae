import { toError } from "../errors.ts";
import { flushLog, type Logger } from "../log.ts";
import { propertyOf } from "../thrown.ts";

/**
 * Waits for SIGTERM or SIGINT, then runs `stop` and ends the process with code 0. A second signal does not wait any longer: it
 * runs `stopNow` and ends the process with code 1.
 */
export async function untilStopped(log: Logger, stop: () => Promise<void>, stopNow?: () => Promise<void>): Promise<never> {
  // A promise that a task forgot, or a callback of its that throws, must not take the process down, with every other job it runs.
  process.on("unhandledRejection", (reason) =>
    log.error({ err: toError(reason), event: "unhandled_rejection" }, "A promise was rejected and not awaited."),
  );
  process.on("uncaughtException", (error: unknown) => {
    // The reader of our own output has gone: telling it so would end here again.
    if (propertyOf(error, "code") === "EPIPE") return;
    log.error({ err: toError(error), event: "uncaught_exception" }, "An error was thrown in a callback and not caught.");
  });
  let signals = 0;
  return await new Promise<never>(() => {
    const end = (work: Promise<void> | undefined, code: number): void => {
      void Promise.resolve(work)
        .then(
          () => code,
          (error: unknown) => {
            log.error({ err: error }, "Stopping failed.");
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
          log.info(`${signal}: stopping; running jobs may finish. Again to stop at once.`);
          end(stop(), 0);
        } else if (signals === 2) {
          log.warn(`${signal} again: stopping at once.`);
          end(stopNow?.(), 1);
        }
      });
    }
  });
}
