import type { WorkerFlags } from "../options.ts";

/** What `legwork dev` tells a worker process. */
export type Command =
  /** Load the tasks and connect, but take no job yet. */
  | { readonly type: "start"; readonly flags: WorkerFlags }
  /** Take jobs. */
  | { readonly type: "go" }
  | { readonly type: "hold"; readonly isHeld: boolean }
  /** Take no more jobs, and end when the running ones have ended. */
  | { readonly type: "drain" }
  /** End soon: jobs that are still running return to the queue. */
  | { readonly type: "stop" };

/** The files that a worker has read: the hash of each, and "" for one that it looked for and did not find. */
export interface FilesRead {
  readonly files: ReadonlyMap<string, string>;
  /** Directories in which a new file counts. */
  readonly directories: readonly string[];
}

/** What a worker process reports when it has tried to start. */
export type Report =
  | (FilesRead & { readonly type: "ready"; readonly tasks: readonly string[] })
  | (FilesRead & { readonly type: "failed"; readonly lines: readonly string[] });
