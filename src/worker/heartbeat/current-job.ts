import { AsyncLocalStorage } from "node:async_hooks";

/** The id of the job for which the code that now runs was called, however many promises ago. */
export const currentJob = new AsyncLocalStorage<string>();

/** By which name a debugger session finds it in the main thread. */
export const CURRENT_JOB = "legwork.currentJob";

Object.defineProperty(globalThis, Symbol.for(CURRENT_JOB), { value: () => currentJob.getStore() ?? "", configurable: true });
