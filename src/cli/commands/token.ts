import { Command, InvalidArgumentError, Option } from "commander";
import { duration, tokenId } from "../option-values.ts";
import { type RemoteFlags, withOperations, withRemoteOptions } from "../options.ts";
import { color, printDone, printJson, printTable, relativeTime } from "../output.ts";

type Flags = RemoteFlags & { json?: boolean };
type CreateFlags = Flags & { name: string; role: string; tenant?: string; expiresIn: string | null };

export function tokenCommand(): Command {
  return new Command("token")
    .description("Create, list and revoke tokens for the server")
    .addHelpText(
      "after",
      "\nExamples:\n  $ legwork token create --role viewer --name grafana\n  $ legwork token list\n  $ legwork token revoke 3",
    )
    .addCommand(createCommand().exitOverride())
    .addCommand(listCommand().exitOverride())
    .addCommand(revokeCommand().exitOverride());
}

function createCommand(): Command {
  return withRemoteOptions(new Command("create"))
    .description("Create a token and print it; it cannot be shown again, because only its hash is stored")
    .addOption(
      new Option("--role <role>", "Role of the token").choices(["viewer", "enqueuer", "operator", "admin"]).default("viewer"),
    )
    .option("--tenant <name>", "Only tenant whose rows the token can read and change (default: all)")
    .option("--name <text>", "Name of the token", "cli")
    .option("--expires-in <duration>", "Time until the token expires, such as 12h or 1y, or never", expiry, "90d")
    .option("--json", 'Print {"token": …}')
    .addHelpText(
      "after",
      "\nExamples:\n  $ legwork token create --role viewer --tenant acme --name grafana\n  $ legwork token create --role operator --expires-in 8h --json",
    )
    .action(async (flags: CreateFlags) => {
      const { json, name, role, tenant, expiresIn } = flags;
      await withOperations(flags, async (operations) => {
        const token = await operations.createToken({ name, role, expiresIn, ...(tenant === undefined ? {} : { tenant }) });
        printDone(json, { token }, token);
      });
    });
}

function expiry(value: string): string | null {
  if (value === "never") return null;
  try {
    return duration(1_000)(value);
  } catch {
    throw new InvalidArgumentError(
      "Expected a duration of at least 1 second and at most 100 years, such as 8h or 90d, or never.",
    );
  }
}

function listCommand(): Command {
  return withRemoteOptions(new Command("list"))
    .description("List tokens without their secrets, newest first")
    .option("--json", "Print an array of complete rows")
    .addHelpText("after", "\nExamples:\n  $ legwork token list\n  $ legwork token list --json")
    .action(async (flags: Flags) => {
      await withOperations(flags, async (operations) => {
        const tokens = await operations.listTokens();
        if (flags.json === true) printJson(tokens);
        else if (tokens.length === 0) console.log("No tokens.");
        else {
          printTable(
            ["ID", "NAME", "ROLE", "TENANT", "CREATED", "CREATED BY", "EXPIRES", "LAST USED"],
            tokens.map((token) => [
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
            ["CREATED BY", "CREATED", "LAST USED", "TENANT"],
          );
        }
      });
    });
}

function revokeCommand(): Command {
  return withRemoteOptions(new Command("revoke"))
    .description("Revoke a token: requests with it are rejected from now on")
    .argument("<id>", "Id of the token, as shown by `legwork token list`", tokenId)
    .option("--json", 'Print {"id": …, "revoked": …}')
    .addHelpText("after", "\nExamples:\n  $ legwork token revoke 3")
    .action(async (id: string, flags: Flags) => {
      await withOperations(flags, async (operations) => {
        const revoked = await operations.revokeToken(id);
        printDone(flags.json, { id, revoked }, `Token ${id} ${revoked ? "has been revoked" : "was already revoked"}.`);
      });
    });
}
