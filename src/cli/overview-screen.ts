import { setTimeout as delay } from "node:timers/promises";
import { toError } from "../errors.ts";
import { counted, formatNumber } from "../wording.ts";
import type { Operations } from "./operations/operations.ts";
import { color, colorState, elapsed, relativeTime, table } from "./output.ts";
import { describeLimit } from "./limits-and-pauses.ts";
import { describeOverview } from "./describe-overview.ts";
import { cutLine } from "./table.ts";
import { visible } from "./visible.ts";

/** Switches to the terminal's alternate screen and hides the cursor, and back. */
const ENTER = "\u001b[?1049h\u001b[?25l";
const LEAVE = "\u001b[?25h\u001b[?1049l";
const HOME = "\u001b[H";
const CLEAR_LINE = "\u001b[K";
const CLEAR_BELOW = "\u001b[J";

/**
 * Shows queues, workers, running and new jobs on the terminal's alternate screen, updated `every` ms, until q is pressed or the process is signaled
 * to end.
 */
export async function showOverview(operations: Operations, every: number): Promise<void> {
  await onScreen((ended) => draw(operations, every, ended));
}

/** Runs `work` on the terminal's alternate screen until it ends, q is pressed or the process is signaled to end. */
async function onScreen(work: (ended: AbortSignal) => Promise<void>): Promise<void> {
  const { stdin, stdout } = process;
  const end = new AbortController();
  const onKey = (keys: Buffer): void => {
    // Ctrl-C and Escape arrive as keys while the terminal is in raw mode.
    if (["q", "Q", "\u0003", "\u001b"].includes(keys.toString())) end.abort();
  };
  const onSignal = (): void => end.abort();
  stdout.write(ENTER);
  if (stdin.isTTY) stdin.setRawMode(true).resume().on("data", onKey);
  process.once("SIGTERM", onSignal).once("SIGINT", onSignal);
  try {
    await work(end.signal);
  } finally {
    stdout.write(LEAVE);
    if (stdin.isTTY) stdin.off("data", onKey).setRawMode(false).pause();
    process.off("SIGTERM", onSignal).off("SIGINT", onSignal);
  }
}

async function draw(operations: Operations, every: number, ended: AbortSignal): Promise<void> {
  let problem = "";
  let seen: string[] = [];
  let isFirst = true;
  while (!ended.aborted) {
    try {
      seen = await look(operations);
      problem = "";
    } catch (error) {
      // An error of the first read is probably permanent. Later errors may be temporary.
      if (isFirst) throw error;
      problem = color("red", visible(toError(error).message));
    }
    isFirst = false;
    const time = new Date().toLocaleTimeString("en-GB");
    const lines = [`${color("bold", "legwork overview")}  ${time}  every ${every / 1_000} s, q quits  ${problem}`, ...seen];
    const { rows, columns } = process.stdout;
    const shown = lines.slice(0, rows - 1).map((line) => cutLine(line, columns) + CLEAR_LINE);
    process.stdout.write(`${HOME}${shown.join("\n")}${CLEAR_LINE}\n${CLEAR_BELOW}`);
    await delay(every, undefined, { signal: ended }).catch(() => undefined);
  }
}

async function look(operations: Operations): Promise<string[]> {
  const [overview, queues, workers, running, last] = await Promise.all([
    operations.readOverview(),
    operations.listQueues(),
    operations.listWorkers(),
    operations.listJobs({ state: "running", limit: 10 }),
    operations.listJobs({ limit: 10 }),
  ]);
  const busy = queues.filter((queue) =>
    [queue.running, queue.pending, queue.blocked, queue.paused, queue.later].some((count) => count !== "0"),
  );
  const now = new Date();
  const head = (title: string): string[] => ["", color("bold", title)];
  return [
    ...describeOverview(overview),
    ...head(`Queues${busy.length < queues.length ? ` (${counted(queues.length - busy.length, "empty queue")} not shown)` : ""}`),
    ...table(
      ["QUEUE", "RUNNING", "PENDING", "BLOCKED", "PAUSED", "LATER", "OLDEST", "LIMITS"],
      busy.map((queue) => [
        queue.pausedAt === null ? queue.name : color("yellow", `${queue.name} (paused)`),
        formatNumber(queue.running),
        formatNumber(queue.pending),
        formatNumber(queue.blocked),
        formatNumber(queue.paused),
        formatNumber(queue.later),
        relativeTime(queue.oldest),
        (queue.limits ?? []).map(describeLimit).join(", "),
      ]),
      ["LATER", "OLDEST", "LIMITS", "PAUSED"],
    ),
    ...head("Workers"),
    ...table(
      ["WORKER", "STATE", "BUSY", "SEEN"],
      workers.map((worker) => [
        worker.name,
        worker.state,
        `${worker.running.length}/${worker.concurrency}`,
        worker.suspected ? color("red", `silent, ${relativeTime(worker.seenAt)}`) : relativeTime(worker.seenAt),
      ]),
      ["PID", "HOST"],
    ),
    ...head("Running"),
    ...table(
      ["ID", "TASK", "FOR", "ATTEMPT", "PROGRESS"],
      running.map((job) => [
        job.id,
        job.task,
        elapsed(job.startedAt, now),
        `${job.attempts}/${job.maxAttempts}`,
        [job.progress === null ? "" : `${Math.round(job.progress)}%`, job.progressMessage ?? ""].join(" ").trim(),
      ]),
      ["ATTEMPT"],
    ),
    ...head("Newest"),
    ...table(
      ["ID", "TASK", "STATE", "CREATED", "TOOK", "ERROR"],
      last.map((job) => [
        job.id,
        job.task,
        colorState(job.state),
        relativeTime(job.createdAt),
        elapsed(job.startedAt, job.finishedAt),
        job.error ?? "",
      ]),
      ["TOOK", "CREATED"],
    ),
  ];
}
