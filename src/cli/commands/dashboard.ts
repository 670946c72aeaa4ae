import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { Command } from "commander";
import { loadConfig } from "../../config.ts";
import { LegworkError } from "../../errors.ts";
import { type CommonFlags, withDataDir } from "../options.ts";

export function dashboardCommand(): Command {
  return withDataDir(new Command("dashboard"))
    .description("print an address that opens the dashboard of a running `legwork up`, signed in")
    .addHelpText(
      "after",
      `
Examples:
  $ legwork dashboard
  $ xdg-open "$(legwork dashboard)"

The address holds the token of an admin, behind the # that browsers send nowhere: give it to nobody. For others, and for other
servers, make tokens with \`legwork token create --role viewer\`; the dashboard asks for one.`,
    )
    .action(async (flags: Pick<CommonFlags, "dataDir">) => {
      const { config } = await loadConfig(flags);
      const path = join(config.dataDir, "ready.json");
      if (!existsSync(path)) {
        throw new LegworkError("LW503", `Nothing runs in ${config.dataDir}.`, {
          hint: "Start `legwork up` (npm start) first, or say where it runs with --data-dir.",
        });
      }
      console.log(dashboardUrl(JSON.parse(readFileSync(path, "utf8"))));
    });
}

/** The dashboard's address, which signs in whoever opens it: what follows # stays in the browser. */
export function dashboardUrl({ httpUrl, token }: { httpUrl: string; token: string }): string {
  return `${httpUrl}/#token=${encodeURIComponent(token)}`;
}
