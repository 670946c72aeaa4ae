import { workerData } from "node:worker_threads";
import { MEMORY_SIGNAL } from "./memory-signal.ts";

// A thread of an isolated process. It ends the process when the worker is gone or the process uses too much memory, regardless of what the task's own
// thread is doing.

/** The interval between checks (ms). */
const INTERVAL_MS = 100;

const { parentPid, memory } = workerData as { parentPid: number; memory: number };
let hasSignalled = false;
setInterval(() => {
  if (process.ppid !== parentPid) process.kill(process.pid, "SIGKILL");
  if (process.memoryUsage.rss() <= memory * 1024 * 1024) return;
  // A task that handles the signal is killed a moment later.
  process.kill(process.pid, hasSignalled ? "SIGKILL" : MEMORY_SIGNAL);
  hasSignalled = true;
}, INTERVAL_MS);
