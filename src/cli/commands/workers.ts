import type { Command } from "commander";
import type { Worker } from "../../contract/queues.ts";
import { listingCommand } from "../listing.ts";
import { color, elapsed, printTable, relativeTime } from "../output.ts";

export function workersCommand(): Command {
  return listingCommand(
    "workers",
    "List running workers with their jobs",
    ({ listWorkers }) => listWorkers(),
    "No Legwork worker is running.",
    (workers) =>
      printTable(
        ["WORKER", "HOST", "PID", "VERSION", "BUSY", "TASKS", "STARTED", "LAST SEEN", "JOBS"],
        workers.map((worker) => [
          worker.id,
          worker.host,
          String(worker.pid),
          worker.version ?? "",
          `${worker.running.length}/${worker.concurrency}`,
          String(worker.tasks.length),
          relativeTime(worker.startedAt),
          describeSeen(worker),
          worker.running.join(", "),
        ]),
        ["VERSION", "PID", "STARTED", "TASKS", "HOST", "JOBS"],
      ),
  );
}

/** When the worker was last seen, and whether it is unresponsive or a task blocks its event loop. */
function describeSeen(worker: Worker): string {
  if (worker.suspected) return color("red", `silent, ${relativeTime(worker.seenAt)}`);
  if (worker.blockedSince === null || worker.blockedSince === undefined) return relativeTime(worker.seenAt);
  const jobs = worker.blockedJobs ?? [];
  const blocker = jobs.length === 0 ? "" : jobs.length === 1 ? ` by job ${jobs[0]}` : ` by one of jobs ${jobs.join(", ")}`;
  return color("yellow", `blocked${blocker} for ${elapsed(worker.blockedSince, new Date())}`);
}
