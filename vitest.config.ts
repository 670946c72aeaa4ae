import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";

const shared = {
  testTimeout: 30_000,
  hookTimeout: 60_000,
  setupFiles: ["test/support/setup.ts"],
  // A machine that CI shares with others may stand still for seconds, which no time limit of a test allows for. What fails twice is wrong, and
  // what is tried again is told in the report. On your own machine nothing is.
  retry: process.env.CI === undefined ? 0 : 1,
};

// Parts of the tasks that are tested on their own import "legwork", as the tasks do.
const resolve = { alias: { legwork: fileURLToPath(new URL("src/index.ts", import.meta.url)) } };

export default defineConfig({
  test: {
    // Each file has a database of its own; two cores carry two files.
    maxWorkers: 2,
    projects: [
      {
        resolve,
        test: {
          ...shared,
          name: "postgres-18",
          include: ["test/**/*.test.ts"],
          globalSetup: ["test/support/postgres-18.ts"],
        },
      },
      {
        resolve,
        test: {
          ...shared,
          name: "postgres-15",
          include: ["test/sql/**/*.test.ts"],
          globalSetup: ["test/support/postgres-15.ts"],
        },
      },
    ],
  },
});
