import { defineTask } from "legwork";
import { z } from "zod";
import { assertAnswered } from "../@lib/assert-answered.ts";
import { guardedFetch } from "../@lib/guarded-fetch.ts";
import { hidingSecrets, secretsOf } from "../@lib/hide-secrets.ts";
import { requiredSetting, setting } from "../@lib/settings.ts";

/** The maximum size of a response (bytes). */
const ANSWER_LIMIT_BYTES = 64 * 1024;

const answerSchema = z.object({ id: z.union([z.string().min(1).max(500), z.number()]).transform(String) });

export default defineTask({
  description: "Sends an SMS through the HTTP provider in the worker's configuration.",
  queue: "notification",
  payload: z.strictObject({
    to: z
      .string()
      .regex(/^\+[1-9]\d{6,14}$/, "expected a number such as +4366012345678")
      .describe("The phone number with its country code."),
    text: z.string().min(1).max(1_600),
  }),
  result: z.strictObject({ messageId: z.string().describe("The provider's id of the message.") }),
  // Login codes are often sent by SMS.
  redact: ["text"],
  timeout: "1m",
  /**
   * Every attempt of a job has the same Idempotency-Key, so a provider that honors the key sends the message once. docs/guides/tasks.md describes the
   * protocol.
   */
  async run({ to, text }, { job, signal }) {
    const url = requiredSetting("LEGWORK_SMS_URL");
    const token = setting("LEGWORK_SMS_TOKEN");
    const from = setting("LEGWORK_SMS_FROM");
    const id = `legwork-${job.id}-${job.createdAt.getTime().toString(36)}`;
    return await hidingSecrets([token, ...secretsOf(url)], async () => {
      await using answer = await guardedFetch(url, {
        method: "POST",
        headers: {
          "content-type": "application/json",
          accept: "application/json",
          "idempotency-key": id,
          ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
        },
        body: JSON.stringify({ to, from, text, id }),
        signal,
        trusted: true,
      });
      assertAnswered(answer, "The SMS provider");
      const parts: Uint8Array[] = [];
      for await (const part of answer.chunks(ANSWER_LIMIT_BYTES)) parts.push(part);
      const parsed = answerSchema.safeParse(parse(Buffer.concat(parts).toString()));
      if (!parsed.success)
        throw new Error("The SMS provider's response has no id, so it is unknown whether the message was sent.");
      return { messageId: parsed.data.id };
    });
  },
});

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
