import { createHmac } from "node:crypto";
import { defineTask, Discard, PayloadError } from "legwork";
import { z } from "zod";
import { assertAnswered } from "../@lib/assert-answered.ts";
import { guardedFetch, plainAddress, shown } from "../@lib/guarded-fetch.ts";
import { hidingSecrets, secretsOf } from "../@lib/hide-secrets.ts";
import { requiredSetting, setting } from "../@lib/settings.ts";

export default defineTask({
  description: "Posts to a webhook, signed with HMAC and a timestamp as in Standard Webhooks. Can also post in Slack's format.",
  queue: "notification",
  payload: z
    .strictObject({
      url: plainAddress.optional(),
      endpoint: z
        .string()
        .min(1)
        .max(100)
        .optional()
        .describe("The name of a URL in LEGWORK_WEBHOOK_ENDPOINTS, for URLs that are secret, such as Slack's."),
      body: z.json().optional().describe("The JSON to post."),
      slack: z
        .string()
        .min(1)
        .max(40_000)
        .optional()
        .describe('A text for Slack, Mattermost and similar tools, posted as {"text": …}.'),
    })
    .refine(({ url, endpoint }) => (url === undefined) !== (endpoint === undefined), "expected either url or endpoint")
    .refine(({ body, slack }) => (body === undefined) !== (slack === undefined), "expected either body or slack"),
  result: z.strictObject({
    status: z.int(),
    milliseconds: z.number(),
    id: z.string().describe("The webhook-id, which is the same for every attempt of the job."),
    signed: z.boolean(),
  }),
  timeout: "1m",
  /** Receivers recognize a repeated delivery by its id. Redirects are not followed, because the signature is for one receiver. */
  async run({ url, endpoint, body, slack }, { job, signal }) {
    const secrets =
      slack === undefined
        ? requiredSetting("LEGWORK_WEBHOOK_SECRET", "No signing secret configured")
        : setting("LEGWORK_WEBHOOK_SECRET");
    const address = endpoint === undefined ? (url as string) : endpointOf(endpoint);
    const id = `msg_${job.id}_${job.createdAt.getTime().toString(36)}`;
    const content = JSON.stringify(slack === undefined ? body : { text: slack });
    const timestamp = String(Math.floor(Date.now() / 1_000));
    const headers: Record<string, string> = {
      "content-type": "application/json",
      "webhook-id": id,
      "webhook-timestamp": timestamp,
    };
    if (secrets !== undefined) {
      headers["webhook-signature"] = secrets.map((secret) => `v1,${sign(secret, `${id}.${timestamp}.${content}`)}`).join(" ");
    }
    const startedAt = performance.now();
    return await hidingSecrets(
      endpoint === undefined ? secretsOf(address) : [new URL(address).pathname, ...secretsOf(address)],
      async () => {
        await using answer = await guardedFetch(address, {
          method: "POST",
          headers,
          body: content,
          signal,
          trusted: endpoint !== undefined,
        });
        assertAnswered(answer, endpoint === undefined ? shown(new URL(address)) : `Endpoint '${endpoint}'`);
        const milliseconds = Math.round(performance.now() - startedAt);
        return { status: answer.status, milliseconds, id, signed: secrets !== undefined };
      },
    );
  },
});

function endpointOf(name: string): string {
  const endpoints = setting("LEGWORK_WEBHOOK_ENDPOINTS");
  if (endpoints === undefined)
    throw new Discard("No endpoint configured: LEGWORK_WEBHOOK_ENDPOINTS is not set in the worker's environment.");
  const address = Object.hasOwn(endpoints, name) ? endpoints[name] : undefined;
  if (address !== undefined) return address;
  throw new PayloadError(`endpoint: LEGWORK_WEBHOOK_ENDPOINTS has no endpoint '${name}'.`, {
    hint: `Its endpoints: ${Object.keys(endpoints).join(", ") || "none"}.`,
  });
}

/** Signs as in Standard Webhooks 1: HMAC-SHA256 with the secret's bytes, in base64. */
function sign(secret: string, content: string): string {
  return createHmac("sha256", Buffer.from(secret.replace(/^whsec_/, ""), "base64"))
    .update(content)
    .digest("base64");
}
