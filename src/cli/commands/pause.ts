import { Command } from "commander";
import { LegworkError } from "../../errors.ts";
import type { Operations } from "../operations/operations.ts";
import { type RemoteFlags, withOperations, withRemoteOptions } from "../options.ts";

type Flags = RemoteFlags & { task?: string; reason?: string; all?: boolean };

export function pauseCommand(): Command {
  return withRemoteOptions(new Command("pause"))
    .description("pause a queue or a task: nothing of it starts, what runs finishes, nothing is lost")
    .argument("[queue]", "the queue")
    .option("--task <name>", "a task in place of a queue")
    .option("--reason <text>", "why; shown to whoever asks why a job does not run")
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
        await operations.pauseQueue(onlyQueue(queue, flags), flags.reason);
        return `Queue '${queue}' is paused.`;
      });
    });
}

export function resumeCommand(): Command {
  return withRemoteOptions(new Command("resume"))
    .description("end the pause of a queue or a task, or an emergency stop")
    .argument("[queue]", "the queue")
    .option("--task <name>", "a task in place of a queue")
    .option("--all", "end an emergency stop; what was paused for itself stays paused")
    .addHelpText("after", "\nExamples:\n  $ legwork resume mail\n  $ legwork resume --all")
    .action(async (queue: string | undefined, flags: Flags) => {
      await run(flags, async (operations) => {
        if (flags.all === true && queue === undefined && flags.task === undefined) {
          return (await operations.resumeAll()) ? "The emergency stop has ended." : "There was no emergency stop.";
        }
        if (flags.task !== undefined && queue === undefined) {
          return `Task '${flags.task}' ${(await operations.resumeTask(flags.task)) ? "is resumed" : "was not paused"}.`;
        }
        return `Queue '${queue}' ${(await operations.resumeQueue(onlyQueue(queue, flags))) ? "is resumed" : "was not paused"}.`;
      });
    });
}

export function stopCommand(): Command {
  return withRemoteOptions(new Command("stop"))
    .description("stop everything: no job starts until `legwork resume --all`; what runs finishes")
    .requiredOption("--all", "that everything is meant")
    .option("--reason <text>", "why; shown to whoever asks why a job does not run")
    .addHelpText("after", "\nExamples:\n  $ legwork stop --all --reason 'wrong mails are going out'")
    .action(async (flags: Flags) => {
      await run(flags, async (operations) => {
        await operations.emergencyStop(flags.reason);
        return "Everything is stopped. Jobs that run finish; `legwork resume --all` ends it.";
      });
    });
}

function onlyQueue(queue: string | undefined, flags: Flags): string {
  if (queue !== undefined && flags.task === undefined && flags.all !== true) return queue;
  throw new LegworkError("LW400", "Name one queue or one task.", {
    hint: "For example `legwork pause mail` or `legwork pause --task notify/email`; `legwork queues` lists the queues.",
  });
}

async function run(flags: Flags, work: (operations: Operations) => Promise<string>): Promise<void> {
  await withOperations(flags, async (operations) => console.log(await work(operations)));
}
