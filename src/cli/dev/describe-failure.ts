import { readFileSync } from "node:fs";
import { relative, sep } from "node:path";
import { fileURLToPath } from "node:url";
import { type LegworkError, toError } from "../../errors.ts";
import { withoutTypes } from "../../worker/module-hooks.ts";
import { visible } from "../visible.ts";

/**
 * Describes why tasks cannot be loaded: the location in the user's code, the excerpt that Node prints, and a hint. Paths are relative to the
 * directory, so that a terminal can open them. `files` are the files that were read, in order.
 */
export function describeFailure(error: LegworkError, directory: string, files: readonly string[]): string[] {
  const cause = innermost(error);
  const stack = cause.stack ?? "";
  const excerpt = excerptIn(stack) ?? (cause.name === "SyntaxError" ? findSyntaxError(files) : undefined);
  const where = excerpt === undefined ? frameOf(stack, directory) : `${shortPath(excerpt.place, directory)}:${excerpt.line}`;
  // Without a location, use the outer error's message, which names the file.
  const { message } = where === undefined ? error : cause;
  return [
    `${where === undefined ? "" : `${where}  `}${message.replaceAll(`${directory}${sep}`, "")}`,
    ...(excerpt?.lines ?? []).map((text) => `    ${text}`),
    ...(error.hint === undefined ? [] : [`hint: ${error.hint}`]),
  ].map(visible);
}

interface Excerpt {
  readonly place: string;
  readonly line: string;
  readonly lines: readonly string[];
}

/** The location and the source lines that Node prints before some syntax errors. */
function excerptIn(stack: string): Excerpt | undefined {
  const end = stack.search(/^\s+at /m);
  const head = end < 0 ? stack : stack.slice(0, end);
  const [, place, line = "", excerpt = ""] = /^((?:file:\/\/)?\/[^\n]+?):(\d+)\n([\s\S]+?)\n\s*\n?\w*Error\b/.exec(head) ?? [];
  return place === undefined ? undefined : { place, line, lines: excerpt.split("\n") };
}

/** Finds a syntax error in a JavaScript module, for which Node reports neither the file nor the line. */
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
  for (const [, place = "", position] of stack.matchAll(/^\s+at .*?((?:file:\/\/)?\/[^():]+):(\d+:\d+)\)?$/gm)) {
    const path = shortPath(place, directory);
    if (!path.startsWith("..") && !path.includes("node_modules") && !path.startsWith(sep)) return `${path}:${position}`;
  }
  return undefined;
}

function shortPath(place: string, directory: string): string {
  const path = place.startsWith("file:") ? fileURLToPath(place) : place;
  const short = relative(directory, path);
  return short.startsWith("..") ? path : short;
}

function innermost(error: Error): Error {
  return error.cause === undefined ? error : innermost(toError(error.cause));
}
