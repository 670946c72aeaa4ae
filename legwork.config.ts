import { defineConfig } from "./src/index.ts";
import { EXAMPLE_TASKS } from "./examples/demo/examples.ts";

const tasks = ["tasks", ...EXAMPLE_TASKS];
const crontab = "crontab";

// What `npm start` runs in this checkout: the standard library of tasks and, on the Postgres that comes along, the examples side by side.
export default defineConfig({
  tasks,
  crontab,
  onStart: async ({ databaseUrl, dataDir, isEmbedded, ...running }) => {
    // With --tasks or --crontab it is yours, and so is a database of yours unless you say so.
    if (String(running.tasks) !== String(tasks) || running.crontab !== crontab) return undefined;
    const wanted = process.env.LEGWORK_DEMO || String(isEmbedded);
    if (wanted !== "true") return undefined;
    const { startDemo } = await import("./examples/demo/start.ts");
    return await startDemo({ databaseUrl, dataDir });
  },
});
