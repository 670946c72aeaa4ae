import { Command } from "commander";
import type { RerunOptions } from "../../jobs/rerun-job.ts";
import { PRIORITIES } from "../../bounds.ts";
import { jobIds, wholeNumber } from "../option-values.ts";
import { type RemoteFlags, withOperations, withRemoteOptions } from "../options.ts";
import { forEachJob } from "../output.ts";
import { parseTyped } from "../typed-json.ts";

export function rerunCommand(): Command {
  return withRemoteOptions(new Command("rerun"))
    .description("Run ended jobs again as new jobs, with the same payload or another one")
    .argument("<ids...>", "Ids of the jobs", jobIds)
    .option("--payload <json>", 'New payload; "[redacted]" keeps the old value', (text) => parseTyped("payload", text))
    .option("--task <name>", "Different task, if the name of the old one was wrong")
    .option("--discard", "Discard the old jobs, which must have failed")
    .option("--json", "Print an array with the old and new id of each job")
    .addHelpText(
      "after",
      `\nExamples:\n  $ legwork rerun 42\n  $ legwork rerun 42 --payload '{"to": "ann@example.com"}' --discard`,
    )
    .action(async (ids: string[], flags: RemoteFlags & RerunOptions & { json?: boolean }) => {
      const { json, payload, discard, task } = flags;
      await withOperations(flags, async (operations) => {
        await forEachJob(ids, json, async (id) => {
          const made = await operations.rerunJob(id, { payload, discard, task });
          return { done: { newId: made }, text: `runs again as job ${made}` };
        });
      });
    });
}

export function priorityCommand(): Command {
  return withRemoteOptions(new Command("priority"))
    .description("Change the priority of jobs; smaller numbers run first")
    .argument("<ids...>", "Ids of the jobs", jobIds)
    .requiredOption("--to <number>", "New priority, -32768 to 32767", wholeNumber(...PRIORITIES))
    .option("--json", "Print an array with the old and new priority of each job")
    .addHelpText("after", "\nExamples:\n  $ legwork priority 42 43 --to -10")
    .action(async (ids: string[], flags: RemoteFlags & { to: number; json?: boolean }) => {
      const { json, to } = flags;
      await withOperations(flags, async (operations) => {
        await forEachJob(ids, json, async (id) => {
          const was = await operations.setPriority(id, to);
          return { done: { priority: to, was }, text: `has priority ${to}; it was ${was}` };
        });
      });
    });
}
