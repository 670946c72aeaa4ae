import { defineConfig } from "vitest/config";

const shared = { testTimeout: 30_000, hookTimeout: 60_000, setupFiles: ["test/support/setup.ts"] };

export default defineConfig({
  test: {
    // Each file has a database of its own; two cores carry two files.
    maxWorkers: 2,
    projects: [
      {
        test: {
          ...shared,
          name: "postgres-18",
          include: ["test/**/*.test.ts", "examples/**/*.test.ts"],
          globalSetup: ["test/support/postgres-18.ts"],
        },
      },
      {
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
