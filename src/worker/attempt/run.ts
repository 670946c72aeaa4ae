import type { Job, JobHelpers } from "graphile-worker";
import type { Pool } from "../../db/pool.ts";
import { toQueryable, type TransactionClient } from "../../db/transaction-client.ts";
import { createSql, type Sql } from "../../db/sql.ts";
import { parseDuration } from "../../duration.ts";
import { LegworkError, toError, verdictOf } from "../../errors.ts";
import { type Cleaner, describeThrown, isError, type ThrownDescription } from "../../thrown.ts";
import type { Logger } from "../../log.ts";
import { jobOf, type Task, type TaskContext, type WorkflowContext } from "../../jobs/define-task.ts";
import type { RunningJob } from "../../jobs/running-job.ts";
import { parsePayload } from "../../jobs/payload.ts";
import { enqueue, type EnqueueOptions } from "../../jobs/enqueue.ts";
import { throughEnqueue } from "../../jobs/enqueue-middleware.ts";
import type { AttemptContext, AttemptMiddleware, Middleware } from "../../jobs/middleware.ts";
import type { SomeTaskValues, TaskValues } from "../../jobs/task-values.ts";
import type { WorkerEventHub } from "../../jobs/worker-events.ts";
import { describeIssues } from "../../validate.ts";
import { AttemptSpan } from "../../jobs/tracing.ts";
import { AttemptOutput, type OutputSink } from "./attempt-output.ts";
import { describeJob } from "./describe-job.ts";
import { BatchFailure, settleEntries } from "../graphile/batch-entries.ts";
import type { DatabaseClock } from "../clock.ts";
import { type RemoteCommands, LeaseLost } from "../remote-commands.ts";
import { flagValue } from "../graphile/job-flags.ts";
import type { Lease } from "../lease.ts";
import type { LoadedTask } from "../load-tasks.ts";
import type { Outcomes } from "../graphile/outcomes.ts";
import { sessionSettings, throughAttempt } from "./middleware-chain.ts";
import { PlainHelpers } from "./plain-helpers.ts";
import { Redaction } from "./redaction.ts";
import type { Abortable } from "./running-jobs.ts";
import { Steps, Suspended } from "./steps.ts";
import { taskLog } from "./task-log.ts";
import { TimeoutError, withinTimeout } from "./within-timeout.ts";

export interface RunEnvironment {
  /** The pool for the tasks' own statements. graphile-worker fetches and completes with a different pool. */
  readonly pool: Pool;
  readonly log: Logger;
  readonly clock: DatabaseClock;
  readonly outcomes: Outcomes;
  readonly control: RemoteCommands;
  /** The destination of the tasks' output. */
  readonly output: OutputSink;
  /** Runs tasks with the option `isolate`. If undefined, they run in this thread like any other task. */
  readonly isolation?: Isolates | undefined;
  /** The middleware that runs around attempts; undefined without such middleware. */
  readonly around?: readonly AttemptMiddleware[] | undefined;
  /** Middleware that handles jobs that tasks enqueue. */
  readonly middleware?: readonly Middleware[] | undefined;
  /** Passes events to listeners. */
  readonly events?: WorkerEventHub | undefined;
  /** Whether an OpenTelemetry SDK was registered when the worker started. */
  readonly isTraced?: boolean;
  /** The jobs that were returned to the queue because the worker is stopping and their tasks responded to the abort signal. */
  readonly givenBack: Set<string>;
  /** The lease of the current runner. */
  lease: Lease | undefined;
}

/** Runs tasks in a separate thread or process. */
export interface Isolates {
  /** Passes a function that runs the task to `within`, which returns what the function returns: an IsolatedResult. */
  execute(attempt: Run, task: LoadedTask, within: (call: () => Promise<unknown>) => Promise<unknown>): Promise<unknown>;
}

/** The parts of the environment that an attempt needs. */
type AttemptEnvironment = Pick<
  RunEnvironment,
  "pool" | "log" | "clock" | "output" | "lease" | "isolation" | "around" | "middleware"
>;

/** How long a task may continue after its timeout by default (ms). */
export const DEFAULT_GRACE_MS = 5_000;

/**
 * One attempt, and the context that its task receives. Running a small job takes only 30 µs, so each part of the context is created only when the
 * task uses it.
 */
