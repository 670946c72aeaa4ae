import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { Command } from "commander";
import { loadConfig } from "../../config.ts";
import { LegworkError } from "../../errors.ts";
import { type CommonFlags, withDataDir } from "../options.ts";
import { printDone } from "../output.ts";

export function dashboardCommand(): Command {
  return withDataDir(new Command("dashboard"))
    .description("Print a URL that opens the dashboard of a running `legwork up` or `legwork dev` and signs you in")
    .option("--json", 'Print {"url": …}')
    .addHelpText(
      "after",
      `
Examples:
  $ legwork dashboard
  $ xdg-open "$(legwork dashboard)"

Do not share the URL: it contains an admin token, in the part after #, which browsers do not send to the server. For other
users and other servers, create tokens with \`legwork token create --role viewer\` and enter them in the dashboard.`,
    )
    .action(async ({ json, ...flags }: Pick<CommonFlags, "dataDir"> & { json?: boolean }) => {
      const { config } = await loadConfig(flags);
      const path = join(config.dataDir, "ready.json");
      if (!existsSync(path)) {
        throw new LegworkError("LW503", `No \`legwork up\` is running in ${config.dataDir}.`, {
          hint: "Start `legwork up` first, or give its directory with --data-dir.",
        });
      }
      const { httpUrl, token } = JSON.parse(readFileSync(path, "utf8")) as { httpUrl?: string; token: string };
      if (httpUrl === undefined) {
        throw new LegworkError("LW503", "`legwork dev` runs without the dashboard, because its packages are not installed.", {
          hint: "Run the command that `legwork dev` has printed, then start `legwork dev` again.",
        });
      }
      const url = dashboardUrl({ httpUrl, token });
      printDone(json, { url }, url);
    });
}

/** The dashboard's URL, with the token that signs the user in. The part after # never leaves the browser. */
export function dashboardUrl({ httpUrl, token }: { httpUrl: string; token: string }): string {
  return `${httpUrl}/#token=${encodeURIComponent(token)}`;
}
