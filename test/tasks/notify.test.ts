import { createDecipheriv, createECDH, createHmac, hkdfSync, randomBytes } from "node:crypto";
import { once } from "node:events";
import { createServer as createTcpServer, type AddressInfo } from "node:net";
import { importJWK, jwtVerify } from "jose";
import { beforeEach, describe, expect, it } from "vitest";
import webPush from "web-push";
import { testDatabase } from "../support/database.ts";
import { httpServer } from "../support/http-server.ts";
import { configure, type EndedJob, oneWorker, runJob } from "../support/job.ts";
import { smtpServer } from "../support/smtp-server.ts";

const database = testDatabase();
oneWorker(database);

beforeEach(() => configure({ LEGWORK_ALLOWED_ADDRESSES: "127.0.0.1" }));

/** Everything that is stored about a job, as text. */
async function stored(id: string): Promise<string> {
  const { rows } = await database.pool.query(
    `select (select json_agg(j) from legwork.jobs j where id = $1)::text || coalesce((select json_agg(a) from legwork.attempts a where job_id = $1)::text, '')
       || coalesce((select json_agg(l) from legwork.logs l where job_id = $1)::text, '') as text`,
    [id],
  );
  return rows[0].text;
}

const MAIL = { to: "ann@example.org", subject: "Hello", text: "Your code is 4711-secret." };

describe("notify/email", () => {
  it("sends a mail, and keeps its text out of the history", async () => {
    const { url, mails } = await smtpServer();
    configure({ LEGWORK_SMTP_URL: url, LEGWORK_MAIL_FROM: "App <app@example.com>" });
    const job = await runJob(database, "notify/email", {
      ...MAIL,
      to: ["ann@example.org", "bob@example.org"],
      html: "<b>4711-secret</b>",
    });
    expect(job).toMatchObject({ state: "completed", result: { accepted: 2, rejected: [] } });
    expect(mails).toMatchObject([{ from: "app@example.com", to: ["ann@example.org", "bob@example.org"] }]);
    expect(mails[0]?.source).toContain(`Message-ID: ${job.result.messageId}`);
    expect(mails[0]?.source).toContain("Your code is 4711-secret.");
    expect(job.result.messageId).toMatch(/^<legwork-\d+-\w+@example\.com>$/);
    expect(await stored(job.id)).not.toMatch(/4711|s3cret/);
  });

  it("returns the recipients that the server rejects, and fails at once if it rejects them all", async () => {
    const { url, mails } = await smtpServer();
    configure({ LEGWORK_SMTP_URL: url, LEGWORK_MAIL_FROM: "app@example.com" });
    const some = await runJob(database, "notify/email", { ...MAIL, to: ["ann@example.org", "no-such-user@example.org"] });
    expect(some.result).toMatchObject({ accepted: 1, rejected: ["no-such-user@example.org"] });
    const none = await runJob(database, "notify/email", { ...MAIL, to: "no-such-user@example.org" }, { maxAttempts: 5 });
    expect(none).toMatchObject({ state: "failed", attempts: 1 });
    expect(none.error).toContain("No such mailbox");
    expect(mails).toHaveLength(1);
  });

  it("uses the same Message-ID in a second attempt, and does not show the password in any error", async () => {
    let refuse = true;
    const { url, mails } = await smtpServer({
      onMailFrom: (_address, _session, done) =>
        refuse ? done(Object.assign(new Error("Later: s3cret p4ss"), { responseCode: 451 })) : done(),
    });
    configure({ LEGWORK_SMTP_URL: url, LEGWORK_MAIL_FROM: "app@example.com" });
    const failed = await runJob(database, "notify/email", MAIL);
    expect(failed.error).toContain("Later: [redacted]");
    expect(await stored(failed.id)).not.toMatch(/s3cret|p4ss/);
    configure({ LEGWORK_SMTP_URL: url.replace("s3cret", "wr0ng") });
    const wrong = await runJob(database, "notify/email", MAIL);
    expect(wrong.state).toBe("failed");
    expect(await stored(wrong.id)).not.toMatch(/wr0ng|p4ss/);
    refuse = false;
    expect(mails).toHaveLength(0);
  });

  it.each([
    ["two lines as the subject", { subject: "a\r\nBcc: eve@example.org" }, "subject: expected one line"],
    ["an invalid address", { to: "ann" }, "to"],
    ["two addresses in one", { to: "a@example.org, b@example.org" }, "to"],
    ["an empty mail", { text: undefined }, "expected text, html or both"],
    ["credentials", { smtpUrl: "smtp://x" }, "smtpUrl"],
  ])("rejects %s", async (_what, payload, message) => {
    expect((await runJob(database, "notify/email", { ...MAIL, ...payload })).error).toContain(message);
  });
});

