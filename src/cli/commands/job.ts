import { Command } from "commander";
import { loadConfig } from "../../config.ts";
import { type AttemptRow, getJob, type JobRow } from "../../jobs/read-jobs.ts";
import { type CommonFlags, withCommonOptions, withDatabase } from "../options.ts";
import { color, colorState, elapsed, printJson, relativeTime } from "../output.ts";

export function jobCommand(): Command {
  return withCommonOptions(new Command("job"))
    .description("show one job with its attempts")
    .argument("<id>", "the job's id")
    .option("--json", "print the whole row, with its attempts")
    .addHelpText("after", "\nExamples:\n  $ legwork job 42\n  $ legwork job 42 --json")
    .action(async (id: string, flags: CommonFlags & { json?: boolean }) => {
      const { json, ...common } = flags;
      const { config } = await loadConfig(common);
      await withDatabase(config, async (pool) => {
        const job = await getJob(pool, id);
        if (json === true) printJson(job);
        else print(job);
      });
    });
}

function print(job: JobRow & { attempt_list: AttemptRow[] }): void {
  console.log(`${color("bold", `Job ${job.id}`)}  ${job.task}  ${colorState(job.state)}`);
  const facts: [string, string | null][] = [
    ["queue", job.queue],
    ["priority", String(job.priority)],
    ["attempts", `${job.attempts} of ${job.max_attempts}`],
    ["created", at(job.created_at)],
    ["run at", at(job.run_at)],
    ["started", at(job.started_at)],
    ["finished", at(job.finished_at)],
    ["waited", elapsed(job.run_at, job.started_at)],
    ["took", elapsed(job.started_at, job.finished_at)],
    ["worker", job.worker],
    ["job key", job.job_key],
    ["serial key", job.serial_key],
    ["tenant", job.tenant],
    ["correlation", job.correlation_id],
    ["parent", job.parent_id],
    ["payload", JSON.stringify(job.payload)],
    ["result", job.result === null ? null : JSON.stringify(job.result)],
    ["error", job.error],
  ];
  for (const [name, value] of facts) if (value !== null && value !== "") console.log(`  ${name.padEnd(12)}${value}`);
  for (const attempt of job.attempt_list) {
    const took = elapsed(attempt.started_at, attempt.finished_at);
    console.log(
      `\n  Attempt ${attempt.attempt}  ${colorState(attempt.state)}  ${at(attempt.started_at)}${took === "" ? "" : `  took ${took}`}`,
    );
    if (attempt.error_message !== null) {
      const error = attempt.error_stack ?? [attempt.error_name, attempt.error_message].filter((part) => part !== null).join(": ");
      console.log(error.replaceAll(/^/gm, "    "));
    }
    if (attempt.retry_at !== null) console.log(`    next attempt due ${at(attempt.retry_at)}`);
  }
}

function at(time: Date | null): string {
  return time === null ? "" : `${time.toISOString()} (${relativeTime(time)})`;
}