export class Run implements TaskContext, AttemptContext, Abortable {
  private readonly task: LoadedTask;
  private readonly helpers: JobHelpers;
  private readonly environment: AttemptEnvironment;
  private ownJob: RunningJob | undefined = undefined;
  private ownLog: Logger | undefined = undefined;
  private ownTaskLog: Logger | undefined = undefined;
  private ownOutput: AttemptOutput | undefined = undefined;
  private ownRedaction: Redaction | undefined = undefined;
  private ownSql: Sql | undefined = undefined;
  private ownSteps: Steps | undefined = undefined;
  private ownSignal: AbortSignal | undefined = undefined;
  private ownAbortPromise: Promise<never> | undefined = undefined;
  private ownResults: Promise<Readonly<Record<string, unknown>>> | undefined = undefined;
  private ownSpan: AttemptSpan | undefined = undefined;
  /** The values that middleware has added. If the task reads any other value, the middleware that adds it is missing. */
  private ownValues: TaskValues | undefined = undefined;
  private ownSession: Record<string, string> | undefined = undefined;
  private aborting: AbortController | undefined = undefined;
  private abortReason: Error | undefined = undefined;

  readonly deaths: number;
  slot = -1;

  constructor(task: LoadedTask, helpers: JobHelpers, environment: AttemptEnvironment, deaths: number) {
    this.deaths = deaths;
    this.task = task;
    this.helpers = helpers;
    this.environment = environment;
  }

  get job(): RunningJob {
    return (this.ownJob ??= describeJob(this.helpers.job, this.task));
  }

  get log(): Logger {
    return (this.ownTaskLog ??= taskLog(this.workerLog, this.output, this.redaction));
  }

  get progress(): TaskContext["progress"] {
    return (percent, message?: string) => this.output.progress(percent, message);
  }

  /** The object that removes secrets from the task's output; undefined for a task without `redact`. */
  get redaction(): Redaction | undefined {
    const paths = this.task.definition?.redact;
    if (paths === undefined) return undefined;
    return (this.ownRedaction ??= new Redaction(paths, this.helpers.job.payload));
  }

  get output(): AttemptOutput {
    return (this.ownOutput ??= new AttemptOutput(this.job, this.environment, this.redaction));
  }

  /** The log for the worker's own lines about the job, which are not stored with the job. */
  get workerLog(): Logger {
    const { id, task, correlationId } = this.job;
    // In most cases, a job's correlation id is its own id.
    return (this.ownLog ??= this.environment.log.child(
      correlationId === id ? { jobId: id, task } : { jobId: id, task, correlationId },
    ));
  }

  get sql(): Sql {
    if (this.ownSql !== undefined) return this.ownSql;
    const own = {
      // For the audit log.
      "legwork.surface": "worker",
      "legwork.correlation_id": this.job.correlationId,
      "legwork.parent_id": this.job.id,
      "legwork.tenant": this.job.tenant ?? "",
      ...(this.traceparent === undefined ? {} : { "legwork.traceparent": this.traceparent }),
    };
    return (this.ownSql = createSql(this.environment.pool, () =>
      this.ownSession === undefined ? own : { ...this.ownSession, ...own },
    ));
  }

  get payload(): unknown {
    return this.helpers.job.payload;
  }

  get values(): TaskValues {
    return this.ownValues ?? (NO_VALUES as TaskValues);
  }

  get session(): Record<string, string> {
    return (this.ownSession ??= sessionSettings());
  }

  beginSpan(): AttemptSpan {
    return (this.ownSpan = new AttemptSpan(this.job, flagValue(this.helpers.job, "trace")));
  }

  /** The traceparent for jobs that this job enqueues: that of the attempt's span or, without tracing in this process, the job's own. */
  get traceparent(): string | undefined {
    if (this.ownSpan === undefined && this.helpers.job.flags === null) return undefined;
    return this.ownSpan?.traceparent ?? flagValue(this.helpers.job, "trace") ?? undefined;
  }

  get signal(): AbortSignal {
    if (this.ownSignal === undefined) {
      this.aborting = new AbortController();
      if (this.abortReason !== undefined) this.aborting.abort(this.abortReason);
      const { abortSignal } = this.helpers;
      this.ownSignal = abortSignal === undefined ? this.aborting.signal : AbortSignal.any([abortSignal, this.aborting.signal]);
    }
    return this.ownSignal;
  }

