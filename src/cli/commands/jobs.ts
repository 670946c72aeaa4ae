import { Command, Option } from "commander";
import { MAX_LOOKED_AT } from "../../bounds.ts";
import { JOB_STATES } from "../../contract/states.ts";
import type { JobFilter } from "../../jobs/read-jobs.ts";
import { integer, positiveInteger, ownFlags, type RemoteFlags, time, withOperations, withRemoteOptions } from "../options.ts";
import { repeatedly, type WatchFlags, withWatch } from "../watch.ts";
import { colorState, elapsed, printJson, printTable, relativeTime, shorten } from "../output.ts";
import { jsonText } from "../visible.ts";

type Flags = RemoteFlags & WatchFlags & JobFilter & { json?: boolean };

export function jobsCommand(): Command {
  return withWatch(withRemoteOptions(new Command("jobs")))
    .description("list jobs, newest first")
    .addOption(new Option("--state <state>", "only jobs in this state").choices(JOB_STATES))
    .option("--task <name>", "only jobs of this task")
    .option("--queue <name>", "only jobs of this queue")
    .option("--tenant <name>", "only this tenant's jobs")
    .option("--correlation-id <id>", "only jobs that come from this cause")
    .option("--parent-id <id>", "only jobs that this job has enqueued")
    .option("--job-key <key>", "only jobs with this key")
    .option("--priority <number>", "only jobs with this priority; needs a state other than completed", integer)
    .option("--error <text>", "only jobs whose error contains this; needs a state other than completed")
    .option("--payload <path:value>", "only jobs with this in their payload, among the first 10,000 that fit, such as user.id:42")
    .option("--created-after <time>", "only jobs created at this time or later", time)
    .option("--created-before <time>", "only jobs created before this time", time)
    .option("--before <id>", "only jobs older than this one: the next page")
    .option("--limit <number>", "how many, at most 500", (value) => Math.min(positiveInteger(value), 500), 20)
    .option("--json", "print an array of whole rows")
    .addHelpText(
      "after",
      `
Examples:
  $ legwork jobs --state failed
  $ legwork jobs --task notify/email --payload to:ann@example.com
  $ legwork jobs --task retention/expire --limit 5 --json`,
    )
    .action(async (flags: Flags) => {
      const { json, watch: _watch, ...filter } = ownFlags(flags);
      await withOperations(flags, (operations) =>
        repeatedly(flags, async () => {
          const jobs = await operations.listJobs(filter);
          if (json === true) {
            printJson(jobs);
            return;
          }
          if (jobs.length === 0) {
            console.log(
              filter.payload === undefined
                ? "No jobs."
                : `No jobs among the first ${MAX_LOOKED_AT.toLocaleString("en")} that fit otherwise.`,
            );
            return;
          }
          printTable(
            ["ID", "TASK", "STATE", "ATTEMPTS", "CREATED", "RUN AT", "TOOK", "RESULT OR ERROR"],
            jobs.map((job) => [
              job.id,
              shorten(job.task, 40),
              colorState(job.state),
              `${job.attempts}/${job.maxAttempts}`,
              relativeTime(job.createdAt),
              job.state === "scheduled" || job.state === "retrying" ? relativeTime(job.runAt) : "",
              elapsed(job.startedAt, job.finishedAt),
              shorten(job.state === "completed" ? (job.result === null ? "" : jsonText(job.result)) : (job.error ?? ""), 60),
            ]),
          );
          if (jobs.length === filter.limit) console.log(`\nMore: legwork jobs --before ${jobs.at(-1)?.id}`);
        }),
      );
    });
}
