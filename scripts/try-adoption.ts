// Installs the package that would be published into fresh projects of different kinds and tries it there: module systems, compilers, versions of
// Node, frameworks, transactions, proxies, logins, poolers, TLS and URLs. Run `npm run package` first. Needs the npm registry, and Debian's
// postgresql-15, pgbouncer and openssl for the checks that name them; a check whose program is missing is shown as "not tried". `--short` runs a
// sample of checks that needs none of these programs, `--write` writes docs/reference/compatibility.md.
import { tryFrameworks } from "./adoption/frameworks.ts";
import { installPackage, removeProjects } from "./adoption/fresh-project.ts";
import { tryLogins } from "./adoption/logins.ts";
import { Matrix, NotTried } from "./adoption/matrix.ts";
import { installNodes, tryModuleSystems } from "./adoption/module-systems.ts";
import { hasPostgres15, startPostgres15 } from "./adoption/postgres-15.ts";
import { tryProxies } from "./adoption/proxies.ts";
import { tryScript } from "./adoption/scripts.ts";
import { tryTls } from "./adoption/tls.ts";
import { tryTypeScript } from "./adoption/typescript.ts";
import { startTestDatabase } from "../src/testing.ts";

const isShort = process.argv.includes("--short");
const matrix = new Matrix();
const { check } = matrix;
const database = await startTestDatabase();
try {
  await installPackage("tsx@4", "@types/node@24");
  await tryModuleSystems(check, database.databaseUrl, isShort ? new Map([["24", process.execPath]]) : await installNodes());
  await tryTypeScript(check, database.databaseUrl, { isShort });
  if (!isShort) {
    await tryLogins(check, "Postgres 18", database.databaseUrl);
    if (hasPostgres15()) {
      const old = await startPostgres15();
      try {
        await tryLogins(check, "Postgres 15", old.url);
        await tryTls(check, old.url, old.ca);
      } finally {
        old.stop();
      }
    } else {
      await check("Postgres 15", "all checks", () => Promise.reject(new NotTried("postgresql-15 is not installed")));
    }
    // Installs the server's packages into the same projects.
    await tryProxies(check, database.databaseUrl);
    await tryFrameworks(check);
    await tryScript(check, "Transactions", "try-transactions.ts");
    await tryScript(check, "Hooks", "try-hooks.ts");
    await tryScript(check, "Import", "try-import.ts");
  }
} finally {
  await database.stop();
  await removeProjects();
}
console.log(`\n${matrix.summary}`);
if (process.argv.includes("--write")) {
  await matrix.write(
    new URL("../docs/reference/compatibility.md", import.meta.url),
    `# Compatibility

What is tested before a release, with the published package and real libraries, servers and programs. Each line is a
check that runs in a project outside of Legwork's checkout. \`npm run try-adoption -- --write\` runs the checks and writes
this page; \`npm run try-transactions\`, \`npm run try-hooks\` and \`npm run try-import\` run three of them separately. Checks
that are not listed were not part of the last run.
`,
  );
}
process.exitCode = matrix.isFine ? 0 : 1;
