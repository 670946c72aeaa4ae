import { counted, durationInWords } from "../../../wording.ts";
import { formatCount } from "../../components/numbers.ts";

/** "last hour" and the like, by the duration that the server takes. */
const periods = { "1h": "hour", "6h": "6 hours", "24h": "24 hours", "7d": "7 days", "30d": "30 days" } as const;

export const words = {
  title: "Overview",
  enqueueOnly: "This token can only enqueue jobs",
  enqueueOnlyHint: "To see jobs here, ask an admin for a token with the role viewer or operator.",

  // The verdict
  verdictLabel: "System status",
  verdict: { ok: "OK", warning: "Warning", critical: "Critical", unknown: "…" },
  checking: "Checking status…",
  checkingTenant: (tenant: string) => `Checking the jobs of ${tenant}…`,
  stopped: "All jobs are stopped. No job will start until an operator resumes.",
  noWorkersWaiting: (waiting: number) => `No workers online; ${counted(waiting, "job")} waiting.`,
  noWorkersIdle: "No workers online; no jobs waiting.",
  allNormal: (workers: number, load: string, failed: bigint | undefined) =>
    `All systems normal. ${counted(workers, "worker")}, ${load}.${
      failed === undefined || failed === 0n ? "" : ` ${counted(failed, "failed job")} can be retried.`
    }`,
  tenantNormal: (tenant: string, load: string) => `No failed jobs for ${tenant}; ${load}.`,
  tenantFailed: (tenant: string, failed: bigint, load: string) =>
    `${counted(failed, "failed job")} of ${tenant} can be retried; ${load}.`,
  /** What runs and waits; `oldest` is how long the oldest has been due. */
  load: (running: number, waiting: number, oldest: string | undefined) =>
    `${formatCount(running)} running, ${formatCount(waiting)} waiting${oldest === undefined ? "" : ` (oldest ${oldest})`}`,
  moreReasons: (count: number) => `${formatCount(count)} more`,
  acknowledged: (count: number) => `${counted(count, "alert")} acknowledged.`,
  connectionLost: "Connection lost. Data from {at}. Reconnecting…",

  // Figures
  concurrency: (count: number) => `worker concurrency ${formatCount(count)}`,
  oldest: "oldest {duration}",
  blockedAndPaused: (blocked: number, paused: number) => `${formatCount(blocked)} blocked, ${formatCount(paused)} paused`,
  throughput: "Throughput",
  enqueuedRate: (rate: string) => `${rate} enqueued`,
  errors: "Errors",
  errorsDetail: "failed attempts, last 10 s",
  canBeRetried: "can be retried",

  // Alerts and errors
  openAlerts: "Open alerts",
  allAlerts: "All alerts",
  topErrors: "Top errors",
  allFailed: "All failed jobs",
  unacknowledged: "Unacknowledged",
  acknowledgedBy: (by: string | null) => (by === null ? "Acknowledged" : `Acknowledged by ${by}`),
  silenced: ", silenced",
  raised: "raised {at}",
  lastSeen: "last seen {at}",
  latestJob: (id: string) => `latest job ${id}`,
  moreAlerts: (count: number) => counted(count, "more alert"),
  moreErrors: (count: number) => counted(count, "more error"),

  // Charts
  charts: "Throughput and latency",
  period: "Period",
  periods,
  last: (period: keyof typeof periods) => `Last ${periods[period]}`,
  backTo: (period: keyof typeof periods) => `Back to last ${periods[period]}`,
  range: "{from} to {to}",
  noData: "No data for this period",
  noDataHint: "Finished jobs are counted within a few seconds.",
  jobsPerMinute: "Jobs per minute",
  waitTime: "Wait time",
  runTime: "Run time",
  series: { completed: "completed", failed: "failed", failedAttempts: "failed attempts", p50: "p50", p95: "p95", p99: "p99" },
  alertEvent: (message: string) => `Alert: ${message}`,
  startEvent: (workers: string, host: string) =>
    workers === "1" ? `Worker started on ${host}` : `${formatCount(workers)} workers started on ${host}`,
  chartHint: (bucketSeconds: number, hasEvents: boolean) =>
    `Each point covers ${durationInWords(bucketSeconds * 1_000)}. Drag to zoom. ${hasEvents ? "Events:" : "No alerts or worker starts in this period."}`,
  earlierEvents: (count: number) => `${counted(count, "earlier event")} listed with the data of each chart`,

  // Queues
  queues: "Queues",
  allQueues: "All queues",
  moreQueues: (count: number) => counted(count, "more queue"),
  noQueues: "No queues yet",
  noQueuesHint: "Queues appear when a worker registers its first task.",
  oldestColumn: "Oldest",
  limitUsage: "Limit usage",
  keyedUsage: (keys: string, full: string, max: number) =>
    `${counted(keys, "key")} by {key}, ${formatCount(full)} at the limit of ${formatCount(max)}`,
  limitKinds: { concurrency: "concurrency", rate: "rate" },
  full: "full",
  pausedBy: (by: string | null, reason: string | null) =>
    `${by === null ? "" : ` by ${by}`}${reason === null ? "" : `: ${reason}`}`,
  pauseQueue: (name: string) => `Pause ${name}`,
  resumeQueue: (name: string) => `Resume ${name}`,

  // Workers
  workers: "Workers",
  allWorkers: "All workers",
  moreWorkers: (count: number) => counted(count, "more worker"),
  noWorkers: "No workers online",
  noWorkersHint: "Start one: {command}. Plain graphile-worker processes are not listed here.",
} as const;
