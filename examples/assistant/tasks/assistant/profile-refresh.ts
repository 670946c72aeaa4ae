import { defineTask } from "legwork";
import { z } from "zod";

export default defineTask({
  description: "Recomputes every student's profile from conversations and memories.",
  queue: "assistant",
  result: z.strictObject({ refreshed: z.int() }),
  async run(_payload, { sql }) {
    const [row] = await sql<{ refreshed: number }>`select assistant.refresh_profiles() as refreshed`;
    return { refreshed: row?.refreshed ?? 0 };
  },
});
