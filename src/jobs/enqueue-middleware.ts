import { LegworkError } from "../errors.ts";
import { nearestName } from "../nearest-name.ts";
import { ENQUEUE_OPTIONS, type EnqueueOptions } from "./enqueue.ts";
import type { RunningJob } from "./running-job.ts";

/** A job that is about to be enqueued: what `enqueueMany` takes. */
export interface JobRequest extends EnqueueOptions {
  readonly task: string;
  readonly payload: unknown;
}

/** Who enqueues. */
export interface EnqueueSource {
  /** The job whose task enqueues with its context's `enqueue`; undefined elsewhere. */
  readonly parent: RunningJob | undefined;
}

/** The part of middleware that concerns jobs before they are enqueued. */
export interface EnqueueMiddleware {
  /** Names it in errors. */
  readonly name: string;
  /**
   * Runs before each job is enqueued through this package. Returns the job, changed or not; nothing leaves it unchanged. An error that it throws
   * refuses the job. Jobs that SQL, triggers, schedules, workflows, other languages, REST and the command line enqueue do not come here.
   */
  readonly enqueue?: (
    job: JobRequest,
    from: EnqueueSource,
  ) => JobRequest | undefined | void | Promise<JobRequest | undefined | void>;
}

const installed = new Set<readonly EnqueueMiddleware[]>();

/** Makes `enqueue`, `enqueueMany` and `task.enqueue` of this process use middleware too. Returns a function that ends this. */
export function installMiddleware(list: readonly EnqueueMiddleware[]): () => void {
  // A copy, because a list may be installed twice.
  const own = [...list];
  if (own.some(({ enqueue }) => enqueue !== undefined)) installed.add(own);
  return () => void installed.delete(own);
}

/** The middleware of all that runs in this process, each once. */
export function installedMiddleware(): readonly EnqueueMiddleware[] {
  if (installed.size === 0) return [];
  return [...new Set([...installed].flat())];
}

/** Passes a job that is about to be enqueued through middleware. Throws what refuses it, and LW514 for something that is not a job. */
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

/** The error of wrong middleware. */
export function invalidMiddleware(message: string): LegworkError {
  return new LegworkError("LW514", message, {
    hint: "Middleware is { name, attempt?, enqueue?, on? }; see docs/guides/hooks.md.",
  });
}
