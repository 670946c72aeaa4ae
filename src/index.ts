/** The public API of Legwork. */
export { defineConfig } from "./config.ts";
export type { ConfigFile } from "./config.ts";
export type { Queryable } from "./db/pool.ts";
export type { Sql, SqlTag } from "./db/sql.ts";
export { LegworkError, PayloadError } from "./errors.ts";
export type { ErrorCode } from "./errors.ts";
export type { Logger } from "./log.ts";
export { defineTask } from "./jobs/define-task.ts";
export type { Progress, RunningJob, Task, TaskContext, TaskDefinition } from "./jobs/define-task.ts";
export { enqueue, enqueueMany, enqueueOn } from "./jobs/enqueue.ts";
export type { EnqueueOnOptions, EnqueueOptions, JobSpec } from "./jobs/enqueue.ts";