it.each([
  ["smtp://ann:hunter/22secret@mail.example", "notify/email", MAIL, "LEGWORK_SMTP_URL"],
  ["smtp://ann:25?hunter22secret@mail.example", "notify/email", MAIL, "LEGWORK_SMTP_URL"],
  ["smtp://ann:25/hunter22secret@mail.example", "notify/email", MAIL, "LEGWORK_SMTP_URL"],
  ["smtp://ann:25#hunter22secret@mail.example", "notify/email", MAIL, "LEGWORK_SMTP_URL"],
  ["https://ann:80/hunter22secret@sms.example", "notify/sms", { to: "+4366012345678", text: "Hi" }, "LEGWORK_SMS_URL"],
])("%s is rejected without showing any part of the password", async (url, task, payload, variable) => {
  configure({ [variable]: url, LEGWORK_MAIL_FROM: "app@example.com" });
  const job = await runJob(database, task, payload);
  expect(job.error).toContain(`${variable} in the worker's environment is not valid: expected`);
  expect(JSON.stringify(job)).not.toMatch(/hunter|22secret|ann\b/);
});

it.each([
  ["notify/email", MAIL, "LEGWORK_SMTP_URL"],
  ["notify/sms", { to: "+4366012345678", text: "Hi" }, "LEGWORK_SMS_URL"],
  ["notify/webhook", { url: "http://127.0.0.1:9/", body: {} }, "LEGWORK_WEBHOOK_SECRET"],
  ["notify/webhook", { endpoint: "ops", slack: "Hi" }, "LEGWORK_WEBHOOK_ENDPOINTS"],
  [
    "notify/push",
    {
      subscription: { endpoint: "http://127.0.0.1:9/", keys: { p256dh: "A".repeat(87), auth: "A".repeat(22) } },
      notification: {},
    },
    "LEGWORK_WEB_PUSH_SUBJECT",
  ],
])("%s reports that it is not configured, and sends nothing", async (task, payload, variable) => {
  const job = await runJob(database, task, payload, { maxAttempts: 5 });
  expect(job).toMatchObject({ state: "failed", attempts: 1, result: null });
  expect(job.error).toMatch(new RegExp(`^No \\w+( \\w+)? configured: ${variable} is not set in the worker's environment\\.$`));
});

const SUBSCRIBER = createECDH("prime256v1");
const PUBLIC = SUBSCRIBER.generateKeys();
const AUTH = randomBytes(16);

/** Decrypts a message as a browser does, according to RFC 8291 and RFC 8188. */
function decrypted(body: Buffer): unknown {
  const salt = body.subarray(0, 16);
  const sender = body.subarray(21, 21 + body.readUInt8(20));
  const info = Buffer.concat([Buffer.from("WebPush: info\0"), PUBLIC, sender]);
  const secret = Buffer.from(hkdfSync("sha256", SUBSCRIBER.computeSecret(sender), AUTH, info, 32));
  const key = Buffer.from(hkdfSync("sha256", secret, salt, "Content-Encoding: aes128gcm\0", 16));
  const nonce = Buffer.from(hkdfSync("sha256", secret, salt, "Content-Encoding: nonce\0", 12));
  const sealed = body.subarray(21 + sender.length);
  const decipher = createDecipheriv("aes-128-gcm", key, nonce).setAuthTag(sealed.subarray(-16));
  const plain = Buffer.concat([decipher.update(sealed.subarray(0, -16)), decipher.final()]);
  return JSON.parse(plain.subarray(0, plain.lastIndexOf(2)).toString());
}

