import { Command } from "commander";
import { loadConfig } from "../../config.ts";
import { migrate, uninstall } from "../../db/migrate.ts";
import { createPool } from "../../db/pool.ts";
import { LegworkError } from "../../errors.ts";
import { createLogger } from "../../log.ts";
import { type CommonFlags, findDatabase, withCommonOptions } from "../options.ts";
import { printJson } from "../output.ts";

type Flags = CommonFlags & { uninstall?: boolean; yes?: boolean; json?: boolean };

export function migrateCommand(): Command {
  return withCommonOptions(new Command("migrate"))
    .description("bring the database to the schema of this version")
    .option("--uninstall", "remove everything of Legwork, the history included; graphile-worker and its jobs stay")
    .option("--yes", "needed with --uninstall")
    .option("--json", 'print {"applied": […], "repaired": […]}')
    .addHelpText("after", "\nExamples:\n  $ DATABASE_URL=postgres://… legwork migrate\n  $ legwork migrate --uninstall --yes")
    .action(async (flags: Flags) => {
      const { uninstall: remove, yes, json, ...common } = flags;
      if (remove === true && yes !== true) {
        throw new LegworkError("LW400", "--uninstall drops the whole history.", { hint: "Add --yes if that is what you want." });
      }
      const { config } = await loadConfig(common);
      const log = createLogger({ level: config.logLevel });
      const pool = createPool(findDatabase(config), { log, max: 3, name: "legwork migrate" });
      try {
        if (remove === true) {
          const removed = await uninstall(pool);
          if (json === true) printJson({ removed });
          else console.log(removed ? "Legwork is removed; graphile-worker works as before." : "There was nothing to remove.");
          return;
        }
        const { applied, repaired } = await migrate(pool, log);
        if (json === true) printJson({ applied, repaired });
        else if (repaired.length > 0) console.log(`Made ${repaired.length} objects again that had been dropped.`);
        if (json !== true && (applied.length > 0 || repaired.length === 0)) console.log(describe(applied));
      } finally {
        await pool.end();
      }
    });
}

function describe(applied: readonly string[]): string {
  if (applied.length === 0) return "The database is up to date.";
  if (applied.length <= 3) return `Applied ${applied.join(", ")}.`;
  return `Applied ${applied.length} migrations, ${applied[0]} to ${applied.at(-1)}.`;
}
