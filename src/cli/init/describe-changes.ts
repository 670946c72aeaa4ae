import { color } from "../output.ts";
import { visible } from "../visible.ts";
import type { Change } from "./plan-changes.ts";

/** How many unchanged lines are shown around a change. */
const CONTEXT_LINES = 2;

/** A change as the lines of a diff: all lines of a new file, or the changed part of an existing one. */
export function describeChange({ path, before, after }: Change): string[] {
  if (before === undefined) return [color("bold", `create ${path}`), ...linesOf(after).map(added)];
  const [old, next] = [linesOf(before), linesOf(after)];
  let start = 0;
  while (start < old.length && old[start] === next[start]) start++;
  let same = 0;
  while (same < old.length - start && same < next.length - start && old.at(-1 - same) === next.at(-1 - same)) same++;
  return [
    color("bold", `change ${path}`),
    ...old.slice(Math.max(0, start - CONTEXT_LINES), start).map(unchanged),
    ...old.slice(start, old.length - same).map((line) => color("red", `  - ${visible(line)}`)),
    ...next.slice(start, next.length - same).map(added),
    ...old.slice(old.length - same, old.length - same + CONTEXT_LINES).map(unchanged),
  ];
}

function linesOf(text: string): string[] {
  return text.replace(/\r?\n$/, "").split(/\r?\n/);
}

const added = (line: string): string => color("green", `  + ${visible(line)}`);
const unchanged = (line: string): string => `    ${visible(line)}`;
