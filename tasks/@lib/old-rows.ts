import { setTimeout as delay } from "node:timers/promises";
import { parseDuration, PayloadError, type Sql } from "legwork";
import { z } from "zod";
import { age, cutoffOf } from "./age.ts";
import {
  type Asker,
  type Column,
  columnName,
  columnOf,
  momentColumn,
  type NamedTable,
  partsOf,
  tableName,
} from "./named-table.ts";
import { type GroupFilter, groupFilter, groupsOf } from "./row-groups.ts";
import { millisecondsOf } from "./time-limit.ts";

const rate = z.strictObject({
  rows: z
    .int()
    .min(1)
    .max(10_000_000)
    .describe("The maximum number of rows within the period, across all groups. No batch is larger."),
  per: z
    .string()
    .min(1)
    .max(20)
    .refine((value) => (parseDuration(value) ?? 0) >= 1, "expected a duration such as 1s or 1m")
    .default("1s")
    .describe("The period, such as 1s or 1m."),
});

/** The payload fields that the tasks for old rows share. */
export const oldRowsFields = {
  table: tableName.describe(
    'The table, as written in SQL: events, app.events or app."Events". Partitions and child tables are included.',
  ),
  column: columnName
    .default("created_at")
    .describe(
      "With olderThan: the exact name, without quotes, of the column from which a row's age is computed. Its type must be timestamptz, timestamp (in the database's time zone) or date.",
    ),
  olderThan: age
    .optional()
    .describe(
      "Rows older than this are removed. A Postgres interval such as 30 days or 8 months. Set either olderThan or expiryColumn.",
    ),
  expiryColumn: columnName
    .optional()
    .describe(
      "The column with the time at which a row expires. Expired rows are deleted; rows in which the column is null are kept. Set either expiryColumn or olderThan.",
    ),
  batchSize: z.int().min(1).max(100_000).default(5_000).describe("The maximum number of rows in one statement and transaction."),
  maxBatches: z
    .int()
    .min(1)
    .optional()
    .describe("Stops after this many batches and leaves the rest for the next run. Default: no limit."),
  groups: groupFilter
    .optional()
    .describe("Processes and counts the rows group by group. An index on the group's column and the time column helps."),
  rate: rate.optional().describe("The maximum number of rows per period. Default: no limit."),
};

/** Whether exactly one of olderThan and expiryColumn is set. */
export function hasOneAge({ olderThan, expiryColumn }: { olderThan?: string; expiryColumn?: string }): boolean {
  return (olderThan === undefined) !== (expiryColumn === undefined);
}
export const ONE_AGE = "expected either olderThan or expiryColumn";

export const oldRowsResult = {
  batches: z.int().describe("How many batches contained rows."),
  bytes: z.int().describe("The stored size of the rows, without indexes."),
};
export const groupsResult = z
  .array(z.strictObject({ group: z.string().nullable(), rows: z.int(), bytes: z.int() }))
  .optional()
  .describe("Counts of the first 1,000 groups that had rows to remove.");

/** The maximum number of groups whose counts are in the result. The totals include all groups. */
const GROUPS_SHOWN = 1_000;

/** The target duration of a batch (ms): far below a second, so that other sessions do not wait long for rows that the batch has locked. */
const BATCH_AIM_MS = 250;

/** The smallest batch size (rows), no matter how slow batches are. */
const SMALLEST_BATCH = 50;

/** The maximum number of blocks of a table that one statement scans. */
const MOST_BLOCKS = 4_096;

/** Above this share of a table's rows, scanning the table is faster than using an index. */
const INDEX_SHARE = 0.05;

interface OldRowsPayload {
  column: string;
  olderThan?: string;
  expiryColumn?: string;
  batchSize: number;
  maxBatches?: number;
  groups?: GroupFilter;
  rate?: z.output<typeof rate>;
}

export interface OldRows {
  rows: number;
  bytes: number;
  batches: number;
  groups?: { group: string | null; rows: number; bytes: number }[];
}

interface Context extends Asker {
  readonly signal: AbortSignal;
  /** Called after a group has been processed, if rows were removed from it. */
  readonly onGroup?: (found: { table: string; group: string | null; rows: number; bytes: number; milliseconds: number }) => void;
  readonly onBatch: (found: { table: string; group: string | null | undefined; rows: number; total: number }) => void;
}

