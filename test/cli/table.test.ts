import { stripVTControlCharacters } from "node:util";
import { expect, it } from "vitest";
import { tableLines } from "../../src/cli/table.ts";
import { withoutSecrets, withoutValues } from "../../src/cli/without-secrets.ts";

const HEAD = ["ID", "TASK", "STATE", "ATTEMPTS", "CREATED", "RUN AT", "TOOK", "RESULT OR ERROR"];
const SPARE = ["RUN AT", "ATTEMPTS", "TOOK", "CREATED"];
const ROWS = [
  [
    "1234567890",
    "notify/email",
    "\u001b[31mfailed\u001b[39m",
    "25/25",
    "12 min ago",
    "",
    "250 ms",
    "Can't send mail:\nall recipients\twere rejected by the server",
  ],
  ["2", "レポート/毎日の集計を作成する", "completed", "1/25", "2 s ago", "", "1.5 s", "👩‍👩‍👧‍👦 done"],
];

/** How wide a text is on a terminal: wide characters take two columns. */
const widthOf = (line: string): number =>
  [...new Intl.Segmenter("en").segment(stripVTControlCharacters(line))].reduce(
    (sum, { segment }) => sum + (/[\p{Script=Han}\u3000-\u30ff\p{Extended_Pictographic}]/u.test(segment) ? 2 : 1),
    0,
  );

it.each([120, 80, 50])("a table fits a terminal of %i columns in one line per row, without trailing blanks", (columns) => {
  const lines = tableLines(HEAD, ROWS, { columns, spare: SPARE });
  expect(lines).toHaveLength(3);
  for (const line of lines) {
    expect(widthOf(line), line).toBeLessThanOrEqual(columns);
    expect(line).not.toMatch(/\s$/);
  }
  // Ids and states are never shortened.
  expect(lines.join("\n")).toMatch(/1234567890 .*failed/);
  expect(lines[2]).toContain("completed");
  // The last column begins at the same place in every row.
  const starts = lines.map((line) =>
    widthOf(line.slice(0, Math.max(line.indexOf("RESULT"), line.indexOf("Can't"), line.indexOf("👩")))),
  );
  expect(new Set(starts).size).toBe(1);
});

it("a table omits the least important columns on a narrow terminal, and shortens nothing in a file", () => {
  expect(tableLines(HEAD, ROWS, { columns: 50, spare: SPARE })[0]).toMatch(/^ID +TASK +STATE +RESULT/);
  const [, first] = tableLines(HEAD, ROWS);
  expect(first).toMatch(/Can't send mail: all recipients were rejected by the server$/);
});

it("a report has no secrets at any depth, and the values of payloads only on request", () => {
  const row = {
    id: "1",
    payload: { to: "ann@example.com", apiKey: "abc" },
    error: "postgres://u:hunter2@db/x refused lw_0123456789abcdefghij",
    nested: [{ deeper: { password: "hunter3" }, at: new Date(0) }],
  };
  const text = withoutSecrets(withoutValues(row));
  expect(text).not.toMatch(/hunter|lw_0|ann@|abc/);
  expect(text).toContain('"to": "string of 15"');
  expect(text).toContain('"at": "1970-01-01T00:00:00.000Z"');
  expect(withoutSecrets(row)).toContain("ann@example.com");
  expect(withoutSecrets(row)).not.toMatch(/hunter|lw_0|"abc"/);
});
