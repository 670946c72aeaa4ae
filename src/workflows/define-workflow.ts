import type { Duration } from "../duration.ts";
import { durationToInterval } from "../bounds.ts";
import { type EnqueueOptions, optionsToRow } from "../jobs/enqueue.ts";
import type { TaskName } from "../jobs/task-registry.ts";

/** What undoes a step that has completed. */
export interface Compensation {
  task: TaskName;
  payload?: unknown;
}

/** What a step takes of the options of `enqueue`; `runAt` is the earliest that it may start. */
type StepOptions = Pick<EnqueueOptions, "maxAttempts" | "priority" | "runAt" | "serialKey">;

/** A step that is a job. */
export interface WorkflowJob<Names extends string = string> extends StepOptions {
  task: TaskName;
  payload?: unknown;
  /** The steps beside it that have to end before. */
  dependsOn?: readonly Names[];
  /**
   * What happens when it does not complete. `stop`, the default, cancels the steps that depend on it, and the workflow fails; `continue` lets
   * them run; `compensate` is `stop`, and then the compensations of the steps that completed run in reverse order.
   */
  onFailure?: "stop" | "continue" | "compensate";
  compensate?: Compensation;
  /** How long after its last dependency has ended it may start. */
  delay?: Duration;
}

/** A step that is a workflow of its own: it waits as one, and what depends on it waits for all of its steps. */
export interface SubWorkflow<Names extends string = string> {
  steps: Readonly<Record<string, WorkflowJob | SubWorkflow>>;
  dependsOn?: readonly Names[];
  onFailure?: "stop" | "continue" | "compensate";
}

/** Steps by name. */
export type WorkflowSteps = Readonly<Record<string, WorkflowJob | SubWorkflow>>;

/** The same steps, in which `dependsOn` can only name the others. */
export type CheckedWorkflowSteps<S> = {
  readonly [Name in keyof S]: S[Name] extends { steps: infer Inner }
    ? Omit<SubWorkflow<Exclude<keyof S & string, Name>>, "steps"> & { steps: CheckedWorkflowSteps<Inner> }
    : WorkflowJob<Exclude<keyof S & string, Name>>;
};

export interface Workflow<S extends WorkflowSteps = WorkflowSteps> {
  /** What kind of workflow it is; many may have the same name. 1 to 128 characters. */
  readonly name: string;
  readonly steps: S;
}

/**
 * Describes a workflow; the compiler knows the names of its steps. Nothing happens until `startWorkflow` is called with it, any number of times.
 * Where payloads depend on what it is started for, let a function return it.
 *
 * @example
 * import { defineWorkflow } from "legwork";
 *
 * const signUp = (userId: number) =>
 *   defineWorkflow({
 *     name: "sign-up",
 *     steps: {
 *       sync: { task: "crm/sync", payload: { userId } },
 *       welcome: { task: "notify/welcome", payload: { userId }, dependsOn: ["sync"] },
 *     },
 *   });
 * await legwork.workflows.start(signUp(3));
 */
export function defineWorkflow<const S extends WorkflowSteps>(workflow: {
  readonly name: string;
  readonly steps: S & CheckedWorkflowSteps<S>;
}): Workflow<S> {
  return workflow;
}

/** The steps as `legwork.start_workflow` takes them. Throws LW400 for a delay that is none. */
export function stepsToRow(steps: WorkflowSteps, within = ""): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(steps).map(([name, step]) => {
      const path = `${within}${name}`;
      const shared = { depends_on: step.dependsOn, on_failure: step.onFailure };
      if ("steps" in step) return [name, { ...shared, steps: stepsToRow(step.steps, `${path}/`) }];
      const { task, payload, compensate, dependsOn: _, onFailure: __, delay, ...options } = step;
      const row = { ...shared, task, payload, compensate, delay: durationToInterval(`${path}.delay`, delay) };
      return [name, { ...row, ...optionsToRow(options, `${path}.`) }];
    }),
  );
}

/** All jobs of the steps and what would undo them, with where they stand. */
export function jobsOfSteps(steps: WorkflowSteps, within = ""): { step: string; task: string; payload?: unknown }[] {
  return Object.entries(steps).flatMap(([name, step]) => {
    if ("steps" in step) return jobsOfSteps(step.steps, `${within}${name}/`);
    const job = { step: `${within}${name}`, task: step.task, payload: step.payload };
    return step.compensate === undefined ? [job] : [job, { step: `${within}${name}.compensate`, ...step.compensate }];
  });
}
