import { defineTask, PayloadError, type SqlTag } from "legwork";
import { z } from "zod";

const payload = z.strictObject({
  table: z
    .string()
    .min(1)
    .max(200)
    .describe('The table, as SQL writes it: events, app.events or app."Events". Partitions and child tables are included.'),
  column: z
    .string()
    .min(1)
    .max(63)
    .default("created_at")
    .describe(
      "The column that says how old a row is, a timestamptz, timestamp (in the database's time zone) or date; its exact name, without quotes.",
    ),
  olderThan: z
    .string()
    .min(1)
    .max(100)
    .describe("Rows older than this go: an interval of Postgres, such as 30 days or 8 months."),
  batchSize: z.int().min(1).max(100_000).default(1_000).describe("Rows deleted in one statement and one transaction."),
  maxBatches: z
    .int()
    .min(1)
    .optional()
    .describe("Stops after so many batches and leaves the rest for the next run; without it, goes on to the end."),
});

export default defineTask({
  description: "Deletes the rows of a table that are older than an age, in short batches.",
  payload,
  result: z.strictObject({
    deleted: z.int().describe("Rows deleted."),
    batches: z.int().describe("Statements that deleted something."),
  }),
  /**
   * What is too old is settled when the job starts, so it ends on a table that keeps growing. Rows that somebody holds are
   * passed over and left for the next run. A batch that is committed stays deleted whatever happens afterwards. An index on
   * the column pays when few of many rows are too old; without one the last batch reads the whole table.
   */
  async run({ table, column, olderThan, batchSize, maxBatches = Infinity }, { sql, log, signal }) {
    const cutoff = await cutoffOf(sql, olderThan);
    const parts = await resolveTable(sql, table, column);
    let deleted = 0;
    let batches = 0;
    for (const part of parts) {
      for (let rows = batchSize; rows === batchSize && batches < maxBatches;) {
        signal.throwIfAborted();
        rows = await sql.transaction(
          async (_sql, client) => (await client.query(part.statement, [cutoff, batchSize])).rowCount ?? 0,
        );
        if (rows > 0) batches += 1;
        deleted += rows;
        log.debug({ event: "rows_expired", table: part.name, rows, deleted }, "A batch of rows was deleted.");
      }
    }
    return { deleted, batches };
  },
});

/** The moment before which rows are too old. Throws a PayloadError for what is no interval, or none into the past. */
async function cutoffOf(sql: SqlTag, olderThan: string): Promise<string> {
  const [row] = await refusing(
    `olderThan: '${olderThan}' cannot be read as an age such as '30 days'.`,
    () =>
      sql<{ cutoff: string; past: boolean }>`
      select (now() - age)::text as cutoff, now() - age < now() and isfinite(age) as past
      from (select ${olderThan}::interval as age) i`,
  );
  if (row?.past !== true) {
    throw new PayloadError(`olderThan: '${olderThan}' is not a time ago.`, {
      hint: "It must be more than nothing, such as '30 days': only rows older than that are deleted.",
    });
  }
  return row.cutoff;
}

interface Part {
  name: string;
  /** Deletes one batch; $1 is the cutoff, $2 the number of rows. */
  statement: string;
}

interface CatalogRow {
  schema: string;
  name: string;
  kind: string;
  type: string | null;
  is_system: boolean;
  statement: string;
}

/**
 * The tables that hold the rows: the table itself and whatever inherits from it, each with its statement, because a ctid
 * means something in one table only. Names come from the catalog and are quoted there. Throws a PayloadError for a table or
 * a column that cannot be used.
 */
async function resolveTable(sql: SqlTag, table: string, column: string): Promise<Part[]> {
  const rows = await refusing(
    `table: there is no table '${table}'.`,
    () =>
      sql<CatalogRow>`
      with recursive family as (
        select to_regclass(${table}) as id
        union
        select i.inhrelid::regclass from pg_inherits i join family f on i.inhparent = f.id
      )
      select n.nspname as schema, c.relname as name, c.relkind as kind, a.type,
        n.nspname ~ '^pg_' or n.nspname in ('information_schema', 'legwork', 'graphile_worker') as is_system,
        format(
          'delete from only %1$I.%2$I where ctid = any (array('
            'select ctid from only %1$I.%2$I where %3$I < $1::timestamptz::%4$s limit $2 for update skip locked))',
          n.nspname, c.relname, ${column}::text, coalesce(a.type, 'text')) as statement
      from family f
      join pg_class c on c.oid = f.id
      join pg_namespace n on n.oid = c.relnamespace
      left join lateral (
        select format_type(a.atttypid, null) as type from pg_attribute a
        where a.attrelid = c.oid and a.attname = ${column} and a.attnum > 0 and not a.attisdropped
      ) a on true
      order by c.oid`,
  );
  if (rows.length === 0) {
    throw new PayloadError(`table: there is no table '${table}'.`, {
      hint: 'Name it as SQL does: app.events, or app."Events" when its name has capitals. The worker\'s role must be able to see it.',
    });
  }
  for (const row of rows) {
    const full = `${row.schema}.${row.name}`;
    if (row.is_system) {
      throw new PayloadError(`table: '${full}' belongs to the system and is not to be emptied by a job.`, {
        hint: "Legwork's own history is kept for the setting history_retention in legwork.settings.",
      });
    }
    if (!["r", "p"].includes(row.kind)) throw new PayloadError(`table: '${full}' is not a table.`);
    if (row.type === null) throw new PayloadError(`column: table '${full}' has no column '${column}'.`);
    if (!["timestamp with time zone", "timestamp without time zone", "date"].includes(row.type)) {
      throw new PayloadError(`column: '${column}' of '${full}' is of type ${row.type}, which does not tell a row's age.`, {
        hint: "Name a column of type timestamptz, timestamp or date.",
      });
    }
  }
  // A partitioned table holds no rows itself.
  return rows.filter((row) => row.kind === "r").map((row) => ({ name: `${row.schema}.${row.name}`, statement: row.statement }));
}

/** Postgres's classes for input it cannot make sense of: data exceptions, syntax and names, features it does not have. */
const INPUT_ERRORS = new Set(["22", "42", "0A"]);

/** Does the work; what Postgres refuses to read is the payload's fault and no reason to try again. */
async function refusing<T>(message: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const code = error instanceof Error && "code" in error ? String(error.code) : "";
    if (INPUT_ERRORS.has(code.slice(0, 2))) throw new PayloadError(message, { cause: error });
    throw error;
  }
}
