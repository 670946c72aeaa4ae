import { createHash } from "node:crypto";
import { defineTask, LegworkError } from "legwork";
import { z } from "zod";
import { assertAnswered } from "../@lib/assert-answered.ts";
import { guardedFetch } from "../@lib/guarded-fetch.ts";
import { hidingSecrets, secretsOf } from "../@lib/hide-secrets.ts";
import { requiredSetting } from "../@lib/settings.ts";

/** What push services take at least, encrypted (bytes); what is sent is some 100 smaller. */
const MOST_BYTES = 3_900;

const base64 = z.string().regex(/^[\w-]+={0,2}$/, "expected URL-safe base64");

export default defineTask({
  description:
    "Sends a notification to a browser by Web Push, encrypted for it and signed with the VAPID keys of the configuration.",
  queue: "notification",
  payload: z.strictObject({
    subscription: z
      .strictObject({
        endpoint: z.url({ protocol: /^https?$/ }).max(2_000),
        expirationTime: z.number().nullish(),
        keys: z.strictObject({ p256dh: base64.length(87).or(base64.length(88)), auth: base64.min(22).max(24) }),
      })
      .describe("As the browser's PushSubscription gives it."),
    notification: z
      .record(z.string(), z.json())
      .refine((value) => Buffer.byteLength(JSON.stringify(value)) <= MOST_BYTES, `expected at most ${MOST_BYTES} bytes of JSON`)
      .describe("What the page's service worker gets, as JSON: title, body, url."),
    ttl: z.int().min(0).max(2_419_200).default(86_400).describe("How long the service keeps it for a browser that is away (s)."),
    urgency: z.enum(["very-low", "low", "normal", "high"]).default("normal"),
    topic: z
      .string()
      .regex(/^[\w-]{1,32}$/, "expected up to 32 letters, digits, - and _")
      .optional()
      .describe(
        "Replaces what waits under the same topic. One of the job's own by default, so that a second attempt shows nothing twice.",
      ),
  }),
  result: z.strictObject({
    delivered: z.boolean().describe("Whether the service took it."),
    gone: z.boolean().describe("Whether the subscription is over: delete it."),
    status: z.int(),
  }),
  // Who has these can send to that browser.
  redact: ["subscription.endpoint", "subscription.keys.auth", "subscription.keys.p256dh", "notification"],
  timeout: "1m",
  async run({ subscription, notification, ttl, urgency, topic }, { job, log, signal }) {
    const vapidDetails = {
      subject: requiredSetting("LEGWORK_WEB_PUSH_SUBJECT"),
      publicKey: requiredSetting("LEGWORK_WEB_PUSH_PUBLIC_KEY"),
      privateKey: requiredSetting("LEGWORK_WEB_PUSH_PRIVATE_KEY"),
    };
    const { endpoint, keys } = subscription;
    return await hidingSecrets([vapidDetails.privateKey, new URL(endpoint).pathname, ...secretsOf(endpoint)], async () => {
      const webPush = await loadWebPush();
      const request = webPush.generateRequestDetails({ endpoint, keys }, JSON.stringify(notification), {
        vapidDetails,
        TTL: ttl,
        urgency,
        topic: topic ?? createHash("sha256").update(`${job.id} ${job.createdAt.getTime()}`).digest("base64url").slice(0, 32),
        contentEncoding: "aes128gcm",
      });
      const headers = Object.fromEntries(
        Object.entries(request.headers)
          .filter(([name]) => name.toLowerCase() !== "content-length")
          .map(([name, value]) => [name, value]),
      );
      await using answer = await guardedFetch(endpoint, { method: "POST", headers, body: request.body ?? undefined, signal });
      const { status } = answer;
      if (status === 404 || status === 410) {
        log.info({ event: "subscription_gone", status }, "The push subscription is over.");
        return { delivered: false, gone: true, status };
      }
      assertAnswered(answer, "The push service");
      return { delivered: true, gone: false, status };
    });
  },
});

/** Loaded by the first notification. `npm install legwork` leaves it out: it brings 16 more packages, for this one task. */
async function loadWebPush(): Promise<typeof import("web-push")> {
  try {
    import.meta.resolve("web-push");
  } catch (error) {
    throw new LegworkError("LW517", "notify/push needs the package web-push, which is not installed.", {
      hint: `Run \`npm install web-push\` where the workers run, then retry the job.`,
      cause: error,
    });
  }
  return (await import("web-push")).default;
}
