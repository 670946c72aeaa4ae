import type { Logger } from "../../log.ts";
import { durationInWords } from "../../wording.ts";
import type { Query } from "./recorder.ts";
import type { RunningJob } from "../../jobs/running-job.ts";
import type { WorkerEventHub } from "../../jobs/worker-events.ts";
import type { Fetched } from "./fetch-statement.ts";

/** A failed attempt, which is logged after the database has decided what happens next. */
export interface FailedAttempt {
  readonly attempt: number;
  readonly durationMs: number;
  readonly message: string;
  /** The error with its stack trace; undefined if the message is sufficient. */
  readonly error: Error | undefined;
  /** The log with the fields of the job. */
  readonly log: Logger;
  /** For the worker's events: the listeners, the job, and the error, which is set even if the message is sufficient for the log. */
  readonly told?: { readonly events: WorkerEventHub; readonly job: RunningJob; readonly error: Error } | undefined;
}

/** What the database decided. */
interface Verdict {
  readonly id: string;
  readonly state: "failed" | "cancelled" | "retrying" | "pending";
  /** The reason of a cancelled job, including who cancelled it. */
  readonly reason: string | null;
  readonly retry_at: Date | null;
}

const VERDICTS = "select id, state, reason, retry_at from legwork_private.attempt_verdicts($1::bigint[], $2::integer[])";

/**
 * Logs failed attempts, each as one event. Whether there is another attempt depends on the retry policy in the database, and on whether the job was
 * cancelled, so this is read after the failure has been recorded. One query covers all failures that arrived while the previous query ran.
 */
export class FailureLog {
  readonly #query: Query;
  #waiting = new Map<string, FailedAttempt>();
  #reading: Promise<void> | undefined;

  constructor(query: Query) {
    this.#query = query;
  }

  add(jobId: string, failed: FailedAttempt): void {
    // The same job has failed again before its previous attempt was logged.
    if (this.#waiting.has(jobId)) this.#tell(jobId, undefined);
    this.#waiting.set(jobId, failed);
    this.#reading ??= this.#read().finally(() => (this.#reading = undefined));
  }

  /** Resolves when everything has been logged. */
  async settled(): Promise<void> {
    await this.#reading;
  }

  async #read(): Promise<void> {
    while (this.#waiting.size > 0) {
      const asked = new Map(this.#waiting);
      const verdicts = new Map<string, Verdict>();
      try {
        const attempts = [...asked.values()].map(({ attempt }) => attempt);
        const { rows } = (await this.#query({
          name: "legwork_verdicts",
          text: VERDICTS,
          values: [[...asked.keys()], attempts],
        })) as Fetched;
        for (const row of rows as unknown as Verdict[]) verdicts.set(row.id, row);
      } catch {
        // The failures have been recorded. Only the log lines lack what happens next.
      }
      for (const [id, failed] of asked) if (this.#waiting.get(id) === failed) this.#tell(id, verdicts.get(id));
    }
  }

  #tell(jobId: string, verdict: Verdict | undefined): void {
    const { attempt, durationMs, message, error, log, told } = this.#waiting.get(jobId)!;
    this.#waiting.delete(jobId);
    const fields = { attempt, durationMs };
    if (verdict?.state === "cancelled") {
      const [, by, reason] = /^Cancelled by (.+?)(?:: (.*)|\.)$/s.exec(verdict.reason ?? "") ?? [];
      log.info(
        { event: "job_cancelled", ...fields, by, reason: reason ?? (by === undefined ? verdict.reason : undefined) },
        `Job cancelled${by === undefined ? "" : ` by ${by}`}.`,
      );
      told?.events.tell("job_cancelled", { job: told.job, by, reason });
      return;
    }
    told?.events.tell("job_failed", {
      job: told.job,
      error: told.error,
      durationMs,
      final: verdict === undefined ? undefined : verdict.state === "failed",
      retryAt: verdict?.retry_at ?? undefined,
    });
    const failed = error === undefined ? fields : { ...fields, err: error };
    if (verdict?.state === "failed") {
      log.error({ event: "job_failed", final: true, ...failed }, `Job failed for good: ${message}`);
    } else if (verdict?.retry_at instanceof Date) {
      const wait = verdict.retry_at.getTime() - Date.now();
      const when = wait > 0 ? `in ${durationInWords(wait)}` : "now";
      log.warn(
        { event: "job_failed", final: false, retryAt: verdict.retry_at.toISOString(), ...failed },
        `Job failed and will be retried ${when}: ${message}`,
      );
    } else log.warn({ event: "job_failed", ...failed }, `Job failed: ${message}`);
  }
}
