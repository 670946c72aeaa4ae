import type { Job, Task as PlainTask } from "graphile-worker";
import { parseDuration } from "../../duration.ts";
import { LegworkError, toError, verdictOf } from "../../errors.ts";
import { DescribedError, describeThrown, isError } from "../../thrown.ts";
import type { DatabaseClock } from "../clock.ts";
import { BatchFailure } from "../graphile/batch-entries.ts";
import { flagValue } from "../graphile/job-flags.ts";
import { milliseconds, resultToJson } from "../graphile/outcomes.ts";
import { IsolatedResult } from "../isolate/isolated-result.ts";
import type { Lease } from "../lease.ts";
import type { LoadedTask } from "../load-tasks.ts";
import { LeaseLost } from "../remote-commands.ts";
import { Run, type RunEnvironment } from "./run.ts";
import { TaskPace } from "./running-jobs.ts";
import { Suspended } from "./steps.ts";

/** How long the start of an expired job is postponed (ms); `legwork.tick()` ends the job before that. */
const EXPIRED_PUT_BACK_MS = 5_000;

/** How long the start of a job that must not run next to the running jobs is postponed (ms), plus a random delay of up to the same length. */
const WAIT_PUT_BACK_MS = 1_000;

/** Thrown so that graphile-worker treats the job as failed; the real result is in the outcome. */
class PutBack extends Error {
  override readonly name = "PutBack";
}

