import { durationInWords } from "../../wording.ts";

/** The status that the main thread sends to the health port twice a second. While the event loop is blocked, the health port uses the last one. */
export interface WorkerStatus {
  readonly stage: "starting" | "running" | "stopping";
  /** Why the worker cannot run jobs or does not take any, as a sentence; undefined while it takes jobs. */
  readonly problem: string | undefined;
  /** Why the last heartbeat failed; undefined if it succeeded. */
  readonly silentBecause: string | undefined;
  readonly slots: number;
  readonly running: number;
  readonly completed: number;
  readonly failed: number;
}

/** Times that the health port measures itself (ms), even while the event loop is blocked. */
export interface Observed {
  readonly blockedFor: number;
  readonly silentFor: number;
}

/** After this long without a heartbeat (ms), other workers may have taken this worker's jobs. */
const SILENT_AFTER_MS = 6_000;

/** Pauses of the event loop that are shorter than this are normal (ms). It turns 20 times a second. */
const BLOCKED_AFTER_MS = 1_000;

/** If a process has not killed itself this long after its event loop exceeded `maxBlocked` (ms), it needs to be restarted from outside. */
const KILLED_WITHIN_MS = 10_000;

/**
 * Returns why the process should be restarted; undefined if it need not be. A lost database is not a reason, because a restart would not help.
 * Neither is a CPU-bound task, because heartbeats continue. `maxBlocked` (ms) is how long a task may block the event loop before the worker kills
 * itself; 0 for no limit.
 */
export function whyRestart({ stage }: WorkerStatus, { blockedFor }: Observed, maxBlocked: number): string | undefined {
  if (stage !== "running" || maxBlocked === 0 || blockedFor < maxBlocked + KILLED_WITHIN_MS) return undefined;
  return `A task has blocked the event loop for ${durationInWords(blockedFor)}, longer than maxBlocked allows.`;
}

/** Returns why the worker takes no jobs, as a sentence; undefined if it does. */
export function whyNotReady(status: WorkerStatus, { silentFor }: Observed): string | undefined {
  if (status.stage === "starting") {
    return "The worker has not started yet: it has not reached the database, or is migrating it or loading its tasks.";
  }
  if (status.stage === "stopping") return "The worker is stopping: it takes no new jobs and lets the running ones finish.";
  if (silentFor < SILENT_AFTER_MS) return status.problem;
  const why = status.silentBecause === undefined ? "" : `: ${status.silentBecause}`;
  return `The database has not confirmed a heartbeat for ${durationInWords(silentFor)}${why.replace(/\.?$/, ".")}`;
}

interface Sample {
  readonly name: string;
  readonly type: "gauge" | "counter";
  readonly help: string;
  readonly value: (status: WorkerStatus, observed: Observed) => number;
}

/** The metrics of this process. Metrics of the whole system come from the server, so that they are not reported once per worker. */
const SAMPLES: readonly Sample[] = [
  {
    name: "legwork_worker_process_ready",
    type: "gauge",
    help: "Whether this worker takes jobs: 1 or 0.",
    value: (status, observed) => (whyNotReady(status, observed) === undefined ? 1 : 0),
  },
  {
    name: "legwork_worker_process_slots",
    type: "gauge",
    help: "Jobs that this worker can run at a time.",
    value: ({ slots }) => slots,
  },
  {
    name: "legwork_worker_process_slots_busy",
    type: "gauge",
    help: "Jobs that this worker is running.",
    value: ({ running }) => running,
  },
  {
    name: "legwork_worker_process_attempts_completed_total",
    type: "counter",
    help: "Attempts that have completed in this process.",
    value: ({ completed }) => completed,
  },
  {
    name: "legwork_worker_process_attempts_failed_total",
    type: "counter",
    help: "Attempts that have failed in this process.",
    value: ({ failed }) => failed,
  },
  {
    name: "legwork_worker_process_heartbeat_age_seconds",
    type: "gauge",
    help: "Seconds since the database confirmed a heartbeat of this worker.",
    value: (_status, { silentFor }) => silentFor / 1_000,
  },
  {
    name: "legwork_worker_process_blocked_seconds",
    type: "gauge",
    help: "How long synchronous code has been blocking the event loop (seconds); 0 if it is not blocked.",
    value: (_status, { blockedFor }) => (blockedFor < BLOCKED_AFTER_MS ? 0 : blockedFor / 1_000),
  },
  {
    name: "process_cpu_seconds_total",
    type: "counter",
    help: "Total user and system CPU time spent in seconds.",
    value: () => {
      const { user, system } = process.cpuUsage();
      return (user + system) / 1_000_000;
    },
  },
  {
    name: "process_resident_memory_bytes",
    type: "gauge",
    help: "Resident memory size in bytes.",
    value: () => process.memoryUsage.rss(),
  },
  {
    name: "process_start_time_seconds",
    type: "gauge",
    help: "Start time of the process since unix epoch in seconds.",
    value: () => Math.round(Date.now() / 1_000 - process.uptime()),
  },
];

/** The content of `/metrics`, in Prometheus' text format. */
export function workerMetrics(status: WorkerStatus, observed: Observed): string {
  return SAMPLES.map(
    ({ name, type, help, value }) => `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n${name} ${value(status, observed)}\n`,
  ).join("");
}
