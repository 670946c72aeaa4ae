import { Command } from "commander";
import { loadConfig } from "../../config.ts";
import { migrate } from "../../db/migrate.ts";
import { createPool } from "../../db/pool.ts";
import { createLogger } from "../../log.ts";
import { assertInstalled, GRAPHQL_PACKAGES, SERVER_PACKAGES } from "../../optional-packages.ts";
import { type CommonFlags, findDatabase, withCommonOptions } from "../options.ts";
import { wholeNumber } from "../option-values.ts";
import { readToken } from "../local-system.ts";
import { untilStopped } from "../process-signals.ts";

export function serverCommand(): Command {
  return withCommonOptions(new Command("server"))
    .description("Serve REST, GraphQL, their documentation and the dashboard, without running jobs")
    .option("--port <number>", "Port of the server, 0 for a free one (LEGWORK_PORT, default: 4400)", wholeNumber(0, 65_535))
    .option("--host <address>", "Address of the server (LEGWORK_HOST, default: 127.0.0.1)")
    .option("--public-path <path>", "Path of the server as seen by browsers, if a proxy adds a prefix (LEGWORK_PUBLIC_PATH)")
    .addHelpText(
      "after",
      `
Examples:
  $ DATABASE_URL=postgres://… legwork server
  $ legwork server --host 0.0.0.0 --port 8080     After \`legwork token create\` has created a token

The server accepts the tokens in the database and the token in the data directory, which it creates if necessary.`,
    )
    .action(async (flags: CommonFlags & { port?: number; host?: string; publicPath?: string }) => {
      assertInstalled("`legwork server`", SERVER_PACKAGES, GRAPHQL_PACKAGES);
      const { config } = await loadConfig(flags);
      const log = createLogger({ level: config.logLevel });
      const databaseUrl = findDatabase(config);
      const start = async () => {
        const pool = createPool(databaseUrl, { log, max: 3, name: "legwork migrate" });
        await migrate(pool, log).finally(() => pool.end());
        const { startServer } = await import("../../server/server.ts");
        const server = await startServer({ ...config, databaseUrl, token: readToken(config.dataDir), log, auth: config });
        return {
          stop: async () => {
            await server.stop();
            log.info({ event: "server_stopped" }, "The server has stopped.");
          },
        };
      };
      await untilStopped(log, { start });
    });
}
