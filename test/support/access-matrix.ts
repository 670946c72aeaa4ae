import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect } from "vitest";

const FILE = fileURLToPath(new URL("../../docs/reference/access-matrix.md", import.meta.url));

/** Compares a table with its section in docs/reference/access-matrix.md. With UPDATE_DOCS set, writes the table there. */
export function expectDocumented(section: string, columns: readonly string[], rows: readonly (readonly string[])[]): void {
  const text = readFileSync(FILE, "utf8");
  const begin = `<!-- ${section} -->\n`;
  const from = text.indexOf(begin) + begin.length;
  const to = text.indexOf(`<!-- end of ${section} -->`);
  const lines = [columns, columns.map(() => "---"), ...rows].map((cells) => `| ${cells.join(" | ")} |`);
  const generated = `\n${lines.join("\n")}\n\n`;
  if (process.env.UPDATE_DOCS === undefined) {
    expect(text.slice(from, to), "docs/reference/access-matrix.md is out of date; UPDATE_DOCS=1 updates it").toBe(generated);
  } else {
    writeFileSync(FILE, text.slice(0, from) + generated + text.slice(to));
  }
}
