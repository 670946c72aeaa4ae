import { Command, Option } from "commander";
import { loadConfig } from "../../config.ts";
import { JOB_STATES, type JobFilter, listJobs } from "../../jobs/read-jobs.ts";
import { type CommonFlags, positiveInteger, withCommonOptions, withDatabase } from "../options.ts";
import { colorState, elapsed, printJson, printTable, relativeTime, shorten } from "../output.ts";

type Flags = CommonFlags & JobFilter & { json?: boolean };

export function jobsCommand(): Command {
  return withCommonOptions(new Command("jobs"))
    .description("list jobs, newest first")
    .addOption(new Option("--state <state>", "only jobs in this state").choices(JOB_STATES))
    .option("--task <name>", "only jobs of this task")
    .option("--queue <name>", "only jobs of this queue")
    .option("--tenant <name>", "only this tenant's jobs")
    .option("--correlation-id <id>", "only jobs that come from this cause")
    .option("--before <id>", "only jobs older than this one: the next page")
    .option("--limit <number>", "how many, at most 500", (value) => Math.min(positiveInteger(value), 500), 20)
    .option("--json", "print an array of whole rows")
    .addHelpText(
      "after",
      `
Examples:
  $ legwork jobs --state failed
  $ legwork jobs --task retention/expire --limit 5 --json`,
    )
    .action(async (flags: Flags) => {
      const { databaseUrl, dataDir, logLevel, json, ...filter } = flags;
      const { config } = await loadConfig({ databaseUrl, dataDir, logLevel });
      await withDatabase(config, async (pool) => {
        const jobs = await listJobs(pool, filter);
        if (json === true) {
          printJson(jobs);
          return;
        }
        if (jobs.length === 0) {
          console.log("No jobs.");
          return;
        }
        printTable(
          ["ID", "TASK", "STATE", "ATTEMPTS", "CREATED", "RUN AT", "TOOK", "RESULT OR ERROR"],
          jobs.map((job) => [
            job.id,
            shorten(job.task, 40),
            colorState(job.state),
            `${job.attempts}/${job.max_attempts}`,
            relativeTime(job.created_at),
            job.state === "scheduled" || job.state === "retrying" ? relativeTime(job.run_at) : "",
            elapsed(job.started_at, job.finished_at),
            shorten(job.state === "completed" ? (job.result === null ? "" : JSON.stringify(job.result)) : (job.error ?? ""), 60),
          ]),
        );
        if (jobs.length === filter.limit) console.log(`\nMore: legwork jobs --before ${jobs.at(-1)?.id}`);
      });
    });
}
