import { readFile } from "node:fs/promises";
import { schedule, setAlertRule, setRetryPolicy } from "legwork/operations";
import { Client } from "pg";
import { assistantConfig } from "./config.ts";
import { jobsOf, PRIORITIES } from "./schedules.ts";

/**
 * Creates the example's tables and sample students if they are missing, stores the configured providers and, if there are any, creates the
 * schedules. Safe to call at every start and from several processes. `asOf` is the schedules' current time, for tests.
 */
export async function startAssistant(
  databaseUrl: string,
  environment: NodeJS.ProcessEnv = process.env,
  options: { asOf?: Date } = {},
): Promise<void> {
  const config = assistantConfig(environment);
  const client = new Client({ connectionString: databaseUrl });
  await client.connect();
  try {
    await client.query("begin");
    // Two simultaneous starts would otherwise both try to create the schema.
    await client.query("select pg_advisory_xact_lock(hashtext('examples/assistant'))");
    for (const file of ["sql/001_assistant.sql", "sql/002_sample.sql"]) {
      await client.query(await readFile(new URL(file, import.meta.url), "utf8"));
    }
    // Leaves out URLs and keys, which stay in the environment.
    const providers = config.providers.map(({ name, quota, period }, priority) => ({ provider: name, priority, quota, period }));
    await client.query(
      `with configured as (
         insert into assistant.providers (provider, priority, quota, period)
         select provider, priority, quota, period from jsonb_to_recordset($1) as p (provider text, priority int, quota bigint, period text)
         on conflict (provider) do update set priority = excluded.priority, quota = excluded.quota, period = excluded.period
       )
       delete from assistant.providers where provider <> all (select p ->> 'provider' from jsonb_array_elements($1) p)`,
      [JSON.stringify(providers)],
    );
    for (const { name, task, level, when, payload, requires } of providers.length === 0 ? [] : jobsOf(config)) {
      await schedule(client, name, task, {
        ...when,
        ...PRIORITIES[level],
        payload,
        requires,
        overlap: "skip",
        enabled: config.enabled,
        asOf: options.asOf,
      });
      if (level === "critical") await setRetryPolicy(client, { backoff: "exponential", delay: "10s", factor: 2 }, { task });
    }
    // These tasks need little memory, so a heap that exceeds this size indicates a leak.
    await setAlertRule(client, "worker_memory", { warning: 100 * 1024 * 1024, critical: 500 * 1024 * 1024 });
    await client.query("commit");
  } finally {
    await client.end();
  }
}
