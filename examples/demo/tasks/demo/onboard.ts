import { defineTask } from "legwork";
import { z } from "zod";

export default defineTask({
  description: "Sets up a workspace: creates its account, waits for an approval, and opens it. Each step runs once.",
  queue: "onboarding",
  payload: z.strictObject({ workspace: z.string().min(1).max(100) }),
  result: z.strictObject({ workspace: z.string(), approvedBy: z.string() }),
  async run({ workspace }, { sql, step, log }) {
    await step.transaction("account", async (sql) => {
      await sql`insert into chat.logs (event) values (${`account:${workspace}`})`;
    });
    log.info({ event: "approval_wanted", workspace }, `${workspace} is waiting for approval.`);
    const { by } = await step.waitFor<{ by: string }>("approval", { timeout: "1h" });
    await step.run("open", () => sql`insert into chat.logs (event) values (${`opened:${workspace}`})`);
    return { workspace, approvedBy: by };
  },
});
