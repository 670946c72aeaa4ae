// Installs pg-boss and BullMQ (test/adoption/import/package.json) and imports from the real systems, while their workers run. With --long, imports
// 100,000 jobs from pg-boss instead, and kills the import three times. With --write-fixtures, records the data that they write, for the tests that run
// without them. Needs access to the npm registry, and redis-server.
import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { startTestDatabase } from "../src/testing.ts";

const FOLDER = fileURLToPath(new URL("../test/adoption/import", import.meta.url));

const has = (flag: string): boolean => process.argv.includes(flag);
const script = has("--write-fixtures") ? "write-fixtures.ts" : has("--long") ? "kill-import.ts" : "side-by-side.ts";
execFileSync("npm", ["ci", "--no-audit", "--no-fund", "--ignore-scripts"], { cwd: FOLDER, stdio: "inherit", timeout: 300_000 });
const database = await startTestDatabase();
try {
  execFileSync(process.execPath, [script], {
    cwd: FOLDER,
    stdio: "inherit",
    timeout: 1_200_000,
    env: { ...process.env, NO_COLOR: "1", DATABASE_URL: database.databaseUrl },
  });
} finally {
  await database.stop();
}
