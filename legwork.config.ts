import { defineConfig } from "./src/index.ts";
import { EXAMPLE_TASKS } from "./examples/demo/examples.ts";

const tasks = ["tasks", ...EXAMPLE_TASKS];
const crontab = "crontab";

// Configures `npm start` in this checkout: the standard library of tasks and, on the embedded Postgres, all the examples together.
export default defineConfig({
  tasks,
  crontab,
  onStart: async ({ databaseUrl, dataDir, isEmbedded, ...running }) => {
    // The demo does not run with --tasks or --crontab, and runs on your own database only if LEGWORK_DEMO is true.
    if (String(running.tasks) !== String(tasks) || running.crontab !== crontab) return undefined;
    const wanted = process.env.LEGWORK_DEMO || String(isEmbedded);
    if (wanted !== "true") return undefined;
    const { startDemo } = await import("./examples/demo/start.ts");
    return await startDemo({ databaseUrl, dataDir });
  },
});
