import type { Duration, RetryPolicy } from "legwork";
import type { Timing } from "legwork/operations";
import { z } from "zod";

const whole = (fallback: number, most: number) => z.coerce.number().int().min(1).max(most).default(fallback);
const flag = (fallback: "true" | "false") =>
  z
    .enum(["true", "false"])
    .default(fallback)
    .transform((value) => value === "true");
const list = (fallback: string) =>
  z
    .string()
    .default(fallback)
    .transform((value) =>
      value
        .split(",")
        .map((entry) => entry.trim())
        .filter((entry) => entry !== ""),
    );

/** A cron expression, `every 5m`, or a time such as 2030-01-01T00:00:00Z. Legwork validates the cron expression. */
const schedule = (fallback: string) =>
  z
    .string()
    .default(fallback)
    .transform((value, context): Timing => {
      const every = /^every +(\S+)$/.exec(value)?.[1];
      if (every !== undefined) return { every: every as Duration };
      if (!/^\d{4}-/.test(value)) return { cron: value };
      const at = new Date(value);
      if (!Number.isNaN(at.getTime())) return { at };
      context.addIssue({ code: "custom", message: "expected a cron expression, 'every 5m' or a time" });
      return z.NEVER;
    });

/** A URL to probe. It is stored in a schedule, which many users can read, so it must not contain a password. */
const url = z
  .url({ protocol: /^https?$/, error: "expected an http:// or https:// URL" })
  .refine((value) => !/^https?:\/\/[^/?#]*@/i.test(value), "expected a URL without credentials");

const environmentSchema = z.object({
  BG_JOBS_ENABLED: flag("true"),
  BG_JOBS_MAX_CONCURRENT: whole(5, 1_000),
  BG_JOBS_CLEANUP_SCHEDULE: schedule("0 2 * * *"),
  BG_JOBS_REFRESH_SCHEDULE: schedule("0 3 * * 0"),
  BG_JOBS_HEALTH_SCHEDULE: schedule("every 5m"),
  BG_JOBS_TIMEZONE: z.string().min(1).default("UTC"),
  /** Whether the refresh requires a cleanup that has completed within the last day. */
  BG_JOBS_REFRESH_AFTER_CLEANUP: flag("false"),
  BG_JOBS_MAX_RETRIES: z.coerce.number().int().min(0).max(100).default(3),
  BG_JOBS_RETRY_DELAY: z.string().default("60s"),
  BG_JOBS_RETRY_MULTIPLIER: z.coerce.number().min(1).max(10).default(2),
  BG_JOBS_RETRY_ON: list("SourceError,WeaviateError,TimeoutError,ECONNREFUSED,ECONNRESET,ENOTFOUND,EAI_AGAIN,UND_ERR_SOCKET"),
  CTX7_TTL_CLEANUP_BATCH_SIZE: whole(50, 10_000),
  CTX7_CLEANUP_ROWS_PER_SECOND: whole(500, 1_000_000),
  CTX7_EXCLUDED_WORKSPACES: list(""),
  CTX7_MAX_CONCURRENT_WORKSPACE_JOBS: whole(3, 10),
  CTX7_REFRESH_BATCH_SIZE: whole(20, 1_000),
  CTX7_REFRESH_THRESHOLD_DAYS: whole(7, 365),
  /** The URL of the vector store, if there is one. */
  CTX7_WEAVIATE_URL: url.optional(),
  CTX7_WEAVIATE_KEY: z.string().optional(),
  CTX7_WEAVIATE_CLASS: z
    .string()
    .regex(/^[A-Z]\w*$/, "expected the name of a class such as Document")
    .default("Document"),
  /** The URLs of other services that the app depends on. */
  CTX7_PROBES: list("").pipe(z.array(url)),
  DOCUMENTS_PORT: z.coerce.number().int().min(0).max(65_535).optional(),
});

export type DocumentsConfig = z.output<typeof environmentSchema>;

/** Reads the example's settings from the environment; an empty variable counts as not set. Throws an Error that names every invalid variable and what was expected. */
export function documentsConfig(environment: NodeJS.ProcessEnv = process.env): DocumentsConfig {
  const given = Object.fromEntries(Object.entries(environment).filter(([, value]) => value !== ""));
  const parsed = environmentSchema.safeParse(given);
  if (parsed.success) return parsed.data;
  throw new Error(parsed.error.issues.map(({ path, message }) => `${path.join(".")}: ${message}.`).join(" "));
}

/** Returns the retry policy for the tasks that fetch documents. */
export function retryPolicy(config: DocumentsConfig): RetryPolicy {
  return {
    attempts: config.BG_JOBS_MAX_RETRIES + 1,
    backoff: "exponential",
    delay: config.BG_JOBS_RETRY_DELAY,
    factor: config.BG_JOBS_RETRY_MULTIPLIER,
    maxDelay: "1h",
    on: config.BG_JOBS_RETRY_ON,
  };
}
