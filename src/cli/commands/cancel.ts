import { Command, Option } from "commander";
import { LegworkError } from "../../errors.ts";
import type { LiveFilter } from "../../jobs/cancel-job.ts";
import { ownFlags, type RemoteFlags, time, withOperations, withRemoteOptions } from "../options.ts";
import { forEachJob, printIds } from "../output.ts";

type Flags = RemoteFlags & Omit<LiveFilter, "ids"> & { reason?: string; all?: boolean; preview?: boolean; json?: boolean };

export function cancelCommand(): Command {
  return withRemoteOptions(new Command("cancel"))
    .description("cancel jobs: one that waits never starts, one that runs is told to stop")
    .argument("[ids...]", "the jobs' ids; or name jobs that have not ended by the options below")
    .addOption(
      new Option("--state <state>", "jobs in this state").choices([
        "scheduled",
        "pending",
        "blocked",
        "paused",
        "running",
        "retrying",
      ]),
    )
    .option("--task <name>", "jobs of this task")
    .option("--queue <name>", "jobs of this queue")
    .option("--tenant <name>", "this tenant's jobs")
    .option("--correlation-id <id>", "jobs that come from this cause")
    .option("--parent-id <id>", "jobs that this job has enqueued")
    .option("--created-after <time>", "jobs created at this time or later", time)
    .option("--created-before <time>", "jobs created before this time", time)
    .option("--all", "every job that has not ended")
    .option("--preview", "only say which")
    .option("--reason <text>", "what their history will say")
    .option("--json", "print an array")
    .addHelpText(
      "after",
      `
Examples:
  $ legwork cancel 42
  $ legwork cancel 42 43 --reason 'wrong recipients'
  $ legwork cancel --queue mail --state pending --preview`,
    )
    .action(async (ids: string[], flags: Flags) => {
      const { reason, all, preview = false, json, ...filter } = ownFlags(flags);
      const hasFilter = Object.keys(filter).length > 0;
      if ([ids.length > 0, hasFilter, all === true].filter(Boolean).length !== 1) {
        throw new LegworkError("LW400", "Name jobs by their ids, by what they have in common, or --all.", {
          hint: "For example `legwork cancel 42`, `legwork cancel --queue mail` or `legwork cancel --all --preview`.",
        });
      }
      await withOperations(flags, async (operations) => {
        if (ids.length > 0 && !preview) {
          await forEachJob(ids, json, async (id) => {
            const state = await operations.cancelJob(id, reason);
            return { state, text: state === "running" ? "told to stop" : state };
          });
          return;
        }
        const found = await operations.cancelJobs(ids.length > 0 ? { ids } : filter, { reason, preview });
        printIds(found, { done: "cancelled or told to stop", preview, json, none: "No job fits." });
      });
    });
}
