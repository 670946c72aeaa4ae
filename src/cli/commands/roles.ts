import { Command } from "commander";
import { loadConfig } from "../../config.ts";
import { fromDatabaseError } from "../../db/translate-error.ts";
import { type CommonFlags, withCommonOptions, withDatabase } from "../options.ts";
import { printJson } from "../output.ts";

export function rolesCommand(): Command {
  return new Command("roles")
    .description("Create database roles with the least privileges for each use")
    .addHelpText("after", "\nExamples:\n  $ legwork roles create")
    .addCommand(createCommand().exitOverride());
}

function createCommand(): Command {
  return withCommonOptions(new Command("create"))
    .description("Create the roles that are missing and grant them their privileges in this database")
    .option("--json", "Print an array of their names")
    .addHelpText(
      "after",
      `
The roles are groups without a login. docs/guides/access.md lists the privileges of each.

Examples:
  $ legwork roles create
  $ psql -c "create role billing_worker login password '…' in role legwork_worker"`,
    )
    .action(async ({ json, ...common }: CommonFlags & { json?: boolean }) => {
      const { config } = await loadConfig(common);
      await withDatabase(config, async (pool) => {
        const { rows } = await pool
          .query("select role from legwork.create_roles() as role order by role")
          .catch((error: unknown) => {
            throw fromDatabaseError(error);
          });
        const roles = rows.map(({ role }) => role);
        if (json === true) printJson(roles);
        else for (const role of roles) console.log(role);
      });
    });
}
