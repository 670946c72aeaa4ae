import { setTimeout as delay } from "node:timers/promises";
import { type Command, Option } from "commander";
import { LegworkError } from "../errors.ts";
import { durationInWords } from "../wording.ts";
import type { Reason } from "../jobs/explain-job.ts";
import type { Job } from "../contract/jobs.ts";
import { milliseconds } from "./option-values.ts";
import type { Operations } from "./operations/operations.ts";
import { ProgressBar } from "./progress-bar.ts";

/** How often the job is read once it has run for a while (ms). A server limits requests. */
const LOOK_EVERY_MS = 500;

/** After this time without a start, the reason is printed (ms). */
const PATIENCE_MS = 2_000;

/**
 * How much longer than the start deadline the command waits (ms). The database's clock decides, and a worker or server still has to expire the job.
 */
const GRACE_MS = 3_000;

export interface RunFlags {
  startWithin: number;
  json?: boolean;
}

/** Adds the options of the commands that run a job of the standard library and wait for its end. */
export function withRunOptions(command: Command): Command {
  return command
    .addOption(
      new Option("--start-within <duration>", "Time in which a worker must start the job; otherwise it is cancelled")
        .argParser(milliseconds(1_000))
        .default(60_000, "1m"),
    )
    .option("--json", 'Print {"id", "state", "result", "error"}');
}

/**
 * Enqueues a job for one attempt, shows its progress on a terminal, and resolves to the job once it has ended, in any state. The job runs with
 * the rights and folders of its worker, and continues when the command is interrupted. A job that has not started in time expires, so that it
 * does not start unexpectedly later. Throws LW404 when no worker has the task, and LW504, with the reason, when no worker has started the job.
 */
export async function runToEnd(operations: Operations, task: string, payload: unknown, flags: RunFlags): Promise<Job> {
  const deadline = Date.now() + flags.startWithin;
  const id = await operations
    .enqueue(task, payload, { maxAttempts: 1, expiresAt: new Date(deadline) })
    .catch((error: unknown) => {
      if (!(error instanceof LegworkError) || error.code !== "LW404") throw error;
      throw new LegworkError("LW404", `Unknown task '${task}': no worker has registered it.`, {
        hint: "Start a worker that has the ready-made tasks: `legwork worker --tasks node_modules/legwork/dist/tasks`.",
        cause: error,
      });
    });
  const bar = new ProgressBar();
  try {
    for (let wait = 50, waitedFor = 0, isTold = false; ; wait = Math.min(LOOK_EVERY_MS, 2 * wait)) {
      const job = await operations.getJob(id);
      if (job.finishedAt !== null) return job;
      const isRunning = job.state === "running";
      if (isRunning) bar.show(job.progress, job.progressMessage);
      else if (Date.now() > deadline + GRACE_MS) throw await givenUp(operations, id, flags.startWithin);
      else if (waitedFor > PATIENCE_MS && !isTold) {
        isTold = true;
        console.error(`legwork: Job ${id} is waiting: ${(await whyNot(operations, id)).detail}`);
      }
      await delay(wait);
      waitedFor += wait;
    }
  } finally {
    bar.clear();
  }
}

/** The first reason why the job has not started, other than its own expiry. */
async function whyNot(operations: Operations, id: string): Promise<Reason> {
  const reasons = await operations.explainJob(id);
  return (reasons.find(({ reason }) => reason !== "expired") ?? reasons[0]) as Reason;
}

async function givenUp(operations: Operations, id: string, within: number): Promise<LegworkError> {
  const { detail, fix } = await whyNot(operations, id);
  // No worker starts it after its deadline, but if no worker is running, the job has not been marked as expired yet.
  await operations.cancelJob(id, "No worker started it in time.").catch(() => undefined);
  return new LegworkError("LW504", `Job ${id} did not start within ${durationInWords(within)}: ${detail}`, { hint: fix });
}

/** Prints how a job that did not complete ended, and sets exit code 1. */
export function reportEnd(job: Job): void {
  process.exitCode = 1;
  console.error(
    `legwork: Job ${job.id} ${job.state === "failed" ? "has failed" : `is ${job.state}`}: ${job.error ?? "no reason is recorded."}`,
  );
  console.error(`hint: \`legwork job ${job.id}\` shows its attempts and log.`);
}
