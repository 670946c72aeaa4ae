import { readFileSync } from "node:fs";
import { Command } from "commander";
import { reportError } from "./report-error.ts";
import { addCommand } from "./commands/add.ts";
import { auditCommand } from "./commands/audit.ts";
import { alertsCommand } from "./commands/alerts.ts";
import { backupCommand } from "./commands/backup.ts";
import { bulkCommand } from "./commands/bulk.ts";
import { cancelCommand } from "./commands/cancel.ts";
import { dashboardCommand } from "./commands/dashboard.ts";
import { explainCommand } from "./commands/explain.ts";
import { devCommand } from "./commands/dev.ts";
import { doctorCommand } from "./commands/doctor.ts";
import { healthCommand, statsCommand } from "./commands/health.ts";
import { initCommand } from "./commands/init.ts";
import { installCommand } from "./commands/install.ts";
import { importCommand } from "./commands/import.ts";
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
import { reportCommand } from "./commands/report.ts";
import { rolesCommand } from "./commands/roles.ts";
import { tokenCommand } from "./commands/token.ts";
import { typesCommand } from "./commands/types.ts";
import { upCommand } from "./commands/up.ts";
import { workerCommand } from "./commands/worker.ts";
import { batchCommand } from "./commands/batch.ts";
import { workflowCommand } from "./commands/workflow.ts";
import { importLegworkFromHere } from "../worker/module-hooks.ts";
import { allowClosedOutput } from "./closed-output.ts";
import { usageError } from "./usage-error.ts";
import { visible } from "./visible.ts";

/**
 * Runs the command line. Exit code 0: success; 1: the command failed; 2: usage error. A user's mistake is reported on stderr as one line and a
 * hint, a bug with its stack trace.
 */
export async function main(argv: readonly string[]): Promise<void> {
  // So that `legwork` in legwork.config.ts, and in the modules that it imports, resolves to this package.
  importLegworkFromHere();
  allowClosedOutput();
  try {
    await createProgram().parseAsync(argv);
  } catch (error) {
    process.exitCode = reportError(error);
  }
}

export function createProgram(): Command {
  const program = new Command("legwork")
    .description("Background jobs that live in your Postgres.")
    .version(readVersion(), "-V, --version", "Print the version")
    .exitOverride()
    .configureHelp({ sortSubcommands: false })
    .addHelpText(
      "after",
      `
Examples:
  $ legwork init                                Set up Legwork in this project
  $ legwork dev                                 Run jobs while you develop, and reload changed tasks
  $ legwork up                                  Start everything, with an embedded Postgres
  $ legwork worker --tasks tasks                Run jobs of the database in DATABASE_URL
  $ legwork add health/probe '{"http": []}'     Enqueue a job
  $ legwork jobs --state failed                 List failed jobs
  $ legwork job 42                              Show a job with its attempts, steps and log
  $ legwork explain 42                          Show why a job is not running
  $ legwork pause mail --reason 'host is down'  Start no more jobs of a queue
  $ legwork workflow show 7                     Show a workflow's steps with their states
  $ legwork schedule list                       List the schedules
  $ legwork overview                            Show how many jobs wait, run and have failed
  $ legwork health                              Show what is unhealthy, and why
  $ legwork alerts                              List the open alerts
  $ legwork doctor                              Check the installation
  $ legwork report 42                           Write a file for support

Settings are taken from options, then the environment, then legwork.config.ts, then the defaults.`,
    );
  const commands = [
    initCommand,
    installCommand,
    devCommand,
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
    bulkCommand,
    scheduleCommand,
    backupCommand,
    restoreCommand,
    importCommand,
    workersCommand,
    statsCommand,
    overviewCommand,
    topCommand,
    healthCommand,
    alertsCommand,
    doctorCommand,
    reportCommand,
    tokenCommand,
    rolesCommand,
    auditCommand,
    () => completionCommand(createProgram),
  ];
  for (const command of commands) program.addCommand(command().exitOverride());
  setTexts(program);
  return program;
}

/** Makes what commander adds, its help options, help commands and errors, read like the rest. */
function setTexts(command: Command, path = ""): void {
  command.helpOption("-h, --help", "Show this help");
  command.configureOutput({ outputError: (text, write) => write(visible(usageError(text, path))) });
  if (command.commands.length > 0) command.helpCommand("help [command]", "Show a command's help");
  for (const subcommand of command.commands) setTexts(subcommand, `${path} ${subcommand.name()}`.trim());
}

function readVersion(): string {
  for (const path of ["../../package.json", "../../../package.json"]) {
    try {
      return JSON.parse(readFileSync(new URL(path, import.meta.url), "utf8")).version;
    } catch {
      // Compiled code is one directory deeper.
    }
  }
  return "unknown";
}
