import { Command, InvalidArgumentError, Option } from "commander";
import { createToken, listTokens, revokeToken } from "../../access/tokens.ts";
import { fromRows } from "../../contract/rows.ts";
import { tokenSchema } from "../../contract/tokens.ts";
import { loadConfig } from "../../config.ts";
import { type CommonFlags, withCommonOptions, withDatabase } from "../options.ts";
import { color, printJson, printTable, relativeTime } from "../output.ts";
import { visibleRows } from "../visible.ts";

type Flags = CommonFlags & { json?: boolean };
type CreateFlags = Flags & { name: string; role: string; tenant?: string; expiresIn: string | null };

export function tokenCommand(): Command {
  return new Command("token")
    .description("make, list and revoke tokens for the server")
    .addCommand(createCommand().exitOverride())
    .addCommand(listCommand().exitOverride())
    .addCommand(revokeCommand().exitOverride());
}

function createCommand(): Command {
  return withCommonOptions(new Command("create"))
    .description("make a token and print it, once: only its hash is kept")
    .addOption(
      new Option("--role <role>", "what it may do").choices(["viewer", "enqueuer", "operator", "admin"]).default("viewer"),
    )
    .option("--tenant <name>", "the only tenant whose rows it sees and touches; without it, all")
    .option("--name <text>", "what it is for", "cli")
    .option("--expires-in <duration>", "such as 12h or 1y, or never", expiry, "90d")
    .option("--json", 'print {"token": …}')
    .addHelpText(
      "after",
      "\nExamples:\n  $ legwork token create --role viewer --tenant acme --name grafana\n  $ legwork token create --role operator --expires-in 8h --json",
    )
    .action(async ({ json, name, role, tenant, expiresIn, ...common }: CreateFlags) => {
      const { config } = await loadConfig(common);
      await withDatabase(config, async (pool) => {
        const token = await createToken(pool, { name, role, expiresIn, ...(tenant === undefined ? {} : { tenant }) });
        if (json === true) printJson({ token });
        else console.log(token);
      });
    });
}

function expiry(value: string): string | null {
  if (value === "never") return null;
  if (!/^\d/.test(value)) throw new InvalidArgumentError("It must be a duration such as 90d, or never.");
  return value;
}

function listCommand(): Command {
  return withCommonOptions(new Command("list"))
    .description("list the tokens, the newest first, without their secrets")
    .option("--json", "print an array of whole rows")
    .action(async ({ json, ...common }: Flags) => {
      const { config } = await loadConfig(common);
      await withDatabase(config, async (pool) => {
        const tokens = fromRows(tokenSchema, await listTokens(pool));
        if (json === true) printJson(tokens);
        else if (tokens.length === 0) console.log("No tokens.");
        else {
          printTable(
            ["ID", "NAME", "ROLE", "TENANT", "CREATED", "BY", "EXPIRES", "USED"],
            visibleRows(tokens).map((token) => [
              token.id,
              token.name,
              token.role,
              token.tenant ?? "all",
              relativeTime(token.createdAt),
              token.createdBy,
              token.revokedAt !== null
                ? color("red", `revoked ${relativeTime(token.revokedAt)}`)
                : token.expiresAt === null
                  ? "never"
                  : relativeTime(token.expiresAt),
              token.lastUsedAt === null ? "never" : relativeTime(token.lastUsedAt),
            ]),
          );
        }
      });
    });
}

function revokeCommand(): Command {
  return withCommonOptions(new Command("revoke"))
    .description("from now on no request with the token is answered")
    .argument("<id>", "its id, as `legwork token list` shows it")
    .option("--json", 'print {"revoked": …}')
    .action(async (id: string, { json, ...common }: Flags) => {
      const { config } = await loadConfig(common);
      await withDatabase(config, async (pool) => {
        const revoked = await revokeToken(pool, id);
        if (json === true) printJson({ revoked });
        else console.log(`The token ${revoked ? "is revoked" : "was revoked before"}.`);
      });
    });
}
