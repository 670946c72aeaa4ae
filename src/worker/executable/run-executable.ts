import { type ChildProcess, spawn } from "node:child_process";
import { Discard, RetryAfter, toError } from "../../errors.ts";
import { parseDuration } from "../../duration.ts";
import type { TaskContext } from "../../jobs/define-task.ts";
import { LineSplitter } from "./line-splitter.ts";
import { readLine, type ReportedLine, shorten } from "./reported-line.ts";

/**
 * How long an executable may keep running after SIGTERM before its processes are killed (ms). Shorter than a task's grace period, so that the
 * processes have ended when the attempt ends.
 */
const KILL_AFTER_MS = 4_000;

/** The process groups of running executables. */
const running = new Set<number>();
let isExitNoted = false;

/**
 * Runs an executable for one attempt: it gets the payload on stdin and the job in environment variables, as in graphile-worker. Its output becomes
 * the job's log, except for lines that report progress, the result, or why the job failed. Its exit code decides whether the attempt failed. When the
 * signal aborts, the process and all processes that it has started get SIGTERM, and SIGKILL four seconds later.
 */
export async function runExecutable(name: string, path: string, payload: unknown, context: TaskContext): Promise<unknown> {
  const { job, log, progress, signal } = context;
  signal.throwIfAborted();
  const child = spawn(path, [], {
    env: {
      ...process.env,
      GRAPHILE_WORKER_PAYLOAD_FORMAT: "json",
      GRAPHILE_WORKER_TASK_IDENTIFIER: name,
      GRAPHILE_WORKER_JOB_ID: job.id,
      GRAPHILE_WORKER_JOB_KEY: job.jobKey ?? undefined,
      GRAPHILE_WORKER_JOB_ATTEMPTS: String(job.attempts),
      GRAPHILE_WORKER_JOB_MAX_ATTEMPTS: String(job.maxAttempts),
      GRAPHILE_WORKER_JOB_PRIORITY: String(job.priority),
      GRAPHILE_WORKER_JOB_RUN_AT: job.runAt.toISOString(),
    },
    stdio: "pipe",
    // Give it its own process group, so that processes that it starts can be ended together with it.
    detached: true,
  });
  const closed = closeOf(child);
  const { pid } = child;
  // If no file descriptor is free, the child has no streams, and an error event follows.
  if (pid === undefined) return await closed;
  noteRunning(pid);
  let result: unknown = null;
  let failure: ReportedLine | undefined;
  const hear = (line: string): void => {
    const reported = readLine(line);
    if (reported === undefined) return log.info(shorten(line));
    if ("problem" in reported) return log.warn(reported.problem);
    if (reported.result !== undefined) ({ result } = reported);
    if (reported.error !== undefined) failure = reported;
    if (reported.log !== undefined) log[reported.level ?? "info"](shorten(reported.log));
    const { progress: percent, message } = reported;
    if (percent !== undefined) progress(percent, message);
    else if (message !== undefined) progress({ message });
    return undefined;
  };
  const out = new LineSplitter(hear);
  const err = new LineSplitter((line) => log.error(shorten(line)));
  child.stdout.setEncoding("utf8").on("data", (text: string) => out.write(text));
  child.stderr.setEncoding("utf8").on("data", (text: string) => err.write(text));
  // An executable may ignore its input, and writing to one that has ended fails.
  child.stdin.on("error", () => undefined);
  child.stdin.end(JSON.stringify({ payload }));
  let killing: NodeJS.Timeout | undefined;
  const end = (): void => {
    endGroup(pid, "SIGTERM");
    killing = setTimeout(() => endGroup(pid, "SIGKILL"), KILL_AFTER_MS);
  };
  signal.addEventListener("abort", end, { once: true });
  try {
    const { code, by } = await closed;
    out.end();
    err.end();
    if (signal.aborted) throw toError(signal.reason);
    if (code === 0) return result;
    throw failureOf(failure, by === null ? `Process exited with code ${code}` : `Process was terminated by ${by}`);
  } finally {
    signal.removeEventListener("abort", end);
    clearTimeout(killing);
    // The executable has ended, but processes that it started may still be running.
    if (signal.aborted) endGroup(pid, "SIGKILL");
    running.delete(pid);
  }
}

function closeOf(child: ChildProcess): Promise<{ code: number | null; by: NodeJS.Signals | null }> {
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code, by) => resolve({ code, by }));
  });
}

/** Returns the error of an attempt: the one that the executable reported, otherwise one with the exit code. */
function failureOf(reported: ReportedLine | undefined, exit: string): Error {
  if (reported?.error === undefined) return new Error(exit);
  if (reported.discard === true) return new Discard(reported.error);
  const when = reported.retryAfter;
  return when === undefined || parseDuration(when) === undefined
    ? new Error(reported.error)
    : new RetryAfter(when, reported.error);
}

function endGroup(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-pid, signal);
  } catch {
    // The process group has already ended.
  }
}

/** Makes sure that no executable is left running when the worker exits. */
function noteRunning(pid: number): void {
  if (!isExitNoted) process.once("exit", endAll);
  isExitNoted = true;
  running.add(pid);
}

function endAll(): void {
  for (const pid of running) endGroup(pid, "SIGKILL");
}
