import { globSync, readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { ALERT_KINDS, JOB_STATES } from "../src/contract/states.ts";
import { diagnose } from "../src/operations.ts";
import { testDatabase } from "./support/database.ts";

const database = testDatabase();
const page = readFileSync("docs/guides/on-call.md", "utf8");

/** What stands between a heading of the second level and the next. */
function section(heading: string): string {
  const [, text = ""] = page.split(`\n## ${heading}\n`);
  return text.split("\n## ")[0] ?? "";
}

/** The codes in a section's headings. */
const entries = (heading: string): string[] =>
  [...section(heading).matchAll(/^### (.+)$/gm)].flatMap(([, line = ""]) =>
    [...line.matchAll(/`(\w+)`/g)].map(([, code = ""]) => code),
  );

/** What functions that give reasons put into the column `reason`: a literal, or the branches of a case. */
function reasonsInSql(): string[] {
  const functions = globSync("sql/definitions/**/*.sql")
    .flatMap((file) => readFileSync(file, "utf8").split("create or replace function "))
    .filter(
      (text) =>
        text.startsWith("legwork.explain_job(") ||
        text.includes("returns table (reason text, detail text, fix text, actions jsonb)"),
    )
    .map((text) => text.replaceAll(/--.*$/gm, ""));
  expect(functions.length).toBeGreaterThan(10);
  return functions.flatMap((text) =>
    [...text.matchAll(/(?:reason := |select\s+)(case\b[\s\S]*?\bend|'\w+')(?:::text)?\s*[;,]/g)].flatMap(([, value = ""]) =>
      value.startsWith("'") ? [value.slice(1, -1)] : [...value.matchAll(/(?:then|else) '(\w+)'/g)].map(([, code = ""]) => code),
    ),
  );
}

it("every reason that explain gives has an entry, and no other", () => {
  const ends = JOB_STATES.slice(JOB_STATES.indexOf("running") + 2);
  expect(entries("Reasons from explain").toSorted()).toEqual([...new Set([...reasonsInSql(), ...ends])].toSorted());
});

it("every kind of alert rule has an entry, and no other", () => {
  expect(entries("Alerts")).toEqual([...ALERT_KINDS]);
});

it("every check of the doctor has a row, and no other", async () => {
  const rows = [...section("Findings of the doctor").matchAll(/^\| `(\w+)`( \*)? \|/gm)];
  const checks = (await diagnose(database.pool, { pool: database.pool })).map(({ check }) => check);
  expect([...new Set(checks)].filter((check) => !rows.some(([, name]) => name === check))).toEqual([]);
  const { rows: inSql } = await database.pool.query<{ check: string }>('select distinct "check" from legwork.doctor()');
  const known = new Set([...checks, ...inSql.map(({ check }) => check), "schema"]);
  expect(rows.map(([, name = ""]) => name).filter((name) => !known.has(name))).toEqual([]);
  // Those that the database does not make are marked.
  expect(rows.filter(([, name = "", mark]) => (mark === undefined) !== inSql.some(({ check }) => check === name))).toEqual([]);
});
