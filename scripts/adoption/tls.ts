import assert from "node:assert/strict";
import { join } from "node:path";
import { BIN, type Result, root, run, runTasks } from "./fresh-project.ts";
import type { Check } from "./matrix.ts";

/** Tries connections to a server whose certificate is signed by a private CA. */
export async function tryTls(check: Check, url: string, ca: string): Promise<void> {
  const esm = join(root, "esm");
  const migrate = (address: string, more = {}): Promise<Result> =>
    run(process.execPath, [BIN, "migrate"], esm, { DATABASE_URL: address, ...more });
  await check("TLS, private CA", "sslmode=require names the settings", async () => {
    const { code, stderr } = await migrate(`${url}?sslmode=require`);
    assert.equal(code, 1);
    assert.match(stderr, /sslrootcert[\s\S]+NODE_EXTRA_CA_CERTS/);
    assert.doesNotMatch(stderr, /Warning/);
  });
  await check("TLS, private CA", "sslrootcert", async () =>
    assert.equal((await migrate(`${url}?sslmode=verify-full&sslrootcert=${ca}`)).code, 0),
  );
  await check("TLS, private CA", "NODE_EXTRA_CA_CERTS", async () =>
    assert.equal((await migrate(`${url}?sslmode=require`, { NODE_EXTRA_CA_CERTS: ca })).code, 0),
  );
  await check("TLS, private CA", "a worker over TLS", () =>
    runTasks(process.execPath, esm, `${url}?sslmode=verify-full&sslrootcert=${ca}`, ["mts"]),
  );
}
