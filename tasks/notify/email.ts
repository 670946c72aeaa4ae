import { defineTask, Discard } from "legwork";
import { z } from "zod";
import { hidingSecrets, secretsOf } from "../@lib/hide-secrets.ts";
import { requiredSetting } from "../@lib/settings.ts";

/** How long the server may be idle (ms). */
const SILENCE_LIMIT_MS = 30_000;

const address = z.email().max(320);
const addresses = z.union([address, z.array(address).min(1).max(50)]).transform((value) => [value].flat());

export default defineTask({
  description: "Sends an email by SMTP.",
  queue: "notification",
  payload: z
    .strictObject({
      to: addresses.describe("One email address, or a list of up to 50."),
      cc: addresses.optional(),
      bcc: addresses.optional(),
      replyTo: address.optional(),
      subject: z
        .string()
        .min(1)
        .max(500)
        .regex(/^[^\r\n\0]*$/, "expected one line"),
      text: z.string().max(1_000_000).optional().describe("The email as plain text."),
      html: z
        .string()
        .max(1_000_000)
        .optional()
        .describe("The email as HTML. Also set text, for mail programs that do not show HTML."),
    })
    .refine(({ text, html }) => text !== undefined || html !== undefined, "expected text, html or both"),
  result: z.strictObject({
    messageId: z.string().describe("The email's Message-ID, which is the same for every attempt of the job."),
    accepted: z.int().describe("The number of recipients that the server accepted."),
    rejected: z.array(z.string()).describe("The recipients that the server rejected."),
  }),
  // Emails are private, and often contain links or codes that give access to an account.
  redact: ["text", "html"],
  timeout: "2m",
  /**
   * If the connection is lost after the server has accepted the email but before it has confirmed that, the email is sent again. It has the same
   * Message-ID, by which mail programs can recognize the duplicate.
   */
  async run({ to, cc, bcc, replyTo, subject, text, html }, { job, log, signal }) {
    const url = requiredSetting("LEGWORK_SMTP_URL");
    const from = requiredSetting("LEGWORK_MAIL_FROM");
    const { createTransport } = await import("nodemailer");
    const domain = /@([^\s@>]+)/.exec(from)?.[1] ?? "localhost";
    const messageId = `<legwork-${job.id}-${job.createdAt.getTime().toString(36)}@${domain}>`;
    return await hidingSecrets(secretsOf(url), async () => {
      const transport = createTransport({
        url,
        connectionTimeout: SILENCE_LIMIT_MS,
        greetingTimeout: SILENCE_LIMIT_MS,
        socketTimeout: SILENCE_LIMIT_MS,
        // Content from a payload must not make the worker read files or URLs.
        disableFileAccess: true,
        disableUrlAccess: true,
      });
      const stop = (): void => transport.close();
      signal.addEventListener("abort", stop, { once: true });
      try {
        signal.throwIfAborted();
        const sent = await transport.sendMail({ from, to, cc, bcc, replyTo, subject, text, html, messageId });
        const rejected = sent.rejected.map(String);
        if (rejected.length > 0)
          log.warn({ event: "recipients_rejected", rejected }, "The mail server rejected some recipients.");
        return { messageId: sent.messageId, accepted: sent.accepted.length, rejected };
      } catch (error) {
        signal.throwIfAborted();
        throw verdict(error);
      } finally {
        signal.removeEventListener("abort", stop);
        transport.close();
      }
    });
  },
});

/** A 5xx status for the email itself is final. After one for the login, the email is retried, because the operator may fix the login. */
function verdict(thrown: unknown): unknown {
  if (!(thrown instanceof Error)) return thrown;
  const { responseCode, code } = thrown as Error & { responseCode?: number; code?: string };
  const isFinal = responseCode !== undefined && responseCode >= 500 && (code === "EENVELOPE" || code === "EMESSAGE");
  return isFinal ? new Discard(`The mail server rejected the email: ${thrown.message}`) : thrown;
}
