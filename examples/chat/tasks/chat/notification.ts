import { defineTask, Discard, PayloadError } from "legwork";
import { z } from "zod";

interface User {
  email: string | null;
  phone: string | null;
  push_subscription: unknown;
}

export default defineTask({
  description: "Notifies a user by email, push or SMS.",
  queue: "notification",
  payload: z.strictObject({
    type: z.enum(["email", "push", "sms"]),
    userId: z.int().positive(),
    message: z.string().min(1).max(1_000),
  }),
  result: z.strictObject({ task: z.string(), jobId: z.string() }),
  redact: ["message"],
  // No user gets more notifications than this, even if another part of the app enqueues too many.
  rateLimit: { limit: 20, per: "1m", key: (p) => p.userId },
  async run({ type, userId, message }, { sql, enqueue, job }) {
    const [user] = await sql<User>`select email, phone, push_subscription from chat.users where id = ${userId}`;
    if (user === undefined) throw new PayloadError(`userId: user ${userId} does not exist.`);
    const [task, address, payload] = {
      email: ["notify/email", user.email, { to: user.email, subject: "News from your chat", text: message }] as const,
      push: [
        "notify/push",
        user.push_subscription,
        { subscription: user.push_subscription, notification: { title: "Chat", body: message } },
      ] as const,
      sms: ["notify/sms", user.phone, { to: user.phone, text: message }] as const,
    }[type];
    if (address === null) throw new Discard(`User ${userId} cannot be reached by ${type}.`);
    return { task, jobId: await enqueue(task, payload, { uniqueFor: "1 day", uniqueKey: `chat:${job.id}` }) };
  },
});
