import { LegworkError, toError } from "../errors.ts";
import type { Logger } from "../log.ts";
import { nearestName } from "../nearest-name.ts";
import type { RunningJob } from "./running-job.ts";

/**
 * The events in a worker, under the names that they have in its log (docs/guides/logs.md). Events of jobs cover only the jobs that this worker runs;
 * the history in the database has the events of other jobs, such as those that expire or that another worker loses.
 */
export interface WorkerEventMap {
  /** An attempt begins. */
  job_started: { readonly job: RunningJob };
  /** A task has returned, and the database has recorded it. */
  job_completed: { readonly job: RunningJob; readonly durationMs: number };
  /** An attempt has failed, and the database has recorded it. */
  job_failed: {
    readonly job: RunningJob;
    /** The error, with its name, message, stack and code, but without values that the task redacts. */
    readonly error: Error;
    readonly durationMs: number;
    /** Whether the job has failed permanently; undefined if the database could not be queried. */
    readonly final: boolean | undefined;
    /** When the next attempt is due. */
    readonly retryAt: Date | undefined;
  };
  /** A running job was cancelled and has stopped. `by` is the actor, if known. */
  job_cancelled: { readonly job: RunningJob; readonly by: string | undefined; readonly reason: string | undefined };
  /** An attempt has ended without being counted: the task has postponed its job, or waits for a signal or a time. */
  job_put_back: { readonly job: RunningJob; readonly reason: string };
  /** The worker is stopping, the task has reacted to its abort signal, and the job has returned to the queue. */
  job_given_back: { readonly job: RunningJob; readonly reason: string };
  /** The worker has begun to take jobs. */
  worker_ready: { readonly worker: string; readonly tasks: readonly string[]; readonly concurrency: number };
  /** The worker has stopped. `givenBack` contains the ids of jobs that had started and were returned to the queue. */
  worker_stopped: { readonly worker: string; readonly givenBack: readonly string[] };
  /** The worker's runner has ended and is being replaced; `jobId` is the job that it was running, if that may be the cause. */
  worker_restarting: { readonly worker: string; readonly reason: string; readonly jobId: string | undefined };
  /** The runner was replaced. `worker` is the worker's new id. */
  worker_restarted: { readonly worker: string };
  /** An operator has made the worker quiet. */
  worker_quiet: { readonly worker: string };
  /** An operator has made the worker drain: it stops when its running jobs have ended. */
  worker_draining: { readonly worker: string };
  /** The worker takes jobs again. */
  worker_resumed: { readonly worker: string };
  /** The process has lost its connection to the database. */
  database_lost: { readonly reason: string };
  /** The process is connected again, after `awayMs` milliseconds. */
  database_back: { readonly awayMs: number };
}

export type WorkerEventName = keyof WorkerEventMap;

/**
 * Receives one kind of event. If it throws or rejects, the error is logged as `listener_failed` and has no other effect. Nothing waits for it, except
 * that a stopping worker waits up to two seconds for listeners of `worker_stopped`, so that they can send what they have collected.
 */
export type WorkerEventListener<Name extends WorkerEventName> = (event: WorkerEventMap[Name]) => unknown;

/** Listeners, by the name of the event that they receive. */
export type WorkerEventListeners = { readonly [Name in WorkerEventName]?: WorkerEventListener<Name> };

/** The events of the worker in this process. */
export interface WorkerEvents {
  /** Calls the listener on each such event. Returns a function that removes the listener. Throws LW400 for an unknown event. */
  on<Name extends WorkerEventName>(name: Name, listener: WorkerEventListener<Name>): () => void;
  /** Calls the listener on the next such event. Returns a function that removes the listener. Throws LW400 for an unknown event. */
  once<Name extends WorkerEventName>(name: Name, listener: WorkerEventListener<Name>): () => void;
}

const NAMES: Record<WorkerEventName, true> = {
  job_started: true,
  job_completed: true,
  job_failed: true,
  job_cancelled: true,
  job_put_back: true,
  job_given_back: true,
  worker_ready: true,
  worker_stopped: true,
  worker_restarting: true,
  worker_restarted: true,
  worker_quiet: true,
  worker_draining: true,
  worker_resumed: true,
  database_lost: true,
  database_back: true,
};

/** Returns what is wrong with the name of an event; undefined if the event exists. */
export function eventNameProblem(name: string): string | undefined {
  if (Object.hasOwn(NAMES, name)) return undefined;
  const nearest = nearestName(name, Object.keys(NAMES));
  return `Unknown event '${name}'.${nearest === undefined ? ` The events are ${Object.keys(NAMES).join(", ")}.` : ` Did you mean '${nearest}'?`}`;
}

/** Passes the events of a worker to listeners. An error in a listener does not affect the worker. */
export class WorkerEventHub implements WorkerEvents {
  readonly #log: Logger;
  readonly #listeners = new Map<WorkerEventName, Set<{ readonly hear: (event: never) => unknown }>>();

  constructor(log: Logger) {
    this.#log = log;
  }

  /** Whether an event has listeners. If not, the event object need not be created. */
  hears(name: WorkerEventName): boolean {
    return this.#listeners.size > 0 && this.#listeners.has(name);
  }

  readonly on: WorkerEvents["on"] = (name, hear) => {
    const problem = eventNameProblem(name);
    if (problem !== undefined) throw new LegworkError("LW400", problem, { hint: "docs/guides/hooks.md lists the events." });
    if (typeof hear !== "function") {
      throw new LegworkError("LW400", `The listener for '${name}' is not a function.`, {
        hint: "Pass a function: (event) => { … }.",
      });
    }
    const entry = { hear };
    const listeners = this.#listeners.get(name) ?? new Set();
    this.#listeners.set(name, listeners.add(entry));
    return () => {
      listeners.delete(entry);
      if (listeners.size === 0 && this.#listeners.get(name) === listeners) this.#listeners.delete(name);
    };
  };

  readonly once: WorkerEvents["once"] = (name, hear) => {
    const end = this.on(name, (event) => {
      end();
      return hear(event);
    });
    return end;
  };

  /** Adds listeners, and returns a function that removes them. */
  listen(listeners: WorkerEventListeners): () => void {
    const ends = Object.entries(listeners).map(([name, hear]) => this.on(name as WorkerEventName, hear as never));
    return () => {
      for (const end of ends) end();
    };
  }

  tell<Name extends WorkerEventName>(name: Name, event: WorkerEventMap[Name]): void {
    void this.#tell(name, event);
  }

  /** Resolves when the listeners have finished. */
  async tellAndWait<Name extends WorkerEventName>(name: Name, event: WorkerEventMap[Name]): Promise<void> {
    await Promise.all(this.#tell(name, event));
  }

  #tell<Name extends WorkerEventName>(name: Name, event: WorkerEventMap[Name]): readonly Promise<unknown>[] {
    const listeners = this.#listeners.get(name);
    if (listeners === undefined) return [];
    const unfinished: Promise<unknown>[] = [];
    for (const { hear } of listeners) {
      try {
        const answer = hear(event as never);
        if (answer instanceof Promise) unfinished.push(answer.catch((error: unknown) => this.#failed(name, error)));
      } catch (error) {
        this.#failed(name, error);
      }
    }
    return unfinished;
  }

  #failed(name: WorkerEventName, error: unknown): void {
    this.#log.warn({ event: "listener_failed", of: name, err: toError(error) }, `A listener for '${name}' failed.`);
  }
}
