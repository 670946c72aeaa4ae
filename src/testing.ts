/** The test kit: runs tasks and finds enqueued jobs, on a real Postgres, in the process of the tests. */
export { openTestKit } from "./testing/test-kit.ts";
export type { DrainOptions, TestKit, TestKitOptions } from "./testing/test-kit.ts";
export type { EnqueuedFilter } from "./testing/enqueued.ts";
export { startTestDatabase } from "./testing/test-database.ts";
export type { TestDatabase } from "./testing/test-database.ts";
export type { AttemptRow, JobRow, JobState } from "./jobs/read-jobs.ts";
export type { EnqueueOptions } from "./jobs/enqueue.ts";
