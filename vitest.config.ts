import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";
import { scratchInMemory } from "./test/support/scratch.ts";
import { measureSlowness, scaled } from "./test/support/slowness.ts";
import { SlowFirst } from "./test/support/slow-first.ts";

scratchInMemory();
process.env.LEGWORK_TEST_SLOWNESS ??= String(measureSlowness());

// The directory in which `bin/legwork.js` caches compiled modules, for the processes that run the tests and for those that tests start.
process.env.NODE_COMPILE_CACHE ??= fileURLToPath(new URL("node_modules/.cache/legwork", import.meta.url));

const shared = {
  // Longer than any wait within a test, so that a failure states what did not happen.
  testTimeout: scaled(60_000),
  hookTimeout: scaled(60_000),
  setupFiles: ["test/support/setup.ts"],
  // A vitest worker process runs many files and keeps their imported modules, so a file must reset everything that it sets.
  isolate: false,
  // Remove this when five complete runs in a row have passed without it.
  retry: process.env.CI === undefined ? 0 : 1,
};

// Task modules that are tested directly import "legwork", as the tasks do.
const entry = (file: string): string => fileURLToPath(new URL(`src/${file}.ts`, import.meta.url));
const resolve = {
  alias: { "legwork/operations": entry("operations"), "legwork/testing": entry("testing"), legwork: entry("index") },
};

export default defineConfig({
  test: {
    // Each file has its own database. Test files wait half of the time, so four of them keep two cores busy.
    maxWorkers: 4,
    isolate: false,
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
