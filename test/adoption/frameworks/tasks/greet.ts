import { defineTask } from "legwork";
import { z } from "zod";

export default defineTask({
  payload: z.object({ name: z.string(), ms: z.number().default(0) }),
  async run({ name, ms }) {
    await new Promise((resolve) => setTimeout(resolve, ms));
    return { greeted: name };
  },
});
