import type { FastifyInstance } from "fastify";
import { z } from "zod";
import {
  alertChannelsBody,
  alertChannelsSchema,
  alertRuleBody,
  alertRulePage,
  alertRuleSchema,
  removedRuleSchema,
  restoredRulesSchema,
  ruleName,
} from "../../../contract/alerts.ts";
import {
  dropAlertRule,
  getAlertRule,
  listAlertRules,
  restoreAlertRules,
  setAlertChannels,
  setAlertRule,
} from "../../../health/alert-rules.ts";
import { addRoute, type RestContext } from "../route.ts";

/** Adds the routes for alert rules and their channels. */
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
      summary: "List alert rules",
      answer: alertRulePage,
    },
    async ({ client }) => ({ items: await listAlertRules(client), nextCursor: null }),
  );
  addRoute(
    app,
    context,
    {
      ...one,
      method: "GET",
      url: "/alert-rules/:name",
      role: "viewer",
      summary: "Get an alert rule",
      answer: alertRuleSchema,
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
      summary: "Create or change an alert rule",
      description: "Returns the new state of the rule.",
      body: alertRuleBody,
      answer: alertRuleSchema,
      problems: ["LW404"],
    },
    async ({ client, params: { name }, body }) => {
      await setAlertRule(client, name, { ...body, channels: body.channels });
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
      summary: "Remove an alert rule and resolve its open alerts",
      answer: removedRuleSchema,
      problems: ["LW404"],
    },
    async ({ client, params: { name } }) => {
      await dropAlertRule(client, name);
      return { name };
    },
  );
  for (const [verb, enabled, summary] of [
    ["enable", true, "Enable an alert rule"],
    ["disable", false, "Disable an alert rule and resolve its open alerts"],
  ] as const) {
    addRoute(
      app,
      context,
      { ...one, method: "POST", url: `/alert-rules/:name/${verb}`, summary, answer: alertRuleSchema, problems: ["LW404"] },
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
      summary: "Restore the built-in alert rules that are missing",
      answer: restoredRulesSchema,
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
      summary: "Set the default channels, for alert rules without their own",
      description: "Channels cannot be read back, because their addresses are secrets.",
      body: alertChannelsBody,
      answer: alertChannelsSchema,
    },
    async ({ client, body }) => {
      await setAlertChannels(client, body.channels);
      return { channels: body.channels.length };
    },
  );
}
