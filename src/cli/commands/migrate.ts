import { Command } from "commander";
import { loadConfig } from "../../config.ts";
import { migrate, type MigrationResult, migrationScript } from "../../db/migrate.ts";
import { createPool } from "../../db/pool.ts";
import { schemaFiles } from "../../db/schema-files.ts";
import { type Uninstallation, uninstall } from "../../db/uninstall.ts";
import { LegworkError } from "../../errors.ts";
import { createLogger } from "../../log.ts";
import { counted, pluralOf } from "../../wording.ts";
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
    .description("Migrate the database to this version of Legwork")
    .option("--upgrade-graphile-worker", "Run graphile-worker's own migrations first, if its schema is older")
    .option("--dry-run", "Print the SQL for review or psql, without changing anything")
    .option("--uninstall", "Remove Legwork and its history; graphile-worker and its jobs are kept")
    .option("--yes", "Confirm --uninstall")
    .option(
      "--json",
      'Print {"applied": […], "definitions": […], "repaired": […]}; with --uninstall, {"removed", "releasedJobs", "expiredJobs", "roles"}',
    )
    .addHelpText(
      "after",
      "\nExamples:\n  $ DATABASE_URL=postgres://… legwork migrate\n  $ legwork migrate --dry-run > upgrade.sql\n  $ legwork migrate --upgrade-graphile-worker\n  $ legwork migrate --uninstall --yes",
    )
    .action(async (flags: Flags) => {
      const { upgradeGraphileWorker, dryRun, uninstall: remove, yes, json, ...common } = flags;
      if (remove === true && yes !== true) {
        throw new LegworkError("LW400", "--uninstall deletes the whole history.", { hint: "Add --yes to confirm." });
      }
      if (remove === true && upgradeGraphileWorker === true) {
        throw new LegworkError("LW400", "--uninstall and --upgrade-graphile-worker cannot be combined.", {
          hint: "Use one of them.",
        });
      }
      if (dryRun === true && (remove === true || upgradeGraphileWorker === true || json === true)) {
        throw new LegworkError(
          "LW400",
          "--dry-run prints SQL and cannot be combined with --uninstall, --upgrade-graphile-worker or --json.",
          {
            hint: "Use it alone.",
          },
        );
      }
      const { config } = await loadConfig(common);
      // The result is this command's output. It is logged only for commands that also do something else.
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
  if (repaired.length > 0) return `Restored ${counted(repaired.length, "object")} that had been dropped or changed manually.`;
  if (applied.length === 0 && definitions.length === 0) return `The database is up to date (Legwork ${version}).`;
  const changes = [
    ...(applied.length > 0 ? [counted(applied.length, "migration")] : []),
    ...(definitions.length > 0 ? [counted(definitions.length, "definition")] : []),
  ];
  return `Migrated the database to Legwork ${version}: ${changes.join(" and ")}.`;
}

function describeUninstallation({ removed, releasedJobs, expiredJobs, roles }: Uninstallation): string {
  if (!removed) return "Legwork is not installed in this database.";
  const lines = ["Legwork has been removed. The schema graphile_worker is as it was before."];
  if (releasedJobs > 0)
    lines.push(
      `${counted(releasedJobs, "job")} that had been paused, limited or waiting for other jobs ${pluralOf(releasedJobs, "starts", "start")} when due.`,
    );
  if (expiredJobs > 0) lines.push(`${counted(expiredJobs, "expired job")} ${pluralOf(expiredJobs, "was", "were")} deleted.`);
  if (roles.length > 0) {
    const names = roles.join(", ");
    lines.push(
      `The roles ${names} remain, because other databases on this server may use them. To drop them:`,
      `  drop role ${names};`,
      "If Postgres reports objects that depend on a role, it names their database. First uninstall Legwork there, or revoke the role's privileges there:",
      `  drop owned by ${names};`,
    );
  }
  return lines.join("\n");
}
