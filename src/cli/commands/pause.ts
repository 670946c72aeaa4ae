import { Command } from "commander";
import { LegworkError } from "../../errors.ts";
import type { Operations } from "../operations/operations.ts";
import { type RemoteFlags, withOperations, withRemoteOptions } from "../options.ts";
import { printDone } from "../output.ts";

type Flags = RemoteFlags & { task?: string; reason?: string; all?: boolean; json?: boolean };

/** What is paused or resumed: a queue, a task, or everything. */
type Target = { queue: string; task?: undefined } | { task: string; queue?: undefined } | { all: true };

export function pauseCommand(): Command {
  return withRemoteOptions(new Command("pause"))
    .description("Pause a queue or task: waiting jobs do not start, running jobs finish, no jobs are lost")
    .argument("[queue]", "Queue to pause")
    .option("--task <name>", "Task to pause, instead of a queue")
    .option("--reason <text>", "Reason, shown by `legwork explain`")
    .option("--json", 'Print {"queue" or "task": …, "paused": true}')
    .addHelpText(
      "after",
      "\nExamples:\n  $ legwork pause mail --reason 'provider is down'\n  $ legwork pause --task notify/email",
    )
    .action(async (queue: string | undefined, flags: Flags) => {
      const target = targetOf(queue, flags, "pause");
      await run(flags, async (operations) => {
        if ("all" in target) throw new TypeError("Only `resume` accepts --all.");
        if (target.task !== undefined) await operations.pauseTask(target.task, flags.reason);
        else await operations.pauseQueue(target.queue, flags.reason);
        return [{ ...target, paused: true }, `${nameOf(target)} is paused.`];
      });
    });
}

export function resumeCommand(): Command {
  return withRemoteOptions(new Command("resume"))
    .description("Resume a queue or task, or end an emergency stop")
    .argument("[queue]", "Queue to resume")
    .option("--task <name>", "Task to resume, instead of a queue")
    .option("--all", "End an emergency stop; paused queues and tasks stay paused")
    .option("--json", 'Print {"queue" or "task" or "all": …, "resumed": …}; "resumed" is false if it was not paused')
    .addHelpText(
      "after",
      "\nExamples:\n  $ legwork resume mail\n  $ legwork resume --task notify/email\n  $ legwork resume --all",
    )
    .action(async (queue: string | undefined, flags: Flags) => {
      const target = targetOf(queue, flags, "resume");
      await run(flags, async (operations) => {
        if ("all" in target) {
          const resumed = await operations.resumeAll();
          return [{ all: true, resumed }, resumed ? "The emergency stop has ended." : "There was no emergency stop."];
        }
        const resumed =
          target.task === undefined ? await operations.resumeQueue(target.queue) : await operations.resumeTask(target.task);
        return [{ ...target, resumed }, `${nameOf(target)} ${resumed ? "has been resumed" : "was not paused"}.`];
      });
    });
}

export function stopCommand(): Command {
  return withRemoteOptions(new Command("stop"))
    .description("Keep all jobs from starting until `legwork resume --all`; running jobs finish")
    .requiredOption("--all", "Confirm stopping all queues and tasks")
    .option("--reason <text>", "Reason, shown by `legwork explain`")
    .option("--json", 'Print {"all": true, "stopped": true}')
    .addHelpText("after", "\nExamples:\n  $ legwork stop --all --reason 'wrong mails are going out'")
    .action(async (flags: Flags) => {
      await run(flags, async (operations) => {
        await operations.emergencyStop(flags.reason);
        const text = "Everything is stopped. Running jobs finish. To resume: `legwork resume --all`.";
        return [{ all: true, stopped: true }, text];
      });
    });
}

function targetOf(queue: string | undefined, { task, all }: Flags, command: "pause" | "resume"): Target {
  if (queue !== undefined && task === undefined && all !== true) return { queue };
  if (queue === undefined && task !== undefined && all !== true) return { task };
  if (queue === undefined && task === undefined && all === true) return { all };
  const isResume = command === "resume";
  throw new LegworkError("LW400", `Specify one queue or one task${isResume ? ", or use --all to end an emergency stop" : ""}.`, {
    hint: `For example \`legwork ${command} mail\`${isResume ? ", " : " or "}\`legwork ${command} --task notify/email\`${isResume ? " or `legwork resume --all`" : ""}. \`legwork queues\` lists the queues.`,
  });
}

function nameOf(target: Exclude<Target, { all: true }>): string {
  return target.task === undefined ? `Queue '${target.queue}'` : `Task '${target.task}'`;
}

async function run(flags: Flags, work: (operations: Operations) => Promise<[object, string]>): Promise<void> {
  await withOperations(flags, async (operations) => printDone(flags.json, ...(await work(operations))));
}
