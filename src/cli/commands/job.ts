import { Command, Option } from "commander";
import type { Job, JobWithAttempts, Step } from "../../contract/jobs.ts";
import { LegworkError } from "../../errors.ts";
import { idArgument, milliseconds } from "../option-values.ts";
import { type RemoteFlags, withOperations, withRemoteOptions } from "../options.ts";
import { color, colorState, elapsed, indented, printJson, relativeTime, shorten } from "../output.ts";
import { followLogs, printLogs } from "../job-logs.ts";
import { timelineLines } from "../job-timeline.ts";
import { printResult } from "../print-result.ts";
import { assertTogether } from "../together.ts";
import { jsonText } from "../visible.ts";

/** Log lines to show without `--logs`. */
const LAST_LINES = 10;

type Flags = RemoteFlags & { json?: boolean; logs?: boolean; follow?: boolean; wait?: boolean; timeout?: number };

export function jobCommand(): Command {
  return withRemoteOptions(new Command("job"))
    .description("Show a job with its attempts, steps, progress, timeline and last log lines")
    .argument("<id>", "Id of the job", idArgument("job"))
    .option("--logs", "Show the whole log and nothing else")
    .addOption(new Option("--follow", "Show the log and follow it until the job has ended").conflicts("json"))
    .addOption(
      new Option("--wait", "Wait for the job to end and print only its result; exit with 1 unless it completes").conflicts([
        "logs",
        "follow",
      ]),
    )
    .option(
      "--timeout <duration>",
      "How long to wait with --wait (default: 30s); after that, the job continues without the command",
      milliseconds(),
    )
    .option(
      "--json",
      "Print the complete row with attempts, steps, timeline and last log lines; with --logs, the whole log; with --wait, its id, state, result, error and end time",
    )
    .addHelpText(
      "after",
      "\nExamples:\n  $ legwork job 42\n  $ legwork job 42 --follow\n  $ legwork job 42 --wait --timeout 5m\n  $ legwork job 42 --json",
    )
    .action(async (id: string, flags: Flags) => {
      const { json, logs, follow, wait, timeout } = flags;
      assertTogether({ wait, timeout }, { timeout: "wait" });
      await withOperations(flags, async (operations) => {
        if (wait === true) return await printResult(operations, id, { timeout, json });
        const job = await operations.getJob(id).catch(async (error: unknown) => {
          // Explaining it fails too, and says why there is no such job.
          if (error instanceof LegworkError && error.code === "LW404") await operations.explainJob(id);
          throw error;
        });
        if (follow === true) return await followLogs(operations, id);
        const lines = logs === true ? await operations.logsAfter(id) : await operations.lastLogs(id, LAST_LINES);
        if (json !== true && logs === true) return printLogs(lines);
        const [steps, timeline] = [await operations.listSteps(id), await operations.readTimeline(id)];
        if (json === true) return printJson({ ...job, stepList: steps, timeline, logList: lines });
        print(job);
        printSteps(steps);
        console.log(["\n  Timeline", ...timelineLines(timeline, new Date())].join("\n    "));
        if (lines.length === 0) return;
        console.log(`\n  ${lines.length < LAST_LINES ? "Log" : `Last ${LAST_LINES} log lines (--logs shows all)`}`);
        printLogs(lines, "    ");
      });
    });
}

function print(job: JobWithAttempts): void {
  console.log(`${color("bold", `Job ${job.id}`)}  ${job.task}  ${colorState(job.state)}`);
  const facts: [string, string | null][] = [
    ["queue", job.queue],
    ["priority", String(job.priority)],
    ["attempts", `${job.attempts} of ${job.maxAttempts}`],
    ["created", at(job.createdAt)],
    ["run at", at(job.runAt)],
    ["started", at(job.startedAt)],
    ["finished", at(job.finishedAt)],
    ["waited", elapsed(job.runAt, job.startedAt)],
    ["took", elapsed(job.startedAt, job.finishedAt)],
    ["worker", job.worker],
    ["job key", job.jobKey],
    ["serial key", job.serialKey],
    ["tenant", job.tenant],
    ["correlation", job.correlationId],
    ["parent", job.parentId],
    ["schedule", job.schedule === null ? null : `${job.schedule}, due ${at(job.scheduleDueAt)}`],
    ["progress", describeProgress(job)],
    ["payload", jsonText(job.payload)],
    ["result", job.result === null ? null : jsonText(job.result)],
    ["error", job.error],
  ];
  for (const [name, value] of facts)
    if (value !== null && value !== "") console.log(`  ${name.padEnd(12)}${indented(value, 14)}`);
  for (const attempt of job.attemptList) {
    const took = elapsed(attempt.startedAt, attempt.finishedAt);
    console.log(
      `\n  Attempt ${attempt.attempt}  ${colorState(attempt.state)}  ${at(attempt.startedAt)}${took === "" ? "" : `  took ${took}`}`,
    );
    if (attempt.errorMessage !== null) {
      const error = attempt.errorStack ?? [attempt.errorName, attempt.errorMessage].filter((part) => part !== null).join(": ");
      console.log(error.replaceAll(/^/gm, "    "));
    }
    if (attempt.retryAt !== null) console.log(`    next attempt due ${at(attempt.retryAt)}`);
  }
}

function printSteps(steps: readonly Step[]): void {
  if (steps.length === 0) return;
  console.log("\n  Steps");
  for (const step of steps) {
    const took = elapsed(step.startedAt, step.finishedAt);
    const facts = [
      `attempt ${step.attempt}`,
      took === "" ? "" : `took ${took}`,
      step.state !== "waiting" ? "" : step.deadline === null ? "without a deadline" : `until ${at(step.deadline)}`,
      step.result === null ? "" : shorten(jsonText(step.result), 100),
      step.error === null ? "" : shorten(step.error, 100),
    ];
    const state = color(step.state === "completed" ? "green" : step.state === "failed" ? "red" : "yellow", step.state);
    console.log(
      `    ${step.name}  ${step.kind === "run" ? "" : `${step.kind} `}${state}  ${facts.filter((fact) => fact !== "").join("  ")}`,
    );
  }
}

function describeProgress({ progress, progressMessage: message }: Job): string {
  return [progress === null ? "" : `${Math.round(progress)}%`, message ?? ""].filter((part) => part !== "").join("  ");
}

function at(time: Date | null): string {
  return time === null ? "" : `${time.toISOString()} (${relativeTime(time)})`;
}
