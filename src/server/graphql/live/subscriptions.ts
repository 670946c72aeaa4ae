import type { GraphQLFieldConfig } from "postgraphile/graphql";
import { extendSchema, gql } from "postgraphile/utils";
import { JOB_STATES } from "../../../jobs/read-jobs.ts";
import type { Live } from "./topics.ts";
import type { LiveEvent, Topic } from "./topic.ts";
import type { Principal } from "../../../access/principal.ts";
import { DEFAULT_PAGE, refusal } from "../limits.ts";

/** Jobs of one live list at most. Each of them is read once a second, and sent when it has changed. */
const MAX_LIVE_PAGE = 100;

/** What a subscription is given beside its arguments. */
export interface SubscriptionContext {
  readonly principal: Principal;
  readonly live: Live;
}

const description = gql`
  extend type Subscription {
    """
    The newest jobs that match, as they are, whenever one of them changes, one is added or one is gone: once a second at most, however
    many there are. Whoever is slow gets the latest state and misses those between.
    """
    jobs(
      "Only of this task."
      task: String
      "Only of this queue."
      queue: String
      "Only in one of these states."
      state: [JobState!]
      "How many: 50 unless given, 100 at most."
      first: Int = 50
    ): JobsUpdate!
    "One job whenever it changes, its progress included, twice a second at most; null while there is none."
    job(id: BigInt!): LiveJob
    "The queues with what waits and runs in them, whenever that changes: once a second at most, less often where very many jobs live."
    queues: QueuesUpdate!
    "What waits and runs in all queues, and how much comes and goes: once a second at most, less often where very many jobs live."
    overview: Overview!
  }

  "The newest jobs that match, and what is different from the message before."
  type JobsUpdate {
    "When they were read."
    readAt: Datetime!
    "All of them, newest first."
    jobs: [LiveJob!]!
    "Those that are new or have changed since the message before; all of them in the first one."
    changed: [LiveJob!]!
    "The ids of those that were in the message before and are not any more."
    gone: [BigInt!]!
  }

  "A job as it was when it was read. The job itself, with payload, result, attempts and logs, is a query away: job(id)."
  type LiveJob {
    "The job's id, as given by add_job."
    id: BigInt!
    "The task to run."
    task: String!
    "The queue the task belongs to."
    queue: String!
    "Where the job is."
    state: JobState!
    "Smaller runs first."
    priority: Int!
    "Attempts used, the running one included."
    attemptCount: Int!
    "Attempts allowed."
    maxAttempts: Int!
    "The message of the last error, 1,000 characters at most; null when no attempt failed, and for a completed job."
    error: String
    "When it may start."
    runAt: Datetime!
    "When it was enqueued."
    createdAt: Datetime!
    "When its last attempt started; while it runs, when a worker fetched it. Null before that."
    startedAt: Datetime
    "When it ended; null before that."
    finishedAt: Datetime
    "The worker that has it or had it last."
    worker: String
    "The job's key, if it has one."
    jobKey: String
    "Jobs with the same serial key run one at a time."
    serialKey: String
    "Whose job it is."
    tenant: String
    "Shared by everything that came from one cause."
    correlationId: String
    "The job that enqueued this one."
    parentId: BigInt
    "How much is done, 0 to 100, by its task's own account; null when the task has not said."
    progress: Float
    "What the task said it is doing; null when it has not said."
    progressMessage: String
  }

  "The queues, by name, 500 at most."
  type QueuesUpdate {
    "When they were read."
    readAt: Datetime!
    queues: [LiveQueue!]!
  }

  "A queue with the number of jobs in each state."
  type LiveQueue {
    name: String!
    "Since when it is paused; null when it is not."
    pausedAt: Datetime
    "Who paused it."
    pausedBy: String
    "Why."
    pauseReason: String
    "Jobs that run."
    running: Int!
    "Jobs that may start now."
    pending: Int!
    "Jobs that wait for a limit or for other jobs."
    blocked: Int!
    "Jobs that wait for the end of a pause."
    paused: Int!
    "Jobs whose time, or next attempt, is ahead."
    later: Int!
    "Since when the job that has waited longest could have started."
    oldest: Datetime
  }

  "What waits and runs in all queues together, of one tenant for whoever is confined to it."
  type Overview {
    "When it was read."
    readAt: Datetime!
    "Jobs that run."
    running: Int!
    "Jobs that may start now."
    pending: Int!
    "Jobs that wait for a limit or for other jobs."
    blocked: Int!
    "Jobs that wait for the end of a pause."
    paused: Int!
    "Jobs whose time, or next attempt, is ahead."
    later: Int!
    "Since when the job that has waited longest could have started; null when none waits."
    oldest: Datetime
    "Queues that are paused."
    pausedQueues: Int!
    "Workers that live; 0 for whoever is confined to a tenant."
    workers: Int!
    "Jobs enqueued a second, over ten seconds. Null at first, and for whoever is confined to a tenant."
    enqueuedPerSecond: Int
    "Jobs that end a second, over ten seconds. Null at first, and for whoever is confined to a tenant."
    endedPerSecond: Int
    "Attempts that fail a second, over ten seconds. Null at first, and for whoever is confined to a tenant."
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
      // In one order and once each, so that the same question is the same topic.
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
    `'first' is ${JSON.stringify(first)}; a live list has 1 to ${MAX_LIVE_PAGE} jobs.`,
    "Read longer lists with a query.",
  );
}

/** The types of the live views. */
export const subscriptionTypesPlugin = extendSchema(() => ({ typeDefs: description }), "LegworkSubscriptionTypesPlugin");

/**
 * How they are answered: by graphql-js and not by Grafast, which reads ahead without a bound; graphql-js asks for the next message
 * when the one before has been sent.
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
