import { z } from "zod";
import { ATTEMPTS, COUNTS, durationToInterval } from "../bounds.ts";
import { type Duration, durationExpected, parseDuration } from "../duration.ts";

/** Where in a payload a limit's key is: `"userId"`, `"user.id"`, or a function that does nothing but read it. */
// oxlint-disable-next-line typescript/no-explicit-any -- the payload's type is the task's own
type LimitKey<P = any> = string | ((payload: P) => unknown);

/** At most `limit` jobs of the task run at a time, over all workers; with `key`, for each of its values. */
// oxlint-disable-next-line typescript/no-explicit-any
export interface ConcurrencyLimit<P = any> {
  limit: number;
  key?: LimitKey<P>;
}

/** At most `limit` jobs of the task start within any span of the length `per`; with `key`, for each of its values. */
// oxlint-disable-next-line typescript/no-explicit-any
export interface RateLimit<P = any> {
  limit: number;
  per: Duration;
  key?: LimitKey<P>;
}

export interface RetryPolicy {
  /** In all, for jobs that were enqueued without a number of their own; 25 by default. */
  attempts?: number;
  /** How delays grow. graphile-worker's own by default: e to the power of the attempt, in seconds. */
  backoff?: "fixed" | "linear" | "exponential";
  /** After the first attempt; one second by default. */
  delay?: Duration;
  /** What each exponential delay is multiplied with to get the next; 2 by default. */
  factor?: number;
  /** No delay is longer. */
  maxDelay?: Duration;
  /** Takes away up to half of each delay at random, so that jobs which failed together come back apart. */
  jitter?: boolean;
  /** Names, codes or classes of the errors that are worth a retry; all by default. */
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
    message: 'a key is a path such as "user.id", or a function that only reads it, such as (p) => p.user.id',
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

/** As `legwork_private.declare_limits` takes them. Not given: no limits. */
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

/** As `legwork_private.declare_retry` takes it; null for none. */
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
 * The path that a key function reads: it is called once with an object that notes which fields are asked for. The database
 * evaluates the key, for jobs that no TypeScript has seen, so the function can do no more than read. Undefined when it does.
 */
function tracePath(key: (payload: unknown) => unknown): string[] | undefined {
  const paths = new WeakMap<object, string[]>();
  const tracer = (path: string[]): object => {
    const proxy = new Proxy(() => {}, {
      get: (_target, name) => {
        if (typeof name === "symbol") throw new TypeError("A key function only reads fields.");
        return tracer([...path, name]);
      },
      apply: () => {
        throw new TypeError("A key function only reads fields.");
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