describe("notify/push", () => {
  const keys = webPush.generateVAPIDKeys();
  beforeEach(() =>
    configure({
      LEGWORK_WEB_PUSH_SUBJECT: "mailto:ops@example.org",
      LEGWORK_WEB_PUSH_PUBLIC_KEY: keys.publicKey,
      LEGWORK_WEB_PUSH_PRIVATE_KEY: keys.privateKey,
    }),
  );
  const push = async (endpoint: string): Promise<EndedJob> =>
    await runJob(
      database,
      "notify/push",
      {
        subscription: {
          endpoint,
          expirationTime: null,
          keys: { p256dh: PUBLIC.toString("base64url"), auth: AUTH.toString("base64url") },
        },
        notification: { title: "Hi", body: "T0p secret" },
        urgency: "high",
      },
      { maxAttempts: 3 },
    );

  it("encrypts for the browser, signs with the server's keys, and keeps both out of the history", async () => {
    const { url, asked } = await httpServer((response) => response.writeHead(201).end());
    const job = await push(`${url}/push/capability`);
    expect(job).toMatchObject({ state: "completed", result: { delivered: true, gone: false, status: 201 } });
    const [request] = asked;
    expect(request?.headers).toMatchObject({ ttl: "86400", urgency: "high", "content-encoding": "aes128gcm" });
    expect(decrypted(request?.body ?? Buffer.alloc(0))).toEqual({ title: "Hi", body: "T0p secret" });
    const token = /t=([^,]+)/.exec(request?.headers.authorization ?? "")?.[1] ?? "";
    const point = Buffer.from(keys.publicKey, "base64url");
    const key = await importJWK(
      { kty: "EC", crv: "P-256", x: point.subarray(1, 33).toString("base64url"), y: point.subarray(33).toString("base64url") },
      "ES256",
    );
    const { payload } = await jwtVerify(token, key, { audience: url });
    expect(payload.sub).toBe("mailto:ops@example.org");
    expect(await stored(job.id)).not.toMatch(/capability|T0p secret/);
    expect(await stored(job.id)).not.toContain(AUTH.toString("base64url"));
  });

  it("reports an expired subscription, and fails at once if the push service rejects the message", async () => {
    const { url } = await httpServer((response, { path }) =>
      response.writeHead(Number(path?.slice(1)), { "retry-after": "3600" }).end("no"),
    );
    expect((await push(`${url}/410`)).result).toEqual({ delivered: false, gone: true, status: 410 });
    const refused = await push(`${url}/403`);
    expect(refused).toMatchObject({ state: "failed", attempts: 1, error: "The push service returned status 403." });
  });

  it("does not connect to private addresses", async () => {
    configure({ LEGWORK_ALLOWED_ADDRESSES: undefined });
    const { url, asked } = await httpServer((response) => response.end());
    expect((await push(`${url}/x`)).error).toContain("its address is not public (loopback)");
    expect(asked).toEqual([]);
  });
});

describe("notify/sms", () => {
  const SMS = { to: "+4366012345678", text: "Your code is 4711." };

  it("follows the documented protocol, and keeps text and token out of the history", async () => {
    const { url, asked } = await httpServer((response) => response.end('{"id": "sms-1"}'));
    configure({
      LEGWORK_SMS_URL: `${url}/v1/messages?key=k3y-k3y`,
      LEGWORK_SMS_TOKEN: "t0ken-t0ken",
      LEGWORK_SMS_FROM: "Legwork",
    });
    const job = await runJob(database, "notify/sms", SMS);
    expect(job).toMatchObject({ state: "completed", result: { messageId: "sms-1" } });
    expect(asked[0]).toMatchObject({
      method: "POST",
      path: "/v1/messages?key=k3y-k3y",
      headers: { authorization: "Bearer t0ken-t0ken", "content-type": "application/json" },
    });
    const body = JSON.parse(asked[0]?.body.toString() ?? "");
    expect(body).toEqual({ ...SMS, from: "Legwork", id: asked[0]?.headers["idempotency-key"] });
    expect(await stored(job.id)).not.toMatch(/4711|t0ken|k3y/);
  });

  it.each([
    [400, "", "failed", "The SMS provider returned status 400."],
    [200, "not json", "failed", "The SMS provider's response has no id"],
    [500, '{"error": "t0ken-t0ken"}', "failed", "The SMS provider returned status 500."],
  ])("does not complete after a response with status %i and the body '%s'", async (status, body, state, message) => {
    const { url } = await httpServer((response) => response.writeHead(status).end(body));
    configure({ LEGWORK_SMS_URL: url, LEGWORK_SMS_TOKEN: "t0ken-t0ken" });
    const job = await runJob(database, "notify/sms", SMS);
    expect(job).toMatchObject({ state, result: null });
    expect(job.error).toContain(message);
    expect(await stored(job.id)).not.toContain("t0ken");
  });

  it("fails the attempt if the provider cannot be reached", async () => {
    const server = createTcpServer().listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as AddressInfo;
    server.close();
    await once(server, "close");
    configure({ LEGWORK_SMS_URL: `http://127.0.0.1:${port}/` });
    expect((await runJob(database, "notify/sms", SMS)).error).toContain("ECONNREFUSED");
  });
});

