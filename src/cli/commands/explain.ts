import { Command } from "commander";
import { type RemoteFlags, withOperations, withRemoteOptions } from "../options.ts";
import { color, printJson } from "../output.ts";

export function explainCommand(): Command {
  return withRemoteOptions(new Command("explain"))
    .description("Show why a job is not running, and how to fix it")
    .argument("<id>", "Id of the job")
    .option("--json", "Print an array of reasons")
    .addHelpText("after", "\nExamples:\n  $ legwork explain 42\n  $ legwork explain 42 --json")
    .action(async (id: string, flags: RemoteFlags & { json?: boolean }) => {
      const { json } = flags;
      await withOperations(flags, async (operations) => {
        const reasons = await operations.explainJob(id);
        if (json === true) return printJson(reasons);
        const { schedule, scheduleDueAt: dueAt } = await operations.getJob(id);
        if (schedule !== null) console.log(`Schedule '${schedule}' enqueued it for ${dueAt?.toISOString()}.`);
        for (const { position, detail, fix } of reasons) {
          const number = reasons.length > 1 ? `${position}. ` : "";
          console.log(`${color("bold", `${number}${detail}`)}\n${" ".repeat(number.length)}${fix}`);
        }
      });
    });
}
