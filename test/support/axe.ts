import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import type { AxeResults, RunOptions } from "axe-core";
import type { Page } from "playwright-core";
import { expect } from "vitest";

const source = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

/** The standard for every page: WCAG 2.2, levels A and AA. In addition, each landmark must have a unique name. */
const OPTIONS: RunOptions = {
  runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"],
  rules: { "landmark-unique": { enabled: true } },
  resultTypes: ["violations"],
};

/** The rules that depend on colors. */
const COLOR_OPTIONS: RunOptions = {
  runOnly: { type: "rule", values: ["color-contrast", "link-in-text-block"] },
  resultTypes: ["violations"],
};

/**
 * Expects that axe finds no violations on a page in its current state. With `colors`, only colors are checked, which is enough for a page that has
 * only changed its theme since a full check. The source is evaluated and not added as a script, because the page's policy allows no other scripts.
 */
export async function expectAccessible(page: Page, what: "all" | "colors" = "all"): Promise<void> {
  if (!(await page.evaluate(() => "axe" in globalThis))) await page.evaluate(source);
  const { violations } = await page.evaluate(
    async (options) =>
      await (globalThis as unknown as { axe: { run(options: RunOptions): Promise<AxeResults> } }).axe.run(options),
    what === "all" ? OPTIONS : COLOR_OPTIONS,
  );
  expect(
    violations.flatMap(({ id, nodes }) =>
      nodes.map(({ target, failureSummary }) => `${id}: ${target.join(" ")}: ${failureSummary}`),
    ),
  ).toEqual([]);
}
