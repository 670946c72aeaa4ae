import { readFile } from "node:fs/promises";
import { limitConcurrency, schedule, setRetryPolicy } from "legwork/operations";
import { Client } from "pg";
import { chatConfig, SCHEDULES } from "./config.ts";

/** Creates the example's tables if they are missing, sets the limits and retry policies of its queues for the environment, and creates its schedules. */
export async function startChat(databaseUrl: string, environment: NodeJS.ProcessEnv = process.env): Promise<void> {
  const { queues, timezone } = chatConfig(environment);
  const client = new Client({ connectionString: databaseUrl });
  await client.connect();
  try {
    await client.query("begin");
    // Two simultaneous starts would otherwise both try to create the schema.
    await client.query("select pg_advisory_xact_lock(hashtext('examples/chat'))");
    await client.query(await readFile(new URL("sql/001_chat.sql", import.meta.url), "utf8"));
    for (const [queue, { concurrency, retry }] of Object.entries(queues)) {
      await limitConcurrency(client, concurrency, { queue });
      await setRetryPolicy(client, retry, { queue });
    }
    // Repeating this changes nothing: a disabled schedule stays disabled.
    for (const [queue, { cron, payload }] of Object.entries(SCHEDULES)) {
      await schedule(client, `chat-${queue}`, `chat/${queue}`, { cron, timezone, payload, overlap: "skip" });
    }
    await client.query("commit");
  } finally {
    await client.end();
  }
}
