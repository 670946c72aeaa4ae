import { defineTask } from "legwork";
import { z } from "zod";
import { maintainedResult, maintainedTables, maintainTables } from "../@lib/maintain-tables.ts";

export default defineTask({
  description: "Vacuums tables without blocking readers and writers, and reports their sizes and dead rows before and after.",
  queue: "maintenance",
  payload: z.strictObject({
    tables: maintainedTables,
    analyze: z.boolean().default(false).describe("Whether to also gather statistics."),
    freeze: z.boolean().default(false).describe("Whether to freeze rows, which reads the whole table."),
    truncate: z
      .boolean()
      .default(true)
      .describe("Whether to return empty pages at the table's end to the operating system, which takes a short exclusive lock."),
  }),
  result: maintainedResult,
  async run({ tables, analyze, freeze, truncate }, context) {
    const options = `analyze ${analyze}, freeze ${freeze}, truncate ${truncate}`;
    return await maintainTables(context, tables, ({ quoted }) => `vacuum (${options}) ${quoted}`);
  },
});
