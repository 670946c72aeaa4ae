import { AsyncLocalStorage } from "node:async_hooks";

/** The id of the job that the current code belongs to, including its asynchronous calls. */
export const currentJob = new AsyncLocalStorage<string>();

/** The name under which a debugger session finds the current job in the main thread. */
export const CURRENT_JOB = "legwork.currentJob";

Object.defineProperty(globalThis, Symbol.for(CURRENT_JOB), { value: () => currentJob.getStore() ?? "", configurable: true });