/** Wraps a loaded task in the function that graphile-worker calls for each job. */
export function toPlainTask(task: LoadedTask, environment: RunEnvironment): PlainTask {
  const { clock, outcomes, control, events } = environment;
  const timeout = parseDuration(task.definition?.timeout);
  const pace = new TaskPace();
  const putBack = (job: Job, reason: string, wait?: number): PutBack => {
    const now = clock.now();
    const retryAt = wait === undefined ? undefined : now + wait;
    const error = new PutBack(`Job put back: it is ${reason}.`);
    outcomes.failed(job.id, now, now, describeThrown(error), { decision: "put_back", retryAt });
    return error;
  };
  return async (payload, helpers) => {
    const { job } = helpers;
    const fetchedAt: Date | null | undefined = job.locked_at;
    const fetchedAgo = fetchedAt instanceof Date ? clock.now() - fetchedAt.getTime() : Infinity;
    const reason =
      control.isFree(task.name, fetchedAgo) && !hasExpired(job, clock) ? undefined : await whyNotNow(task, job, environment);
    if (reason !== undefined) throw putBack(job, reason, reason === "expired" ? EXPIRED_PUT_BACK_MS : undefined);
    // The job was lost while this process was suspended, and has been fetched here again before its old attempt ended.
    if (control.running.has(job.id)) throw putBack(job, "still running here", WAIT_PUT_BACK_MS);
    const deaths = job.flags === null ? 0 : Number(flagValue(job, "lost") ?? 0);
    if (deaths > 0 && control.mustWait(deaths)) {
      throw putBack(job, "waiting until no other job whose workers died is running here", WAIT_PUT_BACK_MS * (1 + Math.random()));
    }
    const run = new Run(task, helpers, environment, deaths);
    control.running.set(job.id, run);
    try {
      if (environment.lease?.mayHaveLost(job.locked_at) && !(await environment.lease.holds(job.id))) {
        throw new LeaseLost("This worker was declared dead, and the job was given to another worker.");
      }
      if (deaths > 0) await environment.lease?.tell();
    } catch (error) {
      control.running.delete(job.id);
      throw putBack(job, `not known whether this worker still holds it (${toError(error).message})`);
    }
    const startedAt = clock.now();
    if (environment.log.isLevelEnabled("debug"))
      run.workerLog.debug({ event: "job_started", attempt: job.attempts }, "Job started.");
    if (events?.hears("job_started") === true) events.tell("job_started", { job: run.job });
    const span = environment.isTraced === true ? run.beginSpan() : undefined;
    try {
      const returned = await control.running.call(job.id, run, pace, () =>
        span === undefined ? run.execute(payload, timeout) : span.run(() => run.execute(payload, timeout)),
      );
      const result = returned instanceof IsolatedResult ? returned.json : resultToJson(returned, run.redaction);
      const finishedAt = clock.now();
      pace.note(finishedAt - startedAt);
      outcomes.succeeded(job, startedAt, finishedAt, result, events?.hears("job_completed") === true ? run.job : undefined);
      span?.end("completed");
      return undefined;
    } catch (thrown) {
      const cause = run.explain(thrown);
      const description = run.describe(cause);
      const error = new DescribedError(description, cause);
      const batch = isError(cause) && cause instanceof BatchFailure ? cause : undefined;
      // If some entries of a batch have completed, the job is not returned to the queue, because they must not run again.
      const hasDone = batch !== undefined && Array.isArray(payload) && batch.failed.length < payload.length;
      if (helpers.abortSignal?.aborted && !hasDone && (await giveBack(environment.lease, job.id))) {
        span?.end("given_back");
        environment.givenBack.add(job.id);
        run.workerLog.info(
          { event: "job_given_back", attempt: job.attempts, reason: description.message },
          "Job returned to the queue: its worker is stopping.",
        );
        events?.tell("job_given_back", { job: run.job, reason: description.message });
        throw error;
      }
      const finishedAt = clock.now();
      const { discard, snooze, retryAt } = verdictOf(cause);
      const next = retryAt === undefined ? undefined : retryAt instanceof Date ? retryAt.getTime() : finishedAt + retryAt.after;
      // A lost lease is not a failure. If this worker turns out to still hold the job in the database, the job is put back.
      const waits = isError(cause) && cause instanceof Suspended;
      const isPutBack = waits || snooze || (isError(cause) && cause instanceof LeaseLost);
      const details = { attempt: job.attempts, durationMs: milliseconds(startedAt, finishedAt) };
      // An invalid payload is not the task's fault. The message is sufficient, and a stack trace from Legwork's code would be misleading.
      const isExplained = isError(cause) && cause instanceof LegworkError;
      outcomes.failed(job.id, startedAt, finishedAt, description, {
        decision: discard ? "discard" : waits ? "wait" : isPutBack ? "put_back" : undefined,
        retryAt: next,
        batch,
        toLog: isPutBack
          ? undefined
          : {
              ...details,
              message: description.message,
              error: isExplained ? undefined : error,
              log: run.workerLog,
              told: events === undefined ? undefined : { events, job: run.job, error },
            },
      });
      span?.end(isPutBack ? "put_back" : "failed", error);
      if (isPutBack) {
        run.workerLog.info({ event: "job_put_back", ...details }, `Job put back: ${description.message}`);
        events?.tell("job_put_back", { job: run.job, reason: description.message });
      }
      if (batch !== undefined && Array.isArray(payload)) {
        return batch.entries(payload, (entry) => new DescribedError(run.describe(entry), entry));
      }
      throw error;
    } finally {
      control.running.delete(job.id);
      run.close();
    }
  };
}

/** Returns why a fetched job must not start now; undefined if it may. */
async function whyNotNow(task: LoadedTask, job: Job, { control, clock }: RunEnvironment): Promise<string | undefined> {
  if (hasExpired(job, clock)) return "expired";
  try {
    return (await control.isPaused(task.name)) ? "paused" : undefined;
  } catch (error) {
    return `not known whether it may start (${toError(error).message})`;
  }
}

function hasExpired(job: Job, clock: DatabaseClock): boolean {
  if (job.flags === null) return false;
  const expiresAt = flagValue(job, "expires");
  return expiresAt !== null && Number(expiresAt) <= clock.now();
}

/**
 * Returns a job to the queue when its task has responded to the abort signal of a stopping worker, because the job has not failed. graphile-worker
 * then finds that the job is unlocked, and does not change it. Returns false if the database does not respond; in that case, the attempt counts.
 */
async function giveBack(lease: Lease | undefined, jobId: string): Promise<boolean> {
  try {
    return (await lease?.giveBack(jobId)) ?? false;
  } catch {
    return false;
  }
}
