import { Command } from "commander";
import { loadConfig } from "../../config.ts";
import { fromDatabaseError } from "../../db/translate-error.ts";
import { type CommonFlags, withCommonOptions, withDatabase } from "../options.ts";
import { printJson } from "../output.ts";

export function rolesCommand(): Command {
  return new Command("roles")
    .description("database roles that need no more rights than they use")
    .addCommand(createCommand().exitOverride());
}

function createCommand(): Command {
  return withCommonOptions(new Command("create"))
    .description("make the roles, as far as they are not there, and grant them what they need in this database")
    .option("--json", "print an array of their names")
    .addHelpText(
      "after",
      `
They are groups without a login. docs/guides/access.md says what each may do.

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
