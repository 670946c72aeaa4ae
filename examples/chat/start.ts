import { readFile } from "node:fs/promises";
import { limitConcurrency, schedule, setRetryPolicy } from "legwork/operations";
import { Client } from "pg";
import { chatConfig, SCHEDULES } from "./config.ts";

/** Makes the example's tables where they are missing, gives its queues the limits and retries of the environment, and makes its schedules. */
export async function startChat(databaseUrl: string, environment: NodeJS.ProcessEnv = process.env): Promise<void> {
  const { queues, timezone } = chatConfig(environment);
  const client = new Client({ connectionString: databaseUrl });
  await client.connect();
  try {
    await client.query("begin");
    // Two starts at once would both find no schema and both make it.
    await client.query("select pg_advisory_xact_lock(hashtext('examples/chat'))");
    await client.query(await readFile(new URL("sql/001_chat.sql", import.meta.url), "utf8"));
    for (const [queue, { concurrency, retry }] of Object.entries(queues)) {
      await limitConcurrency(client, concurrency, { queue });
      await setRetryPolicy(client, retry, { queue });
    }
    // Saying them again changes nothing: one that somebody has disabled stays so.
    for (const [queue, { cron, payload }] of Object.entries(SCHEDULES)) {
      await schedule(client, `chat-${queue}`, `chat/${queue}`, { cron, timezone, payload, overlap: "skip" });
    }
    await client.query("commit");
  } finally {
    await client.end();
  }
}
