import { diagnose, type Finding } from "../health/doctor.ts";
import type { Pool, Queryable } from "../db/pool.ts";
import { type HealthRow, readHealth } from "../health/read-health.ts";
import { readOverview } from "../queues/overview.ts";
import { emergencyStop, resumeAll } from "../queues/pause.ts";
import { type Audit, auditOn, type Tokens, tokensOn } from "./access.ts";
import { type Alerts, alertsOn } from "./alerts.ts";
import { type Jobs, jobsOn } from "./jobs.ts";
import { type Limits, limitsOn } from "./limits.ts";
import { type Overview, toOverview } from "./queue-rows.ts";
import { type Queues, queuesOn, type Tasks, tasksOn, type Workers, workersOn } from "./queues.ts";
import { type Schedules, schedulesOn } from "./schedules.ts";
import { type Statistics, statisticsOn } from "./statistics.ts";
import { type Batches, batchesOn, type Workflows, workflowsOn } from "./workflows.ts";

/**
 * What can be done with jobs, as a tree that is the same in the command line and in REST. Rows and filters are camelCase; payloads, results and the fields of log lines are
 * yours and stay as they are. Ids and counts are strings, for they may be larger than a number holds.
 */
export interface Operations {
  readonly jobs: Jobs;
  readonly queues: Queues;
  readonly tasks: Tasks;
  readonly limits: Limits;
  readonly schedules: Schedules;
  readonly workflows: Workflows;
  readonly batches: Batches;
  readonly workers: Workers;
  readonly alerts: Alerts;
  readonly statistics: Statistics;
  readonly tokens: Tokens;
  readonly audit: Audit;
  /**
   * Jobs, workers and pauses of the whole system, at a glance.
   *
   * @example
   * const { pending, running, failed, stoppedAt } = await legwork.overview();
   */
  overview(): Promise<Overview>;
  /**
   * How the system and each task, queue, schedule and host are: the system first, then the worst.
   *
   * @example
   * const [system] = await legwork.health();
   */
  health(): Promise<HealthRow[]>;
  /**
   * What is wrong with the job system and what to do about it, the worst first. A right that is missing is a finding and not an error.
   *
   * @example
   * for (const { severity, finding, fix } of await legwork.doctor()) if (severity !== "ok") console.log(finding, fix);
   */
  doctor(): Promise<Finding[]>;
  /**
   * Pauses everything; jobs that run finish.
   *
   * @example
   * await legwork.stopAll("the database is being moved");
   */
  stopAll(reason?: string): Promise<void>;
  /**
   * Ends what `stopAll` began; resolves to whether there was something to end. Queues and tasks that were paused by themselves stay paused.
   *
   * @example
   * const wasStopped = await legwork.resumeAll();
   */
  resumeAll(): Promise<boolean>;
}

/** The operations on a connection. `pool` is where it leads, if the doctor may connect once more to look for a connection pooler. */
export function operationsOn(client: Queryable, pool?: Pool): Operations {
  return {
    jobs: jobsOn(client),
    queues: queuesOn(client),
    tasks: tasksOn(client),
    limits: limitsOn(client),
    schedules: schedulesOn(client),
    workflows: workflowsOn(client),
    batches: batchesOn(client),
    workers: workersOn(client),
    alerts: alertsOn(client),
    statistics: statisticsOn(client),
    tokens: tokensOn(client),
    audit: auditOn(client),
    overview: async () => toOverview(await readOverview(client)),
    health: () => readHealth(client),
    doctor: () => diagnose(client, { pool }),
    stopAll: (reason) => emergencyStop(client, reason),
    resumeAll: () => resumeAll(client),
  };
}
