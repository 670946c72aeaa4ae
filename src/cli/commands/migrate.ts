import { Command } from "commander";
import { loadConfig } from "../../config.ts";
import {
  GRAPHILE_WORKER_SCHEMA,
  GRAPHILE_WORKER_VERSION,
  migrate,
  type MigrationResult,
  migrationScript,
} from "../../db/migrate.ts";
import { createPool } from "../../db/pool.ts";
import { schemaFiles } from "../../db/schema-files.ts";
import { previewUpgrade, type UpgradePreview } from "../../db/upgrade-graphile-worker.ts";
import { type Uninstallation, uninstall } from "../../db/uninstall.ts";
import { LegworkError } from "../../errors.ts";
import { createLogger } from "../../log.ts";
import { counted, pluralOf } from "../../wording.ts";
import { type CommonFlags, findDatabase, withCommonOptions } from "../options.ts";
import { printJson } from "../output.ts";

type Flags = CommonFlags & {
  upgradeGraphileWorker?: boolean;
  preview?: boolean;
  dryRun?: boolean;
  uninstall?: boolean;
  yes?: boolean;
  json?: boolean;
};

export function migrateCommand(): Command {
  return withCommonOptions(new Command("migrate"))
    .description("Migrate the database to this version of Legwork")
    .option("--upgrade-graphile-worker", "Run graphile-worker's own migrations first, if its schema is older")
    .option("--preview", "With --upgrade-graphile-worker: show what would happen to workers and jobs, without changing anything")
    .option("--dry-run", "Print the SQL for review or psql, without changing anything")
    .option("--uninstall", "Remove Legwork and its history; graphile-worker and its jobs are kept")
    .option("--yes", "Confirm --uninstall")
    .option(
      "--json",
      'Print {"applied": […], "definitions": […], "repaired": […]}; with --uninstall, {"removed", "releasedJobs", "expiredJobs", "roles"}; with --preview, {"migration", "versions", "isRefused", "workers", "jobs"}',
    )
    .addHelpText(
      "after",
      "\nExamples:\n  $ DATABASE_URL=postgres://… legwork migrate\n  $ legwork migrate --dry-run > upgrade.sql\n  $ legwork migrate --upgrade-graphile-worker --preview\n  $ legwork migrate --upgrade-graphile-worker\n  $ legwork migrate --uninstall --yes",
    )
    .action(async (flags: Flags) => {
      const { upgradeGraphileWorker, preview, dryRun, uninstall: remove, yes, json, ...common } = flags;
      if (remove === true && yes !== true) {
        throw new LegworkError("LW400", "--uninstall deletes the whole history.", { hint: "Add --yes to confirm." });
      }
      if (preview === true && upgradeGraphileWorker !== true) {
        throw new LegworkError("LW400", "--preview describes the upgrade of graphile-worker's schema.", {
          hint: "Add --upgrade-graphile-worker. For Legwork's own changes, use --dry-run.",
        });
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
      // This command prints the result itself, so it need not be logged as well.
      const log = createLogger({ level: config.logLevel === "info" ? "warn" : config.logLevel });
      const pool = createPool(findDatabase(config), { log, max: 3, name: "legwork migrate" });
      try {
        if (remove === true) {
          const uninstallation = await uninstall(pool);
          if (json === true) printJson(uninstallation);
          else console.log(describeUninstallation(uninstallation));
          return;
        }
        if (preview === true) {
          const found = await previewUpgrade(pool);
          if (json === true) printJson(found);
          else console.log(describeUpgrade(found));
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

function describeUpgrade({ migration, versions, isRefused, workers, jobs }: UpgradePreview): string {
  if (migration === null) return "graphile-worker is not installed in this database. `legwork migrate` installs it.";
  if (migration >= GRAPHILE_WORKER_SCHEMA) return "graphile-worker's schema is up to date: nothing to upgrade.";
  const amount = (count: number): string => (count > 10_000 ? "more than 10,000" : count.toLocaleString("en-US"));
  const listening = workers.map(({ pid, application, address }) =>
    ["  process", pid, application === "" ? "" : `(${application})`, address === null ? "" : `from ${address}`]
      .filter((part) => part !== "")
      .join(" "),
  );
  return [
    `graphile-worker's schema: migration ${migration} (graphile-worker ${versions}) would become ${GRAPHILE_WORKER_SCHEMA} (${GRAPHILE_WORKER_VERSION}).`,
    `Jobs: ${amount(jobs.running)} running, ${amount(jobs.due)} due, ${amount(jobs.later)} later, ${amount(jobs.failed)} failed. All of them stay, with their keys and attempts.`,
    `Workers listening: ${workers.length === 0 ? "none that this login can see." : workers.length}`,
    ...listening,
    "",
    ...CONSEQUENCES[versions === "0.16" || versions === "0.17" ? versions : "older"],
    ...(isRefused ? ["", "The upgrade would fail now, because jobs are running. Stop the workers first."] : []),
  ].join("\n");
}

/** What happens to running workers of each version, as observed with real workers of that version. */
const CONSEQUENCES = {
  older: [
    "Running workers do not notice the upgrade, but can neither fetch jobs nor record how they end:",
    "  1. Stop these workers and wait for their jobs. While jobs are running, the upgrade fails.",
    "  2. Run this command without --preview.",
    "  3. Start graphile-worker 0.18.0 or `legwork worker`. Jobs wait until then.",
  ],
  "0.16": [
    "Running workers notice the upgrade within seconds. They finish and record the jobs that they run, and exit (with code 57):",
    "  1. Run this command without --preview.",
    "  2. Start graphile-worker 0.18.0 or `legwork worker`. Jobs wait until then.",
    "If a process manager restarts an old worker, it exits again, which is harmless.",
  ],
  "0.17": [
    "Running workers continue, and share the jobs with `legwork worker`:",
    "  1. Run this command without --preview.",
    "  2. Replace these workers with graphile-worker 0.18.0 or `legwork worker` at any time.",
  ],
} as const;

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
