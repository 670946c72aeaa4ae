import { basename } from "node:path";
import type { LogFunctionFactory } from "graphile-worker";
import type { Logger } from "../../log.ts";
import { graphileLogger } from "./logger.ts";

/** Matches files that are probably meant to be tasks. Other files, such as a README, are ignored without a warning. */
const IS_CODE = /\.[cm]?[jt]sx?$/;

/** Matches folders for shared code, tools and packages, whose files are not meant to be tasks. */
const IS_NOT_FOR_TASKS = /^(?:[@._]|node_modules$)/;

/**
 * Wraps graphile-worker's log while it loads tasks. For each skipped file, it logs a warning with the reason. Otherwise, a missing task would be hard
 * to notice until its jobs are rejected.
 */
export function skippedFilesLogger(log: Logger): LogFunctionFactory {
  const others = graphileLogger(log);
  return (scope) => {
    const say = others(scope);
    return (level, message, meta) => {
      const [, kind, path] = /^Ignoring (file|directory) '(.*)' - '.*' does not match/s.exec(message) ?? [];
      const [, paths] = /^Failed to load task '.*' - no supported handlers found for paths?: '(.*)'$/s.exec(message) ?? [];
      if (paths !== undefined) {
        for (const file of paths.split("', '")) {
          if (IS_CODE.test(file))
            warn(
              file,
              "the name of a task file must not have a dot other than the one before its extension (.js, .cjs, .mjs, .ts or .mts)",
            );
          else log.debug({ file }, "Not a task file.");
        }
      } else if (path === undefined) say(level, message, meta);
      else if (kind === "file" && IS_CODE.test(path))
        warn(path, "before its extension, the name of a task file may have only letters, digits, _ and -");
      else if (kind === "directory" && !IS_NOT_FOR_TASKS.test(basename(path))) {
        warn(path, "the name of a folder of tasks may have only letters, digits, _ and -");
      }
    };
  };

  function warn(file: string, reason: string): void {
    log.warn({ event: "task_file_skipped", file }, `No task is loaded from ${file}: ${reason}.`);
  }
}
