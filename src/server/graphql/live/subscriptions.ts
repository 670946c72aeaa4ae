import type { GraphQLFieldConfig } from "postgraphile/graphql";
import { extendSchema, gql } from "postgraphile/utils";
import { JOB_STATES } from "../../../jobs/read-jobs.ts";
import type { Live } from "./topics.ts";
import type { LiveEvent, Topic } from "./topic.ts";
import type { Principal } from "../../../access/principal.ts";
import { DEFAULT_PAGE, refusal } from "../limits.ts";

/** The maximum number of jobs of a live list. Each job is read once a second and sent when it has changed. */
const MAX_LIVE_PAGE = 100;

/** The context of a subscription. */
export interface SubscriptionContext {
  readonly principal: Principal;
  readonly live: Live;
}

const description = gql`
  extend type Subscription {
    """
    The newest jobs that match, sent whenever a job changes, is added or is removed, but at most once a second. A slow client receives the
    latest state and misses intermediate ones.
    """
    jobs(
      "Only jobs of this task."
      task: String
      "Only jobs of this queue."
      queue: String
      "Only jobs in one of these states."
      state: [JobState!]
      "Number of jobs: 50 by default, at most 100."
      first: Int = 50
    ): JobsUpdate!
    "A job, sent whenever it or its progress changes, but at most twice a second; null while it does not exist."
    job(id: BigInt!): LiveJob
    "The queues with their job counts, sent on every change, but at most once a second, and less often with very many unfinished jobs."
    queues: QueuesUpdate!
    "The job counts across all queues, and the rates at which jobs are enqueued, end and fail, sent at most once a second, and less often with very many unfinished jobs."
    overview: Overview!
  }

  "The newest jobs that match, and the changes since the previous message."
  type JobsUpdate {
    "When the jobs were read."
    readAt: Datetime!
    "All jobs, newest first."
    jobs: [LiveJob!]!
    "The jobs that are new or have changed since the previous message; all jobs in the first message."
    changed: [LiveJob!]!
    "The ids of jobs that were in the previous message but are not in this one."
    gone: [BigInt!]!
  }

  "A job as it was when it was read. For its payload, result, attempts and logs, use the query job(id)."
  type LiveJob {
    "The job's id, as returned by add_job."
    id: BigInt!
    "The task that the job runs."
    task: String!
    "The queue that the task belongs to."
    queue: String!
    "The job's state."
    state: JobState!
    "The job's priority; smaller numbers run first."
    priority: Int!
    "Attempts used, including the running one."
    attemptCount: Int!
    "Attempts allowed."
    maxAttempts: Int!
    "The message of the last error, at most 1,000 characters; null if no attempt has failed or the job has completed."
    error: String
    "The earliest time at which the job may start."
    runAt: Datetime!
    "When the job was enqueued."
    createdAt: Datetime!
    "When the last attempt started, or for a running job, when a worker fetched it; null before that."
    startedAt: Datetime
    "When the job ended; null before that."
    finishedAt: Datetime
    "The worker that runs the job or ran it last."
    worker: String
    "The job key, if any."
    jobKey: String
    "The serial key, if any. Jobs with the same serial key run one at a time."
    serialKey: String
    "The tenant that the job belongs to, if any."
    tenant: String
    "The id shared by all jobs with the same cause, if any."
    correlationId: String
    "The job that enqueued this one, if any."
    parentId: BigInt
    "The progress in percent as reported by the task, 0 to 100; null if the task has not reported it."
    progress: Float
    "The progress message reported by the task; null if the task has not reported one."
    progressMessage: String
  }

  "The queues, by name, at most 500."
  type QueuesUpdate {
    "When the queues were read."
    readAt: Datetime!
    queues: [LiveQueue!]!
  }

  "A queue with the number of jobs in each state."
  type LiveQueue {
    name: String!
    "When the queue was paused; null if it is not paused."
    pausedAt: Datetime
    "Who paused the queue."
    pausedBy: String
    "The reason for the pause."
    pauseReason: String
    "Running jobs."
    running: Int!
    "Jobs that are ready to run."
    pending: Int!
    "Jobs that wait for a limit or for other jobs."
    blocked: Int!
    "Jobs that wait for a pause to end."
    paused: Int!
    "Jobs that are due later, for the first time or for their next attempt."
    later: Int!
    "When the job that has been waiting the longest was due; null if no job is waiting."
    oldest: Datetime
  }

  "The job counts across all queues. A client that is restricted to a tenant sees only that tenant's jobs."
  type Overview {
    "When the counts were read."
    readAt: Datetime!
    "Running jobs."
    running: Int!
    "Jobs that are ready to run."
    pending: Int!
    "Jobs that wait for a limit or for other jobs."
    blocked: Int!
    "Jobs that wait for a pause to end."
    paused: Int!
    "Jobs that are due later, for the first time or for their next attempt."
    later: Int!
    "When the job that has been waiting the longest was due; null if no job is waiting."
    oldest: Datetime
    "Paused queues."
    pausedQueues: Int!
    "Running workers; 0 for a client that is restricted to a tenant."
    workers: Int!
    "Jobs enqueued per second, averaged over ten seconds; null at first, and for a client that is restricted to a tenant."
    enqueuedPerSecond: Int
    "Jobs that ended per second, averaged over ten seconds; null at first, and for a client that is restricted to a tenant."
    endedPerSecond: Int
    "Attempts that failed per second, averaged over ten seconds; null at first, and for a client that is restricted to a tenant."
    failedAttemptsPerSecond: Int
  }
`;

