import { Command, Option } from "commander";
import { LegworkError } from "../../errors.ts";
import type { LiveFilter } from "../../jobs/cancel-job.ts";
import { changeMatching } from "../bulk.ts";
import { idOf, jobIds, time } from "../option-values.ts";
import { ownFlags, type RemoteFlags, withOperations, withRemoteOptions } from "../options.ts";
import { forEachJob } from "../output.ts";

type Flags = RemoteFlags &
  Omit<LiveFilter, "ids"> & { reason?: string; all?: boolean; preview?: boolean; detach?: boolean; json?: boolean };

export function cancelCommand(): Command {
  return withRemoteOptions(new Command("cancel"))
    .description("Cancel jobs: waiting jobs never start, running jobs are signaled to stop")
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
    .option("--detach", "Start a bulk action and do not wait for it")
    .option("--reason <text>", "Reason recorded in the jobs' history")
    .option("--json", "Print an array with an entry per cancelled job, or the bulk action for more than 1,000 jobs")
    .addHelpText(
      "after",
      `
Examples:
  $ legwork cancel 42
  $ legwork cancel 42 43 --reason 'wrong recipients'
  $ legwork cancel --queue mail --state pending --preview`,
    )
    .action(async (ids: string[], flags: Flags) => {
      const { reason, all, preview = false, detach = false, json, ...filter } = ownFlags(flags);
      const hasFilter = Object.keys(filter).length > 0;
      if (ids.length > 0 === (hasFilter || all === true)) {
        throw new LegworkError("LW400", "Select jobs by their ids, by options such as --queue, or with --all.", {
          hint: "For example `legwork cancel 42`, `legwork cancel --queue mail` or `legwork cancel --all --preview`.",
        });
      }
      await withOperations(flags, async (operations) => {
        if (ids.length > 0 && !preview && !detach) {
          await forEachJob(ids, json, async (id) => {
            const state = await operations.cancelJob(id, reason);
            return { done: { state }, text: state === "running" ? "signaled to stop" : state };
          });
          return;
        }
        const chosen = ids.length > 0 ? { ids } : filter;
        await changeMatching(operations, {
          action: "cancel",
          filter: chosen,
          options: { reason },
          preview,
          detach,
          json,
          none: "No jobs match.",
          direct: (options) => operations.cancelJobs(chosen, { reason, ...options }),
        });
      });
    });
}
