import { Command, CommanderError, InvalidArgumentError } from "commander";
import { LegworkError, type Queryable } from "legwork";
import { withPrincipal } from "legwork/operations";
import { Pool } from "pg";
import { archiveHealth, archiveStatus, removeArchives, scheduleAllActiveUsers, scheduleArchive, triggerArchive } from "./jobs.ts";
import { actingFor, callerOf } from "./users.ts";

function whole(value: string): number {
  if (!/^\d{1,9}$/.test(value)) throw new InvalidArgumentError("Expected an integer.");
  return Number(value);
}

function print(value: unknown): void {
  process.stdout.write(`${JSON.stringify(value, null, 2)}\n`);
}

async function withPool<T>(work: (pool: Pool) => Promise<T>): Promise<T> {
  const { DATABASE_URL: connectionString } = process.env;
  if (!connectionString) throw new LegworkError("LW514", "DATABASE_URL is not set.");
  const pool = new Pool({ connectionString, max: 2 });
  try {
    return await work(pool);
  } finally {
    await pool.end();
  }
}

/** Does the work on behalf of the user, if CALENDAR_TOKEN belongs to that user or to an admin. */
async function asUser<T>(userId: number, work: (client: Queryable) => Promise<T>): Promise<T> {
  return await withPool(async (pool) => {
    const caller = await callerOf(pool, process.env.CALENDAR_TOKEN || undefined);
    return await withPrincipal(pool, actingFor(caller, userId), "cli", work);
  });
}

interface Flags {
  user: number;
  type: "daily" | "weekly";
  hour: number;
  minute: number;
  day?: number;
  archiveConfig?: number;
  start?: string;
  end?: string;
  jobId?: string;
  confirm?: boolean;
}

const program = new Command("admin-assistant").exitOverride().configureHelp({ showGlobalOptions: true });
program.addHelpText("after", "\nSet DATABASE_URL, and CALENDAR_TOKEN to a token of the user or of an admin.");
const jobs = program.command("jobs").description("manage the archiving of users' calendars");

const times = (command: Command): Command =>
  command
    .option("--type <type>", "daily or weekly", "daily")
    .option("--hour <0-23>", "hour, in the user's time zone", whole, 23)
    .option("--minute <0-59>", "minute", whole, 59)
    .option("--day <0-6>", "day of a weekly schedule: 0 is Monday, 6 is Sunday", whole);

times(jobs.command("schedule"))
  .description("archive a user's calendar every day or week; replaces the schedule of that type")
  .requiredOption("--user <id>", "the user's id", whole)
  .option("--archive-config <id>", "archive configuration (default: the active one)", whole)
  .action(async ({ user, type, hour, minute, day, archiveConfig }: Flags) => {
    const request = { schedule_type: type, hour, minute, day_of_week: day, archive_config_id: archiveConfig };
    print(await asUser(user, (client) => scheduleArchive(client, user, request)));
  });

times(jobs.command("schedule-all"))
  .description("archive every active user's calendar every day or week; needs an admin's token")
  .action(async ({ type, hour, minute, day }: Flags) => {
    const result = await withPool(async (pool) => {
      const { principal, userId } = await callerOf(pool, process.env.CALENDAR_TOKEN || undefined);
      if (userId !== undefined) throw new LegworkError("LW403", "Only an admin can schedule archiving for all users.");
      return await withPrincipal(pool, principal, "cli", (client) =>
        scheduleAllActiveUsers(client, { schedule_type: type, hour, minute, day_of_week: day }),
      );
    });
    print(result);
  });

jobs
  .command("trigger")
  .description("archive a range of days now (default: yesterday)")
  .requiredOption("--user <id>", "the user's id", whole)
  .option("--start <date>", "first day, YYYY-MM-DD")
  .option("--end <date>", "last day, YYYY-MM-DD")
  .option("--archive-config <id>", "archive configuration (default: the active one)", whole)
  .action(async ({ user, start, end, archiveConfig }: Flags) => {
    const request = { start_date: start, end_date: end, archive_config_id: archiveConfig };
    print(await asUser(user, (client) => triggerArchive(client, user, request)));
  });

jobs
  .command("status")
  .description("show a user's schedules and last runs")
  .requiredOption("--user <id>", "the user's id", whole)
  .action(async ({ user }: Flags) => print(await asUser(user, (client) => archiveStatus(client, user))));

jobs
  .command("remove")
  .description("remove a user's schedules")
  .requiredOption("--user <id>", "the user's id", whole)
  .option("--job-id <id>", "remove only this schedule")
  .option("--confirm", "confirm the removal")
  .action(async ({ user, jobId, confirm }: Flags) => {
    if (confirm !== true)
      throw new LegworkError("LW400", "Nothing was removed.", { hint: "Add --confirm to remove the schedules." });
    print(await asUser(user, (client) => removeArchives(client, user, { job_id: jobId })));
  });

jobs
  .command("health")
  .description("show whether archiving works; exits with 1 if it does not")
  .action(async () => {
    const health = await withPool(archiveHealth);
    print(health);
    if (health.status === "unhealthy") process.exitCode = 1;
  });

try {
  await program.parseAsync();
} catch (error) {
  if (error instanceof CommanderError) process.exitCode = error.exitCode === 0 ? 0 : 2;
  else if (error instanceof LegworkError) {
    process.stderr.write(`${error.message}\n${error.hint === undefined ? "" : `  ${error.hint}\n`}`);
    process.exitCode = error.exitCode;
  } else throw error;
}
