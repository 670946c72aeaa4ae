import { defineTask } from "legwork";
import { z } from "zod";

export default defineTask({
  name: "notify/welcome",
  payload: z.object({ userId: z.number(), language: z.string().default("en") }),
  result: z.object({ report: z.string() }),
  // The types of two tasks that enqueue each other and return the id are not circular.
  run: async ({ userId, language }, { enqueue }) => {
    language satisfies string;
    return { report: await enqueue("report", { since: String(userId) }) };
  },
});