/**
 * Deletes the rows that are too old, batch by batch, each in its own transaction. With `insertInto`, the statement that deletes a batch also inserts
 * it elsewhere: `insertInto` receives the name of the query with the deleted rows and returns the insert statement.
 *
 * The cutoff is fixed at the start, so the job ends even on a table that keeps growing. Rows that another session has locked are
 * skipped and left for the next run. If few rows are too old and an index finds them, batches use the index. Otherwise the table is
 * scanned once, block by block, so no batch rereads rows that a previous batch has kept.
 */
export async function removeOldRows(
  context: Context,
  table: NamedTable,
  payload: OldRowsPayload,
  insertInto?: { columns: readonly Column[]; statement: (gone: string) => string },
): Promise<OldRows> {
  const { sql, signal } = context;
  const { olderThan, expiryColumn, groups } = payload;
  const moment = momentColumn(table, expiryColumn === undefined ? "column" : "expiryColumn", expiryColumn ?? payload.column);
  const cutoff =
    olderThan === undefined
      ? ((await sql<{ now: string }>`select now()::text as now`)[0]?.now ?? "")
      : (await cutoffOf(sql, "olderThan", olderThan)).text;
  const groupColumn = groups === undefined ? undefined : columnOf(table, "groups.column", groups.column);
  const parts = await partsOf(sql, table);
  const removal = new Removal(context, { ...payload, table, moment, cutoff, groupColumn, insertInto });
  if (groups === undefined || groupColumn === undefined) {
    for (const part of parts) await removal.removeFrom(part, undefined);
    return removal.found;
  }
  // Several runners each take the next group when they are free. The first failure stops all of them.
  const waiting = (await groupsOf(context, table, groups, { moment, cutoff })).values();
  let failed = false;
  const runners = Array.from({ length: groups.atOnce }, async () => {
    for (const group of waiting) {
      try {
        const startedAt = performance.now();
        for (const part of parts) if (!failed) await removal.removeFrom(part, { value: group });
        const found = removal.groups.find((entry) => entry.group === group);
        if (found !== undefined) {
          context.onGroup?.({ table: table.full, ...found, milliseconds: Math.round(performance.now() - startedAt) });
        }
      } catch (error) {
        failed = true;
        throw error;
      }
      if (failed) return;
    }
  });
  const outcomes = await Promise.allSettled(runners);
  signal.throwIfAborted();
  for (const outcome of outcomes) if (outcome.status === "rejected") throw outcome.reason;
  return { ...removal.found, groups: removal.groups };
}

interface RemovalOptions extends OldRowsPayload {
  table: NamedTable;
  moment: Column;
  cutoff: string;
  groupColumn: Column | undefined;
  insertInto: { columns: readonly Column[]; statement: (gone: string) => string } | undefined;
}

interface Part {
  id: string;
  name: string;
  quoted: string;
}

/** The removal of one job's rows, with its counts. */
class Removal {
  readonly found: OldRows = { rows: 0, bytes: 0, batches: 0 };
  readonly groups: { group: string | null; rows: number; bytes: number }[] = [];
  private readonly context: Context;
  private readonly options: RemovalOptions;
  private readonly sql: Sql;
  private size: number;
  private batchesBegun = 0;
  private nextAllowedAt = 0;

  constructor(context: Context, options: RemovalOptions) {
    this.context = context;
    this.options = options;
    this.sql = context.sql;
    this.size = Math.min(options.batchSize, options.rate?.rows ?? Infinity);
  }

  async removeFrom(part: Part, group: { value: string | null } | undefined): Promise<void> {
    const way = await this.wayThrough(part, group);
    if (way === "walk") await this.walk(part, group);
    else await this.byIndex(part, group, way === "ordered");
  }

