import { globSync, readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { ALERT_KINDS, JOB_STATES } from "../src/contract/states.ts";
import { diagnose } from "../src/operations.ts";
import { testDatabase } from "./support/database.ts";

const database = testDatabase();
const page = readFileSync("docs/guides/on-call.md", "utf8");

/** The text between a second-level heading and the next one. */
function section(heading: string): string {
  const [, text = ""] = page.split(`\n## ${heading}\n`);
  return text.split("\n## ")[0] ?? "";
}

/** The codes in a section's headings. */
const entries = (heading: string): string[] =>
  [...section(heading).matchAll(/^### (.+)$/gm)].flatMap(([, line = ""]) =>
    [...line.matchAll(/`(\w+)`/g)].map(([, code = ""]) => code),
  );

/** The files with the reasons for objects other than jobs. */
const OTHERS = ["schedule", "workflow", "queue", "worker"].map((name) => `sql/definitions/explain/${name}.sql`);

/** The values that functions return in the column `reason`: a literal, or the branches of a case. */
function reasonsInSql(files = globSync("sql/definitions/**/*.sql").filter((file) => !OTHERS.includes(file))): string[] {
  const functions = files
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

it("every reason that explain returns has an entry, and there are no other entries", () => {
  const ends = JOB_STATES.slice(JOB_STATES.indexOf("running") + 2);
  expect(entries("Reasons from explain").toSorted()).toEqual([...new Set([...reasonsInSql(), ...ends])].toSorted());
});

it("every reason in the comments of the other explain functions has an entry or is also a job's reason, and there are no other entries", async () => {
  const { rows } = await database.pool.query<{ comment: string }>(
    `select obj_description(p.oid, 'pg_proc') as comment from pg_proc p where p.pronamespace = 'legwork'::regnamespace
       and p.proname in ('explain_schedule', 'explain_workflow', 'explain_queue', 'explain_worker')`,
  );
  const named = rows.flatMap(({ comment }) =>
    [...comment.matchAll(/\b(?:schedule|workflow|steps?|queue|worker|workers)_(?!id\b)\w+/g)].map(([code]) => code),
  );
  const written = entries("Reasons for schedules, workflows, queues and workers");
  const states = ["running", "compensating", "cancelling", "completed", "failed", "cancelled", "expired"];
  expect(new Set([...named, ...states.map((state) => `workflow_${state}`)].filter((code) => !code.endsWith("_")))).toEqual(
    new Set([
      ...written,
      "queue_paused",
      "workers_busy",
      "schedule_waits",
      "schedule_held_back",
      "worker_silent",
      "worker_blocked",
    ]),
  );
  // The functions contain every reason that has an entry.
  const sql = OTHERS.map((file) => readFileSync(file, "utf8")).join("\n");
  for (const code of written) expect(sql, code).toContain(code.replace(/^(workflow|step)_.*$/, "$1_"));
});

it("every kind of alert rule has an entry, and there are no other entries", () => {
  expect(entries("Alerts")).toEqual([...ALERT_KINDS]);
});

it("every check of the doctor has a row, and there are no other rows", async () => {
  const rows = [...section("Findings of the doctor").matchAll(/^\| `(\w+)`( \*)? \|/gm)];
  const checks = (await diagnose(database.pool, { pool: database.pool })).map(({ check }) => check);
  expect([...new Set(checks)].filter((check) => !rows.some(([, name]) => name === check))).toEqual([]);
  const { rows: inSql } = await database.pool.query<{ check: string }>('select distinct "check" from legwork.doctor()');
  const known = new Set([...checks, ...inSql.map(({ check }) => check), "schema"]);
  expect(rows.map(([, name = ""]) => name).filter((name) => !known.has(name))).toEqual([]);
  // Checks that are not made by the database are marked.
  expect(rows.filter(([, name = "", mark]) => (mark === undefined) !== inSql.some(({ check }) => check === name))).toEqual([]);
});
