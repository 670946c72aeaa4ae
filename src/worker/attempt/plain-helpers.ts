import type { Job, JobHelpers } from "graphile-worker";
import type { RunningJob } from "../../jobs/running-job.ts";
import type { TaskValues } from "../../jobs/task-values.ts";

/** The parts of the attempt that the helpers use. */
interface Attempt {
  readonly job: RunningJob;
  readonly signal: AbortSignal;
  readonly abortPromise: Promise<never>;
  /** The traceparent for jobs that the attempt adds. */
  readonly traceparent: string | undefined;
}

/**
 * The helpers of a plain graphile-worker task. Jobs that it adds get its correlation id too, and its abort signal and promise work as in other tasks.
 *
 * The helpers are created for every job, so creating them must be cheap: this takes 0.5 µs, and an object literal with getters takes 2.2 µs. The
 * getters are own properties of the object, so that `{ ...helpers }` includes them. They are the same functions for all jobs, so that all objects
 * have the same shape.
 */
export class PlainHelpers implements JobHelpers {
  readonly job: Job;
  readonly getQueueName: JobHelpers["getQueueName"];
  readonly logger: JobHelpers["logger"];
  readonly withPgClient: JobHelpers["withPgClient"];
  readonly query: JobHelpers["query"];
  readonly addJob: JobHelpers["addJob"];
  readonly addJobs: JobHelpers["addJobs"];
  /** No longer in graphile-worker's types. A call only logs that it was removed. */
  readonly debug: unknown;
  declare readonly abortSignal: AbortSignal;
  declare readonly abortPromise: Promise<void>;
  /** The values that middleware has added; missing if there is no middleware. */
  declare readonly values?: TaskValues;
  readonly #attempt: Attempt;

  constructor(helpers: JobHelpers, attempt: Attempt, values: TaskValues | undefined) {
    this.#attempt = attempt;
    // graphile-worker's helpers do not use `this`.
    /* oxlint-disable unbound-method */
    this.job = helpers.job;
    this.getQueueName = helpers.getQueueName;
    this.logger = helpers.logger;
    this.withPgClient = helpers.withPgClient;
    this.query = helpers.query;
    /* oxlint-enable unbound-method */
    this.addJob = (identifier, payload, spec = {}) =>
      helpers.addJob(identifier, payload, { ...spec, flags: [...(spec.flags ?? []), ...contextOf(attempt)] });
    this.addJobs = (specs, preserveRunAt) =>
      helpers.addJobs(
        specs.map((spec) => ({ ...spec, flags: [...(spec.flags ?? []), ...contextOf(attempt)] })),
        preserveRunAt,
      );
    this.debug = (helpers as unknown as { debug: unknown }).debug;
    Object.defineProperty(this, "abortSignal", ABORT_SIGNAL);
    Object.defineProperty(this, "abortPromise", ABORT_PROMISE);
    if (values !== undefined) this.values = values;
  }

  static attemptOf(helpers: PlainHelpers): Attempt {
    return helpers.#attempt;
  }
}

const ABORT_SIGNAL: PropertyDescriptor = {
  get(this: PlainHelpers) {
    return PlainHelpers.attemptOf(this).signal;
  },
  enumerable: true,
};

const ABORT_PROMISE: PropertyDescriptor = {
  get(this: PlainHelpers) {
    return PlainHelpers.attemptOf(this).abortPromise;
  },
  enumerable: true,
};

/** Returns the flags for a job that the attempt adds. */
function contextOf({ job, traceparent }: Attempt): string[] {
  return [
    `correlation:${job.correlationId}`,
    `parent:${job.id}`,
    ...(job.tenant === null ? [] : [`tenant:${job.tenant}`]),
    ...(traceparent === undefined ? [] : [`trace:${traceparent}`]),
  ];
}
