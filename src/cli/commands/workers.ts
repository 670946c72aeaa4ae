import { Command } from "commander";
import type { Worker } from "../../contract/queues.ts";
import { listingCommand } from "../listing.ts";
import type { Operations } from "../operations/operations.ts";
import { type RemoteFlags, withOperations, withRemoteOptions } from "../options.ts";
import { formatNumber } from "../../wording.ts";
import { color, elapsed, printDone, printTable, relativeTime } from "../output.ts";

/** The maximum number of excluded tasks to list. */
const SHOWN_TASKS = 3;

export function workersCommand(): Command {
  return listingCommand(
    "workers",
    "List running workers with their jobs",
    ({ listWorkers }) => listWorkers(),
    "No Legwork worker is running.",
    (workers) => {
      // The column is shown only if a worker lacks a task of a waiting job.
      const hasLacks = workers.some(({ lacks }) => lacks.length > 0);
      const hasSlots = workers.some(({ queueSlots }) => queueSlots !== null);
      const hasExcluded = workers.some(({ excluded }) => excluded.length > 0);
      printTable(
        [
          "WORKER",
          "STATE",
          "VERSION",
          "BUSY",
          "TASKS",
          "STARTED",
          "LAST SEEN",
          "JOBS",
          "ID",
          ...(hasSlots ? ["SLOTS"] : []),
          ...(hasExcluded ? ["EXCLUDES"] : []),
          ...(hasLacks ? ["LACKS"] : []),
        ],
        workers.map((worker) => [
          worker.name,
          describeState(worker),
          worker.version ?? "",
          `${worker.running.length}/${worker.concurrency}`,
          String(worker.tasks.length),
          relativeTime(worker.startedAt),
          describeSeen(worker),
          worker.running.join(", "),
          worker.id,
          ...(hasSlots
            ? [
                Object.entries(worker.queueSlots ?? {})
                  .map(([queue, count]) => `${queue}=${count}`)
                  .join(", "),
              ]
            : []),
          ...(hasExcluded ? [someOf(worker.excluded)] : []),
          ...(hasLacks ? [worker.lacks.join(", ")] : []),
        ]),
        ["VERSION", "STARTED", "TASKS", "ID", "JOBS"],
      );
    },
  )
    .addCommand(
      change(
        "quiet",
        "Stop a worker from taking new jobs until it is resumed; running jobs finish",
        async (operations, worker) => {
          await operations.quietWorker(worker);
          return `Worker ${worker} takes no new jobs. Running jobs continue. To resume: \`legwork workers resume ${worker}\`.`;
        },
      ),
    )
    .addCommand(
      change("resume", "Let a worker take jobs again after `quiet` or `drain`", async (operations, worker) =>
        (await operations.resumeWorker(worker)) ? `Worker ${worker} takes jobs again.` : `Worker ${worker} was not quiet.`,
      ),
    )
    .addCommand(
      change(
        "drain",
        "Stop a worker from taking new jobs, and end it when its running jobs have ended",
        async (operations, worker) => {
          await operations.drainWorker(worker);
          return `Worker ${worker} stops when its running jobs have ended. Until then, to resume: \`legwork workers resume ${worker}\`.`;
        },
      ),
    );
}

function change(
  name: "quiet" | "resume" | "drain",
  description: string,
  work: (operations: Operations, worker: string) => Promise<string>,
): Command {
  return withRemoteOptions(new Command(name))
    .exitOverride()
    .description(description)
    .argument("<worker>", "Id of the worker, or host:pid")
    .option("--json", 'Print {"worker": …, "change": …}')
    .addHelpText("after", `\nExamples:\n  $ legwork workers ${name} mail-1:4211`)
    .action(async (worker: string, _own: object, command: Command) => {
      // Options that `legwork workers` also has are parsed by that command.
      const flags = command.optsWithGlobals<RemoteFlags & { json?: boolean }>();
      await withOperations(flags, async (operations) => {
        printDone(flags.json, { worker, change: name }, await work(operations, worker));
      });
    });
}

/** The first tasks of a list that may be long: a worker that runs only one task excludes all others. */
function someOf(tasks: readonly string[]): string {
  const rest = tasks.length - SHOWN_TASKS;
  return tasks.slice(0, SHOWN_TASKS).join(", ") + (rest > 0 ? ` and ${formatNumber(rest)} more` : "");
}

function describeState(worker: Worker): string {
  if (worker.state === "active") return worker.state;
  return color("yellow", `${worker.state}${worker.quietBy === null ? "" : ` by ${worker.quietBy}`}`);
}

/** When the worker was last seen, and whether it is unresponsive or a task blocks its event loop. */
function describeSeen(worker: Worker): string {
  if (worker.suspected) return color("red", `silent, ${relativeTime(worker.seenAt)}`);
  if (worker.blockedSince === null || worker.blockedSince === undefined) return relativeTime(worker.seenAt);
  const jobs = worker.blockedJobs ?? [];
  const blocker = jobs.length === 0 ? "" : jobs.length === 1 ? ` by job ${jobs[0]}` : ` by one of jobs ${jobs.join(", ")}`;
  return color("yellow", `blocked${blocker} for ${elapsed(worker.blockedSince, new Date())}`);
}