  /** Rejects with the abort signal's reason when the signal aborts. graphile-worker passes this promise to plain tasks along with the signal. */
  get abortPromise(): Promise<never> {
    if (this.ownAbortPromise === undefined) {
      const { promise, reject } = Promise.withResolvers<never>();
      const { signal } = this;
      const onAbort = (): void => reject(toError(signal.reason));
      if (signal.aborted) onAbort();
      else signal.addEventListener("abort", onAbort, { once: true });
      // A task may ignore this promise.
      promise.catch(() => undefined);
      this.ownAbortPromise = promise;
    }
    return this.ownAbortPromise;
  }

  /** This is an arrow function so that a task can destructure it from its context. */
  get enqueue(): TaskContext["enqueue"] {
    return async (target: string | Task, given?: unknown, options: EnqueueOptions = {}, client?: TransactionClient) => {
      const { middleware } = this.environment;
      const wanted = { ...options, ...jobOf(target, given) };
      const { task, payload, ...rest } = middleware === undefined ? wanted : await throughEnqueue(middleware, wanted, this.job);
      if (client === undefined) return await this.sql.transaction((_sql, own) => enqueue(own, task, payload, rest));
      const { correlationId, tenant } = this.job;
      return await enqueue(toQueryable(client), task, payload, { correlationId, tenant: tenant ?? undefined, ...rest });
    };
  }

  get step(): Steps {
    if (this.ownSteps === undefined) {
      const { job } = this.helpers;
      const { pool, lease } = this.environment;
      this.ownSteps = new Steps({
        jobId: job.id,
        worker: job.locked_by ?? "",
        attempt: job.attempts,
        sql: this.sql,
        client: pool,
        redaction: this.redaction,
        enqueue: (client, task, payload, options) => (this.enqueue as EnqueueAny)(task, payload, options, client),
        assertMayBegin: async () => {
          if (this.signal.aborted) throw toError(this.signal.reason);
          if (lease?.mayHaveLost(job.locked_at) && !(await lease.holds(job.id))) {
            throw new LeaseLost("This worker was declared dead, and the job was given to another worker.");
          }
        },
      });
    }
    return this.ownSteps;
  }

  /** Ends the attempt: steps that end later are not recorded, and the last log lines are stored. */
  close(): void {
    this.ownSteps?.close();
    if (this.ownOutput !== undefined) this.environment.output.end(this.ownOutput);
  }

  get workflow(): WorkflowContext | undefined {
    const { job } = this.helpers;
    const id = flagValue(job, "workflow");
    if (id === null) return undefined;
    return {
      id,
      step: flagValue(job, "step") ?? "",
      compensates: flagValue(job, "compensates") !== null,
      results: async () => await (this.ownResults ??= this.readResults(id)),
    };
  }

  private async readResults(workflowId: string): Promise<Readonly<Record<string, unknown>>> {
    const { rows } = await this.environment.pool.query("select legwork.step_results($1) as results", [workflowId]);
    return rows[0]?.results ?? {};
  }

  get batchId(): string | undefined {
    return flagValue(this.helpers.job, "batch") ?? undefined;
  }

  /** Signals the task to stop. Only the first reason is used. */
  abort(reason: Error): void {
    if (this.abortReason !== undefined) return;
    this.abortReason = reason;
    this.aborting?.abort(reason);
  }

  /**
   * Returns why the attempt failed. If the task was signaled to stop, this is the reason of the signal, with the error that the task threw as its
   * cause. If the task itself decided how the attempt ends, for example by throwing a Discard, that takes precedence.
   */
  explain(thrown: unknown): unknown {
    const reason = this.abortReason;
    const { discard, snooze, retryAt } = verdictOf(thrown);
    if (reason === undefined || reason === thrown || discard || snooze || retryAt !== undefined) return thrown;
    // The error of each entry is already in the BatchFailure.
    if (reason instanceof TimeoutError && isError(thrown) && thrown instanceof BatchFailure) return thrown;
    reason.cause ??= thrown;
    return reason;
  }

  /** Describes the error of the attempt, without redacted values. Never throws. */
  describe(thrown: unknown): ThrownDescription {
    let cleaner: Cleaner | undefined;
    try {
      cleaner = this.redaction;
    } catch {
      // The payload cannot be searched for secrets, for example because it is nested too deeply. Showing nothing is better than showing a secret.
      cleaner = HIDE_ALL;
    }
    return describeThrown(thrown, cleaner);
  }

  execute(payload: unknown, timeout: number | undefined): Promise<unknown> {
    const { isolation } = this.environment;
    if (isolation !== undefined && this.task.definition?.isolate !== undefined) {
      return isolation.execute(this, this.task, (call) => (timeout === undefined ? call() : this.callInTime(call, timeout)));
    }
    return timeout === undefined ? this.run(payload) : this.callInTime(() => this.run(payload), timeout);
  }

