import { defineTask, Discard } from "legwork";
import { z } from "zod";
import { hidingSecrets, secretsOf } from "../@lib/hide-secrets.ts";
import { requiredSetting } from "../@lib/settings.ts";

/** How long the server may be silent (ms). */
const SILENCE_LIMIT_MS = 30_000;

const address = z.email().max(320);
const addresses = z.union([address, z.array(address).min(1).max(50)]).transform((value) => [value].flat());

export default defineTask({
  description: "Sends an e-mail by SMTP.",
  queue: "notification",
  payload: z
    .strictObject({
      to: addresses.describe("One address, or up to 50."),
      cc: addresses.optional(),
      bcc: addresses.optional(),
      replyTo: address.optional(),
      subject: z
        .string()
        .min(1)
        .max(500)
        .regex(/^[^\r\n\0]*$/, "expected one line"),
      text: z.string().max(1_000_000).optional().describe("The mail as plain text."),
      html: z.string().max(1_000_000).optional().describe("The mail as HTML; give text as well."),
    })
    .refine(({ text, html }) => text !== undefined || html !== undefined, "expected text, html or both"),
  result: z.strictObject({
    messageId: z.string().describe("The mail's Message-ID; every attempt of the job has the same."),
    accepted: z.int().describe("Recipients that the server took."),
    rejected: z.array(z.string()).describe("Recipients that it refused."),
  }),
  // What a mail says is between two people, and often opens an account.
  redact: ["text", "html"],
  timeout: "2m",
  /**
   * A server that has taken the mail and loses the connection before it says so is given it again, with the same Message-ID, by which
   * mail programs know it for the same.
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
        // What came in as data names no file and no address to read.
        disableFileAccess: true,
        disableUrlAccess: true,
      });
      const stop = (): void => transport.close();
      signal.addEventListener("abort", stop, { once: true });
      try {
        signal.throwIfAborted();
        const sent = await transport.sendMail({ from, to, cc, bcc, replyTo, subject, text, html, messageId });
        const rejected = sent.rejected.map(String);
        if (rejected.length > 0) log.warn({ event: "recipients_rejected", rejected }, "The server refuses some recipients.");
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

/** A server's 5xx about this mail is its last word; one about who we are may be mended, and the mail is tried again. */
function verdict(thrown: unknown): unknown {
  if (!(thrown instanceof Error)) return thrown;
  const { responseCode, code } = thrown as Error & { responseCode?: number; code?: string };
  const isFinal = responseCode !== undefined && responseCode >= 500 && (code === "EENVELOPE" || code === "EMESSAGE");
  return isFinal ? new Discard(`The mail server refuses the mail: ${thrown.message}`) : thrown;
}
