import { readFile } from "node:fs/promises";
import { type Comment, parseSync } from "oxc-parser";
import { fenced, prose } from "./markdown.ts";

export interface Module {
  readonly source: string;
  readonly program: ReturnType<typeof parseSync>["program"];
  readonly comments: readonly Comment[];
}

/** Parses a source file, given its path below src/. */
export async function moduleOf(path: string): Promise<Module> {
  const source = await readFile(new URL(`../../src/${path}`, import.meta.url), "utf8");
  const { program, comments } = parseSync(path, source);
  return { source, program, comments };
}

export interface Docstring {
  readonly text: string;
  readonly example: string;
}

/** Returns the docstring directly before a declaration, or undefined. */
export function docstringBefore({ source, comments }: Module, start: number): Docstring | undefined {
  const comment = comments.findLast(({ end }) => end <= start);
  if (comment?.type !== "Block" || !comment.value.startsWith("*") || source.slice(comment.end, start).trim() !== "")
    return undefined;
  const lines = comment.value.slice(1).replaceAll(/^ *\* ?/gm, "");
  const [text = "", example = ""] = lines.split(/^@example\n/m);
  return { text: text.trim(), example: example.trim() };
}

/** Converts a docstring to Markdown: paragraphs, and the example as a code block. */
export function markdownOf({ text, example }: Docstring, language = "ts"): string {
  const paragraphs = text.split(/\n{2,}/).map((paragraph) => prose(paragraph.replaceAll(/\s*\n\s*/g, " ")));
  return [...paragraphs, ...(example === "" ? [] : [fenced(language, example)])].join("\n\n");
}

/** Returns a signature without its indentation in the source. */
export const signature = (text: string): string =>
  text
    .trim()
    .replace(/^readonly /, "")
    .replaceAll(/\n {2}/g, "\n");
