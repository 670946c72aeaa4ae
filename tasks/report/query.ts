import { defineTask, Discard, PayloadError } from "legwork";
import { escapeIdentifier, type PoolClient } from "pg";
import { z } from "zod";
import { codeOf, fileName, Folder, folderPath, ignore } from "../@lib/folder.ts";
import { REPORT_FORMATS, type ReportFormat } from "../@lib/report-formats.ts";
import { jsonBytes, RESULT_TEXT_BYTES } from "../@lib/result-text.ts";
import { requiredSetting, setting } from "../@lib/settings.ts";
import { millisecondsOf, timeLimit } from "../@lib/time-limit.ts";

/** Rows that are fetched at once. */
const FETCHED = 500;

/** The largest report that is written to a file (characters). */
const FILE_LIMIT = 1_000_000_000;

const scalar = z.union([z.string().max(10_000), z.number(), z.boolean(), z.null()]);

export default defineTask({
  description: "Runs a query of the worker's configuration, read-only, and makes CSV, JSON or HTML of it.",
  queue: "report",
  payload: z
    .strictObject({
      query: fileName.max(100).optional().describe("The query's name: the file <name>.sql in the folder LEGWORK_REPORTS_FOLDER."),
      sql: z
        .string()
        .min(1)
        .max(100_000)
        .optional()
        .describe("The query itself; only where LEGWORK_REPORT_SQL_FROM_PAYLOAD is true."),
      parameters: z.array(scalar).max(100).default([]).describe("Its $1, $2, …; never part of its text."),
      format: z.enum(["csv", "json", "html"]).default("csv"),
      title: z.string().max(200).default("Report").describe("The heading of the HTML."),
      maxRows: z.int().min(1).max(1_000_000).default(10_000).describe("Rows beyond that are left out, and the result says so."),
      timeout: timeLimit("30s").default("1m").describe("How long Postgres may take for each part of it."),
      into: z
        .strictObject({ folder: folderPath, name: fileName })
        .optional()
        .describe("A file for the report, in place of one that is there; in one of LEGWORK_ALLOWED_FOLDERS or below."),
    })
    .refine(({ query, sql }) => (query === undefined) !== (sql === undefined), "expected either query or sql"),
  result: z.strictObject({
    rows: z.int(),
    columns: z.array(z.string()),
    truncated: z.boolean().describe("Whether there were more rows than maxRows."),
    bytes: z.int().describe("Of the report."),
    content: z.string().optional().describe("The report, when it does not go into a file; 240 KiB at most."),
  }),
  /**
   * The query is the only thing in a read-only transaction, as the role LEGWORK_REPORT_ROLE when that is set. It is fetched through a
   * cursor, 500 rows at a time, so it has to be a select, values or with.
   */
  async run(payload, { job, sql, signal }) {
    const text = payload.sql === undefined ? await configuredQuery(payload.query ?? "") : allowedSql(payload.sql);
    const role = setting("LEGWORK_REPORT_ROLE");
    const { into } = payload;
    await using folder = into === undefined ? undefined : await Folder.open("into.folder", into.folder, { create: true });
    // Under a name of its own until it is whole.
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
            hint: "Say with into which file it is for, or ask for fewer rows.",
          });
        }
        if (file === undefined) parts.push(part);
        else await file.writeFile(part);
      };
      const found = await sql.transaction(async (_sql, client) => {
        await client.query("set transaction isolation level repeatable read, read only");
        await client.query("select set_config('statement_timeout', $1, true)", [String(millisecondsOf(payload.timeout))]);
        // A role that the query could leave again is no protection against SQL from payloads; it is one against mistakes.
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
  // By the extended protocol, which takes one statement and no second one behind a semicolon.
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
    // One more than may be told, to know whether there is one.
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
  const path = requiredSetting("LEGWORK_REPORTS_FOLDER", "No queries are configured");
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
  throw new Discard("SQL in payloads is not allowed: LEGWORK_REPORT_SQL_FROM_PAYLOAD is not true where the worker runs.");
}

/** What is wrong with the query itself is no reason to try again: its text, its rights, its writing, its time. */
function refused(error: unknown): unknown {
  const code = codeOf(error) ?? "";
  const isQuerys = ["22", "42", "0A", "25"].includes(code.slice(0, 2));
  return isQuerys
    ? new Discard(`The query fails: ${error instanceof Error ? error.message : String(error)}.`, { cause: error })
    : error;
}
