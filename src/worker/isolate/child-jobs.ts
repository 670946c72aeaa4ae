import { flushCompileCache } from "node:module";
import { pathToFileURL } from "node:url";
import { getHeapStatistics } from "node:v8";
import { Worker } from "node:worker_threads";
import type { z } from "zod";
import { UNHEARD } from "../../db/outages.ts";
import { createPool, type Pool } from "../../db/pool.ts";
import { LegworkError } from "../../errors.ts";
import { definitionOf, type TaskDefinition } from "../../jobs/define-task.ts";
import { installMiddleware } from "../../jobs/enqueue-middleware.ts";
import { attemptMiddleware, type Middleware, readMiddleware } from "../../jobs/middleware.ts";
import type { Logger } from "../../log.ts";
import { BatchFailure } from "../graphile/batch-entries.ts";
import { DatabaseClock } from "../clock.ts";
import { importLegworkFromHere } from "../module-hooks.ts";
import { resultToJson } from "../graphile/outcomes.ts";
import { Run } from "../attempt/run.ts";
import { ForwardedOutput, forwardingLog } from "./child-output.ts";
import type { ChildBatch, ChildOptions, FromChild, TaskSource, ToChild } from "./messages.ts";
import { describeThrown, withoutSecrets, type DescribedThrown, reviveThrown } from "./thrown.ts";

/** The shortest interval between two checks of a child's memory, which happen after a job (ms). */
const MEMORY_INTERVAL_MS = 1_000;

/** A child that uses more than this fraction of its memory limit between two jobs is replaced, before a job runs out of memory. */
const FULL_SHARE = 0.6;

/**
 * The second connection is opened only for a statement that runs during a transaction. With only one connection, a task that enqueues during its own
 * transaction, but outside of it, would wait for itself.
 */
const CONNECTIONS = 2;

/** How long the process may take to send the error that ends it (ms). */
const END_LIMIT_MS = 500;

/** The child's side: runs the jobs that the worker sends, one at a time. */
export class ChildJobs {
  readonly #options: ChildOptions;
  readonly #ended = Promise.withResolvers<void>();
  readonly #definitions = new Map<string, TaskDefinition<z.ZodType, z.ZodType>>();
  readonly #clock = new DatabaseClock();
  readonly #log: Logger;
  #pool: Pool | undefined;
  #middleware: readonly Middleware[] | undefined;
  /** The number of the current job; 0 before the first. */
  #run = 0;
  #current: Run | undefined;
  #abortReason: Error | undefined;
  #lookedAt = performance.now();

  constructor(options: ChildOptions) {
    this.#options = options;
    this.#log = forwardingLog(options.logLevel, (line) => this.#send({ type: "line", run: this.#run, ...line }));
    importLegworkFromHere();
    if (options.port !== undefined) options.port.on("message", (message: ToChild) => this.#receive(message));
    else this.#listenToWorker();
    this.#send({ type: "ready" });
    process.on("unhandledRejection", (reason) =>
      this.#log.error({ err: reason, event: "unhandled_rejection" }, "Unhandled promise rejection."),
    );
  }

  /** Resolves when the worker has ended the child and its connections are closed. */
  get ended(): Promise<void> {
    return this.#ended.promise;
  }

  #listenToWorker(): void {
    const { parentPid, memory } = this.#options;
    // Tinypool's own messages use the same channel.
    process.on("message", (message: ToChild | undefined) => {
      if (message !== null && typeof message === "object" && "type" in message) this.#receive(message);
    });
    process.on("disconnect", () => process.exit(1));
    process.on("uncaughtException", (error) => this.#endBy(error));
    // Terminals and service managers send these to all processes of a group; the worker decides when this one ends.
    for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => undefined);
    const file = import.meta.url.endsWith(".ts") ? "watchdog.ts" : "watchdog.js";
    const watchdog = new Worker(new URL(file, import.meta.url), {
      workerData: { parentPid, memory },
      // The limits are low because the thread only monitors the process.
      resourceLimits: { maxOldGenerationSizeMb: 16, maxYoungGenerationSizeMb: 2, stackSizeMb: 1 },
    });
    watchdog.unref();
    watchdog.on("error", (error) => this.#endBy(error));
  }

  #send(message: FromChild): void {
    const { port } = this.#options;
    if (port !== undefined) port.postMessage(message);
    else if (process.connected) process.send?.(message);
  }

