import { defineTask } from "legwork";
import { z } from "zod";

export default defineTask({
  description: "Creates a report on the chat's usage, its events, or the performance of its jobs.",
  queue: "report",
  payload: z.strictObject({
    type: z.enum(["usage", "audit", "performance"]),
    params: z
      .strictObject({
        since: z.iso.datetime({ offset: true }).optional().describe("The start of the reported period."),
        period: z
          .string()
          .min(1)
          .max(100)
          .default("1 day")
          .describe("Replaces since: the length of the period before now, as a Postgres interval such as 1 day."),
        format: z.enum(["csv", "json", "html"]).default("csv"),
      })
      .describe("The reported period and the format."),
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
