// Installs the libraries of test/adoption/hooks/package.json and runs the recipes of docs/guides/hooks.md with them. Run `npm run package` first.
// Needs access to the npm registry.
import { execFileSync } from "node:child_process";
import { rmSync, symlinkSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { startTestDatabase } from "../src/testing.ts";

const CHECKOUT = fileURLToPath(new URL("..", import.meta.url));
const FOLDER = fileURLToPath(new URL("../test/adoption/hooks", import.meta.url));

function run(program: string, parameters: readonly string[], more: Record<string, string> = {}): void {
  execFileSync(program, parameters, {
    cwd: FOLDER,
    stdio: "inherit",
    env: { ...process.env, NO_COLOR: "1", ...more },
    timeout: 300_000,
  });
}

run("npm", ["ci", "--no-audit", "--no-fund", "--ignore-scripts"]);
rmSync(`${FOLDER}/node_modules/legwork`, { force: true, recursive: true });
symlinkSync(CHECKOUT, `${FOLDER}/node_modules/legwork`, "dir");
const database = await startTestDatabase();
try {
  run(process.execPath, ["hooks.ts"], { DATABASE_URL: database.databaseUrl });
} finally {
  await database.stop();
}
