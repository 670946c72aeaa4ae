import { execFile } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { TLSSocket } from "node:tls";
import { promisify } from "node:util";
import fc from "fast-check";
import pg from "pg";
import pino from "pino";
import { expect, it, onTestFinished } from "vitest";
import { withoutSecrets } from "../../src/db/database-url.ts";
import { assertDatabase, createPool } from "../../src/db/pool.ts";
import { LegworkError, toError } from "../../src/errors.ts";
import { withoutSecrets as hidden } from "../../src/log.ts";
import { testLog } from "../support/database.ts";

/** All output of a failed attempt to connect to a database that cannot be reached: messages, hints, causes and log lines. */
async function said(databaseUrl: string): Promise<string> {
  let text = "";
  const log = pino({ level: "trace" }, hidden({ write: (line) => void (text += line) }));
  try {
    const pool = createPool(databaseUrl, { log });
    await assertDatabase(pool).finally(() => pool.end());
  } catch (thrown) {
    const error = toError(thrown);
    log.error({ err: error }, error.message);
    if (!(error instanceof LegworkError)) throw error;
    text += `${error.message} ${error.hint} ${error.cause === undefined ? "" : toError(error.cause).message}`;
  }
  // Code positions are removed, because they reveal nothing but may contain the same four digits.
  return text.replaceAll(/:\d+:\d+(?=\)|\\n|")/g, "");
}

/** A URL without a listener. */
const HERE = "127.0.0.1:1/legwork_db";

const FORMS: Readonly<Record<string, (password: string) => string>> = {
  unencoded: (password) => `postgres://app_user:${password}@${HERE}`,
  "percent-encoded": (password) => `postgres://app_user:${encodeURIComponent(password)}@${HERE}`,
  "as a parameter, unencoded": (password) => `postgres://${HERE}?user=app_user&password=${password}`,
  "as a parameter, percent-encoded": (password) => `postgresql://${HERE}?user=app_user&password=${encodeURIComponent(password)}`,
  "as sslpassword": (password) => `postgres://app_user@${HERE}?sslpassword=${encodeURIComponent(password)}`,
  "in options": (password) => `postgres://app_user@${HERE}?options=${encodeURIComponent(`-c legwork.secret=${password}`)}`,
  "in libpq's keywords": (password) => `host=127.0.0.1 port=1 user=app_user password='${password}'`,
};

const odd = fc.constantFrom(...Array.from("@/#?:%&=, '\"\\[]{}+;$!\n\tä€"), "%41", "%zz", "🔑", "//", "?a=b");
const password = fc
  .array(fc.oneof({ weight: 2, arbitrary: odd }, fc.stringMatching(/^[a-zA-Z0-9]{1,8}$/)), { minLength: 2, maxLength: 8 })
  .map((parts) => parts.join(""))
  .filter((text) => text.length >= 4);

it.each(Object.entries(FORMS))(
  "no four consecutive characters of a password are shown if it is written %s",
  async (_name, form) => {
    const ordinary = (await said(form("0"))) + (await said("postgres://a:b/c@d"));
    await fc.assert(
      fc.asyncProperty(password, async (secret) => {
        const text = await said(form(secret));
        const parts = [secret, encodeURIComponent(secret)].flatMap((shown) =>
          Array.from({ length: shown.length - 3 }, (_, start) => shown.slice(start, start + 4)),
        );
        expect(parts.filter((part) => text.includes(part) && !ordinary.includes(part))).toEqual([]);
      }),
      { numRuns: 60 },
    );
  },
);

it("a password that is accepted unencoded does not change how the rest of the URL is parsed", async () => {
  await fc.assert(
    fc.asyncProperty(password, async (secret) => {
      const url = FORMS["unencoded"]?.(secret);
      try {
        await createPool(url ?? "", { log: testLog }).end();
      } catch {
        return;
      }
      const { host, port, user, database } = new pg.Client({ connectionString: url });
      expect({ host, port, user, database }).toEqual({ host: "127.0.0.1", port: 1, user: "app_user", database: "legwork_db" });
    }),
  );
});

it.each([
  "postgres://u:s3cr3t%40pw@h/db",
  "postgres://h/db?user=u&password=s3cr3t%40pw",
  "postgres://u@h/db?sslpassword=s3cr3t%40pw",
  "postgres://u@h/db?options=-c%20a.b%3Ds3cr3t%40pw",
])("the secrets of %s are removed from messages of the server or a library", (url) => {
  expect(withoutSecrets("invalid value 's3cr3t@pw' (s3cr3t%40pw)", url)).not.toContain("s3cr3t@pw");
});

it("the password from the environment is not shown either", () => {
  const before = process.env.PGPASSWORD;
  onTestFinished(() => {
    if (before === undefined) delete process.env.PGPASSWORD;
    else process.env.PGPASSWORD = before;
  });
  process.env.PGPASSWORD = "hunter22";
  expect(withoutSecrets("no: hunter22", "postgres://h/db")).toBe("no: ***");
});

it("a certificate from a private authority is rejected with a hint", async () => {
  const directory = await mkdtemp(join(tmpdir(), "legwork-tls-"));
  onTestFinished(() => rm(directory, { recursive: true }));
  const [key, cert] = [join(directory, "key.pem"), join(directory, "cert.pem")];
  await promisify(execFile)(
    "openssl",
    `req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -keyout ${key} -out ${cert}`.split(" "),
  );
  const secrets = { key: await readFile(key), cert: await readFile(cert) };
  // Plays the part of Postgres until certificates are exchanged: it accepts the client's request for TLS.
  const server = createServer((socket) => {
    socket.once("data", () => {
      socket.write("S");
      new TLSSocket(socket, { ...secrets, isServer: true }).on("error", () => undefined);
    });
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => void server.close());
  const { port } = server.address() as { port: number };
  const pool = createPool(`postgres://u:p@127.0.0.1:${port}/db?sslmode=require`, { log: testLog });
  await expect(assertDatabase(pool)).rejects.toMatchObject({
    code: "LW503",
    message: `The certificate of 127.0.0.1:${port}/db is not signed by a known authority.`,
    hint: expect.stringContaining("sslrootcert="),
  });
  await pool.end();
});

it("a missing certificate file is named", async () => {
  expect(await said("postgres://u:p@127.0.0.1:1/db?sslrootcert=/nowhere/ca.pem")).toContain("/nowhere/ca.pem (ENOENT)");
});
