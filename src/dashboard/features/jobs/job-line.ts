import type { jobPage, jobSchema } from "../../../contract/jobs.ts";
import type { Json } from "../../../contract/rows.ts";

/** A job in a list, fetched over REST or GraphQL. */
export type JobLine = Pick<
  Json<typeof jobSchema>,
  | "id"
  | "task"
  | "queue"
  | "state"
  | "priority"
  | "attempts"
  | "maxAttempts"
  | "error"
  | "runAt"
  | "createdAt"
  | "startedAt"
  | "finishedAt"
  | "tenant"
  | "correlationId"
  | "progress"
  | "progressMessage"
>;

export type JobPage = Json<typeof jobPage>;

/** Whether an id is larger than another one, and its job therefore newer. Ids may be too large for a JavaScript number. */
export function isNewer(id: string, than: string): boolean {
  return id.length === than.length ? id > than : id.length > than.length;
}

const FIELDS = /* GraphQL */ `
  id
  task
  queue
  state
  priority
  attempts: attemptCount
  maxAttempts
  error
  runAt
  createdAt
  startedAt
  finishedAt
  tenant
  correlationId
  progress
  progressMessage
`;

/** The live list of the newest jobs. */
export const LIVE_JOBS = /* GraphQL */ `
  subscription ($task: String, $queue: String, $state: [JobState!]) {
    jobs(task: $task, queue: $queue, state: $state, first: 100) {
      jobs { ${FIELDS} }
    }
  }
`;

/** The current state of some jobs. */
export const JOBS_BY_ID = /* GraphQL */ `
  query ($ids: [BigInt!]!, $first: Int!) {
    jobs(filter: { id: { in: $ids } }, first: $first) {
      nodes { ${FIELDS} }
    }
  }
`;
