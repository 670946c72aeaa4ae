import { parseDuration } from "../../duration.ts";
import { LegworkError } from "../../errors.ts";
import type { Logger } from "../../log.ts";
import { BatchFailure } from "../graphile/batch-entries.ts";
import type { DatabaseClock } from "../clock.ts";
import type { LoadedTask } from "../load-tasks.ts";
import { DEFAULT_GRACE_MS, type Isolates, type Run, type RunEnvironment } from "../attempt/run.ts";
import { ChildHandle, type Hears } from "./child-handle.ts";
import type { FromChild, IsolateKind } from "./messages.ts";
import { IsolatedResult } from "./isolated-result.ts";
import { reviveThrown } from "./thrown.ts";

/** The default number of jobs after which a child is replaced. */
export const DEFAULT_ISOLATE_JOBS = 5_000;

/** The default memory limit of a child (MB). */
export const DEFAULT_ISOLATE_MEMORY = 512;

/** How long a child may be idle before it is ended (ms). */
const IDLE_LIMIT_MS = 60_000;

export interface IsolationOptions {
  readonly databaseUrl: string;
  readonly log: Logger;
  readonly clock: DatabaseClock;
  readonly output: RunEnvironment["output"];
  /** The number of jobs that the worker runs at a time; there are never more children than this. */
  readonly concurrency: number;
  readonly memory: number;
  readonly jobs: number;
  /** The configuration file with the worker's middleware; undefined if there is no middleware. */
  readonly middlewareFile?: string | undefined;
  readonly idle?: number;
}

/**
 * The threads and processes in which a worker runs isolated tasks. Each child runs one job at a time, so that terminating it does not affect other
 * jobs, and then waits for the next job. If no child is idle, a new one is started for the job.
 */
export class Isolation implements Isolates {
  readonly #options: IsolationOptions;
  readonly #children = new Set<ChildHandle>();
  readonly #idle: Record<IsolateKind, ChildHandle[]> = { thread: [], process: [] };
  readonly #sweep: NodeJS.Timeout;
  #runs = 0;
  #isStopped = false;

  constructor(options: IsolationOptions) {
    this.#options = options;
    const idle = options.idle ?? IDLE_LIMIT_MS;
    this.#sweep = setInterval(() => this.#endIdle(performance.now() - idle), idle / 2).unref();
  }

  /** The number of children. */
  get size(): number {
    return this.#children.size;
  }

  /**
   * Runs a job's task in a child of its kind. The task is called when the child is ready, so that the child's start does not count toward the
   * timeout.
   */
  async execute(attempt: Run, task: LoadedTask, within: (call: () => Promise<unknown>) => Promise<unknown>): Promise<unknown> {
    const { name, file, definition } = task;
    if (this.#isStopped) throw new Error("The worker is stopping.");
    if (file === undefined) {
      throw new LegworkError("LW515", `Task '${name}' cannot be isolated: it was not loaded from a file.`, {
        hint: "A thread or process loads a task from its file: put the task into the tasks directory.",
      });
    }
    const child = this.#take(definition?.isolate ?? "thread");
    try {
      await child.load({ name, file });
      return await within(() => this.#call(child, attempt, task));
    } finally {
      this.#release(child);
    }
  }

  async #call(child: ChildHandle, attempt: Run, { name, definition }: LoadedTask): Promise<IsolatedResult> {
    const run = (this.#runs += 1);
    const { signal } = attempt;
    let timer: NodeJS.Timeout | undefined;
    const onAbort = (): void => {
      child.abort(run, signal.reason);
      timer = setTimeout(
        () => {
          const event = { event: "isolate_ended", isolate: child.kind };
          attempt.workerLog.warn(event, `The task did not respond to its signal; terminating its ${child.kind}.`);
          void child.kill();
        },
        parseDuration(definition?.grace) ?? DEFAULT_GRACE_MS,
      );
    };
    if (signal.aborted) onAbort();
    else signal.addEventListener("abort", onAbort, { once: true });
    try {
      const outcome = await child.run(
        { type: "run", run, task: name, job: attempt.describeForChild(), now: this.#options.clock.now() },
        (said) => this.#hear(attempt, said),
      );
      if (outcome.type === "done") return new IsolatedResult(outcome.result);
      if (outcome.batch !== undefined) {
        const { errors, failed, results } = outcome.batch;
        throw new BatchFailure(errors.map(reviveThrown), failed, results);
      }
      throw outcome.isReason && signal.aborted ? signal.reason : reviveThrown(outcome.thrown);
    } finally {
      clearTimeout(timer);
      signal.removeEventListener("abort", onAbort);
    }
  }

  #hear(attempt: Run, said: Parameters<Hears>[0]): void {
    if (said.type === "kept") return this.#options.output.keep(attempt.output, said.json);
    const { percent, message } = said;
    attempt.output.progress({ percent: percent ?? undefined, message: message ?? undefined });
  }

  #write({ level, fields, text }: Extract<FromChild, { type: "line" }>): void {
    const { err, ...others } = fields;
    this.#options.log[level as "info"](err === undefined ? others : { ...others, err: describedError(err) }, text);
  }

  #take(kind: IsolateKind): ChildHandle {
    for (let child = this.#idle[kind].pop(); child !== undefined; child = this.#idle[kind].pop()) {
      if (!child.isDead) return child;
      this.#children.delete(child);
    }
    if (this.#children.size >= this.#options.concurrency) {
      const other = this.#idle[kind === "thread" ? "process" : "thread"].shift();
      if (other !== undefined) this.#end(other);
    }
    const { databaseUrl, log, memory, middlewareFile } = this.#options;
    const child = new ChildHandle({ kind, databaseUrl, memory, logLevel: log.level, middlewareFile }, (line) =>
      this.#write(line),
    );
    this.#children.add(child);
    return child;
  }

  #release(child: ChildHandle): void {
    if (child.isDead) this.#children.delete(child);
    else if (this.#isStopped || child.isFull || child.jobs >= this.#options.jobs) this.#end(child);
    else {
      child.idleSince = performance.now();
      this.#idle[child.kind].push(child);
    }
  }

  #end(child: ChildHandle): void {
    this.#children.delete(child);
    void child.end();
  }

  /** Ends the children that have been idle since before that time. */
  #endIdle(since: number): void {
    for (const kind of ["thread", "process"] as const) {
      const idle = this.#idle[kind];
      // Children are taken from the end, so the first ones have been idle the longest.
      while (idle[0] !== undefined && idle[0].idleSince < since) this.#end(idle.shift() as ChildHandle);
    }
  }

  /** Ends all children and their running jobs. Resolves when they have ended. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    clearInterval(this.#sweep);
    const idle = new Set(Object.values(this.#idle).flat());
    await Promise.all([...this.#children].map((child) => (idle.has(child) ? child.end() : child.kill())));
  }
}

/** Restores an error that was serialized for a log line, so that it is serialized in the same way again. */
function describedError(err: unknown): unknown {
  if (err === null || typeof err !== "object") return err;
  const { type, ...rest } = err as { type?: unknown };
  return Object.assign(Object.create(null) as object, typeof type === "string" ? { name: type } : {}, rest);
}