describe("notify/webhook", () => {
  const SECRETS = [randomBytes(32).toString("base64"), randomBytes(24).toString("base64")];
  beforeEach(() => configure({ LEGWORK_WEBHOOK_SECRET: SECRETS.map((secret) => `whsec_${secret}`).join(",") }));

  it("posts JSON that the receiver can verify with any of the secrets", async () => {
    const { url, asked } = await httpServer((response) => response.writeHead(202).end());
    const job = await runJob(database, "notify/webhook", { url: `${url}/hook`, body: { event: "paid", id: 7 } });
    expect(job).toMatchObject({ state: "completed", result: { status: 202, signed: true } });
    const { headers, body } = asked[0] as NonNullable<(typeof asked)[0]>;
    expect(body.toString()).toBe('{"id":7,"event":"paid"}');
    expect(headers["webhook-id"]).toBe(job.result.id);
    expect(Math.abs(Number(headers["webhook-timestamp"]) - Date.now() / 1_000)).toBeLessThan(20);
    const signed = `${job.result.id}.${String(headers["webhook-timestamp"])}.${body.toString()}`;
    expect(headers["webhook-signature"]).toBe(
      SECRETS.map((secret) => `v1,${createHmac("sha256", Buffer.from(secret, "base64")).update(signed).digest("base64")}`).join(
        " ",
      ),
    );
  });

  it("posts to a configured URL in Slack's format, and never shows the URL", async () => {
    const { url, asked } = await httpServer((response, { path }) =>
      response.writeHead(path === "/services/T0/s3cret" ? 200 : 404).end(),
    );
    configure({
      LEGWORK_WEBHOOK_SECRET: undefined,
      LEGWORK_ALLOWED_ADDRESSES: undefined,
      LEGWORK_WEBHOOK_ENDPOINTS: JSON.stringify({ ops: `${url}/services/T0/s3cret`, gone: `${url}/services/other-s3cret` }),
    });
    const job = await runJob(database, "notify/webhook", { endpoint: "ops", slack: "Disk is full" });
    expect(job).toMatchObject({ state: "completed", result: { status: 200, signed: false } });
    expect(asked[0]?.body.toString()).toBe('{"text":"Disk is full"}');
    const gone = await runJob(database, "notify/webhook", { endpoint: "gone", slack: "Disk is full" });
    expect(gone).toMatchObject({ state: "failed", error: "Endpoint 'gone' returned status 404." });
    expect((await stored(job.id)) + (await stored(gone.id))).not.toContain("s3cret");
    expect((await runJob(database, "notify/webhook", { endpoint: "toString", slack: "x" })).error).toContain(
      "has no endpoint 'toString'",
    );
  });

  it("does not follow redirects", async () => {
    const { url, asked } = await httpServer((response) => response.writeHead(307, { location: "/other" }).end());
    const job = await runJob(database, "notify/webhook", { url, body: {} });
    expect(job.error).toContain("returned status 307");
    expect(asked).toHaveLength(1);
  });

  it("connects only to public addresses", async () => {
    configure({ LEGWORK_ALLOWED_ADDRESSES: undefined });
    const { url, asked } = await httpServer((response) => response.end());
    const job = await runJob(database, "notify/webhook", { url, body: {} }, { maxAttempts: 3 });
    expect(job).toMatchObject({ state: "failed", attempts: 1 });
    expect(job.error).toContain("its address is not public (loopback)");
    expect(asked).toEqual([]);
  });
});