  /** Scans the table in physical order, some blocks at a time. Moves to the next range when the current one no longer fills a batch. */
  private async walk(part: Part, group: { value: string | null } | undefined): Promise<void> {
    const [table] = await this.sql<{ blocks: number; per_block: number }>`
      select (pg_relation_size(c.oid) / current_setting('block_size')::int)::float8 as blocks,
        case when c.relpages > 0 and c.reltuples > 0 then greatest(c.reltuples / c.relpages, 1) else 50 end::float8 as per_block
      from pg_catalog.pg_class c where c.oid = ${part.id}::oid`;
    const { blocks, per_block: perBlock } = table ?? { blocks: 0, per_block: 1 };
    let step = Math.max(1, Math.min(MOST_BLOCKS, Math.ceil(this.size / perBlock)));
    for (let from = 0; from < blocks && this.goesOn();) {
      let taken = 0;
      let full = true;
      let slow = false;
      while (full && this.goesOn()) {
        const limit = this.size;
        const batch = await this.batch(part, group, limit, {
          where: (add) => `t.ctid >= ${add(`(${from},0)`)}::tid and t.ctid < ${add(`(${from + step},0)`)}::tid and`,
          order: "",
        });
        taken += batch.rows;
        full = batch.rows === limit;
        slow ||= batch.milliseconds > 2 * BATCH_AIM_MS;
      }
      if (full) return;
      from += step;
      if (slow) step = Math.max(1, step >> 1);
      else if (taken < this.size / 2) step = Math.min(MOST_BLOCKS, step * 2);
    }
  }

  /** Uses an index. If rows come in the index's order, each batch continues where the last one ended. */
  private async byIndex(part: Part, group: { value: string | null } | undefined, isOrdered: boolean): Promise<void> {
    const { quoted, type } = this.options.moment;
    let last: string | undefined;
    for (let full = true; full && this.goesOn();) {
      const limit = this.size;
      const from = last;
      const batch = await this.batch(part, group, limit, {
        where: (add) => (isOrdered && from !== undefined ? `t.${quoted} >= ${add(from)}::${type} and` : ""),
        order: isOrdered ? `order by t.${quoted}` : "",
      });
      full = batch.rows === limit;
      last = batch.last ?? last;
    }
  }

  private goesOn(): boolean {
    this.context.signal.throwIfAborted();
    return this.batchesBegun < (this.options.maxBatches ?? Infinity);
  }

  private async batch(
    part: Part,
    group: { value: string | null } | undefined,
    limit: number,
    way: { where: (add: (value: unknown) => string) => string; order: string },
  ): Promise<{ rows: number; last: string | null; milliseconds: number }> {
    const { moment, cutoff, table, groupColumn, insertInto } = this.options;
    // A batch is counted before it runs, so that concurrent runners do not begin more batches than allowed. It is uncounted if it found no row.
    this.batchesBegun += 1;
    await this.pace();
    const values: unknown[] = [cutoff, limit];
    const add = (value: unknown): string => `$${values.push(value)}`;
    const ofGroup = ofGroupClause(groupColumn, group, add);
    const columns = insertInto === undefined ? "" : insertInto.columns.map(({ quoted }) => `t.${quoted}, `).join("");
    const text = `
      with doomed as materialized (
        select t.ctid, t.${moment.quoted} as moment from only ${part.quoted} t
        where ${way.where(add)} ${ofGroup} t.${moment.quoted} < $1::timestamptz::${moment.type} ${way.order} limit $2 for update skip locked),
      gone as (
        delete from only ${part.quoted} t where t.ctid = any (array(select ctid from doomed))
        returning ${columns}${sizeOf(table)} as legwork_size)
      ${insertInto === undefined ? "" : `, kept as (${insertInto.statement("gone")})`}
      select count(*)::int as rows, ${insertInto === undefined ? "count(*)" : "(select count(*) from kept)"}::int as kept, coalesce(sum(legwork_size), 0)::float8 as bytes, (select max(moment)::text from doomed) as last
      from gone`;
    const startedAt = performance.now();
    const row = await this.sql.transaction(async (_sql, client) => {
      // If a server crash loses a batch, the next run removes its rows. Only the commit that ends the job waits for the disk.
      await client.query("set local synchronous_commit = off");
      const { rows } = await client.query<{ rows: number; kept: number; bytes: number; last: string | null }>(text, values);
      // A trigger can suppress an insert without an error. The row must not be lost then.
      if (rows[0]?.kept !== rows[0]?.rows)
        throw new Error("The other table did not accept all rows: one of its triggers suppressed some.");
      return rows[0];
    });
    const milliseconds = performance.now() - startedAt;
    const { rows, bytes, last } = row ?? { rows: 0, bytes: 0, last: null };
    this.adapt(milliseconds, rows, limit);
    if (rows === 0) this.batchesBegun -= 1;
    else this.count(group, rows, bytes);
    this.context.onBatch({ table: part.name, group: group?.value, rows, total: this.found.rows });
    return { rows, last, milliseconds };
  }

