import { counted, formatNumber } from "../../../wording.ts";

/** A queue or a task, as buttons and messages name it. */
interface Named {
  scope: "queue" | "task";
  name: string;
}

const scopes = { queue: "Queue", task: "Task" } as const;

/** Makes it "per minute" rather than "per 1 min". */
const wholeUnits: Readonly<Record<string, string>> = { "1 s": "second", "1 min": "minute", "1 h": "hour", "1 day": "day" };

const per = (interval: string) => `per ${wholeUnits[interval] ?? interval}`;

export const words = {
  // Pauses
  pauseOf: (name: string) => `Pause ${name}`,
  resumeOf: (name: string) => `Resume ${name}`,
  pauseQuestion: ({ scope, name }: Named) => `Pause ${scope} ${name}?`,
  resumeQuestion: ({ scope, name }: Named) => `Resume ${scope} ${name}?`,
  resumeExplained: "Its waiting jobs can start again. Limits still apply.",
  pauseExplained: "No more jobs will start. Running jobs finish; all other jobs wait.",
  paused: ({ scope, name }: Named) => `${scopes[scope]} ${name} paused.`,
  resumed: ({ scope, name }: Named) => `${scopes[scope]} ${name} resumed.`,
  pausedBy: (by: string | null, reason: string | null) =>
    `${by === null ? "" : ` by ${by}`}${reason === null ? ". No reason given." : `: ${reason}`}`,
  nothingStarts: (scope: Named["scope"]) => `No jobs of this ${scope} will start.`,

  // Limits
  concurrent: "concurrent",
  per,
  perKey: "per {key}",
  limit: (max: number, interval: string | undefined, key: string | undefined) =>
    `${formatNumber(max)} ${interval === undefined ? "concurrent" : per(interval)}${key === undefined ? "" : ` per ${key}`}`,
  addLimit: "Add limit",
  editLimit: (limit: string) => `Edit limit: ${limit}`,
  removeLimit: (limit: string) => `Remove limit: ${limit}`,
  limitRemoved: (limit: string) => `Limit removed: ${limit}.`,
  limitRestored: (limit: string) => `Limit restored: ${limit}.`,
  limitSet: ({ scope, name }: Named, limit: string) => `Limit of ${scope} ${name} set: ${limit}.`,
  resetLimits: "Reset to code",
  resetLimitsHint: "Restores the limits that the task's definition declares, and removes all others.",
  limitsReset: (name: string) => `Limits of task ${name} reset to its definition.`,
  noLimits: "No limits",
  noLimitsHint: "Limited only by the capacity of the workers.",
  kind: "Type",
  kinds: { concurrency: "Concurrency", rate: "Rate" },
  maxConcurrent: "Max concurrent",
  maxStarts: "Max starts",
  period: "Per",
  periodExample: "1m",
  key: "Key (optional)",
  keyExample: "userId",
  keyHint: "A path in the payload. Each value found there has its own limit.",

  // Usage of limits
  usage: "Limit usage",
  usageOf: (limit: string) => `Usage of ${limit}`,
  usagePartial: "Only the first 100,000 slots or jobs are counted.",
  idle: "Idle",
  allJobs: "All jobs",
  inUse: "In use",
  inLine: "In line",
  nextSlot: "Next slot",
  total: "total",
  noValue: "no value",
  now: "now",
  afterStart: "after the next start",
  usageShown: (shown: number, total: number) => `${formatNumber(shown)} of ${formatNumber(total)} values, longest lines first`,

  // Retries
  retryPolicy: "Retry policy",
  retryPolicyOf: ({ scope, name }: Named) => `Retry policy of ${scope} ${name}`,
  editRetryPolicy: "Edit retry policy",
  removeOverride: "Remove override",
  overrideRemoved: ({ scope, name }: Named) => `Retry override of ${scope} ${name} removed.`,
  policySaved: ({ scope, name }: Named) => `Retry policy of ${scope} ${name} saved.`,
  queuePolicyScope: "Applies to tasks without their own policy.",
  taskPolicyScope: "An override takes precedence over the task's definition, which takes precedence over its queue.",
  policyTakesEffect: "Takes effect with the next failure, including for jobs that are already waiting.",
  maxAttempts: "Max attempts",
  maxAttemptsHint: "For jobs enqueued without their own number of attempts. Default: 25.",
  backoff: "Backoff",
  backoffs: { "": "Default (eⁿ s)", fixed: "Fixed", linear: "Linear", exponential: "Exponential" },
  initialDelay: "Initial delay",
  initialDelayExample: "1s",
  factor: "Factor",
  factorHint: "Default: 2.",
  maxDelay: "Max delay",
  maxDelayHint: "Default: unlimited.",
  jitter: "Randomly shorten each delay by up to half",
  onlyFor: "Only for these errors",
  onlyForHint: "Names, codes or classes, separated by commas. Default: all errors.",
  onlyForExample: "ECONNREFUSED, TimeoutError",
  /** The parts of a policy in words, joined with commas. */
  policy: {
    default: "Default: 25 attempts, exponential backoff (eⁿ s).",
    attempts: (count: number) => counted(count, "attempt"),
    fixed: (delay: string) => `fixed delay of ${delay}`,
    linear: (delay: string) => `linear backoff in steps of ${delay}`,
    exponential: (delay: string, factor: number) => `exponential backoff from ${delay} (factor ${factor})`,
    defaultBackoff: "default backoff (eⁿ s)",
    maxDelay: (delay: string) => `delays of at most ${delay}`,
    jitter: "each delay randomly shortened by up to half",
    onlyFor: (errors: readonly string[]) => `only for ${errors.join(", ")}`,
  },

  // Jobs of a queue or task
  newestJobs: "Newest jobs",
  viewAll: "View all",
  noJobs: "No jobs in history",
  lastError: "Last error",

  // Health
  stopped: "stopped",
  allStopped: "All jobs are stopped, so none of its jobs will start.",
} as const;
