import { defineTask } from "legwork";
import { z } from "zod";

export default defineTask({
  description: "Sends an edition of the newsletter to all users of the chat. Its queue is paused at first.",
  queue: "newsletter",
  payload: z.strictObject({ edition: z.string().min(1).max(200) }),
  result: z.strictObject({ sent: z.int() }),
  async run({ edition }, { sql, job, enqueue, progress }) {
    const users = await sql<{ email: string }>`select email from chat.users where email is not null order by id`;
    for (const [index, { email }] of users.entries()) {
      const mail = { to: email, subject: edition, text: "Here is the latest news." };
      // The key makes a second attempt find the emails that the first attempt enqueued.
      await enqueue("notify/email", mail, { uniqueFor: "1 day", uniqueKey: `newsletter:${job.id}:${email}`, maxAttempts: 3 });
      progress(((index + 1) / users.length) * 100);
    }
    return { sent: users.length };
  },
});
