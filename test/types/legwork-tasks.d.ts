import type { TaskPayload, TaskResult } from "legwork";

declare global {
  namespace GraphileWorker {
    interface Tasks {
      "notify/welcome": TaskPayload<typeof import("./tasks/notify/welcome.ts").default>;
      report: TaskPayload<typeof import("./tasks/report.ts").default>;
      "by-hand": { n: number };
    }
    interface Results {
      "notify/welcome": TaskResult<typeof import("./tasks/notify/welcome.ts").default>;
    }
  }
}
