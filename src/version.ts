import { readFileSync } from "node:fs";

/** The version of this package, such as `0.1.0`. */
export const VERSION: string = readVersion();

/**
 * The oldest version of Legwork whose workers, servers and commands may use the schema of this version. Raised with every change that breaks them.
 */
export const MINIMUM_VERSION = "0.1.0";

function readVersion(): string {
  for (const path of ["../package.json", "../../package.json"]) {
    try {
      return JSON.parse(readFileSync(new URL(path, import.meta.url), "utf8")).version;
    } catch {
      // Compiled code is one directory deeper.
    }
  }
  return "0.0.0";
}

/** Compares versions: negative if `a` is older, positive if it is newer. A pre-release (`1.0.0-rc.1`) is older than its release. */
export function compareVersions(a: string, b: string): number {
  const [left, right] = [parse(a), parse(b)];
  for (let index = 0; index < 3; index += 1) {
    const difference = (left.numbers[index] ?? 0) - (right.numbers[index] ?? 0);
    if (difference !== 0) return difference;
  }
  if (left.pre === right.pre) return 0;
  if (left.pre === "") return 1;
  if (right.pre === "") return -1;
  return left.pre.localeCompare(right.pre, "en", { numeric: true });
}

/**
 * Whether a command of one version and a server of another are compatible: they have the same major version; before 1.0, minor versions that differ
 * by at most one.
 */
export function understandEachOther(one: string, other: string): boolean {
  const [[major, minor = 0], [otherMajor, otherMinor = 0]] = [parse(one).numbers, parse(other).numbers];
  return major === otherMajor && (major !== 0 || Math.abs(minor - otherMinor) <= 1);
}

function parse(version: string): { numbers: number[]; pre: string } {
  const [release = "", ...pre] = (version.split("+")[0] ?? "").split("-");
  return { numbers: release.split(".").map(Number), pre: pre.join("-") };
}
