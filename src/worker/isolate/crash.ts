import type { IsolateKind } from "./messages.ts";
import { MEMORY_SIGNAL } from "./memory-signal.ts";

/** Why an attempt failed: the thread or process that ran it has ended before it had. */
export class IsolateCrashed extends Error {
  override readonly name = "IsolateCrashed";
}

/** What an end says that the worker has not asked for. `memory` is the bound (MB). */
export function exitError(kind: IsolateKind, memory: number, code: number | null, signal: NodeJS.Signals | null): IsolateCrashed {
  if (signal === MEMORY_SIGNAL) return new IsolateCrashed(`The task's process used more than ${memory} MB of memory.`);
  return new IsolateCrashed(`The task's ${kind} exited with ${signal === null ? `code ${String(code)}` : `signal ${signal}`}.`);
}

/** What the error says that a thread has ended by. `memory` is the bound of its heap (MB). */
export function threadError(memory: number, error: Error & { code?: unknown }): IsolateCrashed {
  if (error.code !== "ERR_WORKER_OUT_OF_MEMORY") return uncaught("thread", error);
  return new IsolateCrashed(`The task's thread used more than ${memory} MB of JavaScript heap.`, { cause: error });
}

export function uncaught(kind: IsolateKind, error: Error): IsolateCrashed {
  return new IsolateCrashed(`The task's ${kind} ended by an error that nothing caught: ${error.message}`, { cause: error });
}
