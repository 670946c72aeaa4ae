import { z } from "zod";
import { ATTEMPTS, COUNTS, durationToInterval } from "../bounds.ts";
import { type Duration, durationExpected, parseDuration } from "../duration.ts";

/** The path of a limit's key in a payload: `"userId"`, `"user.id"`, or a function that only reads the field. */
// oxlint-disable-next-line typescript/no-explicit-any -- each task has its own payload type
type LimitKey<P = any> = string | ((payload: P) => unknown);

/** Limits how many jobs of the task run at a time, across all workers; with `key`, for each value of the key. */
// oxlint-disable-next-line typescript/no-explicit-any
export interface ConcurrencyLimit<P = any> {
  limit: number;
  key?: LimitKey<P>;
}

/** Limits how many jobs of the task start within any period of length `per`; with `key`, for each value of the key. */
// oxlint-disable-next-line typescript/no-explicit-any
export interface RateLimit<P = any> {
  limit: number;
  per: Duration;
  key?: LimitKey<P>;
}

export interface RetryPolicy {
  /** The number of attempts in total, for jobs enqueued without `maxAttempts`; 25 by default. */
  attempts?: number;
  /** How delays grow. The default is graphile-worker's: e to the power of the attempt's number, in seconds. */
  backoff?: "fixed" | "linear" | "exponential";
  /** The delay after the first attempt; one second by default. */
  delay?: Duration;
  /** The factor by which exponential delays grow; 2 by default. */
  factor?: number;
  /** The longest delay. */
  maxDelay?: Duration;
  /** Shortens each delay by a random amount, up to half of it, so that jobs that failed together are not retried together. */
  jitter?: boolean;
  /** Names, codes or classes of the errors that are retried; all by default. */
  on?: readonly string[];
}

const durationSchema = z.custom<Duration>((value) => parseDuration(value) !== undefined, {
  error: (issue) => durationExpected(issue.input),
});
export const positiveDurationSchema = durationSchema.refine((value) => parseDuration(value) !== 0, "it must be above 0");

const limitSchema = z
  .number({ error: (issue) => `expected a whole number of at least 1, not ${String(issue.input)}` })
  .int()
  .min(1, { error: (issue) => `a limit must be at least 1, not ${String(issue.input)}` })
  .max(COUNTS[1], { error: (issue) => `a limit must be at most ${COUNTS[1]}, not ${String(issue.input)}` });
const keySchema = z.custom<LimitKey>().transform((key, context) => {
  const path = typeof key === "string" ? key.split(".") : typeof key === "function" ? tracePath(key) : undefined;
  if (path !== undefined && path.length > 0 && !path.includes("")) return path;
  context.addIssue({
    code: "custom",
    message: 'expected a path such as "user.id", or a function that only reads it, such as (p) => p.user.id',
  });
  return z.NEVER;
});

function oneOrMore<T extends z.ZodType>(schema: T) {
  return z.union([z.array(schema).min(1), schema.transform((one) => [one])]);
}

export const concurrencySchema = oneOrMore(z.strictObject({ limit: limitSchema, key: keySchema.optional() }));
export const rateLimitSchema = oneOrMore(
  z.strictObject({ limit: limitSchema, per: positiveDurationSchema, key: keySchema.optional() }),
);
export const retrySchema = z
  .strictObject({
    attempts: z.number().int().min(ATTEMPTS[0]).max(ATTEMPTS[1]).optional(),
    backoff: z.enum(["fixed", "linear", "exponential"]).optional(),
    delay: durationSchema.optional(),
    factor: z.number().min(1).max(1_000_000).optional(),
    maxDelay: durationSchema.optional(),
    jitter: z.boolean().optional(),
    on: z.array(z.string().min(1)).min(1).optional(),
  })
  .refine((policy) => policy.backoff !== undefined || (policy.delay ?? policy.factor ?? policy.maxDelay) === undefined, {
    error: "a delay needs a backoff: fixed, linear or exponential",
  });

/** Converts limits for `legwork_private.declare_limits`. An undefined option means no limit. */
export function describeLimits(definition: { concurrency?: unknown; rateLimit?: unknown }): Record<string, unknown>[] {
  const concurrency = definition.concurrency === undefined ? [] : concurrencySchema.parse(definition.concurrency);
  const rate = definition.rateLimit === undefined ? [] : rateLimitSchema.parse(definition.rateLimit);
  return [
    ...concurrency.map(({ limit, key }) => ({ kind: "concurrency", max: limit, key: key ?? [] })),
    ...rate.map(({ limit, per, key }) => ({
      kind: "rate",
      max: limit,
      per: durationToInterval("per", per),
      key: key ?? [],
    })),
  ];
}

/** Converts a retry policy for `legwork_private.declare_retry`; null without a policy. */
export function describeRetry(policy: RetryPolicy | undefined): Record<string, unknown> | null {
  if (policy === undefined) return null;
  return {
    attempts: policy.attempts,
    backoff: policy.backoff,
    delay: durationToInterval("delay", policy.delay),
    factor: policy.factor,
    max_delay: durationToInterval("maxDelay", policy.maxDelay),
    jitter: policy.jitter,
    retry_on: policy.on,
  };
}

/**
 * Returns the path that a key function reads, by calling the function once with an object that records which fields are accessed. The function may
 * only read a field, because the database evaluates the key, including for jobs that are not enqueued from TypeScript. Returns undefined if it does
 * anything else.
 */
function tracePath(key: (payload: unknown) => unknown): string[] | undefined {
  const paths = new WeakMap<object, string[]>();
  const tracer = (path: string[]): object => {
    const proxy = new Proxy(() => {}, {
      get: (_target, name) => {
        if (typeof name === "symbol") throw new TypeError("A key function may only read fields.");
        return tracer([...path, name]);
      },
      apply: () => {
        throw new TypeError("A key function may only read fields.");
      },
    });
    paths.set(proxy, path);
    return proxy;
  };
  try {
    const read = key(tracer([]));
    return typeof read === "function" ? paths.get(read) : undefined;
  } catch {
    return undefined;
  }
}
