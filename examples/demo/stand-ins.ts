import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { cp, mkdtemp, realpath, rm } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { SMTPServer } from "smtp-server";
import { type StubProvider, startStubProvider } from "../assistant/stub-provider.ts";

/** The services that the examples call. They run in this process and store nothing. */
export interface StandIns {
  readonly smtpUrl: string;
  readonly httpUrl: string;
  readonly webhookSecret: string;
  /** The AI providers. */
  readonly providers: readonly StubProvider[];
  /** A temporary folder, which `stop` removes. */
  readonly folder: string;
  /** A subfolder with the reports of all examples, because a worker reads reports from a single folder. */
  readonly reports: string;
  stop(): Promise<void>;
}

/** The partner's server is down for the first `AWAY_MS` of every `ROUND_MS`. */
const ROUND_MS = 360_000;
const AWAY_MS = 120_000;

/**
 * Starts a mail server that rejects recipients at gone.example, an HTTP server with an SMS provider and a partner's webhook, and two AI providers.
 * They listen only on the loopback address.
 */
export async function startStandIns(): Promise<StandIns> {
  const startedAt = performance.now();
  const smtp = new SMTPServer({
    disabledCommands: ["STARTTLS"],
    authOptional: true,
    onRcptTo: ({ address }, _session, done) => {
      if (address.endsWith("@gone.example")) done(Object.assign(new Error("No such mailbox"), { responseCode: 550 }));
      else done();
    },
    onData: (stream, _session, done) => {
      stream.resume();
      stream.once("end", () => done());
    },
  });
  // A client disconnected in the middle of an email.
  smtp.on("error", () => {});
  const mail = smtp.listen(0, "127.0.0.1");
  await once(mail, "listening");

  const http = createServer((request, response) => {
    request.resume();
    request.once("end", () => {
      response.setHeader("content-type", "application/json");
      const isAway = (performance.now() - startedAt) % ROUND_MS < AWAY_MS;
      if (request.url === "/sms") response.end(JSON.stringify({ id: randomBytes(8).toString("hex") }));
      else if (request.url === "/partner" && !isAway) response.end("{}");
      else response.writeHead(request.url === "/partner" ? 503 : 404).end("{}");
    });
  }).listen(0, "127.0.0.1");
  await once(http, "listening");
  const providers = [await startStubProvider(), await startStubProvider()];
  const folder = await realpath(await mkdtemp(join(tmpdir(), "legwork-demo-")));
  const reports = join(folder, "reports");
  for (const example of ["chat", "assistant"]) {
    await cp(new URL(`../${example}/reports`, import.meta.url), reports, { recursive: true });
  }
  const portOf = (server: { address(): AddressInfo | string | null }): number => (server.address() as AddressInfo).port;
  return {
    smtpUrl: `smtp://127.0.0.1:${portOf(mail)}`,
    httpUrl: `http://127.0.0.1:${portOf(http)}`,
    webhookSecret: `whsec_${randomBytes(32).toString("base64")}`,
    providers,
    folder,
    reports,
    stop: async () => {
      http.closeAllConnections();
      http.close();
      await new Promise<void>((done) => {
        smtp.close(() => done());
      });
      for (const provider of providers) await provider.stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}
