import type { Queryable } from "../db/pool.ts";
import { allThroughEnqueue, throughEnqueue } from "../jobs/enqueue-middleware.ts";
import type { Middleware } from "../jobs/middleware.ts";
import { type BatchFilter, type BatchJob, type BatchOptions, enqueueBatch, getBatch, listBatches } from "../workflows/batches.ts";
import { cancelWorkflow } from "../workflows/cancel-workflow.ts";
import type { Workflow as WorkflowDefinition, WorkflowSteps } from "../workflows/define-workflow.ts";
import type { Reason } from "../jobs/explain-job.ts";
import { explainWorkflow } from "../workflows/explain-workflow.ts";
import { getWorkflow, listWorkflows, type WorkflowFilter } from "../workflows/read-workflows.ts";
import { retryWorkflow } from "../workflows/retry-workflow.ts";
import { startWorkflow, type StartWorkflowOptions } from "../workflows/start-workflow.ts";
import { type Batch, toBatch, toWorkflow, toWorkflowStep, type Workflow, type WorkflowStep } from "./workflow-rows.ts";

/** `legwork.workflows`: jobs that depend on each other. */
export interface Workflows {
  /**
   * Starts a workflow and returns its id. Steps without dependencies can start when the transaction commits.
   *
   * Throws LW422 for a payload that does not match its task, LW404 for an unknown step or task, LW400 for invalid steps, naming the steps of a cycle.
   *
   * @example
   * import { defineWorkflow } from "legwork";
   *
   * const signUp = defineWorkflow({
   *   name: "sign-up",
   *   steps: {
   *     sync: { task: "crm/sync" },
   *     welcome: { task: "notify/welcome", payload: { userId: 3 }, dependsOn: ["sync"] },
   *   },
   * });
   * const id = await legwork.workflows.start(signUp, { deadline: new Date(Date.now() + 3_600_000) });
   */
  start<S extends WorkflowSteps>(workflow: WorkflowDefinition<S>, options?: StartWorkflowOptions): Promise<string>;
  /**
   * Lists matching workflows, newest first; 50 unless `limit` says otherwise.
   *
   * @example
   * const running = await legwork.workflows.list({ state: "running", name: "sign-up" });
   */
  list(filter?: WorkflowFilter): Promise<Workflow[]>;
  /**
   * Returns one workflow with its steps, each after the steps that it depends on. Throws LW404 for an unknown workflow.
   *
   * @example
   * const [latest] = await legwork.workflows.list({ limit: 1 });
   * if (latest !== undefined) for (const { name, state } of (await legwork.workflows.get(latest.id)).steps) console.log(name, state);
   */
  get(id: string): Promise<Workflow & { steps: WorkflowStep[] }>;
  /**
   * Explains why a workflow does not progress, or how it ended: its failed steps, and what its open steps wait for. Throws LW404 for an unknown
   * workflow.
   *
   * @example
   * const [latest] = await legwork.workflows.list({ state: "running", limit: 1 });
   * if (latest !== undefined) for (const { detail } of await legwork.workflows.explain(latest.id)) console.log(detail);
   */
  explain(id: string): Promise<Reason[]>;
  /**
   * Cancels a workflow: waiting steps never start, running steps are signaled to stop, and nothing is compensated. Returns `cancelled`, or
   * `cancelling` while steps are still running. Throws LW404 for an unknown workflow, LW409 for one that has ended.
   *
   * @example
   * for (const { id } of await legwork.workflows.list({ state: "running" })) await legwork.workflows.cancel(id, "replaced");
   */
  cancel(id: string, reason?: string): Promise<"cancelled" | "cancelling">;
  /**
   * Resumes a workflow that failed, expired or was cancelled: failed steps are retried, cancelled steps are enqueued again, completed steps are kept
   * unless they were compensated. With `fromStep`, that step (or the steps of that sub-workflow) and all steps after it run again, even if they or the
   * workflow have completed. A deadline that has passed is removed unless a new one is given. Throws LW404 for an unknown workflow or step, LW409
   * for a workflow that is running, that has completed (unless a step is named), or whose payloads have been deleted.
   *
   * @example
   * for (const { id } of await legwork.workflows.list({ state: "failed" })) await legwork.workflows.retry(id);
   */
  retry(id: string, options?: { deadline?: Date; fromStep?: string }): Promise<void>;
}

export function workflowsOn(client: Queryable): Workflows {
  return {
    start: (workflow, options) => startWorkflow(client, workflow, options),
    list: async (filter) => (await listWorkflows(client, filter)).map(toWorkflow),
    explain: (id) => explainWorkflow(client, id),
    get: async (id) => {
      const { steps, ...workflow } = await getWorkflow(client, id);
      return { ...toWorkflow(workflow), steps: steps.map(toWorkflowStep) };
    },
    cancel: (id, reason) => cancelWorkflow(client, id, reason),
    retry: (id, options) => retryWorkflow(client, id, options),
  };
}

/** `legwork.batches`: jobs that are enqueued together and share one progress. */
export interface Batches {
  /**
   * Enqueues many jobs as a batch, either all or none, and returns the batch's id. Throws like `jobs.enqueue`, and LW400 for an empty list.
   *
   * @example
   * const id = await legwork.batches.enqueue(
   *   [3, 4].map((userId) => ({ task: "notify/welcome", payload: { userId } })),
   *   { description: "Welcome everyone", callback: { task: "report/daily" } },
   * );
   */
  enqueue(jobs: readonly BatchJob[], options?: BatchOptions): Promise<string>;
  /**
   * Lists matching batches, newest first, each with its progress.
   *
   * @example
   * const running = await legwork.batches.list({ state: "running" });
   */
  list(filter?: BatchFilter): Promise<Batch[]>;
  /**
   * Returns a batch with its progress. Throws LW404 for an unknown batch.
   *
   * @example
   * const id = await legwork.batches.enqueue([{ task: "report/daily" }]);
   * const { progress, total } = await legwork.batches.get(id);
   */
  get(id: string): Promise<Batch>;
}

export function batchesOn(client: Queryable, middleware: readonly Middleware[] = []): Batches {
  return {
    enqueue: async (jobs, { callback, ...options } = {}) =>
      await enqueueBatch(client, await allThroughEnqueue(middleware, jobs), {
        ...options,
        ...(callback === undefined ? {} : { callback: await throughEnqueue(middleware, callback) }),
      }),
    list: async (filter) => (await listBatches(client, filter)).map(toBatch),
    get: async (id) => toBatch(await getBatch(client, id)),
  };
}
