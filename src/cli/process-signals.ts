import { toError } from "../errors.ts";
import { flushLog, type Logger } from "../log.ts";
import { propertyOf } from "../thrown.ts";
import { counted, pluralOf } from "../wording.ts";

/** The maximum number of running jobs in a log line. */
const IDS_LIMIT = 100;

/** The maximum number of running jobs in its message. */
const NAMED_LIMIT = 5;

/** What a command has started. */
interface Started {
  /** Stops it gracefully. */
  readonly stop: () => Promise<unknown>;
  /** The ids of the jobs that `stop` waits for. */
  readonly running?: () => readonly string[];
  /** Resolves when it should be stopped for a reason other than a signal. */
  readonly ended?: Promise<void>;
}

export interface Service {
  /** Starts the service. When the signal aborts, this should soon return or throw; a service that has started is then stopped immediately. */
  readonly start: (signal: AbortSignal) => Promise<Started>;
  /** Cleanup that is required even when a second signal ends the process. */
  readonly stopNow?: () => Promise<unknown>;
}

/**
 * Runs a service until it ends, or until SIGTERM or SIGINT (even one that arrives while it starts), then stops it and exits with code 0. A second
 * signal stops the waiting and exits with code 1. Rejects if the start fails.
 */
export async function untilStopped(log: Logger, { start, stopNow }: Service): Promise<never> {
  const stopping = new AbortController();
  let started: Started | undefined;
  let signals = 0;
  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    process.on(signal, () => {
      signals += 1;
      const jobs = started?.running?.() ?? [];
      const fields = { signal, jobs: jobs.length, jobIds: jobs.slice(0, IDS_LIMIT) };
      if (signals === 1) {
        const what = started === undefined ? "Stopping before startup is complete." : whatRemains(jobs);
        log.info({ event: "stopping", ...fields }, `${signal} received. ${what}`);
        stopping.abort(new Error(`${signal} was received.`));
      } else if (signals === 2) {
        log.warn({ event: "stopping_now", ...fields }, `${signal} received again. Stopping immediately.`);
        void exitAfter(async () => await stopNow?.(), 1, log);
      }
    });
  }
  const stopped = new Promise<void>((resolve) => stopping.signal.addEventListener("abort", () => resolve()));
  try {
    started = await start(stopping.signal);
    surviveStrayErrors(log);
  } catch (error) {
    if (!stopping.signal.aborted) throw error;
    log.debug({ err: toError(error) }, "Startup was not completed.");
  }
  await Promise.race([stopped, started?.ended ?? stopped]);
  await exitAfter(async () => await started?.stop(), 0, log);
  // Never resolves, because the process is exiting.
  return await new Promise<never>(() => undefined);
}

/** Keeps a task's unawaited promise or throwing callback from ending the process, and with it every other job that it runs. */
export function surviveStrayErrors(log: Logger): void {
  process.on("unhandledRejection", (reason) =>
    log.error({ event: "unhandled_rejection", err: toError(reason) }, "Unhandled promise rejection."),
  );
  process.on("uncaughtException", (error: unknown) => {
    // The reader of our output has exited. Logging the error would throw it again.
    if (propertyOf(error, "code") === "EPIPE") return;
    log.error({ event: "uncaught_exception", err: toError(error) }, "Uncaught exception in a callback.");
  });
}

async function exitAfter(work: () => Promise<unknown>, code: number, log: Logger): Promise<void> {
  let exitCode = code;
  try {
    await work();
  } catch (error) {
    log.error({ event: "stop_failed", err: toError(error) }, "Failed to stop cleanly.");
    exitCode = 1;
  }
  await flushLog();
  process.exit(exitCode);
}

function whatRemains(jobs: readonly string[]): string {
  if (jobs.length === 0) return "No job is running; stopping.";
  const more = jobs.length > NAMED_LIMIT ? ", …" : "";
  const which = `${counted(jobs.length, "running job")} (${jobs.slice(0, NAMED_LIMIT).join(", ")}${more})`;
  return `Stopping when ${which} ${pluralOf(jobs.length, "has", "have")} finished; send it again to stop immediately.`;
}
