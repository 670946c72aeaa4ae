import { defineTask, PayloadError } from "legwork";
import { z } from "zod";
import { namedTable, tableName } from "../@lib/named-table.ts";
import { assertOther, groupsResult, hasOneAge, oldRowsFields, oldRowsResult, ONE_AGE, removeOldRows } from "../@lib/old-rows.ts";

export default defineTask({
  description: "Moves rows that are too old or have expired to another table, in short batches.",
  queue: "cleanup",
  payload: z
    .strictObject({
      ...oldRowsFields,
      into: tableName.describe(
        "The table to move the rows to. It must have every column of the first table, by name, and may have more.",
      ),
    })
    .refine(hasOneAge, ONE_AGE),
  result: z.strictObject({
    archived: z.int().describe("How many rows were moved."),
    ...oldRowsResult,
    groups: groupsResult,
  }),
  /** Deletes and inserts each batch in one statement, so every row is always in exactly one of the two tables. */
  async run(payload, { job, sql, log, signal, progress }) {
    const table = await namedTable({ sql, job }, "table", payload.table);
    const into = await namedTable({ sql, job }, "into", payload.into);
    assertOther(table, into);
    const missing = [...table.columns.keys()].filter((name) => !into.columns.has(name));
    if (missing.length > 0) {
      throw new PayloadError(`into: table '${into.full}' lacks columns of '${table.full}': ${missing.join(", ")}.`, {
        hint: `Add them, or create the table with: create table ${into.full} (like ${table.full}).`,
      });
    }
    // Generated columns of the other table cannot be written.
    const columns = [...table.columns.values()].filter(({ name }) => into.columns.get(name)?.generated === false);
    const names = columns.map(({ quoted }) => quoted).join(", ");
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
      log.debug({ event: "rows_archived", table, group, rows, archived: total }, "A batch of rows was moved.");
      progress({ message: `Rows moved: ${total}` });
    };
    const { rows, ...found } = await removeOldRows({ sql, job, signal, onBatch }, table, payload, {
      columns,
      statement: (gone) =>
        `insert into ${into.quoted} (${names}) overriding system value select ${names} from ${gone} returning 1`,
    });
    return { archived: rows, ...found };
  },
});
