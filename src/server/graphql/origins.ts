import type { PgResource, PgSelectSingleStep } from "postgraphile/@dataplan/pg";
import { extendSchema, gql } from "postgraphile/utils";
import { asOwnStatement } from "./paging.ts";

/**
 * Adds a job's workflow and schedule. They are found by the job's id among the workflow steps and occurrences. As columns of
 * jobs, they would make every job more expensive.
 */
export const originsPlugin = extendSchema((build) => {
  const resources = build.input.pgRegistry.pgResources as unknown as Record<string, PgResource>;
  const one = (name: string, by: Record<string, unknown>): PgSelectSingleStep =>
    asOwnStatement(resources[name]!.get(by as never));
  return {
    typeDefs: gql`
      extend type Job {
        "The workflow that the job is a workflow step of; null if none."
        workflow: Workflow
        "The schedule that enqueued the job; null if none."
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
