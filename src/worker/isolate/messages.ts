import type { MessagePort } from "node:worker_threads";
import type { Job } from "graphile-worker";
import type { DescribedThrown } from "./thrown.ts";

/** Where a task runs that does not run in the worker itself. */
export type IsolateKind = "thread" | "process";

/** What a child is told when it starts. */
export interface ChildOptions {
  readonly kind: IsolateKind;
  readonly databaseUrl: string;
  /** Lines of the process log below this level are not sent to the worker. */
  readonly logLevel: string;
  /** What a thread may use of JavaScript heap, and a process of resident memory (MB). */
  readonly memory: number;
  readonly parentPid: number;
  /** Where children of one worker leave compiled modules for each other. */
  readonly compileCache: string;
  /** How a thread and its worker talk; a process does so over its IPC channel. */
  readonly port?: MessagePort;
}

/** Where a child finds a task. */
export interface TaskSource {
  readonly name: string;
  /** The file that exports it. */
  readonly file: string;
}

/** From the worker to a child. A child runs one job at a time; `run` counts them. */
export type ToChild =
  | { readonly type: "load"; readonly task: TaskSource }
  | { readonly type: "run"; readonly run: number; readonly task: string; readonly job: Job; readonly now: number }
  | { readonly type: "abort"; readonly run: number; readonly reason: DescribedThrown }
  | { readonly type: "end" };

/** A BatchFailure. */
export interface ChildBatch {
  readonly errors: readonly DescribedThrown[];
  readonly failed: readonly number[];
  readonly results: string | undefined;
}

/** What a task made of its job. */
export type ChildOutcome =
  /** `result` is JSON text as it is stored, undefined for none. */
  | { readonly type: "done"; readonly run: number; readonly result?: string | undefined }
  /** `isReason`: the task threw what its signal aborted with. `batch`: it was a BatchFailure, of these. */
  | {
      readonly type: "failed";
      readonly run: number;
      readonly thrown: DescribedThrown;
      readonly isReason: boolean;
      readonly batch?: ChildBatch | undefined;
    };

/** From a child to the worker. */
export type FromChild =
  /** It listens: a message that a process is sent before is lost. */
  | { readonly type: "ready" }
  | { readonly type: "loaded"; readonly thrown?: DescribedThrown }
  /** A line for the process log. */
  | {
      readonly type: "line";
      readonly run: number;
      readonly level: string;
      readonly fields: Record<string, unknown>;
      readonly text: string;
    }
  /** A line to keep with the job, as `legwork_private.record_output` takes it. */
  | { readonly type: "kept"; readonly run: number; readonly json: string }
  | { readonly type: "progress"; readonly run: number; readonly percent: number | null; readonly message: string | null }
  | (ChildOutcome & { /** Whether the child has grown so much that it should be replaced. */ readonly isFull: boolean })
  /** An error that no code of the task has caught; the child ends. */
  | { readonly type: "fatal"; readonly thrown: DescribedThrown };
