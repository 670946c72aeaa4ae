import type { WorkerFlags } from "../options.ts";

/** A message from `legwork dev` to a worker process. */
export type Command =
  /** Load the tasks and connect, but take no job yet. */
  | { readonly type: "start"; readonly flags: WorkerFlags }
  /** Take jobs. */
  | { readonly type: "go" }
  | { readonly type: "hold"; readonly isHeld: boolean }
  /** Take no more jobs, and end when the running ones have ended. */
  | { readonly type: "drain" }
  /** End soon. Jobs that are still running return to the queue. */
  | { readonly type: "stop" };

/** The files that a worker has read, with their hashes. The hash of a file that it looked for and did not find is "". */
export interface FilesRead {
  readonly files: ReadonlyMap<string, string>;
  /** Directories in which a new file causes a reload. */
  readonly directories: readonly string[];
}

/** A worker process's report on whether it could start. */
export type Report =
  | (FilesRead & { readonly type: "ready"; readonly tasks: readonly string[] })
  | (FilesRead & { readonly type: "failed"; readonly lines: readonly string[] });
