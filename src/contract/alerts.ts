import { z } from "zod";
import { type Answer, countText, row } from "./rows.ts";
import { at } from "./times.ts";
import { page, pageLimit } from "./page.ts";
import { ALERT_KINDS } from "./states.ts";
import { duration, json, MAX_INTEGER, text } from "./values.ts";

/** A row of `legwork.alerts`, as JSON. */
export const alertSchema = row({
  id: z.string(),
  rule: z.string(),
  kind: z.string(),
  target: z.string().describe("The task, queue, schedule or host concerned; empty when it concerns the whole system."),
  state: z.enum(["open", "acknowledged", "resolved"]),
  severity: z.enum(["warning", "critical"]),
  message: z.string(),
  value: z.number(),
  threshold: z.number(),
  raisedAt: at,
  criticalAt: at.nullable().describe("When it became critical."),
  clearSince: at.nullable().describe("When the value went back below the threshold; null while it is above."),
  resolvedAt: at.nullable(),
  acknowledgedAt: at.nullable(),
  acknowledgedBy: z.string().nullable(),
  note: z.string().nullable(),
  silenced: z.boolean().describe("Whether it is open and a silence is in effect for it now."),
  jobs: z.array(z.string()).describe("The jobs that send its notifications."),
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
  channels: z
    .int()
    .nullable()
    .describe("The number of its own channels, whose addresses are secret. Null if it uses the default channels."),
  isEnabled: z.boolean(),
}).describe("An alert rule. Times are Postgres intervals.");

export const ruleName = z
  .string()
  .regex(/^[a-z0-9][a-z0-9_./-]{0,99}$/, "expected lowercase letters, digits, _ . / and -, for example mail_failures");

const address = text(2_000).regex(
  /^(https?:\/\/.+|[A-Za-z0-9_.-]{1,100})$/,
  "expected a URL, or the name of an endpoint in LEGWORK_WEBHOOK_ENDPOINTS",
);
const ofEveryChannel = {
  from: z
    .enum(["warning", "critical"])
    .optional()
    .describe("The lowest severity that is sent: critical excludes warnings. The default is warning."),
  payload: z.record(z.string(), json).optional().describe("Added to the payload of the job that sends the notification."),
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
  .describe("Where notifications are sent.");

const threshold = z.number().min(-1e15).max(1e15).optional();

export const alertRuleBody = z
  .strictObject({
    kind: z.enum(ALERT_KINDS).optional().describe("What the rule watches; required for a new rule."),
    target: text(512)
      .optional()
      .describe("The only task, queue, schedule, check or host to watch; by default, each one is watched separately."),
    warning: threshold.describe(
      "A value of at least this raises a warning. Setting one threshold replaces both: an omitted threshold is removed.",
    ),
    critical: threshold.describe("A value of at least this is critical. Must not be below `warning`."),
    period: duration.optional().describe("The period over which rates and running times are measured."),
    atLeast: z
      .int()
      .min(1)
      .max(MAX_INTEGER)
      .optional()
      .describe("The minimum number of attempts in the period for the rule to apply."),
    raiseAfter: duration.optional().describe("How long the value must exceed the threshold before the alert is raised."),
    resolveAfter: duration
      .optional()
      .describe("How long the value must be back below the threshold before the alert is resolved."),
    channels: channels.optional(),
    enabled: z.boolean().optional(),
  })
  .meta({
    description: "The settings to change; omitted fields keep their value.",
    examples: [{ kind: "error_rate", target: "notify/email", warning: 0.1, critical: 0.3 }],
  });

export const alertQuery = z.strictObject({
  all: z.stringbool().default(false).describe("Include resolved alerts."),
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
  rule: z.string().nullable().describe("The rule that is silenced; null for every rule."),
  target: z.string().nullable().describe("The target that is silenced; null for every target."),
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
export const startedSilenceSchema = z.object({ id: z.string() }).describe("The new silence.");
export const endedSilenceSchema = z.object({ ended: z.boolean().describe("Whether the silence was still in effect.") });

export const alertRulePage = page(alertRuleSchema, "The alert rules, by name.");
export const removedRuleSchema = z.object({ name: z.string() }).describe("The removed rule.");
export const restoredRulesSchema = z.object({ restored: z.int().describe("The number of rules that were restored.") });
export const alertChannelsBody = z
  .strictObject({ channels })
  .meta({ examples: [{ channels: [{ email: "ops@example.com", from: "critical" }] }] });
export const alertChannelsSchema = z.object({ channels: z.int().describe("The number of channels.") });

export const healthSchema = z.object({
  scope: z.string(),
  name: z.string(),
  status: z.enum(["healthy", "degraded", "unhealthy"]),
  reasons: z.array(z.string()),
});
export const healthPage = page(healthSchema, "The health of the system and of each task, queue, schedule and host.");

export const taskStatisticsQuery = z.strictObject({ period: duration.default("1h").describe("How far to look back.") });
export const taskStatisticsSchema = row({
  task: z.string(),
  completed: countText(),
  failed: countText(),
  cancelled: countText(),
  expired: countText(),
  failedAttempts: countText(),
  retried: countText(),
  errorRate: numberOrNull.describe("The share of attempts that failed; null without attempts."),
  waitAverage: numberOrNull,
  waitP95: numberOrNull,
  runAverage: numberOrNull,
  runP50: numberOrNull,
  runP95: numberOrNull,
  runP99: numberOrNull,
});
export const taskStatisticsPage = page(
  taskStatisticsSchema,
  "The tasks whose jobs ended in the period. Counts are text; times are in seconds.",
);

/** An alert. */
export type Alert = Answer<typeof alertSchema>;

/** An alert rule. */
export type AlertRule = Answer<typeof alertRuleSchema>;
/** How the jobs of a task ended in a period. */
export type TaskStatistics = Answer<typeof taskStatisticsSchema>;

/** The health of the system, or of one task, queue, schedule or host. */
export type Health = Answer<typeof healthSchema>;
