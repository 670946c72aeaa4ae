import { defineTask, PayloadError } from "legwork";
import { z } from "zod";
import { columnName, columnOf, momentColumn, namedTable, partsOf, tableName } from "../@lib/named-table.ts";
import { equalities, equalityClauses } from "../@lib/row-groups.ts";

/** Types of counters. */
const NUMBERS = /^(smallint|integer|bigint|numeric(\(.*\))?|real|double precision)$/;

export default defineTask({
  description: "Sets counters back to zero when a new day, week or month has begun, once for each row and period.",
  payload: z.strictObject({
    table: tableName.describe("The table with the counters, as SQL writes it."),
    counters: z.array(columnName).min(1).max(50).describe("Its columns that count; they are set to zero."),
    resetColumn: columnName
      .default("reset_at")
      .describe("A timestamptz column that keeps when a row was last reset; what makes a second run change nothing."),
    period: z.enum(["hour", "day", "week", "month"]).describe("A row is reset that was last reset before this period began."),
    timezone: z.string().min(1).max(100).default("UTC").describe("Where a period begins."),
    where: equalities.default({}).describe('Only rows that have this: {"plan": "free"}.'),
    batchSize: z.int().min(1).max(100_000).default(1_000).describe("Rows in one statement and one transaction, at most."),
  }),
  result: z.strictObject({
    reset: z.int().describe("Rows that were reset."),
    periodStart: z.iso.datetime().describe("When the period began."),
  }),
  /** Rows that somebody holds are waited for: a counter that was left would block its owner for another period. */
  async run(payload, { sql, job, log, signal, progress }) {
    const table = await namedTable({ sql, job }, "table", payload.table);
    const resetColumn = momentColumn(table, "resetColumn", payload.resetColumn);
    if (!resetColumn.type.endsWith("with time zone")) {
      throw new PayloadError(`resetColumn: '${payload.resetColumn}' of '${table.full}' is not a timestamptz.`);
    }
    const counters = payload.counters.map((name, index) => columnOf(table, `counters.${index}`, name));
    const wrong = counters.find(({ type }) => !NUMBERS.test(type));
    if (wrong !== undefined)
      throw new PayloadError(`counters: '${wrong.name}' of '${table.full}' is of type ${wrong.type}, which does not count.`);
    const [period] = await sql<{ start: string | null }>`
      select date_trunc(${payload.period}, now(), z.name)::text as start from pg_catalog.pg_timezone_names z where z.name = ${payload.timezone}`;
    if (period === undefined) throw new PayloadError(`timezone: there is no time zone '${payload.timezone}'.`);
    let reset = 0;
    for (const part of await partsOf(sql, table)) {
      for (let rows = payload.batchSize; rows === payload.batchSize;) {
        signal.throwIfAborted();
        const values: unknown[] = [period.start, payload.batchSize];
        const equal = equalityClauses(table, "where", payload.where, "t", (value) => `$${values.push(value)}`);
        const due = [`(t.${resetColumn.quoted} is null or t.${resetColumn.quoted} < $1::timestamptz)`, ...equal].join(" and ");
        // Looked at again under the lock: a row that another run has reset meanwhile is not reset twice.
        const text = `
          update only ${part.quoted} t
          set ${counters.map(({ quoted }) => `${quoted} = 0`).join(", ")}, ${resetColumn.quoted} = now()
          where t.ctid = any (array(select t.ctid from only ${part.quoted} t where ${due} limit $2 for update)) and ${due}`;
        rows = await sql.transaction(async (_sql, client) => (await client.query(text, values)).rowCount ?? 0);
        reset += rows;
        progress({ message: `${reset} rows reset` });
      }
    }
    log.info({ event: "quotas_reset", table: table.full, reset, periodStart: period.start }, `${reset} rows were reset.`);
    return { reset, periodStart: new Date(period.start as string).toISOString() };
  },
});
