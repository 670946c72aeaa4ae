import { isRawNumber } from "../../api/exact-json.ts";

/** The keys and positions that lead to a value. */
export type Path = readonly (string | number)[];

export function isContainer(value: unknown): value is object {
  return typeof value === "object" && value !== null && !isRawNumber(value);
}

/** The keys and values of an object, or the positions and values of a list. */
export function childrenOf(value: object): [string | number, unknown][] {
  return Array.isArray(value) ? value.map((item, index): [number, unknown] => [index, item]) : Object.entries(value);
}

/** A path in the syntax of the job filter: user.tags.0. Empty for the whole value. */
export function dotted(path: Path): string {
  return path.join(".");
}

/** A path as a key for sets and maps. */
export function keyOf(path: Path): string {
  return JSON.stringify(path);
}

/** A value as JSON, with all its original digits. */
export function textOf(value: unknown, indent?: number): string {
  return JSON.stringify(value, null, indent) ?? "null";
}

/** The job filter for jobs that have the same value at the path; undefined if the filter cannot express this. */
export function filterOf(path: Path, value: unknown): string | undefined {
  if (isContainer(value) || value === null || path.length === 0) return undefined;
  if (path.some((key) => key === "" || /[.:\s"]/.test(String(key)))) return undefined;
  const text = typeof value === "string" ? value : textOf(value);
  return text === "" || text.length > 200 || text.includes('"') ? undefined : `${dotted(path)}:${text}`;
}

/** The maximum number of matches of a search. */
export const MAX_HITS = 500;

/** The paths whose key or value contains a text, ignoring case: at most `MAX_HITS`, in the order of the value. */
export function search(value: unknown, text: string): Path[] {
  const wanted = text.toLowerCase();
  const hits: Path[] = [];
  const walk = (at: unknown, path: Path): void => {
    if (hits.length >= MAX_HITS) return;
    const key = path.at(-1);
    const isKeyHit = typeof key === "string" && key.toLowerCase().includes(wanted);
    if (!isContainer(at)) {
      if (isKeyHit || (typeof at === "string" ? at : textOf(at)).toLowerCase().includes(wanted)) hits.push(path);
      return;
    }
    if (isKeyHit) hits.push(path);
    for (const [child, inner] of childrenOf(at)) walk(inner, [...path, child]);
  };
  if (wanted !== "") walk(value, []);
  return hits;
}

/** A difference between two values. A side that does not have the path is undefined. */
export interface Difference {
  path: Path;
  before: unknown;
  after: unknown;
}

/** The maximum number of differences that are listed. */
export const MAX_DIFFERENCES = 200;

/** The differences between two values, at most `MAX_DIFFERENCES`, in the order of the first value. Lists are compared position by position. */
export function differences(before: unknown, after: unknown): Difference[] {
  const found: Difference[] = [];
  const compare = (one: unknown, other: unknown, path: Path): void => {
    if (found.length >= MAX_DIFFERENCES) return;
    if (!isContainer(one) || !isContainer(other) || Array.isArray(one) !== Array.isArray(other)) {
      if (one === undefined || other === undefined ? one !== other : textOf(one) !== textOf(other))
        found.push({ path, before: one, after: other });
      return;
    }
    const theirs = new Map<string | number, unknown>(childrenOf(other));
    for (const [key, value] of childrenOf(one)) {
      compare(value, theirs.get(key), [...path, key]);
      theirs.delete(key);
    }
    for (const [key, value] of theirs) compare(undefined, value, [...path, key]);
  };
  compare(before, after, []);
  return found;
}
