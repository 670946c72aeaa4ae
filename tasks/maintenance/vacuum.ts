import { defineTask } from "legwork";
import { z } from "zod";
import { maintainedResult, maintainedTables, maintainTables } from "../@lib/maintain-tables.ts";

export default defineTask({
  description: "Vacuums tables, and tells their sizes and dead rows before and after. Readers and writers go on meanwhile.",
  queue: "maintenance",
  payload: z.strictObject({
    tables: maintainedTables,
    analyze: z.boolean().default(false).describe("Whether statistics are gathered as well."),
    freeze: z.boolean().default(false).describe("Whether old rows are frozen, which reads the whole table."),
    truncate: z
      .boolean()
      .default(true)
      .describe("Whether empty pages at the end go back to the disk; that takes a short exclusive lock."),
  }),
  result: maintainedResult,
  async run({ tables, analyze, freeze, truncate }, context) {
    const options = `analyze ${analyze}, freeze ${freeze}, truncate ${truncate}`;
    return await maintainTables(context, tables, ({ quoted }) => `vacuum (${options}) ${quoted}`);
  },
});
