import { chmod, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestProject } from "vitest/node";
import { startEmbeddedPostgres } from "../../src/embedded/start-embedded.ts";
import { createLogger } from "../../src/log.ts";
import { onServer, prepareTemplate } from "./database.ts";

/**
 * The server for the whole run: TEST_DATABASE_URL if it is set (its user must be allowed to create databases), otherwise a container if Docker
 * responds, otherwise the embedded Postgres.
 */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const server = await startServer();
  try {
    const template = await prepareTemplate(server.url);
    project.provide("serverUrl", server.url);
    project.provide("template", template);
    return async () => {
      await onServer(server.url, (client) => client.query(`drop database ${template}`));
      await server.stop();
    };
  } catch (error) {
    await server.stop();
    throw error;
  }
}

async function startServer(): Promise<{ url: string; stop(): Promise<void> }> {
  const given = process.env.TEST_DATABASE_URL;
  if (given) return { url: given, stop: async () => {} };
  return (await startContainer()) ?? (await startEmbedded());
}

async function startContainer(): Promise<{ url: string; stop(): Promise<void> } | undefined> {
  const { getContainerRuntimeClient } = await import("testcontainers");
  try {
    await getContainerRuntimeClient();
  } catch {
    return undefined; // Docker is not available.
  }
  const { PostgreSqlContainer } = await import("@testcontainers/postgresql");
  const container = await new PostgreSqlContainer("postgres:18").start();
  return { url: container.getConnectionUri(), stop: async () => void (await container.stop()) };
}

async function startEmbedded(): Promise<{ url: string; stop(): Promise<void> }> {
  const directory = await mkdtemp(join(tmpdir(), "legwork-test-"));
  // If the tests run as root, Postgres runs as another user, who needs access to this directory.
  await chmod(directory, 0o755);
  const server = await startEmbeddedPostgres({
    dataDir: join(directory, "data"),
    log: createLogger({ level: "error" }),
    // The cluster lasts only for one run, so it does not need to wait for the disk.
    settings: { fsync: "off", synchronous_commit: "off", full_page_writes: "off", jit: "off", max_connections: "300" },
  });
  return {
    url: server.databaseUrl,
    stop: async () => {
      await server.stop();
      await rm(directory, { recursive: true, force: true });
    },
  };
}
