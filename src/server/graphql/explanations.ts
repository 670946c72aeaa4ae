import { loadManyWithPgClient, type PgResource, type PgSelectSingleStep } from "postgraphile/@dataplan/pg";
import type { Step } from "postgraphile/grafast";
import { extendSchema, gql } from "postgraphile/utils";
import { fixInWordsOf } from "../../action.ts";
import type { Reason } from "../../jobs/explain-job.ts";
import { EXPLANATION } from "./limits.ts";
import { REQUESTS } from "../request-wording.ts";

/** The types that can be explained: the column that identifies a row, and the function of the schema legwork that explains it. */
const EXPLAINED = {
  Job: { view: "jobs", key: "id", call: "legwork.explain_job($1)" },
  Queue: { view: "queues", key: "name", call: "legwork.explain_queue($1)" },
  Schedule: { view: "schedules", key: "name", call: "legwork.explain_schedule($1)" },
  Workflow: { view: "workflows", key: "id", call: "legwork.explain_workflow($1)" },
  Worker: { view: "workers", key: "id", call: "legwork.explain_worker($1)" },
} as const;

/** Adds to jobs, queues, schedules, workflows and workers the reasons why they do not behave as expected. */
export const explanationsPlugin = extendSchema((build) => {
  const resources = build.input.pgRegistry.pgResources as unknown as Record<string, PgResource>;
  const plansOf = ({ view, key, call }: (typeof EXPLAINED)[keyof typeof EXPLAINED]) => ({
    plans: {
      [EXPLANATION]: ($row: PgSelectSingleStep) =>
        loadManyWithPgClient(resources[view]!.executor, $row.get(key) as Step<string>, async (client, keys) => {
          const explained: Promise<readonly Reason[]>[] = [];
          for (const each of keys) {
            // In a savepoint, so that a row that was deleted in the meantime fails only its own field, not the whole query.
            const reasons = client.withTransaction(async (savepoint) => {
              const text = `select "position", reason, detail, fix, actions from ${call} order by "position"`;
              const { rows } = await savepoint.query<Reason>({ text, values: [each] });
              return rows.map((reason) => Object.assign(reason, { fix: fixInWordsOf(REQUESTS, reason) }));
            });
            explained.push(reasons);
            // oxlint-disable-next-line no-await-in-loop -- a connection runs one statement at a time
            await reasons.catch(() => undefined);
          }
          return explained;
        }),
    },
  });
  return {
    typeDefs: gql`
      "A reason why a job, a queue, a schedule, a workflow or a worker does not behave as expected, or how it ended."
      type Reason {
        "The position of this reason in the list, starting at 1. Reasons are listed in the order in which they apply."
        position: Int!
        "A machine-readable code, such as queue_paused or concurrency_limit."
        reason: String!
        "What holds it back, as a sentence."
        detail: String!
        "What to do about it, with requests in backquotes. If the client may not do it, it suggests asking an operator."
        fix: String
        "The actions in the fix, one for each request in backquotes: objects with do, and with id or name if the action needs it."
        actions: JSON!
      }

      extend type Job {
        "Why the job is not running, or how it ended: every reason, in the order in which they apply. At most 50 explanations per query."
        explanation: [Reason!]
      }
      extend type Queue {
        "Why the queue is stuck or falling behind. At most 50 explanations per query."
        explanation: [Reason!]
      }
      extend type Schedule {
        "Why the schedule has not fired, and what happened to its last occurrences. At most 50 explanations per query."
        explanation: [Reason!]
      }
      extend type Workflow {
        "Why the workflow does not progress, or how it ended. At most 50 explanations per query."
        explanation: [Reason!]
      }
      extend type Worker {
        "What is wrong with the worker. Only for clients that are not restricted to a tenant. At most 50 explanations per query."
        explanation: [Reason!]
      }
    `,
    objects: Object.fromEntries(Object.entries(EXPLAINED).map(([type, details]) => [type, plansOf(details)])),
  };
}, "LegworkExplanationsPlugin");
