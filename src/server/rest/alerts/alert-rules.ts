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
      summary: "Get one alert rule",
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
      summary: "Make an alert rule, or change one",
      description: "Answers with the rule as it is then.",
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
      summary: "Take an alert rule away; its open alerts are resolved",
      answer: removedRuleSchema,
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
      summary: "Bring back the rules that Legwork comes with, where there is none of that name",
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
      summary: "Say whom the rules without channels of their own tell",
      description: "Not to be read again: addresses are secrets.",
      body: alertChannelsBody,
      answer: alertChannelsSchema,
    },
    async ({ client, body }) => {
      await setAlertChannels(client, body.channels);
      return { channels: body.channels.length };
    },
  );
}
