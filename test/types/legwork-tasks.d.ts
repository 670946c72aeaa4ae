import type { TaskPayload } from "legwork";

declare global {
  namespace GraphileWorker {
    interface Tasks {
      "notify/welcome": TaskPayload<typeof import("./tasks/notify/welcome.ts").default>;
      report: TaskPayload<typeof import("./tasks/report.ts").default>;
      "by-hand": { n: number };
    }
  }
}
