import { collectDefaultMetrics, type Metric, Registry } from "prom-client";
import type { Queryable } from "../../db/pool.ts";

/** How many tasks, queues, schedules, limits and hosts get their own label. Further tasks and queues are combined as `other`. */
export const LABEL_LIMIT = 200;

interface Sample {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
  readonly metricName?: string;
}

type Kind = "counter" | "gauge" | "histogram";

/** A row of `legwork_private.task_totals`. */
interface TaskTotals {
  readonly task: string;
  readonly completed: number;
  readonly failed: number;
  readonly cancelled: number;
  readonly expired: number;
  readonly failed_attempts: number;
  readonly retried: number;
  readonly wait_seconds: number;
  readonly run_seconds: number;
  readonly waits: readonly number[];
  readonly runs: readonly number[];
}

/** The result of `legwork_private.read_metrics()`. */
interface Reading {
  readonly bounds: readonly number[];
  readonly tasks: readonly TaskTotals[];
  readonly samples: {
    readonly queues?: readonly { queue: string; state: string; jobs: number; oldest: string | null }[];
    readonly limits?: readonly {
      scope: string;
      name: string;
      kind: string;
      key: string;
      max: number;
      used: number;
      keys: number;
      full: number;
    }[];
    readonly schedules?: readonly { schedule: string; seconds: number }[];
  };
  readonly now: string;
  readonly findings: Readonly<Record<string, number>>;
  readonly restarts: number;
  readonly needed: number;
  readonly connections: { used: number; allowed: number } | null;
  readonly workers: readonly {
    host: string;
    pid: number;
    concurrency: number;
    running: number;
    cpu: number | null;
    memory: number | null;
    disk: number | null;
    heap: number | null;
  }[];
  readonly alerts: Readonly<Record<string, number>>;
  readonly steps: Readonly<Record<string, number>>;
}

interface Family {
  readonly name: string;
  readonly help: string;
  readonly type: Kind;
  readonly read: (reading: Reading) => Sample[];
}

const HOST_WORDS = { cpu: "processors", memory: "memory", disk: "disk" } as const;

const byTask = (field: (task: TaskTotals) => number) => (reading: Reading) =>
  reading.tasks.map((task) => ({ labels: { task: task.task }, value: field(task) }));

