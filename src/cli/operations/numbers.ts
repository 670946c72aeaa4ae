import type { z } from "zod";
import { alertRuleSchema, alertSchema, healthSchema, taskStatisticsSchema } from "../../contract/alerts.ts";
import { failedGroupSchema } from "../../contract/bulk.ts";
import { queueSchema, taskSchema, workerSchema } from "../../contract/queues.ts";
import { countsToNumbers } from "../../contract/rows.ts";
import { scheduleRunSchema, scheduleSchema } from "../../contract/schedules.ts";
import { auditLineSchema, overviewSchema } from "../../contract/system.ts";
import { batchSchema, workflowSchema, workflowWithStepsSchema } from "../../contract/workflows.ts";
import type { Operations } from "./operations.ts";

/** The operations whose results contain counts, with the schema of each row. */
const SCHEMAS: Partial<Record<keyof Operations, z.ZodType>> = {
  listFailedGroups: failedGroupSchema,
  listQueues: queueSchema,
  listTasks: taskSchema,
  listWorkers: workerSchema,
  schedule: scheduleSchema,
  getSchedule: scheduleSchema,
  listSchedules: scheduleSchema,
  listScheduleRuns: scheduleRunSchema,
  listWorkflows: workflowSchema,
  getWorkflow: workflowWithStepsSchema,
  listBatches: batchSchema,
  getBatch: batchSchema,
  readOverview: overviewSchema,
  readTaskStatistics: taskStatisticsSchema,
  readHealth: healthSchema,
  listAlerts: alertSchema,
  listAlertRules: alertRuleSchema,
  listAuditLog: auditLineSchema,
};

/**
 * The same operations for commands that print JSON: counts, which are text on the wire, become numbers, so that programs can compare them.
 * Ids stay text.
 */
export function numericOperations(operations: Operations): Operations {
  const numeric = Object.entries(operations).map(([name, operation]) => {
    const schema = SCHEMAS[name as keyof Operations];
    if (schema === undefined) return [name, operation];
    return [
      name,
      async (...given: unknown[]) => {
        const answer = await (operation as (...given: unknown[]) => Promise<unknown>)(...given);
        return Array.isArray(answer) ? answer.map((row) => countsToNumbers(schema, row)) : countsToNumbers(schema, answer);
      },
    ];
  });
  return Object.fromEntries(numeric);
}
