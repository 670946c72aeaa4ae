import type { Job, JobHelpers } from "graphile-worker";
import type { Run } from "./run.ts";

/**
 * The helpers of a plain graphile-worker task: its jobs carry the correlation id too, and its signal and promise abort like those of other tasks.
 *
 * They are made for every job, so they are cheap: 0.5 µs, where an object literal with getters takes 2.2 µs. The getters are properties of the
 * object itself, so that `{ ...helpers }` has them; they are the same functions for all jobs, so that all objects have the same shape.
 */
export class PlainHelpers implements JobHelpers {
  readonly job: Job;
  readonly getQueueName: JobHelpers["getQueueName"];
  readonly logger: JobHelpers["logger"];
  readonly withPgClient: JobHelpers["withPgClient"];
  readonly query: JobHelpers["query"];
  readonly addJob: JobHelpers["addJob"];
  readonly addJobs: JobHelpers["addJobs"];
  /** Removed from graphile-worker's types; it logs that it was removed. */
  readonly debug: unknown;
  declare readonly abortSignal: AbortSignal;
  declare readonly abortPromise: Promise<void>;
  /** What middleware has added; only with middleware. */
  declare readonly values?: Run["values"];
  readonly #run: Run;

  constructor(helpers: JobHelpers, run: Run, values: Run["values"] | undefined) {
    this.#run = run;
    this.job = helpers.job;
    this.getQueueName = helpers.getQueueName;
    this.logger = helpers.logger;
    this.withPgClient = helpers.withPgClient;
    this.query = helpers.query;
    this.addJob = (identifier, payload, spec = {}) =>
      helpers.addJob(identifier, payload, { ...spec, flags: [...(spec.flags ?? []), ...contextOf(run)] });
    this.addJobs = (specs, preserveRunAt) =>
      helpers.addJobs(
        specs.map((spec) => ({ ...spec, flags: [...(spec.flags ?? []), ...contextOf(run)] })),
        preserveRunAt,
      );
    this.debug = (helpers as unknown as { debug: unknown }).debug;
    Object.defineProperty(this, "abortSignal", ABORT_SIGNAL);
    Object.defineProperty(this, "abortPromise", ABORT_PROMISE);
    if (values !== undefined) this.values = values;
  }

  static runOf(helpers: PlainHelpers): Run {
    return helpers.#run;
  }
}

const ABORT_SIGNAL: PropertyDescriptor = {
  get(this: PlainHelpers) {
    return PlainHelpers.runOf(this).signal;
  },
  enumerable: true,
};

const ABORT_PROMISE: PropertyDescriptor = {
  get(this: PlainHelpers) {
    return PlainHelpers.runOf(this).abortPromise;
  },
  enumerable: true,
};

/** The flags of a job that the attempt adds. */
function contextOf({ job, traceparent }: Run): string[] {
  return [
    `correlation:${job.correlationId}`,
    `parent:${job.id}`,
    ...(job.tenant === null ? [] : [`tenant:${job.tenant}`]),
    ...(traceparent === undefined ? [] : [`trace:${traceparent}`]),
  ];
}
