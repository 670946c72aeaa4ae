import { Command, InvalidArgumentError } from "commander";
import { loadConfig } from "../../config.ts";
import { createPool, type Pool } from "../../db/pool.ts";
import { type Mapping, readMapping } from "../../import/mapping.ts";
import { PgBossSource } from "../../import/pg-boss/pg-boss-source.ts";
import { runImport, unmappedError } from "../../import/run-import.ts";
import type { ImportSource } from "../../import/source.ts";
import { createLogger } from "../../log.ts";
import { counted } from "../../wording.ts";
import { describeImport } from "../describe-import.ts";
import { collect } from "../option-values.ts";
import { type CommonFlags, withCommonOptions, withDatabase } from "../options.ts";
import { printJson } from "../output.ts";

type Flags = CommonFlags & {
  task?: Record<string, string>;
  skip?: string[];
  mapping?: string;
  only?: string[];
  apply?: boolean;
  json?: boolean;
};

/** Connections for the lock, a batch and the statements that run at the same time, and one for pg-boss if it is in the same database. */
const CONNECTIONS = 4;

export function importCommand(): Command {
  const command = new Command("import").description("Import the waiting jobs and schedules of pg-boss or BullMQ").addHelpText(
    "after",
    `
Examples:
  $ legwork import pg-boss                        Show what would be imported
  $ legwork import pg-boss --apply                Import it
  $ legwork import bullmq --redis-url redis://127.0.0.1:6379`,
  );
  for (const subcommand of [pgBoss, bullmq]) command.addCommand(subcommand().exitOverride());
  return command;
}

function pgBoss(): Command {
  return withImportOptions(new Command("pg-boss"))
    .description("Import the waiting jobs and schedules of pg-boss 10, 11 or 12; without --apply, show what would be imported")
    .option(
      "--source-url <url>",
      "Database of pg-boss, if it is not Legwork's. PGBOSS_DATABASE_URL sets it without showing it in process lists",
    )
    .option("--schema <name>", "Schema of pg-boss's tables", "pgboss")
    .addHelpText(
      "after",
      `
Examples:
  $ legwork import pg-boss                                  Show what would be imported
  $ legwork import pg-boss --task email=notify/email        Choose the task for a queue
  $ legwork import pg-boss --only email --apply             Import one queue
  $ legwork import pg-boss --mapping names.json --apply --json

A queue's jobs run the task with its name, unless --task or --mapping names another one. Jobs that pg-boss is running are left alone. It is safe to
run the command again, and to keep using pg-boss in the meantime: no job is imported twice. docs/guides/from-pg-boss.md lists the migration steps in order.`,
    )
    .action(async (flags: Flags & { sourceUrl?: string; schema: string }) => {
      const sourceUrl = flags.sourceUrl ?? nonEmpty(process.env.PGBOSS_DATABASE_URL);
      await importFrom(flags, async (pool, work) => {
        const own =
          sourceUrl === undefined
            ? undefined
            : createPool(sourceUrl, { log: createLogger({ level: "fatal" }), max: 1, name: "legwork import" });
        const client = await (own ?? pool).connect();
        try {
          await work(await PgBossSource.open(client, flags.schema, own === undefined));
        } finally {
          client.release();
          await own?.end();
        }
      });
    });
}

function bullmq(): Command {
  return withImportOptions(new Command("bullmq"))
    .description("Import the waiting jobs and job schedulers of BullMQ 5 or 6; without --apply, show what would be imported")
    .option("--redis-url <url>", "Redis of BullMQ (REDIS_URL, default: redis://127.0.0.1:6379)")
    .option("--prefix <text>", "Prefix of BullMQ's keys", "bull")
    .addHelpText(
      "after",
      `
Examples:
  $ legwork import bullmq                                   Show what would be imported
  $ legwork import bullmq --task mail=notify/email          Choose the task for a queue
  $ legwork import bullmq --task mail:welcome=notify/welcome    Choose the task for the jobs with this name
  $ legwork import bullmq --only mail --apply               Import one queue

A job named welcome in the queue mail runs the task mail/welcome or mail, unless --task or --mapping names another one. Jobs that BullMQ is running
are left alone. It is safe to run the command again, and to keep using BullMQ in the meantime: no job is imported twice. Redis is read with
ioredis, which must be installed in your project. docs/guides/from-bullmq.md lists the migration steps in order.`,
    )
    .action(async (flags: Flags & { redisUrl?: string; prefix: string }) => {
      const { openBullmq } = await import("../../import/bullmq/bullmq-source.ts");
      await importFrom(flags, async (_pool, work) => {
        const source = await openBullmq(
          flags.redisUrl ?? nonEmpty(process.env.REDIS_URL) ?? "redis://127.0.0.1:6379",
          flags.prefix,
          flags.apply === true,
        );
        try {
          await work(source);
        } finally {
          await source.close();
        }
      });
    });
}

function withImportOptions(command: Command): Command {
  return withCommonOptions(command)
    .option("--task <name=task>", "Task that runs the jobs with this name (repeatable)", namedTask)
    .option("--skip <name>", "Do not import the jobs with this name (repeatable)", collect)
    .option("--mapping <file>", "JSON file or module with the task for each name")
    .option("--only <name>", "Only the queue with this name (repeatable)", collect)
    .option("--apply", "Import the jobs. Without this option, nothing is written")
    .option("--json", "Print the report");
}

async function importFrom(
  flags: Flags,
  open: (pool: Pool, work: (source: ImportSource) => Promise<void>) => Promise<void>,
): Promise<void> {
  const { config } = await loadConfig({ databaseUrl: flags.databaseUrl, dataDir: flags.dataDir, logLevel: flags.logLevel });
  const mapping = await mappingOf(flags);
  await withDatabase(
    config,
    (pool) =>
      open(pool, async (source) => {
        const report = await runImport(pool, source, {
          mapping,
          only: flags.only,
          apply: flags.apply === true,
          onProgress: showProgress,
        });
        if (flags.json === true) printJson(report);
        else console.log(describeImport(report).join("\n"));
        const error = await unmappedError(pool, report);
        if (error !== undefined) throw error;
      }),
    CONNECTIONS,
  );
}

async function mappingOf({ mapping, task, skip = [] }: Flags): Promise<Mapping> {
  return {
    ...(mapping === undefined ? {} : await readMapping(mapping)),
    ...task,
    ...Object.fromEntries(skip.map((name) => [name, null])),
  };
}

/** `email=notify/email`: a task's name contains no equals sign, but a name in the source system may. */
function namedTask(text: string, previous: Record<string, string> | undefined): Record<string, string> {
  const at = text.lastIndexOf("=");
  if (at < 1 || at === text.length - 1) throw new InvalidArgumentError("Expected a name and a task, such as email=notify/email.");
  return { ...previous, [text.slice(0, at)]: text.slice(at + 1) };
}

function showProgress(jobs: number): void {
  if (process.stderr.isTTY) process.stderr.write(`\r${counted(jobs, "job")} imported\u001B[K\r`);
}

function nonEmpty(text: string | undefined): string | undefined {
  return text === "" ? undefined : text;
}
