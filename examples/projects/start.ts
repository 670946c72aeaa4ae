import { readFile } from "node:fs/promises";
import { Client } from "pg";

/** The checkout that this file is in: the sample project unless PROJECTS_REPOSITORY names another. */
const OWN_CHECKOUT = new URL("../..", import.meta.url).href;

/**
 * Makes the example's tables and triggers where they are missing and asks for a refresh of the sample project, which
 * enqueues its processing. Safe to call at every start and from several processes.
 */
export async function startProjects(
  databaseUrl: string,
  repositoryUrl: string = process.env.PROJECTS_REPOSITORY || OWN_CHECKOUT,
): Promise<void> {
  const client = new Client({ connectionString: databaseUrl });
  await client.connect();
  try {
    await client.query("begin");
    // Two starts at once would both find no schema and both make it.
    await client.query("select pg_advisory_xact_lock(hashtext('examples/projects'))");
    await client.query(await readFile(new URL("sql/001_projects.sql", import.meta.url), "utf8"));
    await client.query(
      `insert into projects.projects (repository_url) values ($1)
       on conflict (repository_url) do update set refresh_requested_at = now()`,
      [repositoryUrl],
    );
    await client.query("commit");
  } finally {
    await client.end();
  }
}
