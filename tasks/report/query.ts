import { defineTask, Discard, PayloadError } from "legwork";
import { escapeIdentifier, type PoolClient } from "pg";
import { z } from "zod";
import { codeOf, fileName, Folder, folderPath, ignore } from "../@lib/folder.ts";
import { REPORT_FORMATS, type ReportFormat } from "../@lib/report-formats.ts";
import { jsonBytes, RESULT_TEXT_BYTES } from "../@lib/result-text.ts";
import { requiredSetting, setting } from "../@lib/settings.ts";
import { millisecondsOf, timeLimit } from "../@lib/time-limit.ts";

/** How many rows each fetch returns. */
const FETCHED = 500;

/** The largest report that is written to a file (characters). */
const FILE_LIMIT = 1_000_000_000;

const scalar = z.union([z.string().max(10_000), z.number(), z.boolean(), z.null()]);

export default defineTask({
  description: "Runs a query from the worker's configuration, read-only, and returns or stores the result as CSV, JSON or HTML.",
  queue: "report",
  payload: z
    .strictObject({
      query: fileName.max(100).optional().describe("The query's name: the file <name>.sql in LEGWORK_REPORTS_FOLDER is run."),
      sql: z
        .string()
        .min(1)
        .max(100_000)
        .optional()
        .describe("The query's text. Allowed only if LEGWORK_REPORT_SQL_FROM_PAYLOAD is true."),
      parameters: z
        .array(scalar)
        .max(100)
        .default([])
        .describe("The values of $1, $2 and so on. They are passed as parameters, never inserted into the query's text."),
      format: z.enum(["csv", "json", "html"]).default("csv"),
      title: z.string().max(200).default("Report").describe("The heading of an HTML report."),
      maxRows: z
        .int()
        .min(1)
        .max(1_000_000)
        .default(10_000)
        .describe("The maximum number of rows in the report. If there are more, truncated is true in the result."),
      timeout: timeLimit("30s")
        .default("1m")
        .describe("The time limit for each statement: for opening the cursor, and for every fetch."),
      into: z
        .strictObject({ folder: folderPath, name: fileName })
        .optional()
        .describe("A file for the report, in one of LEGWORK_ALLOWED_FOLDERS or a subfolder. An existing file is replaced."),
    })
    .refine(({ query, sql }) => (query === undefined) !== (sql === undefined), "expected either query or sql"),
  result: z.strictObject({
    rows: z.int(),
    columns: z.array(z.string()),
    truncated: z.boolean().describe("Whether there were more rows than maxRows."),
    bytes: z.int().describe("The size of the report."),
    content: z.string().optional().describe("The report, unless it is stored in a file; at most 240 KiB."),
  }),
  /**
   * Runs the query alone in a read-only transaction, as LEGWORK_REPORT_ROLE if that is set. Rows are fetched through a cursor, 500
   * at a time, so the query must be a select, values or with statement.
   */
  async run(payload, { job, sql, signal }) {
    const text = payload.sql === undefined ? await configuredQuery(payload.query ?? "") : allowedSql(payload.sql);
    const role = setting("LEGWORK_REPORT_ROLE");
    const { into } = payload;
    await using folder = into === undefined ? undefined : await Folder.open("into.folder", into.folder, { create: true });
    // Written under a temporary name until it is complete.
    const partial = `.partial-${job.id}-${into?.name}`;
    await folder?.removeFile(partial).catch(ignore("ENOENT"));
    const file = await folder?.createFile(partial);
    try {
      const parts: string[] = [];
      let bytes = 0;
      let stored = 0;
      const write = async (part: string): Promise<void> => {
        bytes += Buffer.byteLength(part);
        stored += file === undefined ? jsonBytes(part) : Buffer.byteLength(part);
        const most = file === undefined ? RESULT_TEXT_BYTES : FILE_LIMIT;
        if (stored > most) {
          throw new PayloadError(`The report is larger than ${most} bytes.`, {
            hint: "Set into to store it in a file, or request fewer rows.",
          });
        }
        if (file === undefined) parts.push(part);
        else await file.writeFile(part);
      };
      const found = await sql.transaction(async (_sql, client) => {
        await client.query("set transaction isolation level repeatable read, read only");
        await client.query("select set_config('statement_timeout', $1, true)", [String(millisecondsOf(payload.timeout))]);
        // Protects against mistakes only: SQL from a payload could switch the role back.
        if (role !== undefined) await client.query(`set local role ${escapeIdentifier(role)}`);
        return await query(client, text, payload, REPORT_FORMATS[payload.format], write, signal);
      });
      if (folder !== undefined && into !== undefined) {
        await file?.sync();
        await folder.rename(partial, into.name);
      }
      return { ...found, bytes, ...(file === undefined ? { content: parts.join("") } : {}) };
    } finally {
      await file?.close();
      await folder?.removeFile(partial).catch(ignore("ENOENT"));
    }
  },
});

