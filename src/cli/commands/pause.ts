import { Command } from "commander";
import { LegworkError } from "../../errors.ts";
import type { Operations } from "../operations/operations.ts";
import { type RemoteFlags, withOperations, withRemoteOptions } from "../options.ts";

type Flags = RemoteFlags & { task?: string; reason?: string; all?: boolean };

export function pauseCommand(): Command {
  return withRemoteOptions(new Command("pause"))
    .description("Pause a queue or task: its jobs wait, running jobs finish, none are lost")
    .argument("[queue]", "Queue to pause")
    .option("--task <name>", "Task to pause, instead of a queue")
    .option("--reason <text>", "Reason, shown by `legwork explain`")
    .addHelpText(
      "after",
      "\nExamples:\n  $ legwork pause mail --reason 'provider is down'\n  $ legwork pause --task notify/email",
    )
    .action(async (queue: string | undefined, flags: Flags) => {
      await run(flags, async (operations) => {
        if (flags.task !== undefined && queue === undefined) {
          await operations.pauseTask(flags.task, flags.reason);
          return `Task '${flags.task}' is paused.`;
        }
        await operations.pauseQueue(onlyQueue(queue, flags, "pause"), flags.reason);
        return `Queue '${queue}' is paused.`;
      });
    });
}

export function resumeCommand(): Command {
  return withRemoteOptions(new Command("resume"))
    .description("Resume a queue or task, or end an emergency stop")
    .argument("[queue]", "Queue to resume")
    .option("--task <name>", "Task to resume, instead of a queue")
    .option("--all", "End an emergency stop; paused queues and tasks stay paused")
    .addHelpText(
      "after",
      "\nExamples:\n  $ legwork resume mail\n  $ legwork resume --task notify/email\n  $ legwork resume --all",
    )
    .action(async (queue: string | undefined, flags: Flags) => {
      await run(flags, async (operations) => {
        if (flags.all === true && queue === undefined && flags.task === undefined) {
          return (await operations.resumeAll()) ? "The emergency stop has ended." : "There was no emergency stop.";
        }
        if (flags.task !== undefined && queue === undefined) {
          return `Task '${flags.task}' ${(await operations.resumeTask(flags.task)) ? "has been resumed" : "was not paused"}.`;
        }
        return `Queue '${queue}' ${(await operations.resumeQueue(onlyQueue(queue, flags, "resume"))) ? "has been resumed" : "was not paused"}.`;
      });
    });
}

export function stopCommand(): Command {
  return withRemoteOptions(new Command("stop"))
    .description("Start no more jobs until `legwork resume --all`; running jobs finish")
    .requiredOption("--all", "Confirm stopping all queues and tasks")
    .option("--reason <text>", "Reason, shown by `legwork explain`")
    .addHelpText("after", "\nExamples:\n  $ legwork stop --all --reason 'wrong mails are going out'")
    .action(async (flags: Flags) => {
      await run(flags, async (operations) => {
        await operations.emergencyStop(flags.reason);
        return "Everything is stopped. Running jobs finish. To resume: `legwork resume --all`.";
      });
    });
}

function onlyQueue(queue: string | undefined, flags: Flags, command: "pause" | "resume"): string {
  if (queue !== undefined && flags.task === undefined && flags.all !== true) return queue;
  const isResume = command === "resume";
  throw new LegworkError("LW400", `Name one queue or one task${isResume ? ", or use --all to end an emergency stop" : ""}.`, {
    hint: `For example \`legwork ${command} mail\`${isResume ? ", " : " or "}\`legwork ${command} --task notify/email\`${isResume ? " or `legwork resume --all`" : ""}. \`legwork queues\` lists the queues.`,
  });
}

async function run(flags: Flags, work: (operations: Operations) => Promise<string>): Promise<void> {
  await withOperations(flags, async (operations) => console.log(await work(operations)));
}
