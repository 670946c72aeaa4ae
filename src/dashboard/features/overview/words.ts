import { counted, durationInWords } from "../../../wording.ts";
import { formatCount } from "../../components/numbers.ts";

/** The names of the periods, as in "Last hour", by their duration in requests. */
const periods = { "1h": "hour", "6h": "6 hours", "24h": "24 hours", "7d": "7 days", "30d": "30 days" } as const;

function heldBack(blocked: number, paused: number, scheduled: number): string[] {
  return [
    ...(blocked > 0 ? [`${formatCount(blocked)} blocked`] : []),
    ...(paused > 0 ? [`${formatCount(paused)} paused`] : []),
    ...(scheduled > 0 ? [`${formatCount(scheduled)} scheduled`] : []),
  ];
}

export const words = {
  title: "Overview",
  enqueueOnly: "This token can only enqueue jobs",
  enqueueOnlyHint: "To see jobs here, ask an admin for a token with the role viewer or operator.",

  // The verdict
  verdictLabel: "System status",
  verdict: { ok: "OK", warning: "Warning", critical: "Critical", unknown: "…" },
  checking: "Checking status…",
  checkingTenant: (tenant: string) => `Checking the jobs of ${tenant}…`,
  stopped: "All jobs are stopped. No job will start until an operator resumes them.",
  noWorkersWaiting: (waiting: number) => `No workers online; ${counted(waiting, "job")} waiting.`,
  noWorkersIdle: "No workers online; no jobs waiting.",
  allNormal: (workers: number, load: string, failed: bigint | undefined) =>
    `All systems normal. ${counted(workers, "worker")}, ${load}.${
      failed === undefined || failed === 0n ? "" : ` ${counted(failed, "failed job")} can be retried.`
    }`,
  tenantNormal: (tenant: string, load: string) => `No failed jobs for ${tenant}; ${load}.`,
  tenantFailed: (tenant: string, failed: bigint, load: string) =>
    `${counted(failed, "failed job")} of ${tenant} can be retried; ${load}.`,
  /** The number of running and waiting jobs; `oldest` is how long the oldest waiting job has been due. */
  load: (running: number, waiting: number, oldest: string | undefined) =>
    `${formatCount(running)} running, ${formatCount(waiting)} waiting${oldest === undefined ? "" : ` (oldest ${oldest})`}`,
  moreReasons: (count: number) => ` ${counted(count, "more problem")} below.`,
  acknowledged: (count: number) => `${counted(count, "alert")} acknowledged.`,

  // Figures
  concurrency: (count: number) => `of ${counted(count, "slot")}`,
  waiting: "Waiting",
  oldest: "oldest {duration}",
  /** The other waiting jobs, shown after the age of the oldest job that is ready to start. */
  also: (blocked: number, paused: number, scheduled: number) =>
    heldBack(blocked, paused, scheduled)
      .map((part) => ` · ${part}`)
      .join(""),
  waitingDetail: (blocked: number, paused: number, scheduled: number) =>
    heldBack(blocked, paused, scheduled).join(" · ") || "none ready to start",
  throughput: "Throughput",
  perMinute: (count: string) => `${count}/min`,
  enqueuedRate: (rate: string) => `${rate} enqueued`,
  errorRate: (rate: string) => `attempts failing at ${rate}`,
  canBeRetried: "can be retried",

  // What needs attention
  attention: "Needs attention",
  allAlerts: "All alerts",
  allFailed: "All failed jobs",
  acknowledge: "Acknowledge",
  acknowledgeOf: (message: string) => `Acknowledge: ${message}`,
  review: "Review jobs",
  reviewOf: (task: string) => `Review jobs of ${task}`,
  acknowledgedBy: (by: string | null) => (by === null ? "acknowledged" : `acknowledged by ${by}`),
  silenced: "silenced",
  since: "began {at}",
  lastSeen: "last seen {at}",
  failedJobs: (jobs: string, errors: number) =>
    errors > 1 ? `${counted(jobs, "failed job")} with ${counted(errors, "error")}` : counted(jobs, "failed job"),
  latestJob: (id: string) => `latest job ${id}`,
  moreProblems: (count: number) => counted(count, "more problem"),

  // Charts
  charts: "Throughput and latency",
  chartsOf: { throughput: "Throughput and backlog", latency: "Wait and run times" },
  period: "Period",
  periods,
  last: (period: keyof typeof periods) => `Last ${periods[period]}`,
  backTo: (period: keyof typeof periods) => `Back to last ${periods[period]}`,
  range: "{from} to {to}",
  noData: "No data for this period",
  noDataHint: "Finished jobs are counted within a few seconds.",
  jobsPer: (bucketSeconds: number) =>
    bucketSeconds === 60
      ? "Jobs per minute"
      : bucketSeconds === 3_600
        ? "Jobs per hour"
        : bucketSeconds === 86_400
          ? "Jobs per day"
          : `Jobs per ${durationInWords(bucketSeconds * 1_000)}`,
  jobsAndBacklog: (jobs: string) => `${jobs} (left), waiting jobs (right)`,
  pickHint: "Click to list the jobs that ended then",
  waitTime: "Wait time",
  runTime: "Run time",
  series: {
    completed: "completed",
    retried: "failed attempts, retried",
    failed: "failed",
    waiting: "waiting",
    oldest: "oldest waiting",
    p50: "p50",
    p95: "p95",
    p99: "p99",
  },
  alertEvent: (message: string) => `Alert: ${message}`,
  startEvent: (workers: string, host: string) =>
    workers === "1" ? `Worker started on ${host}` : `${formatCount(workers)} workers started on ${host}`,
  chartHint: (bucketSeconds: number, hasEvents: boolean) =>
    `Intervals of ${durationInWords(bucketSeconds * 1_000)}. Drag to zoom. ${hasEvents ? "Events:" : "No alerts or worker starts in this period."}`,
  earlierEvents: (count: number) => `${counted(count, "earlier event")} in the data of each chart`,

  // Queues
  queues: "Queues",
  allQueues: "All queues",
  moreQueues: (count: number) => counted(count, "more queue"),
  noQueues: "No queues yet",
  noQueuesHint: "Queues appear when a worker registers its first task.",
  oldestColumn: "Oldest",
  limitUsage: "Limit usage",
  keyedUsage: (keys: string, full: string, max: number) =>
    `${counted(keys, "value")} of {key}, ${formatCount(full)} at the limit of ${formatCount(max)}`,
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