async function query(
  client: PoolClient,
  text: string,
  { parameters, maxRows, title }: { parameters: unknown[]; maxRows: number; title: string },
  format: ReportFormat,
  write: (part: string) => Promise<void>,
  signal: AbortSignal,
): Promise<{ rows: number; columns: string[]; truncated: boolean }> {
  // The extended protocol accepts one statement only, so nothing can follow a semicolon.
  const declare = { text: `declare report no scroll cursor for ${text}`, values: parameters, queryMode: "extended" };
  try {
    await client.query(declare);
  } catch (error) {
    throw refused(error);
  }
  let columns: string[] = [];
  let rows = 0;
  let truncated = false;
  for (let isFirst = true, isOver = false; !isOver; isFirst = false) {
    signal.throwIfAborted();
    // Fetches one more row than may be returned, to detect whether there are more.
    const room = maxRows - rows;
    const wanted = Math.min(FETCHED, room + 1);
    const fetched = await client
      .query<unknown[]>({ text: `fetch ${wanted} from report`, rowMode: "array" })
      .catch((error: unknown) => {
        throw refused(error);
      });
    if (isFirst) {
      columns = fetched.fields.map(({ name }) => name);
      await write(format.head(columns, title));
    }
    for (const row of fetched.rows.slice(0, room)) {
      await write(format.row(columns, row, rows === 0));
      rows += 1;
    }
    truncated = fetched.rows.length > room;
    isOver = truncated || fetched.rows.length < wanted;
  }
  await write(format.foot({ rows, truncated }));
  return { rows, columns, truncated };
}

async function configuredQuery(name: string): Promise<string> {
  const path = requiredSetting("LEGWORK_REPORTS_FOLDER", "No queries configured");
  await using folder = await Folder.openConfigured("LEGWORK_REPORTS_FOLDER", path);
  const file = await folder.openFile(`${name}.sql`).catch((error: unknown) => {
    if (codeOf(error) === "ENOENT") throw new PayloadError(`query: LEGWORK_REPORTS_FOLDER has no ${name}.sql.`);
    throw error;
  });
  try {
    return await file.readFile("utf8");
  } finally {
    await file.close();
  }
}

function allowedSql(text: string): string {
  if (setting("LEGWORK_REPORT_SQL_FROM_PAYLOAD") === true) return text;
  throw new Discard("SQL in payloads is not allowed: LEGWORK_REPORT_SQL_FROM_PAYLOAD is not true in the worker's environment.");
}

/** Turns errors that are caused by the query itself (syntax, values, privileges, writes) into a Discard, because a retry would not help. */
function refused(error: unknown): unknown {
  const code = codeOf(error) ?? "";
  const isQuerys = ["22", "42", "0A", "25"].includes(code.slice(0, 2));
  return isQuerys
    ? new Discard(`The query failed: ${error instanceof Error ? error.message : String(error)}.`, { cause: error })
    : error;
}