  #receive(message: ToChild): void {
    switch (message.type) {
      case "load":
        void this.#load(message.task).then(
          () => this.#send({ type: "loaded" }),
          (error: unknown) => this.#send({ type: "loaded", thrown: describeThrown(error) }),
        );
        break;
      case "run":
        void this.#execute(message);
        break;
      case "abort":
        if (message.run !== this.#run || this.#current === undefined) return;
        this.#abortReason = reviveThrown(message.reason);
        this.#current.abort(this.#abortReason);
        break;
      default:
        void this.#end();
    }
  }

  async #load({ name, file }: TaskSource): Promise<void> {
    if (this.#definitions.has(name)) return;
    // Load middleware first, because some of it, such as error trackers, must be loaded before the task's own modules.
    await this.#loadMiddleware();
    const module = (await import(pathToFileURL(file).href)) as Record<string, unknown>;
    const definition = findDefinition(module, name);
    if (definition === undefined) {
      throw new LegworkError("LW515", `Task '${name}' was not found in ${file}.`, {
        hint: "A task that runs in a separate thread or process must be the default export of its file, created with defineTask.",
      });
    }
    this.#definitions.set(name, definition);
    // Otherwise, Node writes the cache only at exit, and children are usually killed.
    flushCompileCache();
  }

  async #loadMiddleware(): Promise<void> {
    const { middlewareFile } = this.#options;
    if (middlewareFile === undefined || this.#middleware !== undefined) return;
    const loaded = (await import(pathToFileURL(middlewareFile).href)) as { default?: { middleware?: unknown } };
    this.#middleware = readMiddleware(loaded.default?.middleware, "middleware");
    installMiddleware(this.#middleware);
  }

  async #execute({ run, task: name, job, now }: Extract<ToChild, { type: "run" }>): Promise<void> {
    const { databaseUrl } = this.#options;
    this.#run = run;
    this.#clock.observe(new Date(now), performance.now(), performance.now());
    const output = new ForwardedOutput(run, (message) => this.#send(message));
    this.#pool ??= createPool(databaseUrl, {
      log: this.#log,
      max: CONNECTIONS,
      name: "legwork isolated tasks",
      connections: UNHEARD,
    });
    const definition = this.#definitions.get(name);
    const attempt = new Run(
      { name, function: async () => undefined, definition },
      // Isolated tasks have no access to the helpers of plain graphile-worker tasks.
      { job } as ConstructorParameters<typeof Run>[1],
      {
        pool: this.#pool,
        log: this.#log,
        clock: this.#clock,
        output,
        lease: undefined,
        around: attemptMiddleware(this.#middleware ?? []),
        middleware: this.#middleware,
      },
      0,
    );
    this.#abortReason = undefined;
    this.#current = attempt;
    try {
      const returned = await attempt.run(job.payload);
      const result = resultToJson(returned, attempt.redaction);
      output.flush();
      this.#send({ type: "done", run, result, isFull: this.#isFull() });
    } catch (error) {
      output.flush();
      const isReason = error !== undefined && error === this.#abortReason;
      const batch = error instanceof BatchFailure ? describeBatch(error, attempt) : undefined;
      this.#send({ type: "failed", run, thrown: describeError(error, attempt), isReason, batch, isFull: this.#isFull() });
    } finally {
      attempt.close();
      this.#current = undefined;
    }
  }

  /** Whether the child uses too much of its memory limit. Checked at most once a second, because reading the usage takes a few microseconds. */
  #isFull(): boolean {
    if (performance.now() - this.#lookedAt < MEMORY_INTERVAL_MS) return false;
    this.#lookedAt = performance.now();
    const used = this.#options.kind === "thread" ? getHeapStatistics().used_heap_size : process.memoryUsage.rss();
    return used > this.#options.memory * 1024 * 1024 * FULL_SHARE;
  }

  async #end(): Promise<void> {
    await this.#pool?.end().catch(() => undefined);
    this.#ended.resolve();
  }

  /** Sends an uncaught error to the worker, and ends the process. */
  #endBy(error: unknown): void {
    process.send?.({ type: "fatal", thrown: describeError(error, this.#current) } satisfies FromChild, () => process.exit(1));
    // Exit even if the message cannot be sent.
    setTimeout(() => process.exit(1), END_LIMIT_MS);
  }
}

/** Describes an error, without redacted values. */
function describeError(thrown: unknown, attempt: Run | undefined): DescribedThrown {
  const described = describeThrown(thrown);
  const redaction = attempt?.redaction;
  return redaction === undefined ? described : withoutSecrets(described, redaction);
}

function describeBatch({ errors, failed, results }: BatchFailure, attempt: Run): ChildBatch {
  return { errors: errors.map((error) => describeError(error, attempt)), failed, results };
}

/** Finds a task in a module like graphile-worker: a file exports one task as its default export, or several tasks by name. */
function findDefinition(module: Record<string, unknown>, name: string): TaskDefinition<z.ZodType, z.ZodType> | undefined {
  for (const found of [module.default, (module.default as Record<string, unknown> | undefined)?.default, module]) {
    const definition = definitionOf(found) ?? definitionOf((found as Record<string, unknown> | undefined)?.[name]);
    if (definition !== undefined) return definition;
  }
  return undefined;
}
