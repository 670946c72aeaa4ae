import { setTimeout as delay } from "node:timers/promises";
import { defineTask } from "legwork";
import { z } from "zod";

/** How often a batch is written (ms). */
const BATCH_MS = 500;

export default defineTask({
  description: "Imports a workspace's old messages into the chat, at the speed of its old server.",
  queue: "import",
  payload: z.strictObject({
    workspace: z.string().min(1).max(100),
    messages: z.int().min(1).max(10_000),
    perSecond: z.int().min(1).max(1_000).default(20),
  }),
  result: z.strictObject({ imported: z.int() }),
  concurrency: { limit: 1, key: (p) => p.workspace },
  timeout: "5m",
  async run({ workspace, messages, perSecond }, { sql, log, progress, signal }) {
    log.info({ event: "import_started", workspace, messages }, `Importing messages of ${workspace}: ${messages}.`);
    const size = Math.ceil((perSecond * BATCH_MS) / 1_000);
    for (let imported = 0; imported < messages; imported += size) {
      const rows = Math.min(size, messages - imported);
      await sql`
        insert into chat.messages (user_id, body)
        select (select id from chat.users order by random() limit 1), ${workspace} || ': old message ' || ${imported} + n
        from generate_series(1, ${rows}::int) n where exists (select from chat.users)`;
      progress(((imported + rows) / messages) * 100, `${imported + rows} of ${messages} messages`);
      await delay(BATCH_MS, undefined, { signal });
    }
    await sql`insert into chat.logs (event) values (${`imported:${workspace}`})`;
    log.info({ event: "import_completed", workspace, messages }, `Messages of ${workspace} imported: ${messages}.`);
    return { imported: messages };
  },
});
