import { Command, InvalidArgumentError, Option } from "commander";
import { MAX_LOOKED_AT, PRIORITIES } from "../../bounds.ts";
import { JOB_STATES } from "../../contract/states.ts";
import { COUNT_FIELDS } from "../../contract/jobs.ts";
import type { CountField } from "../../jobs/count-jobs.ts";
import type { JobFilter, JobState } from "../../jobs/read-jobs.ts";
import { assertKnownNames } from "../known-names.ts";
import { duration, idOf, listLimit, time, wholeNumber } from "../option-values.ts";
import { ownFlags, type RemoteFlags, withOperations, withRemoteOptions } from "../options.ts";
import { repeatedly, type WatchFlags, withWatch } from "../watch.ts";
import { colorState, elapsed, printJson, printTable, relativeTime } from "../output.ts";
import { formatNumber } from "../../wording.ts";
import { jsonText } from "../visible.ts";

type Flags = RemoteFlags & WatchFlags & JobFilter & { json?: boolean; countBy?: CountField };

export function jobsCommand(): Command {
  return withWatch(withRemoteOptions(new Command("jobs")))
    .description("List jobs, newest first")
    .addOption(statesOption())
    .option("--task <name>", "Only jobs of this task")
    .option("--queue <name>", "Only jobs of this queue")
    .option("--tenant <name>", "Only this tenant's jobs")
    .option("--correlation-id <text>", "Only jobs with this correlation id")
    .option("--parent-id <id>", "Only jobs enqueued by this job", idOf("a job"))
    .option("--job-key <key>", "Only jobs with this job key")
    .option(
      "--priority <number>",
      "Only jobs with this priority; requires a --state other than completed",
      wholeNumber(...PRIORITIES),
    )
    .option("--error <text>", "Only jobs whose error contains this text; requires a --state other than completed")
    .option(
      "--payload <path:value>",
      "Only jobs with this payload value, such as user.id:42; searches the first 10,000 jobs that match the other options",
    )
    .option("--created-after <time>", "Only jobs created at this time or later", time)
    .option("--created-before <time>", "Only jobs created before this time", time)
    .option(
      "--finished-since <duration>",
      "Only jobs that ended at most this long ago, such as 10m, whenever they were created",
      duration(),
    )
    .option("--finished-after <time>", "Only jobs that ended at this time or later", time)
    .option("--finished-before <time>", "Only jobs that ended before this time", time)
    .option("--before <id>", "Only jobs older than this one, for the next page", idOf("a job"))
    .option("--limit <number>", "Number of jobs, at most 500", listLimit, 20)
    .addOption(
      new Option("--count-by <field>", "Print the number of matching jobs by this field, at most 10,000 per value").choices(
        COUNT_FIELDS,
      ),
    )
    .option("--json", "Print an array of complete rows")
    .addHelpText(
      "after",
      `
Examples:
  $ legwork jobs --state failed --finished-since 10m
  $ legwork jobs --task notify/email --payload to:ann@example.com
  $ legwork jobs --task retention/expire --limit 5 --json
  $ legwork jobs --state failed,cancelled --count-by task`,
    )
    .action(async (flags: Flags) => {
      const { json, watch: _watch, countBy, ...filter } = ownFlags(flags);
      await withOperations(flags, (operations) =>
        repeatedly(flags, async () => {
          if (countBy !== undefined) {
            const { limit: _limit, ...counted } = filter;
            const counts = await operations.countJobs(counted, countBy);
            if (counts.length === 0) await assertKnownNames(operations, counted);
            if (json === true) printJson(counts);
            else if (counts.length === 0) console.log("No jobs.");
            else
              printTable(
                [countBy.toUpperCase(), "JOBS"],
                counts.map(({ value, jobs, isCapped }) => [value, `${formatNumber(jobs)}${isCapped ? "+" : ""}`]),
              );
            return;
          }
          const jobs = await operations.listJobs(filter);
          if (jobs.length === 0) await assertKnownNames(operations, filter);
          if (json === true) {
            printJson(jobs);
            return;
          }
          if (jobs.length === 0) {
            console.log(
              filter.payload === undefined
                ? "No jobs."
                : `None of the first ${formatNumber(MAX_LOOKED_AT)} jobs that match the other options has this payload value.`,
            );
            return;
          }
          printTable(
            ["ID", "TASK", "STATE", "ATTEMPTS", "CREATED", "RUN AT", "TOOK", "RESULT OR ERROR"],
            jobs.map((job) => [
              job.id,
              job.task,
              colorState(job.state),
              `${job.attempts}/${job.maxAttempts}`,
              relativeTime(job.createdAt),
              job.state === "scheduled" || job.state === "retrying" ? relativeTime(job.runAt) : "",
              elapsed(job.startedAt, job.finishedAt),
              job.state === "completed" ? (job.result === null ? "" : jsonText(job.result)) : (job.error ?? ""),
            ]),
            ["RUN AT", "ATTEMPTS", "TOOK", "CREATED"],
          );
          if (jobs.length === filter.limit) console.log(`\nMore: legwork jobs --before ${jobs.at(-1)?.id}`);
        }),
      );
    });
}

/** Several states may be given, so the parser checks them; the choices are for completion. */
function statesOption(): Option {
  const option = new Option("--state <states>", "Only jobs in this state, or in any of several separated by commas");
  option.argParser(states);
  option.argChoices = [...JOB_STATES];
  return option;
}

function states(value: string): JobState[] {
  return value.split(",").map((state) => {
    const found = JOB_STATES.find((each) => each === state);
    if (found === undefined) throw new InvalidArgumentError(`Allowed choices are ${JOB_STATES.join(", ")}.`);
    return found;
  });
}
