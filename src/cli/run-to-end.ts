import { setTimeout as delay } from "node:timers/promises";
import { type Command, InvalidArgumentError } from "commander";
import { parseDuration } from "../duration.ts";
import { LegworkError } from "../errors.ts";
import type { Reason } from "../jobs/explain-job.ts";
import type { Job } from "../contract/jobs.ts";
import type { Operations } from "./operations/operations.ts";
import { ProgressBar } from "./progress-bar.ts";

/** How often the job is looked at, once it has taken a while (ms): a server limits requests. */
const LOOK_EVERY_MS = 500;

/** After that long without a start it is said why (ms). */
const PATIENCE_MS = 2_000;

/** How much longer is waited than the database lets the job start (ms): its own clock decides, and then somebody has to look. */
const GRACE_MS = 3_000;

export interface RunFlags {
  startWithin: number;
  json?: boolean;
}

/** Options of the commands that run a job of the standard library and wait for its end. */
export function withRunOptions(command: Command): Command {
  return command
    .option(
      "--start-within <duration>",
      "give up, and let nothing start later, when no worker has begun by then",
      startWithin,
      60_000,
    )
    .option("--json", 'print {"id", "state", "result", "error"}');
}

function startWithin(value: string): number {
  const milliseconds = parseDuration(value);
  if (milliseconds === undefined || milliseconds < 1_000) {
    throw new InvalidArgumentError("It must be a duration of at least 1s, such as 30s or 10m.");
  }
  return milliseconds;
}

/**
 * Enqueues a job for one attempt, shows on a terminal how far it is, and resolves to it once it has ended, however that was. It is a job
 * like any other: a worker runs it, with its own rights and folders, and it goes on when the command is interrupted; but one that has not
 * started in time expires, so that nothing starts when nobody expects it any more. Throws LW404 when no worker has the task, LW504, with the
 * reason, when none has started it.
 */
export async function runToEnd(operations: Operations, task: string, payload: unknown, flags: RunFlags): Promise<Job> {
  const deadline = Date.now() + flags.startWithin;
  const id = await operations
    .enqueue(task, payload, { maxAttempts: 1, expiresAt: new Date(deadline) })
    .catch((error: unknown) => {
      if (!(error instanceof LegworkError) || error.code !== "LW404") throw error;
      throw new LegworkError("LW404", `No worker has told of the task '${task}'.`, {
        hint: "Start one with the ready-made tasks: legwork worker --tasks node_modules/legwork/dist/tasks",
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
        console.error(`legwork: Job ${id} waits: ${(await whyNot(operations, id)).detail}`);
      }
      await delay(wait);
      waitedFor += wait;
    }
  } finally {
    bar.clear();
  }
}

/** What holds it back, beside its time being over. */
async function whyNot(operations: Operations, id: string): Promise<Reason> {
  const reasons = await operations.explainJob(id);
  return (reasons.find(({ reason }) => reason !== "expired") ?? reasons[0]) as Reason;
}

async function givenUp(operations: Operations, id: string, within: number): Promise<LegworkError> {
  const { detail, fix } = await whyNot(operations, id);
  // Its time is over: no worker starts it any more. Where none is alive, nobody has said so yet.
  await operations.cancelJob(id, "Nobody started it in time.").catch(() => undefined);
  return new LegworkError("LW504", `Job ${id} has not started within ${within / 1_000} s: ${detail}`, { hint: fix });
}

/** Says how a job that did not complete has ended, and lets the command end with 1. */
export function reportEnd(job: Job): void {
  process.exitCode = 1;
  console.error(
    `legwork: Job ${job.id} ${job.state === "failed" ? "has failed" : `is ${job.state}`}: ${job.error ?? "no reason was given."}`,
  );
  console.error(`  \`legwork job ${job.id}\` shows all about it.`);
}
