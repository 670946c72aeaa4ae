import { defineTask } from "legwork";
import { z } from "zod";

export default defineTask({
  description: "Makes a report of the chat's usage, of what was done, or of how its jobs perform.",
  queue: "report",
  payload: z.strictObject({
    type: z.enum(["usage", "audit", "performance"]),
    params: z
      .strictObject({
        since: z.iso.datetime({ offset: true }).optional().describe("From when on."),
        period: z.string().min(1).max(100).default("1 day").describe("In place of it: an interval of Postgres before now."),
        format: z.enum(["csv", "json", "html"]).default("csv"),
      })
      .describe("What it is about."),
  }),
  result: z.strictObject({ task: z.string(), jobId: z.string() }),
  async run({ type, params: { since, period, format } }, { sql, enqueue, job }) {
    const [from] = await sql<{ at: Date }>`select coalesce(${since ?? null}::timestamptz, now() - ${period}::interval) as at`;
    const payload = { query: `chat-${type}`, parameters: [from?.at.toISOString()], format, title: `Chat: ${type}` };
    return {
      task: "report/query",
      jobId: await enqueue("report/query", payload, { uniqueFor: "1 day", uniqueKey: `chat:${job.id}` }),
    };
  },
});
