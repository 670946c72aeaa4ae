import assert from "node:assert/strict";
import { join } from "node:path";
import { startPathProxy } from "../../test/support/start-path-proxy.ts";
import { serving } from "../serving.ts";
import { BIN, environment, QUIETLY, root, run, succeed } from "./fresh-project.ts";
import type { Check } from "./matrix.ts";

const AT = "/tools/jobs";

/** What a proxy does to the path, and the settings of the server and the proxy for it. */
const PROXIES: Record<string, { to: string; variables: Record<string, string>; headers?: Record<string, string> }> = {
  "keeps the path": { to: AT, variables: { LEGWORK_PUBLIC_PATH: AT } },
  "removes the path": { to: "", variables: { LEGWORK_PUBLIC_PATH: AT } },
  "removes the path and says so in X-Forwarded-Prefix": {
    to: "",
    variables: { LEGWORK_TRUST_PROXY: "127.0.0.1" },
    headers: { "x-forwarded-prefix": AT },
  },
};

/** `legwork server` behind a reverse proxy. The checks of frameworks include a mounted server behind a proxy that changes the path. */
export async function tryProxies(check: Check, databaseUrl: string): Promise<void> {
  await check("Proxies", "the printed command installs the server", () => installServer(databaseUrl));
  for (const [what, { to, variables, headers = {} }] of Object.entries(PROXIES)) {
    await check("Proxies", `a proxy that ${what}`, () =>
      served({ DATABASE_URL: databaseUrl, LEGWORK_HOSTS: "127.0.0.1", ...variables }, async (behind) => {
        const { url, close } = await startPathProxy(behind, { at: AT, to, headers });
        try {
          const page = await fetch(`${url}/queues`, { headers: { accept: "text/html" } });
          assert.equal(page.status, 200);
          const html = await page.text();
          const base = /<base href="([^"]+)"/.exec(html)?.[1] ?? "/";
          const [, script = ""] = /<script[^>]+src="([^"]+)"/.exec(html) ?? [];
          assert.equal(base, `${AT}/`);
          assert.equal((await fetch(new URL(script, new URL(base, url)))).status, 200, `the script ${script}`);
          assert.equal((await fetch(`${url}/health`)).status, 200);
        } finally {
          close();
        }
      }),
    );
  }
}

/** Starts the server, which prints the command that installs its packages, and runs that command. */
async function installServer(databaseUrl: string): Promise<void> {
  const refused = await run(process.execPath, [BIN, "server"], root, { DATABASE_URL: databaseUrl });
  const [, command = ""] = /\(LW517\)\nhint: Run `([^`]+)`/.exec(refused.stderr) ?? [];
  const [program, ...parameters] = command.split(" ");
  assert.ok(program === "npm", refused.stderr);
  await succeed(program, [...parameters, ...QUIETLY]);
}

/** Starts `legwork server` in a fresh project, calls `ask` with its URL, and stops it. */
function served(variables: Record<string, string>, ask: (url: string) => Promise<void>): Promise<void> {
  const env = environment({ ...variables, LEGWORK_PORT: "0", LEGWORK_LOG_LEVEL: "info" });
  return serving(BIN, { cwd: join(root, "esm"), env }, ask);
}
