import type { PgResource, PgSelectSingleStep } from "postgraphile/@dataplan/pg";
import { extendSchema, gql } from "postgraphile/utils";
import { asOwnStatement } from "./paging.ts";

/**
 * Where a job comes from: not a column of it, so that a job costs nothing more, but found by its id among the steps of workflows and the
 * occurrences of schedules.
 */
export const originsPlugin = extendSchema((build) => {
  const resources = build.input.pgRegistry.pgResources as unknown as Record<string, PgResource>;
  const one = (name: string, by: Record<string, unknown>): PgSelectSingleStep =>
    asOwnStatement(resources[name]!.get(by as never));
  return {
    typeDefs: gql`
      extend type Job {
        "The workflow that it is a step of; null for none."
        workflow: Workflow
        "The schedule that enqueued it; null for none."
        schedule: Schedule
      }
    `,
    objects: {
      Job: {
        plans: {
          workflow: ($job: PgSelectSingleStep) =>
            one("workflows", { id: one("workflow_steps", { job_id: $job.get("id") }).get("workflow_id") }),
          schedule: ($job: PgSelectSingleStep) =>
            one("schedules", { name: one("schedule_runs", { job_id: $job.get("id") }).get("schedule") }),
        },
      },
    },
  };
}, "LegworkOriginsPlugin");
