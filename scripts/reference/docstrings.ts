import { readFile } from "node:fs/promises";
import { type Comment, parseSync } from "oxc-parser";
import { fenced, prose } from "./markdown.ts";

export interface Module {
  readonly source: string;
  readonly program: ReturnType<typeof parseSync>["program"];
  readonly comments: readonly Comment[];
}

/** A source file, by its path below src/. */
export async function moduleOf(path: string): Promise<Module> {
  const source = await readFile(new URL(`../../src/${path}`, import.meta.url), "utf8");
  const { program, comments } = parseSync(path, source);
  return { source, program, comments };
}

export interface Docstring {
  readonly text: string;
  readonly example: string;
}

/** The docstring that ends right before a declaration; undefined without one. */
export function docstringBefore({ source, comments }: Module, start: number): Docstring | undefined {
  const comment = comments.findLast(({ end }) => end <= start);
  if (comment?.type !== "Block" || !comment.value.startsWith("*") || source.slice(comment.end, start).trim() !== "")
    return undefined;
  const lines = comment.value.slice(1).replaceAll(/^ *\* ?/gm, "");
  const [text = "", example = ""] = lines.split(/^@example\n/m);
  return { text: text.trim(), example: example.trim() };
}

/** A docstring as Markdown: paragraphs, and its example as a block. */
export function markdownOf({ text, example }: Docstring, language = "ts"): string {
  const paragraphs = text.split(/\n{2,}/).map((paragraph) => prose(paragraph.replaceAll(/\s*\n\s*/g, " ")));
  return [...paragraphs, ...(example === "" ? [] : [fenced(language, example)])].join("\n\n");
}

/** A signature on its own: without the indentation of where it stands. */
export const signature = (text: string): string =>
  text
    .trim()
    .replace(/^readonly /, "")
    .replaceAll(/\n {2}/g, "\n");
