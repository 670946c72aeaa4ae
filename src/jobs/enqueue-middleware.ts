import { LegworkError } from "../errors.ts";
import { nearestName } from "../nearest-name.ts";
import { ENQUEUE_OPTIONS, type EnqueueOptions } from "./enqueue.ts";
import type { RunningJob } from "./running-job.ts";

/** A job that is about to be enqueued, in the form that `enqueueMany` takes. */
export interface JobRequest extends EnqueueOptions {
  readonly task: string;
  readonly payload: unknown;
}

/** Where a job is enqueued. */
export interface EnqueueSource {
  /** The job whose task called its context's `enqueue`; undefined for all other calls. */
  readonly parent: RunningJob | undefined;
}

/** The part of a middleware that handles jobs before they are enqueued. */
export interface EnqueueMiddleware {
  /** The name that error messages show. */
  readonly name: string;
  /**
   * Runs before each job is enqueued through this package. Returns the job, changed or not; if it returns nothing, the job stays unchanged. If it
   * throws an error, the job is rejected. It is not called for jobs that are enqueued through SQL, triggers, schedules, workflows, other languages,
   * REST or the command line.
   */
  readonly enqueue?: (
    job: JobRequest,
    from: EnqueueSource,
  ) => JobRequest | undefined | void | Promise<JobRequest | undefined | void>;
}

const installed = new Set<readonly EnqueueMiddleware[]>();

/** Makes `enqueue`, `enqueueMany` and `task.enqueue` in this process use this middleware too. Returns a function that uninstalls it. */
export function installMiddleware(list: readonly EnqueueMiddleware[]): () => void {
  // Copy the list, because the same list may be installed twice.
  const own = [...list];
  if (own.some(({ enqueue }) => enqueue !== undefined)) installed.add(own);
  return () => void installed.delete(own);
}

/** Returns all middleware that is installed in this process, each only once. */
export function installedMiddleware(): readonly EnqueueMiddleware[] {
  if (installed.size === 0) return [];
  return [...new Set([...installed].flat())];
}

/**
 * Passes a job that is about to be enqueued through middleware. Throws the error with which a middleware rejects the job, and LW514 if one returns
 * something that is not a job.
 */
export async function throughEnqueue<Job extends { task: string; payload?: unknown }>(
  list: readonly EnqueueMiddleware[],
  job: Job,
  parent?: RunningJob,
): Promise<Job> {
  let current = job;
  for (const { name, enqueue } of list) {
    if (enqueue === undefined) continue;
    const changed = await enqueue({ ...current, payload: current.payload === undefined ? {} : current.payload }, { parent });
    if (changed === undefined) continue;
    assertRequest(name, changed);
    current = changed as unknown as Job;
  }
  return current;
}

function assertRequest(name: string, job: unknown): void {
  const of = `The middleware '${name}' returned`;
  if (typeof job !== "object" || job === null || typeof (job as JobRequest).task !== "string") {
    throw invalidMiddleware(`${of} something from enqueue that is not a job.`);
  }
  for (const key of Object.keys(job)) {
    if (key === "task" || key === "payload" || ENQUEUE_OPTIONS.includes(key)) continue;
    const nearest = nearestName(key, ENQUEUE_OPTIONS);
    throw invalidMiddleware(
      `${of} a job with the unknown option '${key}'.${nearest === undefined ? "" : ` Did you mean '${nearest}'?`}`,
    );
  }
}

/** Passes each of several jobs through middleware, in order. */
export async function allThroughEnqueue<Job extends { task: string; payload?: unknown }>(
  list: readonly EnqueueMiddleware[],
  jobs: readonly Job[],
): Promise<readonly Job[]> {
  if (list.length === 0) return jobs;
  const changed: Job[] = [];
  for (const job of jobs) changed.push(await throughEnqueue(list, job));
  return changed;
}

/** Returns the error for invalid middleware. */
export function invalidMiddleware(message: string): LegworkError {
  return new LegworkError("LW514", message, {
    hint: "Middleware is { name, attempt?, enqueue?, on? }; see docs/guides/hooks.md.",
  });
}
