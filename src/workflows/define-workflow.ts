import type { Duration } from "../duration.ts";
import { durationToInterval } from "../bounds.ts";
import { type EnqueueOptions, optionsToRow } from "../jobs/enqueue.ts";
import type { TaskName } from "../jobs/task-registry.ts";

/** A job that undoes a completed workflow step. */
export interface Compensation {
  task: TaskName;
  payload?: unknown;
}

/** The options of `enqueue` that a workflow step accepts; `runAt` is the earliest time at which it may start. */
type StepOptions = Pick<EnqueueOptions, "maxAttempts" | "priority" | "runAt" | "serialKey">;

/** A workflow step that is a job. */
export interface WorkflowJob<Names extends string = string> extends StepOptions {
  task: TaskName;
  payload?: unknown;
  /** The steps in the same workflow that must end before this step starts. */
  dependsOn?: readonly Names[];
  /**
   * What happens when the step does not complete. `stop`, the default, cancels the steps that depend on it, and the workflow fails; `continue` lets
   * them run; `compensate` does the same as `stop` and then runs the compensations of the completed steps, in reverse order.
   */
  onFailure?: "stop" | "continue" | "compensate";
  compensate?: Compensation;
  /** How long the step waits after its last dependency has ended. */
  delay?: Duration;
}

/** A workflow step that is itself a workflow: it waits as a whole, and steps that depend on it wait for all of its steps. */
export interface SubWorkflow<Names extends string = string> {
  steps: Readonly<Record<string, WorkflowJob | SubWorkflow>>;
  dependsOn?: readonly Names[];
  onFailure?: "stop" | "continue" | "compensate";
}

/** Workflow steps by name. */
export type WorkflowSteps = Readonly<Record<string, WorkflowJob | SubWorkflow>>;

/** The same steps, with `dependsOn` restricted to the names of the other steps. */
export type CheckedWorkflowSteps<S> = {
  readonly [Name in keyof S]: S[Name] extends { steps: infer Inner }
    ? Omit<SubWorkflow<Exclude<keyof S & string, Name>>, "steps"> & { steps: CheckedWorkflowSteps<Inner> }
    : WorkflowJob<Exclude<keyof S & string, Name>>;
};

export interface Workflow<S extends WorkflowSteps = WorkflowSteps> {
  /** The kind of workflow, 1 to 128 characters; names need not be unique. */
  readonly name: string;
  readonly steps: S;
}

/**
 * Defines a workflow; the compiler checks the names of its steps. Nothing runs until `startWorkflow` is called with it, any number of times.
 * If payloads differ from run to run, return the definition from a function.
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

/** Converts steps for `legwork.start_workflow`. Throws LW400 for an invalid delay. */
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

/** Returns all jobs of the steps and their compensations, each with the path of its step. */
export function jobsOfSteps(steps: WorkflowSteps, within = ""): { step: string; task: string; payload?: unknown }[] {
  return Object.entries(steps).flatMap(([name, step]) => {
    if ("steps" in step) return jobsOfSteps(step.steps, `${within}${name}/`);
    const job = { step: `${within}${name}`, task: step.task, payload: step.payload };
    return step.compensate === undefined ? [job] : [job, { step: `${within}${name}.compensate`, ...step.compensate }];
  });
}
