import { readFileSync } from "node:fs";
import { Command } from "commander";
import { reportError } from "./report-error.ts";
import { importLegworkFromHere } from "../worker/module-hooks.ts";
import { allowClosedOutput } from "./closed-output.ts";
import { usageError } from "./usage-error.ts";
import { visible } from "./visible.ts";

/** Loads a command only when it is run, because loading all of them would take most of the startup time. In the order of the help. */
const COMMANDS: Readonly<Record<string, () => Promise<Command>>> = {
  init: async () => (await import("./commands/init.ts")).initCommand(),
  install: async () => (await import("./commands/install.ts")).installCommand(),
  dev: async () => (await import("./commands/dev.ts")).devCommand(),
  up: async () => (await import("./commands/up.ts")).upCommand(),
  migrate: async () => (await import("./commands/migrate.ts")).migrateCommand(),
  types: async () => (await import("./commands/types.ts")).typesCommand(),
  worker: async () => (await import("./commands/worker.ts")).workerCommand(),
  server: async () => (await import("./commands/server.ts")).serverCommand(),
  dashboard: async () => (await import("./commands/dashboard.ts")).dashboardCommand(),
  add: async () => (await import("./commands/add.ts")).addCommand(),
  jobs: async () => (await import("./commands/jobs.ts")).jobsCommand(),
  job: async () => (await import("./commands/job.ts")).jobCommand(),
  explain: async () => (await import("./commands/explain.ts")).explainCommand(),
  cancel: async () => (await import("./commands/cancel.ts")).cancelCommand(),
  failed: async () => (await import("./commands/failed.ts")).failedCommand(),
  retry: async () => (await import("./commands/retry.ts")).retryCommand(),
  discard: async () => (await import("./commands/retry.ts")).discardCommand(),
  rerun: async () => (await import("./commands/rerun.ts")).rerunCommand(),
  priority: async () => (await import("./commands/rerun.ts")).priorityCommand(),
  signal: async () => (await import("./commands/signal.ts")).signalCommand(),
  queues: async () => (await import("./commands/queues.ts")).queuesCommand(),
  tasks: async () => (await import("./commands/tasks.ts")).tasksCommand(),
  limit: async () => (await import("./commands/limit.ts")).limitCommand(),
  pause: async () => (await import("./commands/pause.ts")).pauseCommand(),
  resume: async () => (await import("./commands/pause.ts")).resumeCommand(),
  stop: async () => (await import("./commands/pause.ts")).stopCommand(),
  workflow: async () => (await import("./commands/workflow.ts")).workflowCommand(),
  batch: async () => (await import("./commands/batch.ts")).batchCommand(),
  bulk: async () => (await import("./commands/bulk.ts")).bulkCommand(),
  schedule: async () => (await import("./commands/schedule.ts")).scheduleCommand(),
  backup: async () => (await import("./commands/backup.ts")).backupCommand(),
  restore: async () => (await import("./commands/restore.ts")).restoreCommand(),
  import: async () => (await import("./commands/import.ts")).importCommand(),
  workers: async () => (await import("./commands/workers.ts")).workersCommand(),
  stats: async () => (await import("./commands/health.ts")).statsCommand(),
  overview: async () => (await import("./commands/overview.ts")).overviewCommand(),
  top: async () => (await import("./commands/overview.ts")).topCommand(),
  health: async () => (await import("./commands/health.ts")).healthCommand(),
  alerts: async () => (await import("./commands/alerts.ts")).alertsCommand(),
  doctor: async () => (await import("./commands/doctor.ts")).doctorCommand(),
  report: async () => (await import("./commands/report.ts")).reportCommand(),
  token: async () => (await import("./commands/token.ts")).tokenCommand(),
  roles: async () => (await import("./commands/roles.ts")).rolesCommand(),
  audit: async () => (await import("./commands/audit.ts")).auditCommand(),
  completion: async () => (await import("./commands/completion.ts")).completionCommand(createProgram),
};

/**
 * Runs the command line. Exit code 0: success; 1: the command failed; 2: usage error. A user's mistake is reported on stderr as one line and a
 * hint, a bug with its stack trace.
 */
export async function main(argv: readonly string[]): Promise<void> {
  // So that `legwork` in legwork.config.ts, and in the modules that it imports, resolves to this package.
  importLegworkFromHere();
  allowClosedOutput();
  try {
    await (await createProgram(argv[2])).parseAsync(argv);
  } catch (error) {
    process.exitCode = reportError(error);
  }
}

/** The whole program or, if `name` is the name of a command, only that command. */
export async function createProgram(name?: string): Promise<Command> {
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
  $ legwork pause mail --reason 'host is down'  Pause a queue
  $ legwork workflow show 7                     Show a workflow's steps with their states
  $ legwork schedule list                       List the schedules
  $ legwork overview                            Show how many jobs are waiting, running or failed
  $ legwork health                              Show what is unhealthy, and why
  $ legwork alerts                              List the open alerts
  $ legwork doctor                              Check the installation
  $ legwork report 42                           Write a file for support

Settings are taken from options, then the environment, then legwork.config.ts, then the defaults.`,
    );
  const only = name !== undefined && Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
  const load = only === undefined ? Object.values(COMMANDS) : [only];
  for (const command of await Promise.all(load.map((one) => one()))) program.addCommand(command.exitOverride());
  setTexts(program);
  return program;
}

/** Rewords the help options, help commands and errors that commander adds, so that they match the rest. */
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
