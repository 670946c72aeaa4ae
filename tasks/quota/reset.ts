import { defineTask, PayloadError } from "legwork";
import { z } from "zod";
import { columnName, columnOf, momentColumn, namedTable, partsOf, tableName } from "../@lib/named-table.ts";
import { equalities, equalityClauses } from "../@lib/row-groups.ts";

/** The types that a counter may have. */
const NUMBERS = /^(smallint|integer|bigint|numeric(\(.*\))?|real|double precision)$/;

export default defineTask({
  description: "Resets counters to zero when a new hour, day, week or month has begun, once per row and period.",
  payload: z.strictObject({
    table: tableName.describe("The table with the counters, as written in SQL."),
    counters: z.array(columnName).min(1).max(50).describe("The columns to set to zero."),
    resetColumn: columnName
      .default("reset_at")
      .describe(
        "A timestamptz column with the time of the row's last reset. Because of it, a second run in the same period changes nothing.",
      ),
    period: z
      .enum(["hour", "day", "week", "month"])
      .describe("Rows that were last reset before the current period began are reset."),
    timezone: z.string().min(1).max(100).default("UTC").describe("The time zone in which periods begin."),
    where: equalities.default({}).describe('Only rows with these values: {"plan": "free"}.'),
    batchSize: z
      .int()
      .min(1)
      .max(100_000)
      .default(1_000)
      .describe("The maximum number of rows in one statement and transaction."),
  }),
  result: z.strictObject({
    reset: z.int().describe("How many rows were reset."),
    periodStart: z.iso.datetime().describe("When the current period began."),
  }),
  /** Waits for rows that another session has locked: if a counter were skipped, its owner would be blocked for another period. */
  async run(payload, { sql, job, log, signal, progress }) {
    const table = await namedTable({ sql, job }, "table", payload.table);
    const resetColumn = momentColumn(table, "resetColumn", payload.resetColumn);
    if (!resetColumn.type.endsWith("with time zone")) {
      throw new PayloadError(`resetColumn: column '${payload.resetColumn}' of '${table.full}' is not of type timestamptz.`);
    }
    const counters = payload.counters.map((name, index) => columnOf(table, `counters.${index}`, name));
    const wrong = counters.find(({ type }) => !NUMBERS.test(type));
    if (wrong !== undefined)
      throw new PayloadError(
        `counters: column '${wrong.name}' of '${table.full}' is of type ${wrong.type}, which is not a number.`,
      );
    const [period] = await sql<{ start: string | null }>`
      select date_trunc(${payload.period}, now(), z.name)::text as start from pg_catalog.pg_timezone_names z where z.name = ${payload.timezone}`;
    if (period === undefined) throw new PayloadError(`timezone: unknown time zone '${payload.timezone}'.`);
    let reset = 0;
    for (const part of await partsOf(sql, table)) {
      for (let rows = payload.batchSize; rows === payload.batchSize;) {
        signal.throwIfAborted();
        const values: unknown[] = [period.start, payload.batchSize];
        const equal = equalityClauses(table, "where", payload.where, "t", (value) => `$${values.push(value)}`);
        const due = [`(t.${resetColumn.quoted} is null or t.${resetColumn.quoted} < $1::timestamptz)`, ...equal].join(" and ");
        // Checked again under the lock, so that a row that another run has just reset is not reset twice.
        const text = `
          update only ${part.quoted} t
          set ${counters.map(({ quoted }) => `${quoted} = 0`).join(", ")}, ${resetColumn.quoted} = now()
          where t.ctid = any (array(select t.ctid from only ${part.quoted} t where ${due} limit $2 for update)) and ${due}`;
        rows = await sql.transaction(async (_sql, client) => (await client.query(text, values)).rowCount ?? 0);
        reset += rows;
        progress({ message: `Rows reset: ${reset}` });
      }
    }
    log.info({ event: "quotas_reset", table: table.full, reset, periodStart: period.start }, `Rows reset: ${reset}.`);
    return { reset, periodStart: new Date(period.start as string).toISOString() };
  },
});
