import { defineTask, Discard } from "legwork";
import { z } from "zod";
import { assistantConfig } from "../../config.ts";
import { askAny } from "../../lib/providers.ts";

export default defineTask({
  description: "Has an AI provider summarize each student's week, the seven days before the day of the run.",
  queue: "assistant",
  timeout: "1h",
  result: z.strictObject({ weekEnding: z.iso.date(), written: z.int(), providers: z.array(z.string()) }),
  /** Skips students who already have a summary, so another attempt continues with the rest. */
  async run(_payload, { sql, job, signal, progress, step }) {
    if (assistantConfig().providers.length === 0) {
      throw new Discard("No AI provider configured: ASSISTANT_PROVIDERS is not set in the worker's environment.");
    }
    // An attempt that runs days later, after quotas have reset, still covers the same week.
    const weekEnding = await step.run("week", () => job.runAt.toISOString().slice(0, 10));
    const students = await sql<{ id: number; name: string; said: string }>`
      select p.id, p.name, string_agg(left(m.content, 500), E'\n' order by m.created_at) as said
      from assistant.profiles p join assistant.study_chat_memory m on m.profile_id = p.id
      where m.created_at >= ${weekEnding}::date::timestamp at time zone 'UTC' - interval '7 days'
        and m.created_at < ${weekEnding}::date::timestamp at time zone 'UTC'
        and not exists (select from assistant.weekly_summaries w where w.profile_id = p.id and w.week_ending = ${weekEnding}::date)
      group by p.id order by p.id`;
    const providers = new Set<string>();
    for (const [index, { id, name, said }] of students.entries()) {
      progress((100 * index) / students.length, name);
      const prompt = `Summarize in three sentences what this student worked on this week:\n${said.slice(0, 20_000)}`;
      const request = { prompt, purpose: "weekly-summary", maxTokens: 300, timeout: 60_000 };
      const { provider, text, tokens } = await askAny(sql, request, signal);
      providers.add(provider);
      await sql.transaction(async (sql) => {
        await sql`
          insert into assistant.weekly_summaries (profile_id, week_ending, provider, summary) values (${id}, ${weekEnding}, ${provider}, ${text})
          on conflict do nothing`;
        await sql`update assistant.profiles set used_tokens = used_tokens + ${tokens} where id = ${id}`;
      });
    }
    return { weekEnding, written: students.length, providers: [...providers] };
  },
});
