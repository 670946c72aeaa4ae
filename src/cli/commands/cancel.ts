import { Command, Option } from "commander";
import { LegworkError } from "../../errors.ts";
import type { LiveFilter } from "../../jobs/cancel-job.ts";
import { assertKnownNames } from "../known-names.ts";
import { idOf, jobIds, time } from "../option-values.ts";
import { ownFlags, type RemoteFlags, withOperations, withRemoteOptions } from "../options.ts";
import { forEachJob, printIds } from "../output.ts";

type Flags = RemoteFlags & Omit<LiveFilter, "ids"> & { reason?: string; all?: boolean; preview?: boolean; json?: boolean };

export function cancelCommand(): Command {
  return withRemoteOptions(new Command("cancel"))
    .description("Cancel jobs: waiting jobs never start, running jobs are told to stop")
    .argument("[ids...]", "Ids of the jobs; or use the options below to select jobs that have not ended", jobIds, [])
    .addOption(
      new Option("--state <state>", "Only jobs in this state").choices([
        "scheduled",
        "pending",
        "blocked",
        "paused",
        "running",
        "retrying",
      ]),
    )
    .option("--task <name>", "Only jobs of this task")
    .option("--queue <name>", "Only jobs of this queue")
    .option("--tenant <name>", "Only this tenant's jobs")
    .option("--correlation-id <text>", "Only jobs with this correlation id")
    .option("--parent-id <id>", "Only jobs enqueued by this job", idOf("a job"))
    .option("--created-after <time>", "Only jobs created at this time or later", time)
    .option("--created-before <time>", "Only jobs created before this time", time)
    .option("--all", "All jobs that have not ended")
    .option("--preview", "List the jobs without cancelling them")
    .option("--reason <text>", "Reason recorded in the jobs' history")
    .option("--json", "Print an array of what was cancelled")
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
        throw new LegworkError("LW400", "Select jobs by their ids, by options such as --queue, or with --all.", {
          hint: "For example `legwork cancel 42`, `legwork cancel --queue mail` or `legwork cancel --all --preview`.",
        });
      }
      await withOperations(flags, async (operations) => {
        if (ids.length > 0 && !preview) {
          await forEachJob(ids, json, async (id) => {
            const state = await operations.cancelJob(id, reason);
            return { done: { state }, text: state === "running" ? "told to stop" : state };
          });
          return;
        }
        const found = await operations.cancelJobs(ids.length > 0 ? { ids } : filter, { reason, preview });
        if (found.length === 0) await assertKnownNames(operations, filter);
        printIds(found, { done: "cancelled or told to stop", preview, json, none: "No jobs match." });
      });
    });
}
