import { constants } from "node:fs";
import { defineTask } from "../../jobs/define-task.ts";
import { runExecutable } from "../executable/run-executable.ts";

/** The graphile-worker plugin that this one replaces. */
export const GRAPHILE_EXECUTABLES = "LoadTaskFromExecutableFilePlugin";

/**
 * Loads executables as tasks, with the same input, environment and time limit as in graphile-worker. graphile-worker's own loader crashes the process
 * if an executable does not read its input. With this one, only the exit code matters.
 */
export const executablesPlugin: GraphileConfig.Plugin = {
  name: "LegworkExecutablesPlugin",
  version: "1.0.0",
  worker: {
    hooks: {
      loadTaskFromFiles(_context, details) {
        if (details.handler !== undefined || process.platform === "win32") return;
        const file = details.fileDetailsList.find(({ stats }) => (stats.mode & constants.S_IXUSR) !== 0);
        if (file === undefined) return;
        const { taskIdentifier: name } = details;
        details.handler = defineTask({
          timeout: "4h",
          run: async (payload, context) => await runExecutable(name, file.fullPath, payload, context),
        });
      },
    },
  },
};
