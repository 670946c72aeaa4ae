import { defineTask } from "legwork";
import { z } from "zod";
import { namedTable } from "../@lib/named-table.ts";
import { groupsResult, hasOneAge, oldRowsFields, oldRowsResult, ONE_AGE, removeOldRows } from "../@lib/old-rows.ts";

export default defineTask({
  description: "Deletes rows that are too old or have expired, in short batches, optionally group by group.",
  queue: "cleanup",
  payload: z.strictObject(oldRowsFields).refine(hasOneAge, ONE_AGE),
  result: z.strictObject({
    deleted: z.int().describe("How many rows were deleted."),
    ...oldRowsResult,
    groups: groupsResult,
  }),
  /** A committed batch stays deleted even if the job fails later; the next run finds the remaining rows. */
  async run(payload, { job, sql, log, signal, progress }) {
    const table = await namedTable({ sql, job }, "table", payload.table);
    const onBatch = ({
      table,
      group,
      rows,
      total,
    }: {
      table: string;
      group?: string | null;
      rows: number;
      total: number;
    }): void => {
      log.debug({ event: "batch_expired", table, group, rows, deleted: total }, "A batch of rows was deleted.");
      progress({ message: `Rows deleted: ${total}` });
    };
    const startedAt = performance.now();
    const { rows, ...found } = await removeOldRows(
      {
        sql,
        job,
        signal,
        onBatch,
        onGroup: ({ milliseconds, ...group }) =>
          log.info({ event: "group_expired", ...group, durationMs: milliseconds }, "The group's old rows were deleted."),
      },
      table,
      payload,
    );
    const durationMs = Math.round(performance.now() - startedAt);
    log.info(
      { event: "rows_expired", table: table.full, rows, batches: found.batches, groups: found.groups?.length, durationMs },
      "The old rows were deleted.",
    );
    return { deleted: rows, ...found };
  },
});
