import { defineConfig } from "./src/index.ts";
import { startAssistant } from "./examples/assistant/start.ts";
import { startCalendar } from "./examples/calendar/start.ts";
import { startChat } from "./examples/chat/start.ts";
import { startDocuments } from "./examples/documents/start.ts";
import { startProjects } from "./examples/projects/start.ts";

// What `npm start` runs in this checkout: the standard library of tasks and the examples.
export default defineConfig({
  tasks: ["tasks", "examples/projects/tasks", "examples/chat/tasks", "examples/calendar/tasks", "examples/documents/tasks", "examples/assistant/tasks"],
  crontab: "crontab",
  onStart: async ({ databaseUrl }) => {
    await startProjects(databaseUrl);
    await startChat(databaseUrl);
    await startCalendar(databaseUrl);
    await startAssistant(databaseUrl);
    await startDocuments(databaseUrl);
  },
});
