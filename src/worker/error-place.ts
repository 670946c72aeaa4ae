import { readFileSync } from "node:fs";
import { relative } from "node:path";
import { fileURLToPath } from "node:url";
import { toError } from "../errors.ts";
import { withoutTypes } from "./module-hooks.ts";

/** Legwork's own files: in a checkout, they are not in node_modules. */
const OWN_FILES = ["../", "../../bin/"].map((path) => fileURLToPath(new URL(path, import.meta.url)));

/** A place in a source file, with the lines that Node prints for it. */
export interface Excerpt {
  readonly place: string;
  readonly line: string;
  readonly lines: readonly string[];
}

/**
 * The place of a syntax error, with the source lines that Node prints before some of them. Node reports neither the file nor the line for a JavaScript
 * module, so `files`, those that were read in order, are searched for it.
 */
export function excerptOf(error: Error, files: readonly string[]): Excerpt | undefined {
  return excerptIn(error.stack ?? "") ?? (error.name === "SyntaxError" ? findSyntaxError(files) : undefined);
}

/** Where loading a user's module failed, such as `tasks/hello.ts:7:11`, relative to the directory; undefined if the error does not tell. */
export function placeOf(error: Error, directory: string, files: readonly string[]): string | undefined {
  const excerpt = excerptOf(error, files);
  return excerpt === undefined ? frameOf(error.stack ?? "", directory) : `${shortPath(excerpt.place, directory)}:${excerpt.line}`;
}

function excerptIn(stack: string): Excerpt | undefined {
  const end = stack.search(/^\s+at /m);
  const head = end < 0 ? stack : stack.slice(0, end);
  const [, place, line = "", excerpt = ""] = /^((?:file:\/\/)?\/[^\n]+?):(\d+)\n([\s\S]+?)\n\s*\n?\w*Error\b/.exec(head) ?? [];
  return place === undefined ? undefined : { place, line, lines: excerpt.split("\n") };
}

function findSyntaxError(files: readonly string[]): Excerpt | undefined {
  for (const path of files.toReversed().filter((file) => /\.[cm]?js$/.test(file))) {
    try {
      withoutTypes(readFileSync(path, "utf8"), path);
    } catch (error) {
      const excerpt = excerptIn(toError(error).stack ?? "");
      if (excerpt !== undefined) return excerpt;
    }
  }
  return undefined;
}

/** The location in the user's code that threw an error, such as `tasks/hello.ts:7:11`; undefined if the stack trace has none. */
export function frameOf(stack: string, directory: string): string | undefined {
  for (const [, place = "", position] of stack.matchAll(/^\s+at .*?(?<=[ (])((?:file:\/\/)?\/[^():]+):(\d+:\d+)\)?$/gm)) {
    if (!place.includes("/node_modules/") && !isOwn(pathOf(place))) return `${shortPath(place, directory)}:${position}`;
  }
  return undefined;
}

function isOwn(path: string): boolean {
  return OWN_FILES.some((own) => path.startsWith(own));
}

function shortPath(place: string, directory: string): string {
  const path = pathOf(place);
  const short = relative(directory, path);
  return short.startsWith("..") ? path : short;
}

function pathOf(place: string): string {
  return place.startsWith("file:") ? fileURLToPath(place) : place;
}