/** Legwork's metrics, in the order of the output. */
const FAMILIES: readonly Family[] = [
  counter(
    "legwork_jobs_processed_total",
    "Jobs that have ended, in any state.",
    byTask((t) => t.completed + t.failed + t.cancelled + t.expired),
  ),
  counter(
    "legwork_jobs_completed_total",
    "Jobs that have completed.",
    byTask((t) => t.completed),
  ),
  counter(
    "legwork_jobs_failed_total",
    "Jobs that have failed permanently.",
    byTask((t) => t.failed),
  ),
  counter(
    "legwork_jobs_cancelled_total",
    "Jobs that were cancelled.",
    byTask((t) => t.cancelled),
  ),
  counter(
    "legwork_jobs_expired_total",
    "Jobs that have expired.",
    byTask((t) => t.expired),
  ),
  counter(
    "legwork_jobs_retried_total",
    "Failed attempts that were followed by another.",
    byTask((t) => t.retried),
  ),
  counter(
    "legwork_attempts_failed_total",
    "Failed attempts, including the last attempts of jobs.",
    byTask((t) => t.failed_attempts),
  ),
  {
    name: "legwork_job_wait_seconds",
    help: "Seconds from when a job was due until its last attempt started.",
    type: "histogram",
    read: histogram(
      "legwork_job_wait_seconds",
      (t) => t.waits,
      (t) => t.wait_seconds,
    ),
  },
  {
    name: "legwork_job_run_seconds",
    help: "Seconds that attempts ran, including failed ones.",
    type: "histogram",
    read: histogram(
      "legwork_job_run_seconds",
      (t) => t.runs,
      (t) => t.run_seconds,
    ),
  },
  gauge("legwork_queue_jobs", "Jobs that have not ended, by queue and state.", ({ samples }) =>
    (samples.queues ?? []).map(({ queue, state, jobs }) => ({ labels: { queue, state }, value: jobs })),
  ),
  gauge(
    "legwork_queue_oldest_waiting_seconds",
    "Seconds since the job that has been waiting the longest became due.",
    ({ samples, now }) =>
      (samples.queues ?? []).flatMap(({ queue, state, oldest }) =>
        oldest === null ? [] : [{ labels: { queue, state }, value: Math.max(0, (Date.parse(now) - Date.parse(oldest)) / 1_000) }],
      ),
  ),
  gauge("legwork_workers", "Legwork workers that are running.", ({ workers }) => one(workers.length)),
  counter("legwork_worker_restarts_total", "Number of times that workers had to restart their runner.", ({ restarts }) =>
    one(restarts),
  ),
  gauge("legwork_worker_slots", "Jobs that the workers can run at a time.", ({ workers }) =>
    one(sum(workers.map((w) => w.concurrency))),
  ),
  gauge("legwork_worker_slots_busy", "Jobs that the workers are running.", ({ workers }) =>
    one(sum(workers.map((w) => w.running))),
  ),
  gauge(
    "legwork_workers_needed",
    "Workers needed for the jobs that are running and due, by legwork.workers_needed() with its defaults.",
    ({ needed }) => one(needed),
  ),
  gauge("legwork_worker_heap_bytes", "Heap memory used by each worker's process.", ({ workers }) =>
    workers.flatMap(({ host, pid, heap }) => (heap === null ? [] : [{ labels: { host, pid: String(pid) }, value: heap }])),
  ),
  ...(["cpu", "memory", "disk"] as const).map((what) =>
    gauge(`legwork_host_${what}_ratio`, `Share of each worker host's ${HOST_WORDS[what]} in use, 0 to 1.`, ({ workers }) =>
      [...new Set(workers.map((w) => w.host))].flatMap((host) => {
        const values = workers.flatMap((w) => (w.host === host && w[what] !== null ? [w[what]] : []));
        return values.length === 0 ? [] : [{ labels: { host }, value: Math.max(...values) }];
      }),
    ),
  ),
  gauge(
    "legwork_limit_max",
    "Jobs or starts that a limit allows, for each value of its key.",
    limits((l) => l.max),
  ),
  gauge(
    "legwork_limit_used",
    "Slots of a limit that are taken, across all values of its key.",
    limits((l) => l.used),
  ),
  gauge(
    "legwork_limit_full_keys",
    "Values of a limit's key that have no free slot.",
    limits((l) => l.full),
  ),
  gauge("legwork_schedule_lateness_seconds", "Seconds that the last occurrence of each schedule was late.", ({ samples }) =>
    (samples.schedules ?? []).map(({ schedule, seconds }) => ({ labels: { schedule }, value: seconds })),
  ),
  gauge("legwork_alerts_open", "Alerts that are not resolved.", ({ alerts }) =>
    ["warning", "critical"].map((severity) => ({ labels: { severity }, value: alerts[severity] ?? 0 })),
  ),
  gauge("legwork_database_findings", "Findings of the last run of legwork.doctor(), by severity.", ({ findings }) =>
    ["ok", "warning", "critical"].map((severity) => ({ labels: { severity }, value: findings[severity] ?? 0 })),
  ),
  gauge(
    "legwork_database_connections",
    "Connections in use, of the database server or of this database, whichever is closer to its maximum.",
    ({ connections }) => (connections === null ? [] : one(connections.used)),
  ),
  gauge("legwork_database_connections_max", "Maximum number of connections.", ({ connections }) =>
    connections === null ? [] : one(connections.allowed),
  ),
  gauge("legwork_metrics_age_seconds", "Seconds since these metrics were last updated, by step.", ({ steps }) =>
    Object.entries(steps).map(([step, value]) => ({ labels: { step }, value })),
  ),
];

/** The names of Legwork's metrics in Prometheus, where a histogram has three. */
export function metricNames(): string[] {
  return FAMILIES.flatMap(({ name, type }) =>
    type === "histogram" ? [`${name}_bucket`, `${name}_sum`, `${name}_count`] : [name],
  );
}

/**
 * The content of `/metrics` in Prometheus' text format: the workers' rolled-up counts, read in one small query, and this process's own metrics.
 * Nothing is counted on request, so it takes as long with ten million jobs as with ten. It covers all tenants and never names one.
 */
export class Metrics {
  readonly #process = new Registry();
  readonly #client: Queryable;

