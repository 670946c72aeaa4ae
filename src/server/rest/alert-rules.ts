import type { FastifyInstance } from "fastify";
import { z } from "zod";
import { dropAlertRule, listAlertRules, setAlertRule } from "../../health/alert-rules.ts";
import { LegworkError } from "../../errors.ts";
import type { Queryable } from "../../db/pool.ts";
import { addRoute, type RestContext } from "./route.ts";
import { duration, MAX_INTEGER, page, text } from "./values.ts";

const KINDS = [
  "consecutive_failures",
  "error_rate",
  "failed_jobs",
  "slow_runs",
  "stuck_jobs",
  "backlog_age",
  "schedule_late",
  "no_worker",
  "database",
  "host_cpu",
  "host_memory",
  "host_disk",
  "worker_memory",
] as const;

const ruleName = text(100);
const threshold = z.number().min(0).max(1e15);

const ruleSchema = z
  .object({
    name: z.string(),
    kind: z.string(),
    target: z.string().nullable(),
    warning: z.number().nullable(),
    critical: z.number().nullable(),
    period: z.string().describe("As hh:mm:ss or in days."),
    at_least: z.int(),
    raise_after: z.string(),
    resolve_after: z.string(),
    channels: z.int().nullable().describe("How many channels of its own it has; null for those that hold for all."),
    is_enabled: z.boolean(),
  })
  .loose()
  .meta({ description: "A rule. Whom it tells is left out: addresses are secrets." });

async function getRule(client: Queryable, name: string): Promise<unknown> {
  const rule = (await listAlertRules(client)).find((each) => each.name === name);
  if (rule !== undefined) return rule;
  throw new LegworkError("LW404", `There is no rule '${name}'.`, { hint: "GET /alert-rules lists them." });
}

/** The rules that raise alerts. Whom they tell is set in SQL only: whoever may set an address may have data sent to it. */
export function addAlertRuleRoutes(app: FastifyInstance, context: RestContext): void {
  const common = { tag: "alerts", everybody: true } as const;
  addRoute(
    app,
    context,
    {
      ...common,
      method: "GET",
      role: "viewer",
      url: "/alert-rules",
      summary: "List the rules that raise alerts",
      answer: page(ruleSchema, "The rules, by name."),
    },
    async ({ client }) => ({ items: await listAlertRules(client), next_cursor: null }),
  );
  addRoute(
    app,
    context,
    {
      ...common,
      method: "PUT",
      role: "operator",
      url: "/alert-rules/:name",
      summary: "Make a rule, or change one",
      description: "What is not given stays as it is; thresholds are given together.",
      params: z.object({ name: ruleName }),
      body: z
        .strictObject({
          kind: z.enum(KINDS).optional().describe("What is looked at. Needed for a new rule."),
          target: text(512).optional().describe("Only this task, queue, schedule, check or host; each for itself by default."),
          warning: threshold.optional().describe("From this value on the alert is a warning."),
          critical: threshold.optional().describe("From this value on it is critical."),
          period: duration.optional(),
          at_least: z.int().min(1).max(MAX_INTEGER).optional(),
          raise_after: duration.optional(),
          resolve_after: duration.optional(),
          enabled: z.boolean().optional(),
        })
        .meta({ examples: [{ warning: 0.1, critical: 0.3, period: "1h", at_least: 50 }, { enabled: false }] }),
      answer: ruleSchema,
      problems: ["LW404"],
    },
    async ({ client, params: { name }, body: { at_least, raise_after, resolve_after, ...rule } }) => {
      await setAlertRule(client, name, {
        ...rule,
        atLeast: at_least,
        raiseAfter: raise_after,
        resolveAfter: resolve_after,
      });
      return await getRule(client, name);
    },
  );
  addRoute(
    app,
    context,
    {
      ...common,
      method: "DELETE",
      role: "operator",
      url: "/alert-rules/:name",
      summary: "Take a rule away; its open alerts are resolved",
      params: z.object({ name: ruleName }),
      answer: z.object({ dropped: z.literal(true) }),
      problems: ["LW404"],
    },
    async ({ client, params: { name } }) => {
      await dropAlertRule(client, name);
      return { dropped: true };
    },
  );
}
