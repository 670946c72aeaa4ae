import { basename } from "node:path";
import type { LogFunctionFactory } from "graphile-worker";
import type { Logger } from "../../log.ts";
import { graphileLogger } from "./logger.ts";

/** Files that were meant to be tasks. Others, such as a README, may lie beside tasks without a word. */
const IS_CODE = /\.[cm]?[jt]sx?$/;

/** Folders of what tasks share, of tools and of packages: nothing in them was meant to be a task. */
const IS_NOT_FOR_TASKS = /^(?:[@._]|node_modules$)/;

/**
 * graphile-worker's log while it looks for tasks. What it leaves out is a warning here, with the reason: a task that nobody misses until its jobs
 * are refused would else be hard to find.
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
            warn(file, "the only dot in a task file's name is the one before its extension (.js, .cjs, .mjs, .ts or .mts)");
          else log.debug({ file }, "Not a task file.");
        }
      } else if (path === undefined) say(level, message, meta);
      else if (kind === "file" && IS_CODE.test(path))
        warn(path, "a task file's name has only letters, digits, _ and -, before its extension");
      else if (kind === "directory" && !IS_NOT_FOR_TASKS.test(basename(path))) {
        warn(path, "the name of a folder of tasks has only letters, digits, _ and -");
      }
    };
  };

  function warn(file: string, reason: string): void {
    log.warn({ file }, `No task is loaded from ${file}: ${reason}.`);
  }
}
