import { z } from "zod";
import { type Answer, row } from "./rows.ts";
import { at } from "./times.ts";
import { page, pageLimit } from "./page.ts";
import { ALERT_KINDS } from "./states.ts";
import { duration, json, MAX_INTEGER, text } from "./values.ts";

/** A row of `legwork.alerts`, as JSON. */
export const alertSchema = row({
  id: z.string(),
  rule: z.string(),
  kind: z.string(),
  target: z.string().describe("The task, queue, schedule or host that it is about; empty for the whole."),
  state: z.enum(["open", "acknowledged", "resolved"]),
  severity: z.enum(["warning", "critical"]),
  message: z.string(),
  value: z.number(),
  threshold: z.number(),
  raisedAt: at,
  criticalAt: at.nullable().describe("When it became critical."),
  clearSince: at.nullable().describe("Since when all has been well again."),
  resolvedAt: at.nullable(),
  acknowledgedAt: at.nullable(),
  acknowledgedBy: z.string().nullable(),
  note: z.string().nullable(),
  silenced: z.boolean(),
  jobs: z.array(z.string()).describe("The jobs that tell of it."),
}).describe("An alert: a row of legwork.alerts.");

const numberOrNull = z.number().nullable();

export const alertRuleSchema = row({
  name: z.string(),
  kind: z.enum(ALERT_KINDS),
  target: z.string().nullable(),
  warning: numberOrNull,
  critical: numberOrNull,
  period: z.string(),
  atLeast: z.int(),
  raiseAfter: z.string(),
  resolveAfter: z.string(),
  channels: z.int().nullable().describe("How many it has of its own: addresses are secrets. Null for those that hold for all."),
  isEnabled: z.boolean(),
}).describe("A rule. Times are as Postgres writes them.");

export const ruleName = z
  .string()
  .regex(/^[a-z0-9][a-z0-9_./-]{0,99}$/, "expected small letters, digits, _ . / and -, for example mail_failures");

const address = text(2_000).regex(
  /^(https?:\/\/.+|[A-Za-z0-9_.-]{1,100})$/,
  "expected an address, or the name of one in LEGWORK_WEBHOOK_ENDPOINTS",
);
const ofEveryChannel = {
  from: z.enum(["warning", "critical"]).optional().describe("critical leaves warnings out."),
  payload: z.record(z.string(), json).optional().describe("Added to the payload of the job that tells."),
};
const channels = z
  .array(
    z.union([
      z.strictObject({ webhook: address, ...ofEveryChannel }),
      z.strictObject({ slack: address, ...ofEveryChannel }),
      z.strictObject({ email: z.union([z.email(), z.array(z.email()).min(1).max(50)]), ...ofEveryChannel }),
      z.strictObject({ task: text(128), ...ofEveryChannel }),
    ]),
  )
  .max(20)
  .describe("Whom to tell.");

const threshold = z.number().min(-1e15).max(1e15).optional();

export const alertRuleBody = z
  .strictObject({
    kind: z.enum(ALERT_KINDS).optional().describe("What is looked at; needed for a new rule."),
    target: text(512).optional().describe("Only this task, queue, schedule, check or host; each for itself by default."),
    warning: threshold.describe("From this value on. Thresholds are given together."),
    critical: threshold.describe("From this value on; not below `warning`."),
    period: duration.optional().describe("Over how long rates and running times are looked at."),
    atLeast: z.int().min(1).max(MAX_INTEGER).optional().describe("How many attempts there must have been in that time."),
    raiseAfter: duration.optional(),
    resolveAfter: duration.optional(),
    channels: channels.optional(),
    enabled: z.boolean().optional(),
  })
  .meta({
    description: "What is not given stays as it is.",
    examples: [{ kind: "error_rate", target: "notify/email", warning: 0.1, critical: 0.3 }],
  });

export const alertQuery = z.strictObject({
  all: z.stringbool().default(false).describe("Also those that are resolved."),
  limit: pageLimit,
});
export const alertPage = page(alertSchema, "The alerts.");
export const acknowledgeBody = z
  .strictObject({ note: text(1_000).optional() })
  .optional()
  .meta({ examples: [{ note: "the provider is down" }] });
export const acknowledgedSchema = z.object({ acknowledged: z.literal(true) });

export const silenceSchema = row({
  id: z.string(),
  rule: z.string().nullable().describe("Null for every rule."),
  target: z.string().nullable().describe("Null for everything."),
  until: at,
  reason: z.string().nullable(),
  silencedBy: z.string(),
  silencedAt: at,
});
export const silencePage = page(silenceSchema, "The silences.");
export const silenceBody = z
  .strictObject({
    duration,
    rule: text(128).optional(),
    target: text(512).optional(),
    reason: text(1_000).optional(),
  })
  .meta({ examples: [{ duration: "30m", reason: "planned work" }] });
export const startedSilenceSchema = z.object({ id: z.string() }).describe("The silence.");
export const endedSilenceSchema = z.object({ ended: z.boolean().describe("Whether there was one.") });

export const alertRulePage = page(alertRuleSchema, "The rules, by name.");
export const removedRuleSchema = z.object({ name: z.string() }).describe("The rule that is gone.");
export const restoredRulesSchema = z.object({ restored: z.int().describe("How many.") });
export const alertChannelsBody = z
  .strictObject({ channels })
  .meta({ examples: [{ channels: [{ email: "ops@example.com", from: "critical" }] }] });
export const alertChannelsSchema = z.object({ channels: z.int().describe("How many they are.") });

export const healthSchema = z.object({
  scope: z.string(),
  name: z.string(),
  status: z.enum(["healthy", "degraded", "unhealthy"]),
  reasons: z.array(z.string()),
});
export const healthPage = page(healthSchema, "What is healthy and what is not.");

export const taskStatisticsQuery = z.strictObject({ period: duration.default("1h").describe("How far back.") });
export const taskStatisticsSchema = row({
  task: z.string(),
  completed: z.string(),
  failed: z.string(),
  cancelled: z.string(),
  expired: z.string(),
  failedAttempts: z.string(),
  retried: z.string(),
  errorRate: numberOrNull.describe("The share of attempts that failed; null when there were none."),
  waitAverage: numberOrNull,
  waitP95: numberOrNull,
  runAverage: numberOrNull,
  runP50: numberOrNull,
  runP95: numberOrNull,
  runP99: numberOrNull,
});
export const taskStatisticsPage = page(
  taskStatisticsSchema,
  "The tasks whose jobs ended in that time. Counts are text; times are seconds.",
);

/** An alert. */
export type Alert = Answer<typeof alertSchema>;

/** How one thing is. */
export type Health = Answer<typeof healthSchema>;