  private count(group: { value: string | null } | undefined, rows: number, bytes: number): void {
    this.found.batches += 1;
    this.found.rows += rows;
    this.found.bytes += bytes;
    const { rate } = this.options;
    if (rate !== undefined) {
      const wait = (rows / rate.rows) * millisecondsOf(rate.per);
      this.nextAllowedAt = Math.max(this.nextAllowedAt, performance.now()) + wait;
    }
    if (group === undefined) return;
    const known = this.groups.find((entry) => entry.group === group.value);
    if (known !== undefined) {
      known.rows += rows;
      known.bytes += bytes;
    } else if (this.groups.length < GROUPS_SHOWN) {
      this.groups.push({ group: group.value, rows, bytes });
    }
  }

  /** Adapts the batch size: smaller if batches are slow (large rows, triggers, many indexes), larger again if they are fast. */
  private adapt(milliseconds: number, rows: number, limit: number): void {
    const most = Math.min(this.options.batchSize, this.options.rate?.rows ?? Infinity);
    if (milliseconds > 2 * BATCH_AIM_MS) this.size = Math.max(Math.min(SMALLEST_BATCH, most), limit >> 1);
    else if (rows === limit && milliseconds < BATCH_AIM_MS / 2) this.size = Math.min(most, this.size * 2);
  }

  private async pace(): Promise<void> {
    for (;;) {
      const wait = this.nextAllowedAt - performance.now();
      if (wait <= 0) return;
      await delay(wait, undefined, { signal: this.context.signal });
    }
  }

  private async wayThrough(part: Part, group: { value: string | null } | undefined): Promise<"walk" | "ordered" | "index"> {
    const { moment, cutoff, groupColumn } = this.options;
    const values: unknown[] = [cutoff];
    const ofGroup = ofGroupClause(groupColumn, group, (value) => `$${values.push(value)}`);
    const [plan] = await this.sql.query<{ "QUERY PLAN": [{ Plan: { "Node Type": string; "Plan Rows": number } }] }>(
      `explain (format json) select t.ctid from only ${part.quoted} t
       where ${ofGroup} t.${moment.quoted} < $1::timestamptz::${moment.type}`,
      values,
    );
    const [size] = await this.sql<{ tuples: number; ordered: boolean }>`
      select c.reltuples::float8 as tuples, exists (
        select from pg_catalog.pg_index i join pg_catalog.pg_class x on x.oid = i.indexrelid join pg_catalog.pg_am a on a.oid = x.relam
        where i.indrelid = c.oid and i.indisvalid and i.indpred is null and a.amname = 'btree'
          and (select array_agg(attname::text order by k.ord)
            from unnest(i.indkey) with ordinality as k (attnum, ord)
            join pg_catalog.pg_attribute col on col.attrelid = c.oid and col.attnum = k.attnum
            where k.ord <= ${groupColumn === undefined ? 1 : 2}) = ${[...(groupColumn === undefined ? [] : [groupColumn.name]), moment.name]}::text[]
      ) as ordered
      from pg_catalog.pg_class c where c.oid = ${part.id}::oid`;
    const node = plan?.["QUERY PLAN"][0].Plan;
    const share = (node?.["Plan Rows"] ?? 0) / Math.max(1, size?.tuples ?? 1);
    if (node === undefined || node["Node Type"].includes("Seq Scan") || share > INDEX_SHARE) return "walk";
    return size?.ordered === true ? "ordered" : "index";
  }
}

function ofGroupClause(
  column: Column | undefined,
  group: { value: string | null } | undefined,
  add: (value: unknown) => string,
): string {
  if (column === undefined || group === undefined) return "";
  return group.value === null ? `t.${column.quoted} is null and` : `t.${column.quoted} = ${add(group.value)}::${column.type} and`;
}

/** Returns the expression for a row's stored size (bytes). Compressed values count with their compressed size. 24 is the size of a row's header. */
function sizeOf(table: NamedTable): string {
  const columns = [...table.columns.values()].map(({ quoted }) => `coalesce(pg_column_size(t.${quoted}), 0)`);
  return `(24 + ${columns.join(" + ") || "0"})`;
}

/** Throws a PayloadError if both tables are the same. */
export function assertOther(from: NamedTable, to: NamedTable): void {
  if (from.id === to.id) throw new PayloadError("into: rows cannot be moved into their own table.");
}
