import { Command } from "commander";
import { loadConfig } from "../../config.ts";
import { migrate, type MigrationResult, migrationScript } from "../../db/migrate.ts";
import { createPool } from "../../db/pool.ts";
import { schemaFiles } from "../../db/schema-files.ts";
import { type Uninstallation, uninstall } from "../../db/uninstall.ts";
import { LegworkError } from "../../errors.ts";
import { createLogger } from "../../log.ts";
import { counted } from "../../wording.ts";
import { type CommonFlags, findDatabase, withCommonOptions } from "../options.ts";
import { printJson } from "../output.ts";

type Flags = CommonFlags & {
  upgradeGraphileWorker?: boolean;
  dryRun?: boolean;
  uninstall?: boolean;
  yes?: boolean;
  json?: boolean;
};

export function migrateCommand(): Command {
  return withCommonOptions(new Command("migrate"))
    .description("bring the database to the schema of this version")
    .option("--upgrade-graphile-worker", "run graphile-worker's own migrations first, if its schema is of an older version")
    .option("--dry-run", "print the SQL that would run, for a review or for psql, and change nothing")
    .option("--uninstall", "remove everything of Legwork, the history included; graphile-worker and its jobs stay")
    .option("--yes", "needed with --uninstall")
    .option(
      "--json",
      'print {"applied": […], "definitions": […], "repaired": […]}, or {"removed", "releasedJobs", "expiredJobs", "roles"}',
    )
    .addHelpText(
      "after",
      "\nExamples:\n  $ DATABASE_URL=postgres://… legwork migrate\n  $ legwork migrate --dry-run > upgrade.sql\n  $ legwork migrate --upgrade-graphile-worker\n  $ legwork migrate --uninstall --yes",
    )
    .action(async (flags: Flags) => {
      const { upgradeGraphileWorker, dryRun, uninstall: remove, yes, json, ...common } = flags;
      if (remove === true && yes !== true) {
        throw new LegworkError("LW400", "--uninstall drops the whole history.", { hint: "Add --yes if that is what you want." });
      }
      if (remove === true && upgradeGraphileWorker === true) {
        throw new LegworkError("LW400", "--uninstall and --upgrade-graphile-worker exclude each other.", {
          hint: "Give one of them.",
        });
      }
      if (dryRun === true && (remove === true || upgradeGraphileWorker === true || json === true)) {
        throw new LegworkError(
          "LW400",
          "--dry-run prints SQL and cannot be combined with --uninstall, --upgrade-graphile-worker or --json.",
          {
            hint: "Give it alone.",
          },
        );
      }
      const { config } = await loadConfig(common);
      // What was done is this command's output; the log has it for those that also do something else.
      const log = createLogger({ level: config.logLevel === "info" ? "warn" : config.logLevel });
      const pool = createPool(findDatabase(config), { log, max: 3, name: "legwork migrate" });
      try {
        if (remove === true) {
          const uninstallation = await uninstall(pool);
          if (json === true) printJson(uninstallation);
          else console.log(describeUninstallation(uninstallation));
          return;
        }
        if (dryRun === true) {
          const script = await migrationScript(pool);
          console.log(script === "" ? "-- The database is up to date." : script);
          return;
        }
        const result = await migrate(pool, log, schemaFiles(), { upgradeGraphileWorker: upgradeGraphileWorker === true });
        if (json === true) printJson(result);
        else console.log(describe(result));
      } finally {
        await pool.end();
      }
    });
}

function describe({ applied, definitions, repaired }: MigrationResult): string {
  const { version } = schemaFiles();
  if (repaired.length > 0) return `Restored ${counted(repaired.length, "object")} that had been dropped or changed by hand.`;
  if (applied.length === 0 && definitions.length === 0) return `The database is up to date (Legwork ${version}).`;
  const changes = [
    ...(applied.length > 0 ? [counted(applied.length, "migration")] : []),
    ...(definitions.length > 0 ? [counted(definitions.length, "definition")] : []),
  ];
  return `Migrated the database to Legwork ${version}: ${changes.join(" and ")}.`;
}

function describeUninstallation({ removed, releasedJobs, expiredJobs, roles }: Uninstallation): string {
  if (!removed) return "There was nothing to remove.";
  const lines = ["Legwork is removed. The schema graphile_worker is as it was before."];
  if (releasedJobs > 0)
    lines.push(`Jobs that were paused, limited or waiting for other jobs, and now start when they are due: ${releasedJobs}.`);
  if (expiredJobs > 0) lines.push(`Jobs that had expired and were deleted: ${expiredJobs}.`);
  if (roles.length > 0) {
    const names = roles.join(", ");
    lines.push(
      `The roles ${names} stay, because other databases of this server may use them. To drop them:`,
      `  drop role ${names};`,
      "If Postgres says that objects depend on one of them, it names the database. Uninstall Legwork there first, or revoke there what they were granted:",
      `  drop owned by ${names};`,
    );
  }
  return lines.join("\n");
}
