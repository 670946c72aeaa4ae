import { defineTask } from "legwork";
import { z } from "zod";

const WORK = {
  vacuum: { task: "maintenance/vacuum", payload: { tables: ["chat.messages", "chat.logs", "chat.cache"], analyze: true } },
  reindex: { task: "maintenance/reindex", payload: { tables: ["chat.messages"] } },
  cache: { task: "retention/expire", payload: { table: "chat.cache", expiryColumn: "expires_at" } },
} as const;

export default defineTask({
  description: "Maintains the chat's tables: vacuums them, rebuilds the search index, or deletes expired cache entries.",
  queue: "maintenance",
  payload: z.strictObject({ type: z.enum(["vacuum", "reindex", "cache"]) }),
  result: z.strictObject({ task: z.string(), jobId: z.string() }),
  async run({ type }, { enqueue, job }) {
    const { task, payload } = WORK[type];
    return { task, jobId: await enqueue(task, payload, { uniqueFor: "1 day", uniqueKey: `chat:${job.id}` }) };
  },
});
