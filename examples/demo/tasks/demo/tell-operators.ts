import { defineTask } from "legwork";
import { z } from "zod";

export default defineTask({
  description: "Notifies the operators of an alert by a message in the chat.",
  queue: "notification",
  payload: z.strictObject({ alert: z.looseObject({ event: z.string(), message: z.string() }) }),
  result: z.strictObject({ messageId: z.string().nullable() }),
  async run({ alert: { event, message } }, { sql }) {
    const [sent] = await sql<{ id: string }>`
      insert into chat.messages (user_id, body) select min(id), ${`Alert ${event}: ${message}`} from chat.users having count(*) > 0
      returning id::text`;
    return { messageId: sent?.id ?? null };
  },
});
