import { diagnose, type Finding } from "../health/doctor.ts";
import type { Pool, Queryable } from "../db/pool.ts";
import { type HealthRow, readHealth } from "../health/read-health.ts";
import { readOverview } from "../queues/overview.ts";
import type { Middleware } from "../jobs/middleware.ts";
import { emergencyStop, resumeAll } from "../queues/pause.ts";
import { type Audit, auditOn, type Tokens, tokensOn } from "./access.ts";
import { type Alerts, alertsOn } from "./alerts.ts";
import { type BulkActions, bulkActionsOn } from "./bulk-actions.ts";
import { type Jobs, jobsOn } from "./jobs.ts";
import { type Limits, limitsOn } from "./limits.ts";
import { type Overview, toOverview } from "./queue-rows.ts";
import { type Queues, queuesOn, type Tasks, tasksOn, type Workers, workersOn } from "./queues.ts";
import { type Schedules, schedulesOn } from "./schedules.ts";
import { type Statistics, statisticsOn } from "./statistics.ts";
import { type Batches, batchesOn, type Workflows, workflowsOn } from "./workflows.ts";

/**
 * The operations on jobs, as a tree that matches the command line and REST. Rows and filters are camelCase; payloads, results and the fields of log
 * lines are your data and stay as they are. Ids and counts are strings, because they may exceed what a number holds exactly.
 */
export interface Operations {
  readonly jobs: Jobs;
  readonly bulkActions: BulkActions;
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
   * Returns the numbers of jobs, queues, tasks and workers, and whether an emergency stop is active.
   *
   * @example
   * const { pending, running, failed, stoppedAt } = await legwork.overview();
   */
  overview(): Promise<Overview>;
  /**
   * Returns the health of the system and of each task, queue, schedule and host: the system first, then the others, least healthy first.
   *
   * @example
   * const [system] = await legwork.health();
   */
  health(): Promise<HealthRow[]>;
  /**
   * Checks the job system and returns findings, each with a fix, most severe first. A missing privilege is a finding, not an error.
   *
   * @example
   * for (const { severity, finding, fix } of await legwork.doctor()) if (severity !== "ok") console.log(finding, fix);
   */
  doctor(): Promise<Finding[]>;
  /**
   * Stops everything: no job starts until `resumeAll` is called. Running jobs finish.
   *
   * @example
   * await legwork.stopAll("the database is being moved");
   */
  stopAll(reason?: string): Promise<void>;
  /**
   * Ends the emergency stop. Returns whether one was active. Queues and tasks that were paused individually stay paused.
   *
   * @example
   * const wasStopped = await legwork.resumeAll();
   */
  resumeAll(): Promise<boolean>;
}

/**
 * Returns the operations on a connection. With `pool`, the connection's pool, the doctor may open another connection to detect a connection pooler.
 * Enqueued jobs pass through `middleware`.
 */
export function operationsOn(client: Queryable, pool?: Pool, middleware: readonly Middleware[] = []): Operations {
  return {
    jobs: jobsOn(client, middleware),
    bulkActions: bulkActionsOn(client),
    queues: queuesOn(client),
    tasks: tasksOn(client),
    limits: limitsOn(client),
    schedules: schedulesOn(client),
    workflows: workflowsOn(client),
    batches: batchesOn(client, middleware),
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
