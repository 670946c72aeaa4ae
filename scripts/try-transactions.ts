// Installs the libraries of test/adoption/package.json and tries Legwork in their transactions, with the types that would be published.
// Run `npm run package` first. Needs access to the npm registry.
import { execFileSync } from "node:child_process";
import { symlinkSync, rmSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { startTestDatabase } from "../src/testing.ts";

const CHECKOUT = fileURLToPath(new URL("..", import.meta.url));
const FOLDER = fileURLToPath(new URL("../test/adoption", import.meta.url));

function run(program: string, parameters: readonly string[], more: Record<string, string> = {}): void {
  execFileSync(program, parameters, {
    cwd: FOLDER,
    stdio: "inherit",
    env: { ...process.env, NO_COLOR: "1", ...more },
    timeout: 300_000,
  });
}

run("npm", ["ci", "--no-audit", "--no-fund", "--ignore-scripts", "--legacy-peer-deps"]);
rmSync(`${FOLDER}/node_modules/legwork`, { force: true, recursive: true });
symlinkSync(CHECKOUT, `${FOLDER}/node_modules/legwork`, "dir");
// Generating a client does not need an engine, but the command would download one.
run("npx", ["prisma", "generate", "--schema", "schema.prisma"], { PRISMA_SCHEMA_ENGINE_BINARY: process.execPath });
run(`${CHECKOUT}/node_modules/.bin/tsc`, ["-p", "tsconfig.json"]);
const database = await startTestDatabase();
try {
  run(process.execPath, ["--experimental-transform-types", "--disable-warning=ExperimentalWarning", "transactions.ts"], {
    DATABASE_URL: database.databaseUrl,
  });
} finally {
  await database.stop();
}
