import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import { translateError, isBug } from "../../db/translate-error.ts";
import { toError } from "../../errors.ts";
import { importLegworkFromHere, listenToModules } from "../../worker/module-hooks.ts";
import { startWorker, type Worker } from "../../worker/worker.ts";
import { loadWorkerSettings, type WorkerFlags, workerSettings } from "../options.ts";
import { surviveStrayErrors } from "../process-signals.ts";
import { describeFailure } from "./describe-failure.ts";
import { devLog } from "./dev-log.ts";
import { loadEnvFiles } from "./env-files.ts";
import type { Command, Report } from "./messages.ts";
import { hashOf, treeOf } from "./read-files.ts";

// A worker of `legwork dev`, in its own process. When code changes, the parent process starts another worker and stops this one.

/** How long stopping waits for running jobs (ms). Short, because a developer is waiting. */
const STOP_TIMEOUT_MS = 1_500;

/** How often a draining process checks whether its jobs have ended (ms). */
const LOOK_EVERY_MS = 50;

/** Files, other than modules and tasks, whose changes cause a reload. */
const SETTINGS = [
  ".env",
  ".env.local",
  "package.json",
  ...["ts", "js", "mjs"].map((extension) => `legwork.config.${extension}`),
  ...["ts", "js", "mjs", "cjs"].map((extension) => `graphile.config.${extension}`),
];

const begin = Promise.withResolvers<void>();
let worker: Worker | undefined;
let drainTimeout = 0;

process.on("message", (command: Command) => {
  switch (command.type) {
    case "start":
      return void start(command.flags);
    case "go":
      return begin.resolve();
    case "hold":
      return worker?.hold(command.isHeld);
    case "drain":
      return void drain();
    case "stop":
      return void stop();
  }
});
// The parent process has ended, for whatever reason.
process.on("disconnect", () => void stop());
// A terminal sends Ctrl-C to this process too. It is ignored, because the parent process decides what to do.
process.on("SIGINT", () => undefined);
importLegworkFromHere();

async function start(flags: WorkerFlags): Promise<void> {
  const directory = process.cwd();
  const files = new Map<string, string>();
  const directories: string[] = [];
  const read = (path: string): void => void files.set(path, hashOf(path));
  const loaded: string[] = [];
  const loading = (path: string): void => {
    loaded.push(path);
    read(path);
  };
  listenToModules({ loading, missing: (path) => files.set(path, "") });
  for (const file of SETTINGS) read(join(directory, file));
  loadEnvFiles(directory);
  try {
    const settings = await loadWorkerSettings(flags);
    const { config } = settings;
    const log = devLog(config.logLevel);
    surviveStrayErrors(log);
    for (const path of config.tasks.map((one) => resolve(one))) {
      directories.push(path);
      for (const one of existsSync(path) ? treeOf(path) : [path]) read(one);
    }
    read(resolve(config.crontab));
    drainTimeout = config.shutdownTimeout;
    worker = await startWorker({
      ...workerSettings(settings),
      databaseUrl: config.databaseUrl ?? "",
      // A prefetched job would run with the old code.
      localQueueSize: 0,
      shutdownTimeout: Math.min(STOP_TIMEOUT_MS, config.shutdownTimeout),
      log,
      mayBegin: begin.promise,
    });
    tell({ type: "ready", tasks: worker.tasks, files, directories });
    // An operator has drained the worker.
    void worker.drained.then(stop);
  } catch (thrown) {
    const error = translateError(thrown);
    const lines = isBug(error)
      ? (toError(error.cause).stack ?? error.message).split("\n")
      : describeFailure(error, directory, loaded);
    tell({ type: "failed", lines, files, directories });
    process.disconnect();
    process.exit(0);
  }
}

function tell(report: Report): void {
  if (process.connected) process.send?.(report);
}

async function drain(): Promise<void> {
  worker?.hold(true);
  const deadline = performance.now() + drainTimeout;
  const timer = setInterval(() => {
    if (worker !== undefined && worker.running().length > 0 && performance.now() < deadline) return;
    clearInterval(timer);
    void stop();
  }, LOOK_EVERY_MS);
}

async function stop(): Promise<void> {
  await worker?.stop().catch((error: unknown) => console.error(toError(error).message));
  process.exit(0);
}
