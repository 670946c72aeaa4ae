import { globSync, readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { createProgram } from "../src/cli/main.ts";

/** The rows of the tables that have a column for each interface, as lists of cells. */
const rows = readFileSync("docs/guides/glossary.md", "utf8")
  .split("\n")
  .filter((line) => line.startsWith("| **"))
  .map((line) => line.slice(2, -2).split(" | "))
  .filter((cells) => cells.length === 6);

/** The names in backquotes. */
const quoted = (text: string | undefined): string[] => [...(text ?? "").matchAll(/`([^`]+)`/g)].map(([, name = ""]) => name);

it("every word has a meaning, and a name or a dash for each interface", () => {
  expect(rows.length).toBeGreaterThan(50);
  for (const cells of rows) for (const cell of cells) expect(cell.trim(), cells[0]).not.toBe("");
});

it("the SQL names in the glossary exist", () => {
  const sql = globSync("sql/{definitions,migrations}/**/*.sql")
    .map((file) => readFileSync(file, "utf8"))
    .join("\n");
  const named = rows.flatMap(([, , cell]) => quoted(cell)).filter((name) => name.startsWith("legwork"));
  expect(named.filter((name) => !new RegExp(String.raw`\b${name.replace(".", String.raw`\.`)}\b`).test(sql))).toEqual([]);
});

it("the commands in the glossary exist", async () => {
  const commands = new Set((await createProgram()).commands.map((command) => command.name()));
  const named = rows
    .flatMap(([, , , , cell]) => quoted(cell))
    .map((text) => text.split(" ")[0] ?? "")
    .filter((name) => /^[a-z]+$/.test(name));
  expect(named.filter((name) => !commands.has(name))).toEqual([]);
});

it("the REST paths in the glossary exist", () => {
  const routes = globSync("src/server/rest/**/*.ts")
    .map((file) => readFileSync(file, "utf8"))
    .join("\n");
  const named = rows
    .flatMap(([, , , , , cell]) => quoted(cell))
    .map((text) => text.replace(/^[A-Z]+ /, ""))
    .filter((name) => name.startsWith("/"));
  // The routes of queues and tasks are defined together, with a placeholder in the path.
  expect(named.filter((name) => !routes.includes(name) && !routes.includes(name.replace(/^\/queues\//, `/\${path}/`)))).toEqual(
    [],
  );
});
