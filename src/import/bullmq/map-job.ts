import { createHash } from "node:crypto";
import { formatNumber } from "../../wording.ts";
import type { ImportState, OptionNote, SourceJob } from "../source.ts";

/** The data structures of BullMQ in which jobs wait. */
export type Place = "wait" | "paused" | "prioritized" | "delayed" | "waiting-children";

/** A BullMQ job, as stored in its hash. */
export interface BullmqJob {
  readonly queue: string;
  readonly id: string;
  readonly place: Place;
  /** Only for a delayed job (ms). */
  readonly dueAt: number | undefined;
  readonly name: string;
  readonly data: string;
  readonly opts: Readonly<Record<string, unknown>>;
  readonly timestamp: string;
  readonly attemptsMade: number;
  readonly priority: number;
  readonly parentKey: string | undefined;
  readonly deduplicationId: string | undefined;
  /** The scheduler that created it. */
  readonly schedulerId: string | undefined;
}

const LONGEST_JOB_KEY = 512;
/** Longer ids are replaced by their hash, because the ids are indexed. */
const LONGEST_ID = 400;

export function importId({ queue, id, timestamp }: Pick<BullmqJob, "queue" | "id" | "timestamp">): string {
  // The timestamp distinguishes a job from an earlier job with the same id: custom ids can repeat, and numbering restarts after a queue was
  // obliterated.
  const short = id.length > LONGEST_ID ? createHash("sha256").update(id).digest("hex") : id;
  return `bullmq:${queue}:${short}:${timestamp}`;
}

export interface Surroundings {
  readonly isPaused: boolean;
  readonly now: number;
  readonly dependsOn?: readonly BullmqJob[];
  readonly obstacle?: string | undefined;
}

export function mapBullmqJob(job: BullmqJob, { isPaused, now, dependsOn, obstacle }: Surroundings): SourceJob {
  const notes: OptionNote[] = [];
  const note = (option: string, text: string): void => void notes.push({ option, text });
  const { opts } = job;

  const priority = Math.min(32_767, job.priority);
  if (job.priority > 32_767) note("priority", `is above 32,767 and becomes ${formatNumber(priority)}`);
  const attempts = typeof opts["attempts"] === "number" ? opts["attempts"] : 1;
  if (attempts > 1) note("attempts", "becomes max_attempts: the number of remaining attempts");
  if (opts["backoff"] !== undefined) note("backoff", backoffText(opts["backoff"]));
  for (const option of ["removeOnComplete", "removeOnFail"]) {
    if (opts[option] !== undefined)
      note(option, "is not needed: the setting history_retention determines how long jobs are kept");
  }
  if (opts["kl"] !== undefined || opts["keepLogs"] !== undefined) note("keepLogs", "is not needed: every attempt keeps its log");
  if (typeof opts["timeout"] === "number") note("timeout", `is the task's setting: timeout: "${opts["timeout"]}ms"`);

  const isCustom =
    !/^\d+$/.test(job.id) && !job.id.startsWith("repeat:") && !/^[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}$/i.test(job.id);
  const key = job.deduplicationId ?? (isCustom ? job.id : undefined);
  const jobKey = key === undefined ? undefined : `${job.queue}:${key}`;
  if (jobKey !== undefined && jobKey.length <= LONGEST_JOB_KEY)
    note(job.deduplicationId === undefined ? "jobId" : "deduplication", "becomes the job key <queue>:<id>, while the job waits");
  const mayFail = dependsOn?.some((child) => ["idof", "rdof", "cpof"].some((option) => child.opts[option] === true)) === true;
  if (dependsOn !== undefined)
    note(
      "flow",
      `becomes dependencies: if a child fails, the parent ${mayFail ? "runs anyway" : "is cancelled"}. A task cannot read its children's results`,
    );

  const runAt = job.dueAt !== undefined && job.dueAt > now ? job.dueAt : undefined;
  const spec = {
    run_at: runAt === undefined ? undefined : timeText(runAt),
    priority,
    max_attempts: Math.min(32_767, Math.max(1, attempts - job.attemptsMade)),
    job_key: jobKey !== undefined && jobKey.length <= LONGEST_JOB_KEY ? jobKey : undefined,
    on_dependency_failure: mayFail ? "run" : undefined,
  };
  return {
    id: importId(job),
    sourceId: job.id,
    queue: job.queue,
    names: [`${job.queue}:${job.name}`, job.queue],
    state: stateOf(job, isPaused, runAt),
    payload: job.data,
    spec: Object.fromEntries(Object.entries(spec).filter(([, value]) => value !== undefined)),
    ...(dependsOn === undefined ? {} : { dependsOn: dependsOn.map(importId) }),
    notes,
    obstacle,
  };
}

/** The database rejects a time outside JavaScript's range, with a message that names it. */
function timeText(time: number): string {
  const date = new Date(time);
  return Number.isNaN(date.getTime()) ? "infinity" : date.toISOString();
}

function stateOf(job: BullmqJob, isPaused: boolean, runAt: number | undefined): ImportState {
  if (job.place === "waiting-children") return "blocked";
  if (job.place === "delayed" && job.attemptsMade > 0) return "retrying";
  if (runAt !== undefined) return "scheduled";
  return isPaused ? "paused" : "pending";
}

function backoffText(backoff: unknown): string {
  const { type = "fixed", delay = 0 } = (typeof backoff === "number" ? { delay: backoff } : (backoff ?? {})) as {
    type?: unknown;
    delay?: unknown;
  };
  return type === "fixed" || type === "exponential"
    ? `is the task's setting: retry: { backoff: "${type}", delay: "${String(Number(delay) || 1)}ms" }`
    : `of the type '${String(type)}' is code in the worker: throw RetryAfter in the task instead`;
}
