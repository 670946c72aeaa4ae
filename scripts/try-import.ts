// Installs pg-boss and BullMQ (test/adoption/import/package.json) and imports from the real systems, while their workers run. With --write-fixtures,
// records the data that they write, for the tests that run without them. Needs access to the npm registry, and redis-server.
import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { startTestDatabase } from "../src/testing.ts";

const FOLDER = fileURLToPath(new URL("../test/adoption/import", import.meta.url));

execFileSync("npm", ["ci", "--no-audit", "--no-fund", "--ignore-scripts"], { cwd: FOLDER, stdio: "inherit", timeout: 300_000 });
const database = await startTestDatabase();
try {
  const script = process.argv.includes("--write-fixtures") ? "write-fixtures.ts" : "side-by-side.ts";
  execFileSync(process.execPath, [script], {
    cwd: FOLDER,
    stdio: "inherit",
    timeout: 600_000,
    env: { ...process.env, NO_COLOR: "1", DATABASE_URL: database.databaseUrl },
  });
} finally {
  await database.stop();
}
