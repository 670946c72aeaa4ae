import { defineTask, Discard, PayloadError } from "legwork";
import { z } from "zod";
import { tenantOf } from "../../users.ts";

export default defineTask({
  description: "Copies a user's events within a range of days to the archive calendar, each event once.",
  queue: "calendar",
  payload: z
    .strictObject({
      userId: z.int().positive(),
      configurationId: z.int().positive().describe("The user's archive configuration."),
      start: z.iso.date().optional().describe("The first day. Without start and end, archives since the last scheduled run."),
      end: z.iso.date().optional().describe("The last day."),
      days: z.int().min(1).max(31).optional().describe("How many days the first scheduled run covers, including today."),
    })
    .refine(
      ({ start, end, days }) => (start === undefined) === (end === undefined) && (start === undefined) !== (days === undefined),
      {
        error: "expected either start and end, or days",
      },
    ),
  result: z.strictObject({ from: z.iso.date(), to: z.iso.date(), archived: z.int(), alreadyArchived: z.int(), notOver: z.int() }),
  retry: { attempts: 5, backoff: "exponential", delay: "30s", factor: 2, maxDelay: "10m" },
  timeout: "10m",
  // Two jobs of one user never run at the same time, whether scheduled or triggered.
  concurrency: { limit: 1, key: (p) => p.userId },
  async run({ userId, configurationId, start, end, days }, { sql, job, log, enqueue }) {
    // A tenant's job must not archive another tenant's calendar.
    if (job.tenant !== null && job.tenant !== tenantOf(userId))
      throw new Discard(`The job belongs to ${job.tenant}, not to user ${userId}.`);
    // One transaction: copies, progress and the email are stored together or not at all.
    return await sql.transaction(async (sql, client) => {
      const [range] = await sql<{ from: string; to: string; notify: boolean; email: string }>`
        select coalesce(${start}::date, least(c.archived_through, today - ${days ?? 1}::integer + 1))::text as from,
          coalesce(${end}::date, today)::text as to, c.notify, u.email
        from calendar.archive_configurations c join calendar.users u on u.id = c.user_id,
          lateral (select (now() at time zone u.timezone)::date as today) t
        where c.id = ${configurationId} and c.user_id = ${userId} and c.is_active
        for update of c`;
      if (range === undefined)
        throw new PayloadError(`configurationId: user ${userId} has no active archive ${configurationId}.`);
      const { from, to } = range;
      const [counts] = await sql<{ archived: number; already_archived: number; not_over: number }>`
        select * from calendar.archive(${configurationId}, ${from}, ${to})`;
      if (counts === undefined) throw new Error("An aggregate returned no row.");
      if (days !== undefined) {
        await sql`update calendar.archive_configurations set archived_through = ${to} where id = ${configurationId}`;
      }
      const { archived, already_archived: alreadyArchived, not_over: notOver } = counts;
      if (range.notify && archived > 0) {
        const text = `Events archived from ${from} to ${to}: ${archived}.`;
        await enqueue("notify/email", { to: range.email, subject: "Your calendar was archived", text }, {}, client);
      }
      log.info({ event: "calendar_archived", userId, from, to, archived, alreadyArchived, notOver }, "Events archived.");
      return { from, to, archived, alreadyArchived, notOver };
    });
  },
});
