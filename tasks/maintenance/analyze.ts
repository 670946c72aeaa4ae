import { defineTask } from "legwork";
import { z } from "zod";
import { maintainedResult, maintainedTables, maintainTables } from "../@lib/maintain-tables.ts";

export default defineTask({
  description: "Gathers the planner's statistics of tables, and reports the tables' sizes before and after.",
  queue: "maintenance",
  payload: z.strictObject({ tables: maintainedTables }),
  result: maintainedResult,
  async run({ tables }, context) {
    return await maintainTables(context, tables, ({ quoted }) => `analyze ${quoted}`);
  },
});
