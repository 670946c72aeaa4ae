import { defineTask } from "legwork";
import { z } from "zod";

export default defineTask({
  name: "notify/welcome",
  payload: z.object({ userId: z.number(), language: z.string().default("en") }),
  result: z.object({ report: z.string() }),
  // Two tasks that enqueue each other and return the id are not circular for the compiler.
  run: async ({ userId, language }, { enqueue }) => {
    language satisfies string;
    return { report: await enqueue("report", { since: String(userId) }) };
  },
});
