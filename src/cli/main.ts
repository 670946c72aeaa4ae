import { readFileSync } from "node:fs";
import { Command, CommanderError } from "commander";
import { LegworkError } from "../errors.ts";
import { addCommand } from "./commands/add.ts";
import { auditCommand } from "./commands/audit.ts";
import { alertsCommand } from "./commands/alerts.ts";
import { backupCommand } from "./commands/backup.ts";
import { cancelCommand } from "./commands/cancel.ts";
import { dashboardCommand } from "./commands/dashboard.ts";
import { explainCommand } from "./commands/explain.ts";
import { doctorCommand } from "./commands/doctor.ts";
import { healthCommand, statsCommand } from "./commands/health.ts";
import { jobCommand } from "./commands/job.ts";
import { jobsCommand } from "./commands/jobs.ts";
import { limitCommand } from "./commands/limit.ts";
import { migrateCommand } from "./commands/migrate.ts";
import { pauseCommand, resumeCommand, stopCommand } from "./commands/pause.ts";
import { failedCommand } from "./commands/failed.ts";
import { queuesCommand } from "./commands/queues.ts";
import { tasksCommand } from "./commands/tasks.ts";
import { workersCommand } from "./commands/workers.ts";
import { restoreCommand } from "./commands/restore.ts";
import { discardCommand, retryCommand } from "./commands/retry.ts";
import { completionCommand } from "./commands/completion.ts";
import { serverCommand } from "./commands/server.ts";
import { overviewCommand, topCommand } from "./commands/overview.ts";
import { signalCommand } from "./commands/signal.ts";
import { scheduleCommand } from "./commands/schedule.ts";
import { priorityCommand, rerunCommand } from "./commands/rerun.ts";
import { rolesCommand } from "./commands/roles.ts";
import { tokenCommand } from "./commands/token.ts";
import { typesCommand } from "./commands/types.ts";
import { upCommand } from "./commands/up.ts";
import { workerCommand } from "./commands/worker.ts";
import { batchCommand } from "./commands/batch.ts";
import { workflowCommand } from "./commands/workflow.ts";
import { importLegworkFromHere } from "../worker/module-hooks.ts";
import { relativeTime } from "./output.ts";
import { fromDatabaseError } from "../db/pool.ts";
import { allowClosedOutput } from "./closed-output.ts";
import { visible } from "./visible.ts";

/**
 * The command line. Exit code 0: fine; 1: what was asked for failed; 2: it was asked for in a wrong way. A user's mistake is one
 * line and a hint on stderr; a bug is shown with its stack.
 */
export async function main(argv: readonly string[]): Promise<void> {
  // legwork.config.ts and what it imports mean this package, too.
  importLegworkFromHere();
  allowClosedOutput();
  try {
    await createProgram().parseAsync(argv);
  } catch (error) {
    process.exitCode = report(error);
  }
}

export function createProgram(): Command {
  const program = new Command("legwork")
    .description("Background jobs that live in your Postgres.")
    .version(readVersion())
    .exitOverride()
    .configureHelp({ sortSubcommands: false })
    .addHelpText(
      "after",
      `
Examples:
  $ legwork up                                  everything, with a Postgres of its own
  $ legwork worker --tasks tasks                a worker on DATABASE_URL
  $ legwork add health/probe '{"http": []}'     enqueue a job
  $ legwork jobs --state failed                 what has failed
  $ legwork job 42                              all about one job
  $ legwork explain 42                          why it does not run
  $ legwork pause mail --reason 'host is down'  nothing of the queue starts
  $ legwork workflow show 7                     the steps of a workflow with their states
  $ legwork schedule list                       what enqueues jobs over time
  $ legwork overview                            what waits, runs and has failed
  $ legwork health                              what is not healthy, and why
  $ legwork alerts                              what somebody should look at
  $ legwork doctor                              what is wrong, and what to do about it

Configuration comes from flags, the environment, legwork.config.ts and defaults, in this order.`,
    );
  const commands = [
    upCommand,
    migrateCommand,
    typesCommand,
    workerCommand,
    serverCommand,
    dashboardCommand,
    addCommand,
    jobsCommand,
    jobCommand,
    explainCommand,
    cancelCommand,
    failedCommand,
    retryCommand,
    discardCommand,
    rerunCommand,
    priorityCommand,
    signalCommand,
    queuesCommand,
    tasksCommand,
    limitCommand,
    pauseCommand,
    resumeCommand,
    stopCommand,
    workflowCommand,
    batchCommand,
    scheduleCommand,
    backupCommand,
    restoreCommand,
    workersCommand,
    statsCommand,
    overviewCommand,
    topCommand,
    healthCommand,
    alertsCommand,
    doctorCommand,
    tokenCommand,
    rolesCommand,
    auditCommand,
    () => completionCommand(createProgram),
  ];
  for (const command of commands) program.addCommand(command().exitOverride());
  return program;
}

function report(thrown: unknown): number {
  // commander has printed its message already.
  if (thrown instanceof CommanderError) return thrown.exitCode === 0 ? 0 : 2;
  const error = fromDatabaseError(thrown);
  if (error instanceof LegworkError) {
    console.error(visible(`legwork: ${error.message} (${error.code})`));
    if (error.hint !== undefined) console.error(visible(`  ${error.hint}`));
    if (error.retryAt !== undefined) console.error(`  Try again ${relativeTime(error.retryAt)}.`);
    return error.exitCode;
  }
  console.error("legwork: This is a bug in Legwork.");
  console.error(visible(error.stack ?? error.message));
  return 1;
}

function readVersion(): string {
  for (const path of ["../../package.json", "../../../package.json"]) {
    try {
      return JSON.parse(readFileSync(new URL(path, import.meta.url), "utf8")).version;
    } catch {
      // Compiled code lies one directory deeper.
    }
  }
  return "unknown";
}
