import { setTimeout as delay } from "node:timers/promises";
import { stripVTControlCharacters } from "node:util";
import { toError } from "../errors.ts";
import type { Operations } from "./operations/operations.ts";
import { color, colorState, elapsed, relativeTime, shorten, table } from "./output.ts";
import { describeLimit } from "./limits-and-pauses.ts";
import { describeOverview } from "./describe-overview.ts";
import { visible } from "./visible.ts";

/** Another screen, without a cursor, and back again. */
const ENTER = "\u001b[?1049h\u001b[?25l";
const LEAVE = "\u001b[?25h\u001b[?1049l";
const HOME = "\u001b[H";
const CLEAR_LINE = "\u001b[K";
const CLEAR_BELOW = "\u001b[J";

/** Shows queues, workers, running and new jobs on another screen of the terminal, again and again (ms), until q is pressed or the process is told to end. */
export async function showOverview(operations: Operations, every: number): Promise<void> {
  await onScreen((ended) => draw(operations, every, ended));
}

/** Runs `work` on another screen of the terminal, until it ends, q is pressed or the process is told to. */
async function onScreen(work: (ended: AbortSignal) => Promise<void>): Promise<void> {
  const { stdin, stdout } = process;
  const end = new AbortController();
  const onKey = (keys: Buffer): void => {
    // Ctrl-C and escape come as keys while the terminal is raw.
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
      // What was wrong from the start will not mend itself; what goes wrong later may.
      if (isFirst) throw error;
      problem = color("red", visible(toError(error).message));
    }
    isFirst = false;
    const time = new Date().toLocaleTimeString("en-GB");
    const lines = [`${color("bold", "legwork overview")}  ${time}  every ${every / 1_000} s, q ends it  ${problem}`, ...seen];
    const { rows, columns } = process.stdout;
    const shown = lines.slice(0, rows - 1).map((line) => cut(line, columns) + CLEAR_LINE);
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
    ...head(`Queues${busy.length < queues.length ? ` (${queues.length - busy.length} with nothing in them)` : ""}`),
    ...table(
      ["QUEUE", "RUNNING", "PENDING", "BLOCKED", "PAUSED", "LATER", "OLDEST", "LIMITS"],
      busy.map((queue) => [
        queue.pausedAt === null ? queue.name : color("yellow", `${queue.name} (paused)`),
        queue.running,
        queue.pending,
        queue.blocked,
        queue.paused,
        queue.later,
        relativeTime(queue.oldest),
        (queue.limits ?? []).map(describeLimit).join(", "),
      ]),
    ),
    ...head("Workers"),
    ...table(
      ["WORKER", "HOST", "PID", "BUSY", "SEEN"],
      workers.map((worker) => [
        worker.id,
        worker.host,
        String(worker.pid),
        `${worker.running.length}/${worker.concurrency}`,
        worker.suspected ? color("red", `silent, ${relativeTime(worker.seenAt)}`) : relativeTime(worker.seenAt),
      ]),
    ),
    ...head("Running"),
    ...table(
      ["ID", "TASK", "FOR", "ATTEMPT", "PROGRESS"],
      running.map((job) => [
        job.id,
        shorten(job.task, 40),
        elapsed(job.startedAt, now),
        `${job.attempts}/${job.maxAttempts}`,
        shorten([job.progress === null ? "" : `${Math.round(job.progress)} %`, job.progressMessage ?? ""].join(" ").trim(), 50),
      ]),
    ),
    ...head("Newest"),
    ...table(
      ["ID", "TASK", "STATE", "CREATED", "TOOK", "ERROR"],
      last.map((job) => [
        job.id,
        shorten(job.task, 40),
        colorState(job.state),
        relativeTime(job.createdAt),
        elapsed(job.startedAt, job.finishedAt),
        shorten(job.error ?? "", 60),
      ]),
    ),
  ];
}

/** As much of a line as fits, colours not counted. */
function cut(line: string, columns: number): string {
  if (stripVTControlCharacters(line).length <= columns) return line;
  return shorten(stripVTControlCharacters(line).trimEnd(), columns);
}
