import { expect, test } from "vitest";
import { lint } from "./support/lint.ts";

/** The linter's findings about imports in a project of these files: `file:line to-layer`. */
async function importProblemsIn(files: Record<string, readonly string[]>): Promise<string[]> {
  return (await lint(files))
    .filter(({ code }) => code === "legwork(layers)" || code === "import(no-cycle)")
    .map(({ code, message, filename, labels }) => {
      const what = code === "import(no-cycle)" ? "cycle" : (/may not import (\S+?)\.? /.exec(message)?.[1] ?? message);
      return `${filename}:${labels[0]?.span.line} ${what}`;
    })
    .toSorted();
}

test("the linter reports imports that violate the layers, also in nested folders, and cycles of types", async () => {
  const problems = await importProblemsIn({
    "src/server/rest/jobs/list.ts": [
      'import { a } from "../../../worker/lease.ts";',
      'import type { B } from "../../../worker/attempt/run.ts";',
      'export { c } from "../../../cli/main.ts";',
      'export type D = import("../../../index.ts").D;',
      'export const e = (): unknown => [a, import("../../../worker/worker.ts")];',
      'import { f } from "../../../db/pool.ts";',
      'import { g } from "../route.ts";',
      'import { h } from "../../auth/authenticate.ts";',
      "export const i = (b: B): unknown[] => [b, f, g, h];",
    ],
    "src/db/pool.ts": ['import { readHealth } from "../health/read-health.ts";', "export const f = readHealth;"],
    "src/dashboard/features/jobs/list.tsx": [
      'import type { JobRow } from "../../../jobs/read-jobs.ts";',
      "export type Row = JobRow;",
    ],
    "src/unheard-of/new.ts": ['import { createLogger } from "../log.ts";', "export const log = createLogger;"],
    "src/jobs/one.ts": ['import type { Two } from "./two.ts";', "export type One = Two;"],
    "src/jobs/two.ts": ['import type { One } from "./one.ts";', "export type Two = One | 2;"],
  });
  expect(problems).toEqual([
    "src/dashboard/features/jobs/list.tsx:1 src/jobs",
    "src/db/pool.ts:1 src/health",
    "src/jobs/one.ts:1 cycle",
    "src/jobs/two.ts:1 cycle",
    "src/server/rest/jobs/list.ts:1 src/worker",
    "src/server/rest/jobs/list.ts:2 src/worker",
    "src/server/rest/jobs/list.ts:3 src/cli",
    "src/server/rest/jobs/list.ts:4 src/index",
    "src/server/rest/jobs/list.ts:5 src/worker",
    "src/unheard-of/new.ts:1 src/unheard-of has no layer yet. Add the layers that it may import to scripts/lint-layers.ts.",
  ]);
});
