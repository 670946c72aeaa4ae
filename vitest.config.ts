import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";
import { SlowFirst } from "./test/support/slow-first.ts";

// Where `bin/legwork.js` keeps compiled modules, for the processes that run the tests and those that tests start by themselves.
process.env.NODE_COMPILE_CACHE ??= fileURLToPath(new URL("node_modules/.cache/legwork", import.meta.url));

const shared = {
  testTimeout: 30_000,
  hookTimeout: 60_000,
  setupFiles: ["test/support/setup.ts"],
  // A machine that CI shares with others may stand still for seconds, which no time limit of a test allows for. What fails twice is wrong, and
  // what is tried again is told in the report. On your own machine nothing is.
  retry: process.env.CI === undefined ? 0 : 1,
};

// Parts of the tasks that are tested on their own import "legwork", as the tasks do.
const entry = (file: string): string => fileURLToPath(new URL(`src/${file}.ts`, import.meta.url));
const resolve = {
  alias: { "legwork/operations": entry("operations"), "legwork/testing": entry("testing"), legwork: entry("index") },
};

export default defineConfig({
  test: {
    // Each file has a database of its own. Files wait for half of their time: three of them keep two cores busy.
    maxWorkers: 3,
    sequence: { sequencer: SlowFirst },
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
