/**
 * The public API of Legwork: defines tasks and workflows, enqueues jobs, and has `createLegwork`, whose tree has all other operations. The functions
 * behind the tree are in `legwork/operations`; the test kit is in `legwork/testing`.
 */
export { defineConfig } from "./define-config.ts";
export type { Queryable } from "./db/pool.ts";
export type { TransactionClient } from "./db/transaction-client.ts";
export type { Sql, SqlTag } from "./db/sql.ts";
export { parseDuration } from "./duration.ts";
export type { Duration } from "./duration.ts";
export { createLegwork } from "./embed.ts";
export type { Legwork, LegworkOptions } from "./embed.ts";
export {
  Discard,
  JobNotCompleted,
  LegworkError,
  PayloadError,
  ResultTimeout,
  RetryAfter,
  SignalTimeout,
  Snooze,
  StepError,
} from "./errors.ts";
export type { ErrorCode, FailedEnd } from "./errors.ts";
export { callEndpoint } from "./jobs/call-endpoint.ts";
export type { CallEndpointOptions, EndpointRequest, EndpointResponse } from "./jobs/call-endpoint.ts";
export { defineTask } from "./jobs/define-task.ts";
export type { RunningJob } from "./jobs/running-job.ts";
export type { NamedTask, Task, TaskContext, TaskDefinition, TaskPayload, TaskResult } from "./jobs/define-task.ts";
export type { EnqueueOptions } from "./jobs/enqueue.ts";
export type { ResultOptions } from "./jobs/job-result.ts";
export { defineMiddleware } from "./jobs/middleware.ts";
export type { EnqueueSource, JobRequest } from "./jobs/enqueue-middleware.ts";
export type { AttemptContext, Middleware, Next } from "./jobs/middleware.ts";
export type { RetryPolicy } from "./jobs/task-policy.ts";
export type { TaskValues } from "./jobs/task-values.ts";
export type { PayloadOf, ResultOf, TaskName } from "./jobs/task-registry.ts";
export { enqueueManyTyped as enqueueMany, enqueueOnTyped as enqueueOn, enqueueTyped as enqueue } from "./jobs/typed-enqueue.ts";
export type { JobSpec } from "./jobs/typed-enqueue.ts";
export type {
  WorkerEventListener,
  WorkerEventListeners,
  WorkerEventMap,
  WorkerEventName,
  WorkerEvents,
} from "./jobs/worker-events.ts";
export type { Logger } from "./log.ts";
export { defineWorkflow } from "./workflows/define-workflow.ts";
export type { Operations } from "./api/operations.ts";
export type { EnqueueAndWait, WaitingJobs } from "./api/waiting-jobs.ts";
export type * as Rows from "./api/rows.ts";
