import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeEach, describe, expect, it } from "vitest";
import { testDatabase } from "../support/database.ts";
import { configure, type EndedJob, oneWorker, runJob } from "../support/job.ts";
import { directoryOf } from "../support/worker.ts";

const database = testDatabase();
oneWorker(database);

beforeEach(() => configure({ LEGWORK_REPORT_SQL_FROM_PAYLOAD: "true" }));

async function report(payload: Record<string, unknown>): Promise<EndedJob> {
  return await runJob(database, "report/query", payload);
}

const DIFFICULT = `select * from (values
  (1, 'plain', null::text), (2, 'a,"b"' || chr(13) || chr(10) || 'c', '<b>&</b>'), (3, '=1+1', '-2.5'), (4, '@x', '''')) v (id, text, "a <b>")`;

describe("report/query", () => {
  it("writes CSV without formulas that a spreadsheet would run", async () => {
    const job = await report({ sql: DIFFICULT });
    expect(job).toMatchObject({ state: "completed", result: { rows: 4, columns: ["id", "text", "a <b>"], truncated: false } });
    expect(job.result.content).toBe('id,text,a <b>\r\n1,plain,\r\n2,"a,""b""\r\nc",<b>&</b>\r\n3,\'=1+1,-2.5\r\n4,\'@x,\'\r\n');
  });

  it("writes JSON that parses, and HTML without scripts", async () => {
    const json = await report({ sql: DIFFICULT, format: "json" });
    expect(JSON.parse(json.result.content)[1]).toEqual({ id: 2, text: 'a,"b"\r\nc', "a <b>": "<b>&</b>" });
    expect(JSON.parse((await report({ sql: "select 1 as n where false", format: "json" })).result.content)).toEqual([]);
    const { content } = (await report({ sql: DIFFICULT, format: "html", title: "<script>" })).result;
    expect(content).toContain("<h1>&lt;script&gt;</h1>");
    expect(content).toContain("<th>a &lt;b&gt;</th>");
    expect(content).toContain("<td>&lt;b&gt;&amp;&lt;/b&gt;</td>");
    expect(content).not.toContain("<script>");
  });

  it("writes times, JSON, bytes and large numbers unchanged", async () => {
    const sql = `select '2026-01-02 03:04:05+00'::timestamptz as at, '{"a": [1]}'::jsonb as doc, '\\xff'::bytea as bytes, 9007199254740993 as large, true as yes, null as none`;
    expect((await report({ sql })).result.content).toBe(
      'at,doc,bytes,large,yes,none\r\n2026-01-02T03:04:05.000Z,"{""a"":[1]}",\\xff,9007199254740993,true,\r\n',
    );
  });

  it.each([499, 500, 501, 1_000])("returns at most %i rows, and says whether there are more", async (maxRows) => {
    const sql = "select n from generate_series(1, $1::int) n";
    const more = await report({ sql, parameters: [maxRows + 1], maxRows });
    expect(more.result).toMatchObject({ rows: maxRows, truncated: true });
    const all = await report({ sql, parameters: [maxRows], maxRows });
    expect(all.result).toMatchObject({ rows: maxRows, truncated: false });
  });

  it.each([
    ["writes", "with w as (insert into kept values (1) returning 1) select * from w"],
    ["has a second statement", "select 1; commit; delete from kept"],
    ["is not a query", "delete from kept"],
    ["ends the transaction", "commit"],
    ["calls a function that writes", "select emptied()"],
    ["fails", "select 1 / 0"],
  ])("prevents a query that %s from changing anything, and does not retry it", async (_what, sql) => {
    await database.pool.query(`
      create table if not exists kept (n int); truncate kept; insert into kept values (7);
      create or replace function emptied() returns int language plpgsql as $$ begin delete from kept; return 1; end $$`);
    const job = await runJob(database, "report/query", { sql }, { maxAttempts: 3 });
    expect(job).toMatchObject({ state: "failed", attempts: 1 });
    expect((await database.pool.query("table kept")).rows).toEqual([{ n: 7 }]);
  });

  it("runs configured queries with parameters, and SQL from a payload only if that is allowed", async () => {
    const folder = await directoryOf({ "usage daily.sql": "select $1::text as said;", "secret.txt": "x" });
    configure({ LEGWORK_REPORT_SQL_FROM_PAYLOAD: undefined, LEGWORK_REPORTS_FOLDER: folder });
    const job = await report({ query: "usage daily", parameters: ["'; drop table x; --"] });
    expect(job.result.content).toBe("said\r\n'; drop table x; --\r\n");
    expect((await report({ query: "other" })).error).toBe("query: LEGWORK_REPORTS_FOLDER has no other.sql.");
    expect((await report({ query: "../secret" })).error).toContain("query: expected a name");
    expect((await report({ sql: "select 1" })).error).toContain("SQL in payloads is not allowed");
    configure({ LEGWORK_REPORTS_FOLDER: undefined });
    expect((await report({ query: "usage" })).error).toContain("No queries configured: LEGWORK_REPORTS_FOLDER is not set");
  });

  it("runs as the configured role", async () => {
    const role = `"report ${database.url.slice(-12)}"`;
    await database.pool.query(`create role ${role}; create table hidden as select 1 as n`);
    try {
      configure({ LEGWORK_REPORT_ROLE: role.slice(1, -1) });
      expect((await report({ sql: "select * from hidden" })).error).toContain("permission denied for table hidden");
      await database.pool.query(`grant select on hidden to ${role}`);
      expect((await report({ sql: "select * from hidden" })).result.rows).toBe(1);
    } finally {
      await database.pool.query(`drop owned by ${role}; drop role ${role}`);
    }
  });

  it("stops a query that takes too long, and rejects a report that is too large for a result", async () => {
    expect((await report({ sql: "select pg_sleep(30)", timeout: "100ms" })).error).toContain("statement timeout");
    expect((await report({ sql: "select repeat('x', 1000) from generate_series(1, 1000)" })).error).toContain(
      "larger than 245760 bytes",
    );
  });

  it("writes large reports to a file, either completely or not at all", async () => {
    const folder = await directoryOf({});
    configure({ LEGWORK_ALLOWED_FOLDERS: folder });
    const into = { folder, name: "usage.csv" };
    const job = await report({ sql: "select n, repeat('x', 1000) as x from generate_series(1, 5000) n", into });
    expect(job.result).toMatchObject({ rows: 5_000, truncated: false });
    expect(job.result.content).toBeUndefined();
    expect((await readFile(join(folder, "usage.csv"), "utf8")).length).toBe(job.result.bytes);
    await report({ sql: "select 1 / (n - 800) as x from generate_series(1, 1000) n", into });
    expect(await readdir(folder)).toEqual(["usage.csv"]);
    expect((await readFile(join(folder, "usage.csv"), "utf8")).length).toBe(job.result.bytes);
    expect((await report({ sql: "select 1", into: { folder: "/tmp", name: "x" } })).error).toContain("LEGWORK_ALLOWED_FOLDERS");
  });
});