  constructor(client: Queryable) {
    this.#client = client;
    collectDefaultMetrics({ register: this.#process });
  }

  readonly contentType = Registry.PROMETHEUS_CONTENT_TYPE;

  async read(): Promise<string> {
    const { rows } = await this.#client.query("select legwork_private.read_metrics() as reading");
    const reading = capped(rows[0]?.reading);
    const registry = new Registry();
    for (const { name, help, type, read } of FAMILIES) {
      const metric = { name, help, type, get: async () => ({ name, help, type, values: read(reading), aggregator: "sum" }) };
      // prom-client's own classes count in this process; these numbers come from the database.
      registry.registerMetric(metric as unknown as Metric);
    }
    return `${await registry.metrics()}\n${await this.#process.metrics()}`;
  }

  stop(): void {
    this.#process.clear();
  }
}

/** Bounds the number of labels, to protect Prometheus: the first ones are kept, and the others become `other`. */
function capped(reading: Reading): Reading {
  const { tasks, samples } = reading;
  const others = tasks.slice(LABEL_LIMIT);
  const add = (a: readonly number[], b: readonly number[]): number[] => a.map((value, index) => value + (b[index] ?? 0));
  const other = others.reduce<TaskTotals | undefined>(
    (all, task) =>
      all === undefined
        ? { ...task, task: "other" }
        : {
            task: "other",
            completed: all.completed + task.completed,
            failed: all.failed + task.failed,
            cancelled: all.cancelled + task.cancelled,
            expired: all.expired + task.expired,
            failed_attempts: all.failed_attempts + task.failed_attempts,
            retried: all.retried + task.retried,
            wait_seconds: all.wait_seconds + task.wait_seconds,
            run_seconds: all.run_seconds + task.run_seconds,
            waits: add(all.waits, task.waits),
            runs: add(all.runs, task.runs),
          },
    undefined,
  );
  const kept = new Set([...new Set((samples.queues ?? []).map(({ queue }) => queue))].toSorted().slice(0, LABEL_LIMIT));
  const queues = Map.groupBy(samples.queues ?? [], ({ queue, state }) =>
    JSON.stringify([kept.has(queue) ? queue : "other", state]),
  );
  return {
    ...reading,
    tasks: other === undefined ? tasks : [...tasks.slice(0, LABEL_LIMIT), other],
    samples: {
      queues: [...queues].map(([key, rows]) => {
        const [queue, state] = JSON.parse(key) as [string, string];
        const oldest = rows.flatMap((row) => row.oldest ?? []).toSorted((a, b) => Date.parse(a) - Date.parse(b));
        return { queue, state, jobs: sum(rows.map(({ jobs }) => jobs)), oldest: oldest[0] ?? null };
      }),
      limits: samples.limits?.slice(0, LABEL_LIMIT) ?? [],
      schedules: samples.schedules?.slice(0, LABEL_LIMIT) ?? [],
    },
    workers: reading.workers.slice(0, LABEL_LIMIT),
  };
}

function counter(name: string, help: string, read: Family["read"]): Family {
  return { name, help, type: "counter", read };
}

function gauge(name: string, help: string, read: Family["read"]): Family {
  return { name, help, type: "gauge", read };
}

function limits(field: (limit: NonNullable<Reading["samples"]["limits"]>[number]) => number): Family["read"] {
  return ({ samples }) =>
    (samples.limits ?? []).map((limit) => {
      const { scope, name, kind, key } = limit;
      return { labels: { scope, name, kind, key }, value: field(limit) };
    });
}

/** Cumulative buckets, as Prometheus expects them. */
function histogram(
  name: string,
  counts: (task: TaskTotals) => readonly number[],
  total: (task: TaskTotals) => number,
): Family["read"] {
  return ({ bounds, tasks }) =>
    tasks.flatMap((row) => {
      const { task } = row;
      let below = 0;
      const buckets = counts(row).map((count, index) => {
        below += count;
        return {
          labels: { task, le: index < bounds.length ? String(bounds[index]) : "+Inf" },
          value: below,
          metricName: `${name}_bucket`,
        };
      });
      return [
        ...buckets,
        { labels: { task }, value: total(row), metricName: `${name}_sum` },
        { labels: { task }, value: below, metricName: `${name}_count` },
      ];
    });
}

function one(value: number): Sample[] {
  return [{ labels: {}, value }];
}

function sum(values: readonly number[]): number {
  return values.reduce((all, value) => all + value, 0);
}
