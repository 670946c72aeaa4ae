import type { FastifyInstance } from "fastify";
import { z } from "zod";
import {
  ALERT_KINDS,
  type AlertChannel,
  dropAlertRule,
  getAlertRule,
  listAlertRules,
  restoreAlertRules,
  setAlertChannels,
  setAlertRule,
} from "../../../health/alert-rules.ts";
import { addRoute, type RestContext } from "../route.ts";
import { duration, json, MAX_INTEGER, page, text } from "../values.ts";

const numberOrNull = z.number().nullable();

const ruleSchema = z
  .object({
    name: z.string(),
    kind: z.enum(ALERT_KINDS),
    target: z.string().nullable(),
    warning: numberOrNull,
    critical: numberOrNull,
    period: z.string(),
    at_least: z.int(),
    raise_after: z.string(),
    resolve_after: z.string(),
    channels: z.int().nullable().describe("How many it has of its own: addresses are secrets. Null for those that hold for all."),
    is_enabled: z.boolean(),
  })
  .loose()
  .describe("A rule. Times are as Postgres writes them.");

const ruleName = z
  .string()
  .regex(/^[a-z0-9][a-z0-9_./-]{0,99}$/, "expected small letters, digits, _ . / and -, for example mail_failures");

const address = text(2_000).regex(
  /^(https?:\/\/.+|[A-Za-z0-9_.-]{1,100})$/,
  "expected an address, or the name of one in LEGWORK_WEBHOOK_ENDPOINTS",
);
const shared = {
  from: z.enum(["warning", "critical"]).optional().describe("critical leaves warnings out."),
  payload: z.record(z.string(), json).optional().describe("Added to the payload of the job that tells."),
};
const channels = z
  .array(
    z.union([
      z.strictObject({ webhook: address, ...shared }),
      z.strictObject({ slack: address, ...shared }),
      z.strictObject({ email: z.union([z.email(), z.array(z.email()).min(1).max(50)]), ...shared }),
      z.strictObject({ task: text(128), ...shared }),
    ]),
  )
  .max(20)
  .describe("Whom to tell.");

const threshold = z.number().min(-1e15).max(1e15).optional();

const ruleBody = z
  .strictObject({
    kind: z.enum(ALERT_KINDS).optional().describe("What is looked at; needed for a new rule."),
    target: text(512).optional().describe("Only this task, queue, schedule, check or host; each for itself by default."),
    warning: threshold.describe("From this value on. Thresholds are given together."),
    critical: threshold.describe("From this value on; not below `warning`."),
    period: duration.optional().describe("Over how long rates and running times are looked at."),
    at_least: z.int().min(1).max(MAX_INTEGER).optional().describe("How many attempts there must have been in that time."),
    raise_after: duration.optional(),
    resolve_after: duration.optional(),
    channels: channels.optional(),
    enabled: z.boolean().optional(),
  })
  .meta({
    description: "What is not given stays as it is.",
    examples: [{ kind: "error_rate", target: "notify/email", warning: 0.1, critical: 0.3 }],
  });

/** The rules that raise alerts, and whom they tell. */
export function addAlertRuleRoutes(app: FastifyInstance, context: RestContext): void {
  const everybody = { tag: "alerts", everybody: true } as const;
  const one = { ...everybody, role: "operator", params: z.object({ name: ruleName }) } as const;

  addRoute(
    app,
    context,
    {
      ...everybody,
      method: "GET",
      url: "/alert-rules",
      role: "viewer",
      summary: "List the rules that raise alerts",
      answer: page(ruleSchema, "The rules, by name."),
    },
    async ({ client }) => ({ items: await listAlertRules(client), next_cursor: null }),
  );
  addRoute(
    app,
    context,
    {
      ...one,
      method: "GET",
      url: "/alert-rules/:name",
      role: "viewer",
      summary: "Get one alert rule",
      answer: ruleSchema,
      problems: ["LW404"],
    },
    async ({ client, params: { name } }) => await getAlertRule(client, name),
  );
  addRoute(
    app,
    context,
    {
      ...one,
      method: "PUT",
      url: "/alert-rules/:name",
      summary: "Make an alert rule, or change one",
      description: "Answers with the rule as it is then.",
      body: ruleBody,
      answer: ruleSchema,
      problems: ["LW404"],
    },
    async ({
      client,
      params: { name },
      body: { at_least: atLeast, raise_after: raiseAfter, resolve_after: resolveAfter, ...rule },
    }) => {
      const told = rule.channels as readonly AlertChannel[] | undefined;
      await setAlertRule(client, name, { ...rule, channels: told, atLeast, raiseAfter, resolveAfter });
      return await getAlertRule(client, name);
    },
  );
  addRoute(
    app,
    context,
    {
      ...one,
      method: "DELETE",
      url: "/alert-rules/:name",
      summary: "Take an alert rule away; its open alerts are resolved",
      answer: z.object({ name: z.string() }).describe("The rule that is gone."),
      problems: ["LW404"],
    },
    async ({ client, params: { name } }) => {
      await dropAlertRule(client, name);
      return { name };
    },
  );
  for (const [verb, enabled, summary] of [
    ["enable", true, "Have a rule looked at again"],
    ["disable", false, "Have a rule looked at by nobody; its open alerts are resolved"],
  ] as const) {
    addRoute(
      app,
      context,
      { ...one, method: "POST", url: `/alert-rules/:name/${verb}`, summary, answer: ruleSchema, problems: ["LW404"] },
      async ({ client, params: { name } }) => {
        await setAlertRule(client, name, { enabled });
        return await getAlertRule(client, name);
      },
    );
  }
  addRoute(
    app,
    context,
    {
      ...everybody,
      method: "POST",
      url: "/alert-rules/restore",
      role: "operator",
      summary: "Bring back the rules that Legwork comes with, where there is none of that name",
      answer: z.object({ restored: z.int().describe("How many.") }),
    },
    async ({ client }) => ({ restored: await restoreAlertRules(client) }),
  );
  addRoute(
    app,
    context,
    {
      ...everybody,
      method: "PUT",
      url: "/alert-channels",
      role: "operator",
      summary: "Say whom the rules without channels of their own tell",
      description: "Not to be read again: addresses are secrets.",
      body: z.strictObject({ channels }).meta({ examples: [{ channels: [{ email: "ops@example.com", from: "critical" }] }] }),
      answer: z.object({ channels: z.int().describe("How many they are.") }),
    },
    async ({ client, body }) => {
      await setAlertChannels(client, body.channels);
      return { channels: body.channels.length };
    },
  );
}