type Arguments = Readonly<Record<string, unknown>>;

interface LiveField {
  topic(given: Arguments): Topic;
  show(event: LiveEvent): unknown;
}

const FIELDS: Readonly<Record<string, LiveField>> = {
  jobs: {
    topic: ({ task, queue, state, first }) => ({
      kind: "jobs",
      ...(typeof task === "string" ? { task } : {}),
      ...(typeof queue === "string" ? { queue } : {}),
      // In a fixed order and without duplicates, so that equal subscriptions share a topic.
      ...(Array.isArray(state) ? { states: JOB_STATES.filter((known) => state.includes(known)) } : {}),
      first: livePage(first ?? DEFAULT_PAGE),
    }),
    show: ({ readAt, rows, changed, gone }) => ({ readAt, jobs: rows, changed, gone }),
  },
  job: { topic: ({ id }) => ({ kind: "job", id: BigInt(String(id)).toString() }), show: ({ rows }) => rows[0] ?? null },
  queues: { topic: () => ({ kind: "queues" }), show: ({ readAt, rows }) => ({ readAt, queues: rows }) },
  overview: { topic: () => ({ kind: "overview" }), show: ({ readAt, rows }) => ({ readAt, ...rows[0] }) },
};

function livePage(first: unknown): number {
  if (typeof first === "number" && first >= 1 && first <= MAX_LIVE_PAGE) return first;
  throw refusal(
    "LW400",
    `'first' is ${JSON.stringify(first)}; it must be between 1 and ${MAX_LIVE_PAGE} for a live list.`,
    "Use a query for longer lists.",
  );
}

/** The types of the subscriptions. */
export const subscriptionTypesPlugin = extendSchema(() => ({ typeDefs: description }), "LegworkSubscriptionTypesPlugin");

/**
 * Resolves the subscriptions with graphql-js, which requests the next message only when the previous one has been sent. Grafast would read ahead
 * without a limit.
 */
export const subscriptionFieldsPlugin: GraphileConfig.Plugin = {
  name: "LegworkSubscriptionFieldsPlugin",
  version: "0.1.0",
  schema: {
    hooks: {
      GraphQLObjectType_fields_field(field, _build, { scope }) {
        const live = scope.isRootSubscription === true ? FIELDS[scope.fieldName] : undefined;
        if (live === undefined) return field;
        return {
          ...field,
          subscribe: (_root: unknown, given: Arguments, { principal, live: source }: SubscriptionContext) =>
            source.watch(live.topic(given), principal.tenant),
          resolve: (event: LiveEvent) => live.show(event),
        } as GraphQLFieldConfig<unknown, SubscriptionContext> as typeof field;
      },
    },
  },
};
