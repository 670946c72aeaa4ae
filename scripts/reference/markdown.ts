/** Formats a table cell: on one line, with characters escaped that would end it. */
const cell = (text: string): string =>
  text
    .replaceAll(/\s+/g, " ")
    .replaceAll("|", String.raw`\|`)
    .trim();

export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.map(cell).join(" | ")} |`;
  return [line(head), `|${head.map(() => "---").join("|")}|`, ...rows.map(line)].join("\n");
}

/** Escapes everything that Markdown or HTML would read as markup, except code in backticks. */
export const prose = (text: string): string =>
  text
    .split(/(`[^`]+`)/)
    .map((part) =>
      part.startsWith("`")
        ? part
        : part
            .replaceAll("<", "&lt;")
            .replaceAll("{{", "{ {")
            .replaceAll("*", String.raw`\*`),
    )
    .join("");

/** Formats a text as a sentence: with a capital letter, unless it begins with a name, and a full stop. */
export const sentence = (text: string): string => {
  const trimmed = text.trim();
  if (trimmed === "") return "";
  const begun = trimmed.startsWith("graphile-worker") ? trimmed : trimmed.charAt(0).toUpperCase() + trimmed.slice(1);
  return begun + (/[.!?:]$/.test(trimmed) ? "" : ".");
};

export const code = (text: string): string => `\`${text}\``;

export const fenced = (language: string, text: string): string => `\`\`\`${language}\n${text.trimEnd()}\n\`\`\``;

const begin = (name: string): string => `<!-- generated: ${name} (npm run docs:reference) -->`;
const END = "<!-- end of generated -->";

/** Inserts a generated part into a page, between its two markers. Throws if the page does not have these markers. */
export function withGenerated(page: string, name: string, text: string): string {
  const from = page.indexOf(begin(name));
  const to = page.indexOf(END, from);
  if (from === -1 || to === -1) throw new Error(`The page has no markers for '${name}'. Expected ${begin(name)} … ${END}`);
  return `${page.slice(0, from)}${begin(name)}\n\n${text.trim()}\n\n${page.slice(to)}`;
}
