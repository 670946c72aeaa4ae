import { isRawNumber, parseExactly } from "../../json.ts";

/** The marker that replaces secret values, as `legwork.redact` writes it. */
const CENSOR = "[redacted]";

/** Values shorter than this (characters) are not redacted in text, because they occur there by chance. */
const SHORTEST_SECRET = 4;

/**
 * Redacts a task's output in the worker: the values at the task's `redact` paths, and every occurrence of the payload's values at these paths in any
 * text. The database does the same when it writes the history (sql/definitions/redaction/redaction.sql); this class covers data that the database
 * does not redact: log lines, progress, and truncated results.
 */
export class Redaction {
  readonly #paths: readonly (readonly string[])[];
  readonly #secrets = new Set<string>();
  #pattern: RegExp | undefined;

  constructor(paths: readonly string[], payload: unknown) {
    this.#paths = paths.map((path) => path.split("."));
    this.learn(payload);
  }

  /** Adds the secrets in another form of the payload, such as the output of its schema. */
  learn(payload: unknown): void {
    for (const path of this.#paths) collect(payload, path, this.#secrets);
    // The longest secrets come first, because one may be part of another. Each is also redacted in its JSON and URL encodings.
    const forms = [...this.#secrets].flatMap((secret) => [
      secret,
      JSON.stringify(secret).slice(1, -1),
      encodeURIComponent(secret.toWellFormed()),
    ]);
    const longestFirst = [...new Set(forms)].toSorted((a, b) => b.length - a.length);
    this.#pattern = longestFirst.length === 0 ? undefined : new RegExp(longestFirst.map(escapePattern).join("|"), "g");
  }

  text(text: string): string {
    return this.#pattern === undefined ? text : text.replace(this.#pattern, CENSOR);
  }

  /** Redacts a JSON value: the values at the paths, and secrets in its strings. */
  value(value: unknown): unknown {
    return this.#clean(redactPaths(value, this.#paths));
  }

  json(json: string): string {
    return JSON.stringify(this.value(parseExactly(json)));
  }

  #clean(value: unknown): unknown {
    if (typeof value === "string") return this.text(value);
    if (typeof value === "number") return this.#secrets.has(String(value)) ? CENSOR : value;
    if (isRawNumber(value))
      return this.#secrets.has(value.rawJSON) || this.#secrets.has(String(Number(value.rawJSON))) ? CENSOR : value;
    if (value === null || typeof value !== "object") return value;
    if (Array.isArray(value)) return value.map((entry) => this.#clean(entry));
    return Object.fromEntries(Object.entries(value).map(([key, entry]) => [this.text(key), this.#clean(entry)]));
  }
}

/** Returns a copy with the values at the paths replaced, or the value itself if it has none of the paths. */
function redactPaths(value: unknown, paths: readonly (readonly string[])[]): unknown {
  let redacted = value;
  for (const path of paths) redacted = redactAt(redacted, path);
  return redacted;
}

function redactAt(value: unknown, path: readonly string[]): unknown {
  const [key, ...rest] = path;
  if (key === undefined) return CENSOR;
  if (value === null || typeof value !== "object" || isRawNumber(value)) return value;
  if (Array.isArray(value)) {
    return value.map((entry, index) => (key === "*" || key === String(index) ? redactAt(entry, rest) : entry));
  }
  if (key !== "*" && !Object.hasOwn(value, key)) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, entry]) => [name, key === "*" || key === name ? redactAt(entry, rest) : entry]),
  );
}

/** Collects the strings and numbers at and below a path, as text. */
function collect(value: unknown, path: readonly string[], into: Set<string>): void {
  if (value !== null && typeof value === "object") {
    const [key, ...rest] = path;
    for (const [name, entry] of Object.entries(value)) {
      if (key === undefined || key === "*" || key === name) collect(entry, rest, into);
    }
  } else if (path.length === 0 && (typeof value === "string" || typeof value === "number")) {
    if (String(value).length >= SHORTEST_SECRET) into.add(String(value));
  }
}

function escapePattern(text: string): string {
  return text.replaceAll(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`);
}
