/** A job as a list shows it. */
export interface JobLine {
  id: string;
  task: string;
  queue: string;
  state: string;
  priority: number;
  attempts: number;
  maxAttempts: number;
  error: string | null;
  runAt: string | null;
  createdAt: string;
  startedAt: string | null;
  finishedAt: string | null;
  tenant: string | null;
  correlationId: string | null;
  progress: number | null;
  progressMessage: string | null;
}

/** A row of GET /jobs. */
export interface RestJob {
  id: string;
  task: string;
  queue: string;
  state: string;
  priority: number;
  attempts: number;
  max_attempts: number;
  payload: unknown;
  result: unknown;
  error: string | null;
  run_at: string | null;
  created_at: string;
  started_at: string | null;
  finished_at: string | null;
  worker: string | null;
  job_key: string | null;
  serial_key: string | null;
  tenant: string | null;
  correlation_id: string | null;
  parent_id: string | null;
  progress: number | null;
  progress_message: string | null;
}

export interface JobPage {
  items: RestJob[];
  next_cursor: string | null;
  looked_at?: number;
  looked_to?: string | null;
}

export function fromRest(job: RestJob): JobLine {
  return {
    id: job.id,
    task: job.task,
    queue: job.queue,
    state: job.state,
    priority: job.priority,
    attempts: job.attempts,
    maxAttempts: job.max_attempts,
    error: job.error,
    runAt: job.run_at,
    createdAt: job.created_at,
    startedAt: job.started_at,
    finishedAt: job.finished_at,
    tenant: job.tenant,
    correlationId: job.correlation_id,
    progress: job.progress,
    progressMessage: job.progress_message,
  };
}

/** The larger id is the newer job; ids may be larger than a number holds exactly. */
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

/** Some jobs as they are now. */
export const JOBS_BY_ID = /* GraphQL */ `
  query ($ids: [BigInt!]!, $first: Int!) {
    jobs(filter: { id: { in: $ids } }, first: $first) {
      nodes { ${FIELDS} }
    }
  }
`;
