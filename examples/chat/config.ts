import type { RetryPolicy } from "legwork";
import { z } from "zod";

interface QueueConfig {
  /** How many of the queue's jobs may run at the same time, across all workers. */
  concurrency: number;
  retry: RetryPolicy;
}

const queue = (concurrency: number, attempts: number): QueueConfig => ({
  concurrency,
  retry: { attempts, backoff: "exponential", delay: "1s", factor: 2 },
});

/** The queues in each environment. */
const QUEUES = {
  development: { cleanup: queue(1, 3), maintenance: queue(1, 3), notification: queue(5, 5), report: queue(2, 3) },
  production: { cleanup: queue(2, 5), maintenance: queue(1, 5), notification: queue(10, 7), report: queue(3, 5) },
} as const satisfies Record<string, Record<string, QueueConfig>>;

/** The schedules, which are the same in each environment. */
export const SCHEDULES = {
  cleanup: { cron: "0 0 * * *", payload: { type: "messages", age: "90 days" } },
  maintenance: { cron: "0 0 * * 0", payload: { type: "vacuum" } },
  report: { cron: "0 0 1 * *", payload: { type: "usage", params: { period: "1 month" } } },
} as const;

export type QueueName = keyof (typeof QUEUES)["development"];

const environmentSchema = z.object({
  CHAT_ENV: z.enum(["development", "production"]).default("development"),
  CHAT_FILES: z.string().optional(),
  CHAT_TIMEZONE: z.string().default("UTC"),
});

/** Reads the example's settings from the environment. Throws an Error that names the invalid variable and what was expected. */
export function chatConfig(environment: NodeJS.ProcessEnv = process.env): {
  queues: Record<QueueName, QueueConfig>;
  files: string | undefined;
  timezone: string;
} {
  const parsed = environmentSchema.safeParse(environment);
  if (parsed.success)
    return { queues: QUEUES[parsed.data.CHAT_ENV], files: parsed.data.CHAT_FILES, timezone: parsed.data.CHAT_TIMEZONE };
  const issue = parsed.error.issues[0];
  throw new Error(`${issue?.path.join(".")}: ${issue?.message}.`);
}
