import { z } from "zod";

/** The settings that differ between environments. */
const ENVIRONMENTS = {
  production: { health: "5m", rateLimits: "1m", keepBackups: "30 days", probeTimeout: 10_000 },
  development: { health: "15m", rateLimits: "5m", keepBackups: "7 days", probeTimeout: 2_000 },
} as const;

const providersSchema = z
  .array(
    z.strictObject({
      name: z.string().regex(/^[\w.-]{1,50}$/),
      url: z.url({ protocol: /^https?$/ }).describe("The base URL, without /chat/completions."),
      model: z.string().min(1),
      key: z.string().min(1).optional().describe("The API key. It is sent as a bearer token and stored nowhere else."),
      quota: z.int().positive().default(1_000_000).describe("The number of tokens per period."),
      period: z.enum(["minute", "hour", "day", "week", "month"]).default("day"),
    }),
  )
  .refine((all) => new Set(all.map(({ name }) => name)).size === all.length, "two providers have the same name");

const interval = z
  .string()
  .regex(/^[1-9]\d{0,4}(s|m|h)$/, "expected a duration such as 30s or 5m")
  .optional();

const environmentSchema = z.object({
  ASSISTANT_ENV: z.enum(["production", "development"]).default("production"),
  ASSISTANT_JOBS_ENABLED: z.enum(["true", "false"]).optional(),
  ASSISTANT_HEALTH_INTERVAL: interval,
  ASSISTANT_RATE_LIMIT_INTERVAL: interval,
  ASSISTANT_BACKUPS: z.string().default("/var/backups/assistant"),
  ASSISTANT_PROVIDERS: z
    .string()
    .default("[]")
    .transform((text, context): z.output<typeof providersSchema> => {
      try {
        const parsed = providersSchema.safeParse(JSON.parse(text));
        if (parsed.success) return parsed.data;
        const issue = parsed.error.issues[0];
        context.addIssue({ code: "custom", message: `${issue?.path.join(".")}: ${issue?.message}` });
      } catch {
        // The text itself is not shown, because it contains keys.
        context.addIssue({
          code: "custom",
          message: 'expected JSON such as [{"name": "one", "url": "https://…/v1", "model": "…"}]',
        });
      }
      return z.NEVER;
    }),
});

export type Provider = z.output<typeof providersSchema>[number];

export interface AssistantConfig {
  /** The providers in order of preference. */
  providers: readonly Provider[];
  /** Whether to enable or disable the schedules; undefined leaves them as they are. */
  enabled: boolean | undefined;
  health: string;
  rateLimits: string;
  backups: string;
  keepBackups: string;
  /** The time limit for a provider's response to a probe (ms). */
  probeTimeout: number;
}

/** Reads the example's settings from the environment. Throws an Error that names the invalid variable and what was expected. */
export function assistantConfig(environment: NodeJS.ProcessEnv = process.env): AssistantConfig {
  // An empty variable counts as not set.
  const given = Object.fromEntries(Object.entries(environment).filter(([, value]) => value !== ""));
  const parsed = environmentSchema.safeParse(given);
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    throw new Error(`${issue?.path.join(".")}: ${issue?.message}.`);
  }
  const { data } = parsed;
  const own = ENVIRONMENTS[data.ASSISTANT_ENV];
  return {
    ...own,
    providers: data.ASSISTANT_PROVIDERS,
    enabled: data.ASSISTANT_JOBS_ENABLED === undefined ? undefined : data.ASSISTANT_JOBS_ENABLED === "true",
    health: data.ASSISTANT_HEALTH_INTERVAL ?? own.health,
    rateLimits: data.ASSISTANT_RATE_LIMIT_INTERVAL ?? own.rateLimits,
    backups: data.ASSISTANT_BACKUPS,
  };
}
