import { expect, test } from "vitest";
import { lint } from "./support/lint.ts";

/** The lines of each file in which the linter reports texts outside words.ts. */
async function textsIn(files: Record<string, readonly string[]>): Promise<Record<string, number[]>> {
  const lines: Record<string, number[]> = {};
  for (const { code, filename, labels } of await lint(files)) {
    if (code === "legwork-dashboard(words)") (lines[filename] ??= []).push(labels[0]?.span.line ?? 0);
  }
  return Object.fromEntries(Object.entries(lines).map(([file, found]) => [file, found.toSorted((one, other) => one - other)]));
}

test("texts for users are reported outside words.ts: in JSX, attributes, messages and tables of labels", async () => {
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
  const problems = await textsIn({
    "src/dashboard/features/jobs/wrong.tsx": wrong,
    "src/dashboard/features/jobs/right.tsx": right,
    "src/dashboard/features/jobs/words.ts": ['export const words = { jobs: "Jobs of this queue" } as const;'],
    "src/server/app.ts": ['export const title = "Jobs of this queue";'],
  });
  expect(problems).toEqual({ "src/dashboard/features/jobs/wrong.tsx": [1, 2, 3, 4, 4, 5, 7, 8, 9, 9, 10, 11] });
});
