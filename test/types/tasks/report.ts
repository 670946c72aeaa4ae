import { defineTask } from "legwork";
import { z } from "zod";
import welcome from "./notify/welcome.ts";

export default defineTask({
  payload: z.object({ since: z.string().optional() }),
  run: async (_payload, { enqueue }) => {
    // @ts-expect-error -- no task has this name
    await enqueue("notify/welcom");
    // @ts-expect-error -- not the task's payload
    await enqueue(welcome, { userId: "3" });
    return { id: await enqueue(welcome, { userId: 3 }) };
  },
});
