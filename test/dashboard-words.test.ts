import { execFile } from "node:child_process";
import { copyFile, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { afterAll, expect, test } from "vitest";

const PROJECT = resolve(import.meta.dirname, "..");
const folder = await mkdtemp(join(tmpdir(), "legwork-words-"));
afterAll(() => rm(folder, { recursive: true }));

/** The lines of each file in which the linter, with this project's configuration, reports texts outside of words.ts. */
async function lint(files: Record<string, readonly string[]>): Promise<Record<string, number[]>> {
  await mkdir(join(folder, "scripts"));
  for (const file of [".oxlintrc.json", "scripts/lint-layers.ts", "scripts/lint-dashboard-words.ts"]) {
    await copyFile(join(PROJECT, file), join(folder, file));
  }
  for (const [file, lines] of Object.entries(files)) {
    await mkdir(dirname(join(folder, file)), { recursive: true });
    await writeFile(join(folder, file), lines.map((line) => `${line}\n`).join(""));
  }
  const oxlint = join(PROJECT, "node_modules/oxlint/bin/oxlint");
  const output = await new Promise<string>((resolve) => {
    execFile(process.execPath, [oxlint, "--format=json"], { cwd: folder, timeout: 20_000 }, (_error, stdout) => resolve(stdout));
  });
  const { diagnostics }: { diagnostics: { code: string; filename: string; labels: { span: { line: number } }[] }[] } =
    JSON.parse(output);
  const lines: Record<string, number[]> = {};
  for (const { code, filename, labels } of diagnostics) {
    if (code === "legwork-dashboard(words)") (lines[filename] ??= []).push(labels[0]?.span.line ?? 0);
  }
  return Object.fromEntries(Object.entries(lines).map(([file, found]) => [file, found.toSorted((one, other) => one - other)]));
}

test("texts for users are reported outside of words.ts: in JSX, attributes, messages and tables of labels", async () => {
  const wrong = [
    "export const one = (n: number) => <p>Jobs</p>;",
    'export const two = (n: number) => <p title="Running jobs">{n}</p>;',
    "export const three = (n: number) => <p aria-label={`Job ${n}`}>{n}</p>;",
    'export const four = (n: number) => <p>{n === 1 ? "job" : "jobs"}</p>;',
    "export const five = (n: number) => <p>{n > 0 && `${n} more`}</p>;",
    "declare function tell(text: string): void;",
    'export const six = () => tell("Done.");',
    'export const seven = () => new Error("failed");',
    'export const eight = { open: "Open", other: "waiting for a worker" };',
    "export const nine = (id: string) => ({ done: () => `job ${id} retried` });",
    'export const ten = "All systems normal";',
  ];
  const right = [
    'import { words } from "./words.ts";',
    "export const one = (n: number) => <p>{words.jobs}: {n}% · –</p>;",
    'export const two = () => <p className="card card-body job progress">{words.jobs}</p>;',
    "export const three = () => <code>legwork worker</code>;",
    'export const four = (state: string) => (state === "running" ? words.jobs : "–");',
    'export const five = { queryKey: ["job explain"], method: "GET", kind: "danger" };',
  ];
  const problems = await lint({
    "src/dashboard/features/jobs/wrong.tsx": wrong,
    "src/dashboard/features/jobs/right.tsx": right,
    "src/dashboard/features/jobs/words.ts": ['export const words = { jobs: "Jobs of this queue" } as const;'],
    "src/server/app.ts": ['export const title = "Jobs of this queue";'],
  });
  expect(problems).toEqual({ "src/dashboard/features/jobs/wrong.tsx": [1, 2, 3, 4, 4, 5, 7, 8, 9, 9, 10, 11] });
});
