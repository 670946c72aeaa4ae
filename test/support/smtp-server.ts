import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { SMTPServer, type SMTPServerOptions } from "smtp-server";
import { onTestFinished } from "vitest";

export interface Mail {
  from: string;
  to: string[];
  source: string;
}

/** A real SMTP server that requires authentication and rejects recipients whose address begins with "no". */
export async function smtpServer(options: SMTPServerOptions = {}): Promise<{ url: string; mails: Mail[] }> {
  const mails: Mail[] = [];
  const server = new SMTPServer({
    hideSTARTTLS: true,
    allowInsecureAuth: true,
    onAuth: ({ username, password }, _session, done) =>
      username === "app" && password === "s3cret p4ss" ? done(null, { user: username }) : done(new Error(`Not ${password}`)),
    onRcptTo: ({ address }, _session, done) => {
      if (address.startsWith("no")) done(Object.assign(new Error("No such mailbox"), { responseCode: 550 }));
      else done();
    },
    onData: (stream, session, done) => {
      let source = "";
      stream.on("data", (part: Buffer) => (source += part.toString()));
      stream.on("end", () => {
        const { mailFrom, rcptTo } = session.envelope;
        mails.push({ from: mailFrom === false ? "" : mailFrom.address, to: rcptTo.map(({ address }) => address), source });
        done();
      });
    },
    ...options,
  });
  const listening = server.listen(0, "127.0.0.1");
  await once(listening, "listening");
  onTestFinished(async () => await new Promise((resolve) => server.close(() => resolve())));
  const { port } = listening.address() as AddressInfo;
  return { url: `smtp://app:${encodeURIComponent("s3cret p4ss")}@127.0.0.1:${port}`, mails };
}