  /** Calls the task within the worker's middleware. */
  run(payload: unknown): Promise<unknown> {
    const { around } = this.environment;
    return around === undefined ? this.call(payload) : this.callWithin(around, payload);
  }

  private async callWithin(around: readonly AttemptMiddleware[], payload: unknown): Promise<unknown> {
    let suspended: Suspended | undefined;
    const add = (values: SomeTaskValues): void => {
      const all: unknown = { ...this.ownValues, ...values };
      this.ownValues = all as TaskValues;
    };
    try {
      return await throughAttempt(around, this, add, async () => {
        try {
          return await this.call(payload);
        } catch (error) {
          if (isError(error) && error instanceof Suspended) suspended = error;
          throw error;
        }
      });
    } finally {
      // The job of a suspended attempt is put back, no matter how middleware handled the error.
      // oxlint-disable-next-line no-unsafe-finally
      if (suspended !== undefined) throw suspended;
    }
  }

  /**
   * Returns the job's row for an isolated task. The traceparent is in the flags, so that jobs that the task enqueues belong to this attempt's span.
   */
  describeForChild(): Job {
    const { job } = this.helpers;
    const { traceparent } = this;
    if (traceparent === undefined) return job;
    const flags = Object.keys(job.flags ?? {}).filter((flag) => !flag.startsWith("trace:"));
    return { ...job, flags: Object.fromEntries([...flags, `trace:${traceparent}`].map((flag) => [flag, true])) };
  }

  /** Calls the task. After the task's timeout and grace period, the attempt fails, even if the call has not returned. */
  private callInTime(call: () => Promise<unknown>, timeout: number): Promise<unknown> {
    const { definition } = this.task;
    const isIsolated = definition?.isolate !== undefined && this.environment.isolation !== undefined;
    return withinTimeout(call, {
      timeout,
      // An isolated task that does not respond to its abort signal is terminated by `isolation`.
      grace: isIsolated ? undefined : (parseDuration(definition?.grace) ?? DEFAULT_GRACE_MS),
      abort: (error) => this.abort(error),
      onAbandoned: () =>
        this.log.warn({ event: "job_abandoned" }, "The task is still running after its timeout; its result will be ignored."),
    });
  }

  /** Calls the task. For a defined task, checks the payload before and the result after the call. */
  async call(payload: unknown): Promise<unknown> {
    const { definition, name } = this.task;
    if (definition === undefined) {
      const answered: unknown = await this.task.function(payload, new PlainHelpers(this.helpers, this, this.ownValues));
      return Array.isArray(payload) && Array.isArray(answered)
        ? await settleEntries(payload, answered, this.redaction)
        : answered;
    }
    const input = parsePayload(definition.payload, withoutCron(payload), name);
    this.redaction?.learn(input);
    let result: unknown;
    // An attempt ends when its steps have ended. The job of a suspended attempt is put back, no matter how the task handled the error.
    try {
      result = await definition.run(input, this);
      // This is a batch job, whose task returns a promise for each entry.
      if (Array.isArray(payload) && Array.isArray(result)) result = await settleEntries(payload, result, this.redaction);
    } catch (error) {
      if (this.ownSteps !== undefined) await this.ownSteps.end(error);
      throw error;
    }
    if (this.ownSteps !== undefined) await this.ownSteps.end();
    if (definition.result === undefined) return result;
    const parsed = definition.result.safeParse(result);
    if (parsed.success) return parsed.data;
    throw new LegworkError("LW422", `The result does not match task '${name}': ${describeIssues(parsed.error)}.`, {
      hint: "Correct the value that the task returns, or its result schema.",
    });
  }
}

/** `enqueue` of the context, without the types of payloads. */
type EnqueueAny = (
  task: string | Task,
  payload: unknown,
  options: EnqueueOptions | undefined,
  client: TransactionClient,
) => Promise<string>;

/** Removes `_cron`, which graphile-worker adds to the payloads of crontab jobs, and which task schemas do not expect. */
function withoutCron(payload: unknown): unknown {
  if (payload === null || typeof payload !== "object" || !("_cron" in payload)) return payload;
  const { _cron, ...rest } = payload;
  return rest;
}

const NO_VALUES: unknown = Object.freeze({});

/** Hides all text and values, for a task whose secrets cannot be found. */
const HIDE_ALL: Cleaner = { text: () => "[redacted]", value: () => "[redacted]" };
