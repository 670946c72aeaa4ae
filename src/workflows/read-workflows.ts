import { assertId } from "../bounds.ts";
import type { WorkflowState } from "../contract/states.ts";
import { readJson } from "../db/exact-json.ts";
import type { Queryable } from "../db/pool.ts";
import { selectRows } from "../db/select-rows.ts";
import { LegworkError } from "../errors.ts";
import type { JobState } from "../jobs/read-jobs.ts";

export type { WorkflowState };

/** A row of `legwork.workflows`. Ids and counts are strings, because they may exceed what a number holds exactly. */
export interface WorkflowRow {
  id: string;
  name: string;
  state: WorkflowState;
  reason: string | null;
  total: number;
  completed: string;
  failed: string;
  cancelled: string;
  expired: string;
  /** The share of its steps that have ended, in percent. */
  progress: number;
  tenant: string | null;
  correlation_id: string;
  parent_id: string | null;
  deadline: Date | null;
  created_at: Date;
  ended_at: Date | null;
}

/** A row of `legwork.workflow_steps`. */
export interface WorkflowStepRow {
  name: string;
  position: number;
  task: string;
  depends_on: string[];
  on_failure: "stop" | "continue" | "compensate";
  job_id: string;
  /** Null if the job's history has been deleted. */
  state: JobState | null;
  attempts: number;
  result: unknown;
  error: string | null;
  started_at: Date | null;
  finished_at: Date | null;
  compensation_job_id: string | null;
  compensation_state: JobState | null;
}

export interface WorkflowFilter {
  state?: WorkflowState;
  name?: string;
  tenant?: string;
  /** Only workflows with a smaller id. For the next page, pass the last id of this page. */
  before?: string;
  /** The maximum number of workflows to return; 50 by default. */
  limit?: number;
}

/**
 * Lists matching workflows, newest first.
 *
 * @example
 * import { listWorkflows } from "legwork/operations";
 *
 * const running = await listWorkflows(client, { state: "running", name: "sign-up" });
 */
export async function listWorkflows(client: Queryable, filter: WorkflowFilter = {}): Promise<WorkflowRow[]> {
  const rows = await selectRows(
    client,
    `select * from legwork.workflows
     where ($1::text is null or state = $1) and ($2::text is null or name = $2) and ($3::text is null or tenant = $3) and ($4::bigint is null or id < $4)
     order by id desc limit $5`,
    [filter.state, filter.name, filter.tenant, filter.before, filter.limit ?? 50],
  );
  return rows;
}

/**
 * Returns one workflow with its steps, each after the steps that it depends on. Throws LW404 for an unknown workflow.
 *
 * @example
 * import { getWorkflow, listWorkflows } from "legwork/operations";
 *
 * const [latest] = await listWorkflows(client, { limit: 1 });
 * if (latest !== undefined) for (const { name, state } of (await getWorkflow(client, latest.id)).steps) console.log(name, state);
 */
export async function getWorkflow(client: Queryable, id: string): Promise<WorkflowRow & { steps: WorkflowStepRow[] }> {
  const [workflow] = await selectRows(client, "select * from legwork.workflows where id = $1", [assertId("workflow", id)]);
  if (workflow === undefined) {
    throw new LegworkError("LW404", `No workflow has id ${id}.`, {
      hint: "Ended workflows are kept for the period set in history_retention.",
    });
  }
  const steps = await selectRows(
    client,
    `select name, position, task, depends_on, on_failure, job_id, state, attempts, result::text, error, started_at, finished_at, compensation_job_id,
       compensation_state
     from legwork.workflow_steps where workflow_id = $1 order by position`,
    [id],
  );
  return { ...workflow, steps: readJson<WorkflowStepRow>(client, steps, ["result"]) };
}
