import { defineConfig } from "./src/index.ts";
import { startProjects } from "./examples/projects/start.ts";

// What `npm start` runs in this checkout: the standard library of tasks and the first example.
export default defineConfig({
  tasks: ["tasks", "examples/projects/tasks"],
  crontab: "crontab",
  onStart: ({ databaseUrl }) => startProjects(databaseUrl),
});
