import type { IsolateKind } from "./messages.ts";
import { MEMORY_SIGNAL } from "./memory-signal.ts";

/** The error of an attempt whose thread or process ended before the attempt did. */
export class IsolateCrashed extends Error {
  override readonly name = "IsolateCrashed";
}

/** Returns the error for an unexpected exit. `memory` is the memory limit (MB). */
export function exitError(kind: IsolateKind, memory: number, code: number | null, signal: NodeJS.Signals | null): IsolateCrashed {
  if (signal === MEMORY_SIGNAL) return new IsolateCrashed(`The task's process used more than ${memory} MB of memory.`);
  return new IsolateCrashed(`The task's ${kind} exited with ${signal === null ? `code ${String(code)}` : `signal ${signal}`}.`);
}

/** Returns the error for a thread that ended with an error. `memory` is the limit of its heap (MB). */
export function threadError(memory: number, error: Error & { code?: unknown }): IsolateCrashed {
  if (error.code !== "ERR_WORKER_OUT_OF_MEMORY") return uncaught("thread", error);
  return new IsolateCrashed(`The task's thread used more than ${memory} MB of JavaScript heap.`, { cause: error });
}

export function uncaught(kind: IsolateKind, error: Error): IsolateCrashed {
  return new IsolateCrashed(`The task's ${kind} ended with an uncaught error: ${error.message}`, { cause: error });
}
