import type { MessagePort } from "node:worker_threads";
import type { Job } from "graphile-worker";
import type { DescribedThrown } from "./thrown.ts";

/** Where an isolated task runs. */
export type IsolateKind = "thread" | "process";

/** The options of a new child. */
export interface ChildOptions {
  readonly kind: IsolateKind;
  readonly databaseUrl: string;
  /** Lines of the process log below this level are not sent to the worker. */
  readonly logLevel: string;
  /** The limit of a thread's JavaScript heap, or of a process's resident memory (MB). */
  readonly memory: number;
  /** The configuration file whose middleware runs around attempts; undefined if there is no middleware. */
  readonly middlewareFile?: string | undefined;
  readonly parentPid: number;
  /** The directory of compiled modules that the children of a worker share. */
  readonly compileCache: string;
  /** The channel between a thread and its worker; a process uses its IPC channel. */
  readonly port?: MessagePort;
}

/** The location of a task for a child. */
export interface TaskSource {
  readonly name: string;
  /** The file that exports the task. */
  readonly file: string;
}

/** Messages from the worker to a child. A child runs one job at a time; `run` is the job's number. */
export type ToChild =
  | { readonly type: "load"; readonly task: TaskSource }
  | { readonly type: "run"; readonly run: number; readonly task: string; readonly job: Job; readonly now: number }
  | { readonly type: "abort"; readonly run: number; readonly reason: DescribedThrown }
  | { readonly type: "end" };

/** A serialized BatchFailure. */
export interface ChildBatch {
  readonly errors: readonly DescribedThrown[];
  readonly failed: readonly number[];
  readonly results: string | undefined;
}

/** The outcome of an isolated job. */
export type ChildOutcome =
  /** `result` is the JSON text that is stored, undefined without a result. */
  | { readonly type: "done"; readonly run: number; readonly result?: string | undefined }
  /** `isReason`: the task threw the reason of its signal. `batch`: it threw this BatchFailure. */
  | {
      readonly type: "failed";
      readonly run: number;
      readonly thrown: DescribedThrown;
      readonly isReason: boolean;
      readonly batch?: ChildBatch | undefined;
    };

/** Messages from a child to the worker. */
export type FromChild =
  /** The child is listening. Messages that are sent to a process before this are lost. */
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
  /** A line to store with the job, in the form of `legwork_private.record_output`. */
  | { readonly type: "kept"; readonly run: number; readonly json: string }
  | { readonly type: "progress"; readonly run: number; readonly percent: number | null; readonly message: string | null }
  | (ChildOutcome & { /** Whether the child uses so much memory that it should be replaced. */ readonly isFull: boolean })
  /** An uncaught error; the child ends. */
  | { readonly type: "fatal"; readonly thrown: DescribedThrown };
