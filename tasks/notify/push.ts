import { createHash } from "node:crypto";
import { defineTask, LegworkError } from "legwork";
import { z } from "zod";
import { assertAnswered } from "../@lib/assert-answered.ts";
import { guardedFetch } from "../@lib/guarded-fetch.ts";
import { hidingSecrets, secretsOf } from "../@lib/hide-secrets.ts";
import { requiredSetting } from "../@lib/settings.ts";

/** The largest notification (bytes). Every push service accepts 4,096 bytes encrypted, and encryption adds about 100. */
const MOST_BYTES = 3_900;

const base64 = z.string().regex(/^[\w-]+={0,2}$/, "expected URL-safe base64");

export default defineTask({
  description:
    "Sends a notification to a browser by Web Push, encrypted for the browser and signed with the configured VAPID keys.",
  queue: "notification",
  payload: z.strictObject({
    subscription: z
      .strictObject({
        endpoint: z.url({ protocol: /^https?$/ }).max(2_000),
        expirationTime: z.number().nullish(),
        keys: z.strictObject({ p256dh: base64.length(87).or(base64.length(88)), auth: base64.min(22).max(24) }),
      })
      .describe("The browser's PushSubscription, unchanged."),
    notification: z
      .record(z.string(), z.json())
      .refine((value) => Buffer.byteLength(JSON.stringify(value)) <= MOST_BYTES, `expected at most ${MOST_BYTES} bytes of JSON`)
      .describe("The JSON for the page's service worker, such as title, body and url."),
    ttl: z
      .int()
      .min(0)
      .max(2_419_200)
      .default(86_400)
      .describe("How long the push service keeps the notification for a browser that is offline (s)."),
    urgency: z.enum(["very-low", "low", "normal", "high"]).default("normal"),
    topic: z
      .string()
      .regex(/^[\w-]{1,32}$/, "expected up to 32 letters, digits, - and _")
      .optional()
      .describe(
        "Replaces any undelivered notification that has the same topic. Default: a topic unique to this job, so that a second attempt does not show the notification again.",
      ),
  }),
  result: z.strictObject({
    delivered: z.boolean().describe("Whether the push service accepted the notification."),
    gone: z.boolean().describe("Whether the subscription has ended. If so, delete it."),
    status: z.int(),
  }),
  // Anyone who has these values can send notifications to the browser.
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
        log.info({ event: "subscription_gone", status }, "The push subscription has ended.");
        return { delivered: false, gone: true, status };
      }
      assertAnswered(answer, "The push service");
      return { delivered: true, gone: false, status };
    });
  },
});

/** Loads web-push when the first notification is sent. `npm install legwork` does not install it, because it adds 16 packages for this one task. */
async function loadWebPush(): Promise<typeof import("web-push")> {
  try {
    import.meta.resolve("web-push");
  } catch (error) {
    throw new LegworkError("LW517", "The task notify/push needs the package web-push, which is not installed.", {
      hint: `Run \`npm install web-push\` where the workers run, then retry the job.`,
      cause: error,
    });
  }
  return (await import("web-push")).default;
}
