import { once } from "node:events";
import { readFile } from "node:fs/promises";
import type { AddressInfo } from "node:net";
import { schedule } from "legwork/operations";
import { Client, Pool } from "pg";
import { z } from "zod";
import { createProjectsServer } from "./server.ts";

/** The checkout that contains this file: the sample project unless PROJECTS_REPOSITORY is set. */
const OWN_CHECKOUT = new URL("../..", import.meta.url).href;

/** The user who owns the sample project. */
export const SAMPLE_USER = "00000000-0000-4000-8000-000000000001";

const environmentSchema = z.object({
  PROJECTS_PORT: z.coerce.number().int().min(0).max(65_535).optional(),
  PROJECTS_REPOSITORY: z.string().max(2_000).default(OWN_CHECKOUT),
});

export interface Projects {
  /** The base URL of the routes and the page; undefined without PROJECTS_PORT. */
  readonly url: string | undefined;
  stop(): Promise<void>;
}

/**
 * Creates the example's tables, triggers and sample user if they are missing, requests a refresh of the sample project, which enqueues its processing,
 * and serves the routes at PROJECTS_PORT, if set. Safe to call at every start and from several processes.
 */
export async function startProjects(databaseUrl: string, environment: NodeJS.ProcessEnv = process.env): Promise<Projects> {
  // An empty variable counts as not set.
  const given = Object.fromEntries(Object.entries(environment).filter(([, value]) => value !== ""));
  const settings = environmentSchema.safeParse(given);
  if (!settings.success) {
    const issue = settings.error.issues[0];
    throw new Error(`${issue?.path.join(".")}: ${issue?.message}.`);
  }
  const { PROJECTS_PORT: port, PROJECTS_REPOSITORY: repository } = settings.data;
  const client = new Client({ connectionString: databaseUrl });
  await client.connect();
  try {
    await client.query("begin");
    // Two simultaneous starts would otherwise both try to create the schema.
    await client.query("select pg_advisory_xact_lock(hashtext('examples/projects'))");
    await client.query(await readFile(new URL("sql/001_projects.sql", import.meta.url), "utf8"));
    await client.query("insert into projects.users (id, email) values ($1, 'ann@example.com') on conflict do nothing", [
      SAMPLE_USER,
    ]);
    await client.query(
      `insert into projects.projects (user_id, repository_url) values ($1, $2)
       on conflict (user_id, repository_url) do update set refresh_requested_at = now()`,
      [SAMPLE_USER, repository],
    );
    // Legwork keeps the jobs themselves for the same time: the setting history_retention.
    await schedule(client, "projects/clean-up", "retention/expire", {
      cron: "30 3 * * *",
      payload: { table: "projects.refreshes", column: "requested_at", olderThan: "30 days" },
      overlap: "skip",
    });
    await client.query("commit");
  } finally {
    await client.end();
  }
  if (port === undefined) return { url: undefined, stop: async () => {} };
  const pool = new Pool({ connectionString: databaseUrl, max: 5, allowExitOnIdle: true });
  // If the server closes a connection, the pool opens another when needed.
  pool.on("error", () => {});
  const app = await createProjectsServer(pool);
  await app.ready();
  app.server.listen(port, "127.0.0.1");
  await once(app.server, "listening");
  return {
    url: `http://127.0.0.1:${(app.server.address() as AddressInfo).port}`,
    stop: async () => {
      await app.close();
      await pool.end();
    },
  };
}
