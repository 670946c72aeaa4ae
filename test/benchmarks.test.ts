import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";
import { benchmarkFiles } from "../bench/write-benchmarks.ts";

it("the documented figures are those of bench/results.json", () => {
  const files = [...benchmarkFiles()];
  expect(files.map(([file]) => file)).toContain("README.md");
  for (const [file, text] of files)
    expect(readFileSync(fileURLToPath(new URL(`../${file}`, import.meta.url)), "utf8"), file).toBe(text);
});
