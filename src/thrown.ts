import { inspect, types } from "node:util";
import { formatNumber } from "./wording.ts";

/** The longest error message that is stored whole (characters). */
export const MESSAGE_LIMIT = 4_000;

/** The longest stack trace that is stored whole, with the error's properties and causes (characters). */
export const STACK_LIMIT = 16_000;

/** The longest stack trace of one error without its causes (characters): about twenty frames. */
const OWN_STACK_LIMIT = 8_000;

/** How much is shown of a thrown value that is not an error, and of an error's own properties (characters). */
const VALUE_LIMIT = 1_000;

/** The number of levels of a value that are shown. */
const SHOWN_DEPTH = 4;

/** The longest name, code or label (characters). */
const NAME_LIMIT = 200;

/** The number of causes that are followed: a chain of them may be circular. */
const DEPTH_LIMIT = 10;

/** The maximum number of labels of one error and its causes. */
const LABELS_LIMIT = 50;

/** The number of errors of an AggregateError that are described. */
const ERRORS_LIMIT = 10;

/** A thrown value as text that Postgres can store. */
export interface ThrownDescription {
  /** The error's class, such as `TypeError`; `NonError` for a value that is not an error. */
  readonly name: string;
  /** Never empty. */
  readonly message: string;
  /** The stack trace, the error's own properties and its causes; undefined if it has none of these. */
  readonly stack: string | undefined;
  /** The error's code, such as `ECONNREFUSED`. */
  readonly code: string | undefined;
  /** The names by which a retry policy may refer to the error: its name, code and classes, and those of its causes. */
  readonly labels: readonly string[];
}

/** Removes secrets; both functions are applied before anything is cut. */
export interface Cleaner {
  text(text: string): string;
  /** Removes secrets from a value of plain JSON. */
  value(value: unknown): unknown;
}

/**
 * Describes any value that JavaScript can throw. Never throws, not even for undefined, a symbol, a circular object, a proxy, a
 * getter that throws, or a message that is not text. Messages are cut at 4,000 characters, stack traces at 8,000 (16,000 with
 * properties and causes), shown values at 1,000; a mark at the end of cut text gives its full length.
 *
 * ```ts
 * try { await work(); } catch (thrown) { const { name, message } = describeThrown(thrown); }
 * ```
 */
export function describeThrown(value: unknown, cleaner?: Cleaner): ThrownDescription {
  const thrown = DescribedError.thrownOf(value);
  const clean: Clean = (text, limit) =>
    cleaner === undefined ? storableText(cut(text, limit)) : cut(storableText(cleaner.text(text)), limit);
  const labels = labelsOf(thrown).map((label) => clean(label, NAME_LIMIT));
  if (!isError(thrown)) {
    const message = typeof thrown === "string" ? thrown : `A value that is not an error was thrown: ${show(thrown, cleaner)}`;
    return {
      name: "NonError",
      message: clean(message, MESSAGE_LIMIT) || "An empty string was thrown.",
      stack: undefined,
      code: codeOf(thrown, clean),
      labels,
    };
  }
  const { name, message, stack } = ownDescription(thrown, clean, cleaner);
  const parts = [stack, ...causesOf(thrown, clean, cleaner, new Set([thrown]), 1)].filter((part) => part !== "");
  return {
    name,
    message,
    stack: parts.length === 0 ? undefined : cut(parts.join("\n"), STACK_LIMIT),
    code: codeOf(thrown, clean),
    labels,
  };
}

/** Whether a value is an error, including one from another realm. False for a proxy, because its handler controls the result of every check. */
export function isError(value: unknown): value is Error {
  if (value === null || typeof value !== "object" || types.isProxy(value)) return false;
  if (types.isNativeError(value)) return true;
  try {
    return value instanceof Error;
  } catch {
    return false;
  }
}

/** Reads a property of any value; undefined if it has none, or if reading it throws. */
export function propertyOf(value: unknown, key: PropertyKey): unknown {
  if (value === null || (typeof value !== "object" && typeof value !== "function")) return undefined;
  try {
    return Reflect.get(value, key);
  } catch {
    return undefined;
  }
}

/** Whether a value or its prototypes have a property; false if checking throws. */
export function hasProperty(value: unknown, key: PropertyKey): boolean {
  if (value === null || (typeof value !== "object" && typeof value !== "function")) return false;
  try {
    return Reflect.has(value, key);
  } catch {
    return false;
  }
}

/** Converts text to what Postgres can store: NUL and lone surrogates become the replacement character. */
export function storableText(text: string): string {
  return text.toWellFormed().replaceAll("\0", "\uFFFD");
}

/** Cuts text to at most `limit` characters; a mark at the end of cut text gives its full length. */
export function cut(text: string, limit: number): string {
  if (text.length <= limit) return text;
  const mark = `… cut, ${formatNumber(text.length)} characters`;
  return text.slice(0, Math.max(0, limit - mark.length)).toWellFormed() + mark;
}

/**
 * An error that describes a thrown value, for code that reads `message` and `stack` without checking them. It has no other properties of the thrown
 * value except `code`.
 */
export class DescribedError extends Error {
  readonly #thrown: unknown;

  constructor(description: ThrownDescription, thrown: unknown) {
    super(description.message);
    this.#thrown = thrown;
    const set = (key: string, value: unknown): void => {
      Object.defineProperty(this, key, { value, configurable: true, writable: true });
    };
    // The log takes an error's type from its constructor, and from its name only if it has no constructor.
    set("constructor", undefined);
    set("name", description.name);
    set("stack", description.stack);
    if (description.code !== undefined) Object.assign(this, { code: description.code });
  }

  /** Returns the original thrown value, for tests. */
  static thrownOf(error: unknown): unknown {
    return typeof error === "object" && error !== null && #thrown in error ? error.#thrown : error;
  }
}

/** Converts text to at most `limit` characters that Postgres can store, without secrets. */
type Clean = (text: string, limit: number) => string;

/** Returns the name, the message, and the stack trace with the properties of one error, without its causes. */
function ownDescription(
  error: Error,
  clean: Clean,
  cleaner: Cleaner | undefined,
): { name: string; message: string; stack: string } {
  const ownName = propertyOf(error, "name");
  const name =
    clean(typeof ownName === "string" && ownName !== "" ? ownName : (classOf(error) ?? "Error"), NAME_LIMIT) || "Error";
  const ownMessage = propertyOf(error, "message");
  const text = typeof ownMessage === "string" ? ownMessage : ownMessage === undefined ? "" : show(ownMessage, cleaner);
  const message = clean(text, MESSAGE_LIMIT) || name;
  const ownStack = propertyOf(error, "stack");
  let stack = "";
  if (typeof ownStack === "string") {
    // A long message is repeated in the stack before the frames, which are the useful part.
    const short = text.length > VALUE_LIMIT ? ownStack.replace(text, () => cut(text, VALUE_LIMIT)) : ownStack;
    stack = clean(short, OWN_STACK_LIMIT);
  } else if (ownStack !== undefined) stack = clean(show(ownStack, cleaner), OWN_STACK_LIMIT);
  const properties = propertiesOf(error, cleaner);
  if (properties !== undefined) stack = `${stack}${stack === "" ? "" : "\n"}    with ${clean(properties, VALUE_LIMIT)}`;
  return { name, message, stack };
}

/** Describes the causes of an error, and the errors of an AggregateError, each with its own stack trace. */
function causesOf(error: unknown, clean: Clean, cleaner: Cleaner | undefined, seen: Set<unknown>, depth: number): string[] {
  if (depth > DEPTH_LIMIT) return [];
  const parts: string[] = [];
  const add = (label: string, value: unknown): void => {
    if (value === undefined) return;
    if (seen.has(value)) {
      parts.push(`${label}: one of the errors above`);
      return;
    }
    if (typeof value === "object") seen.add(value);
    if (!isError(value)) {
      parts.push(`${label}: ${clean(show(value, cleaner), VALUE_LIMIT)}`);
      return;
    }
    const { name, message, stack } = ownDescription(value, clean, cleaner);
    parts.push(
      `${label}: ${stack.startsWith(name) ? stack : `${name}: ${cut(message, VALUE_LIMIT)}${stack === "" ? "" : `\n${stack}`}`}`,
    );
    parts.push(...causesOf(value, clean, cleaner, seen, depth + 1));
  };
  if (hasProperty(error, "cause")) add("Caused by", propertyOf(error, "cause"));
  const errors = arrayOf(propertyOf(error, "errors"));
  for (const [index, one] of errors.slice(0, ERRORS_LIMIT).entries()) add(`Error ${index + 1} of ${errors.length}`, one);
  return parts;
}

/** Describes an error's own properties, except those that are already shown; undefined if it has none. */
function propertiesOf(error: Error, cleaner: Cleaner | undefined): string | undefined {
  try {
    const rest: Record<string, unknown> = {};
    for (const key of Object.keys(error)) {
      if (["name", "message", "stack", "cause", "errors"].includes(key)) continue;
      const descriptor = Object.getOwnPropertyDescriptor(error, key);
      const value: unknown = descriptor !== undefined && "value" in descriptor ? descriptor.value : "[getter]";
      // A property may hold a payload, and redaction paths are relative to the payload.
      if (typeof value !== "function") rest[key] = cleaner === undefined ? value : withoutSecrets(value, cleaner);
    }
    return Object.keys(rest).length === 0 ? undefined : show(rest, cleaner);
  } catch {
    return undefined;
  }
}

function codeOf(thrown: unknown, clean: Clean): string | undefined {
  const code = propertyOf(thrown, "code");
  if (typeof code !== "string" && typeof code !== "number") return undefined;
  return clean(String(code), NAME_LIMIT) || undefined;
}

/**
 * Returns the names, codes and classes of an error and of its causes. `fetch` throws a TypeError whose cause has the code ECONNREFUSED.
 */
function labelsOf(thrown: unknown): string[] {
  const labels = new Set<string>();
  const add = (label: unknown): void => {
    if ((typeof label === "string" && label !== "") || typeof label === "number") labels.add(String(label));
  };
  const visit = (error: unknown, depth: number): void => {
    if (error === null || typeof error !== "object" || depth > DEPTH_LIMIT || labels.size > LABELS_LIMIT) return;
    add(propertyOf(error, "name"));
    add(propertyOf(error, "code"));
    for (const name of classesOf(error)) add(name);
    visit(propertyOf(error, "cause"), depth + 1);
    for (const one of arrayOf(propertyOf(error, "errors")).slice(0, ERRORS_LIMIT)) visit(one, depth + 1);
  };
  visit(thrown, 0);
  return [...labels].slice(0, LABELS_LIMIT);
}

function classOf(value: object): string | undefined {
  return classesOf(value)[0];
}

/** Returns the names of a value's classes, its own first. */
function classesOf(value: object): string[] {
  const names: string[] = [];
  try {
    let type: unknown = Object.getPrototypeOf(value);
    for (let depth = 0; type !== null && type !== Object.prototype && depth < DEPTH_LIMIT; depth++) {
      const name = propertyOf(propertyOf(type, "constructor"), "name");
      if (typeof name === "string" && name !== "") names.push(name);
      type = Object.getPrototypeOf(type);
    }
  } catch {
    // A proxy in the chain: the names found before it count.
  }
  return names;
}

function arrayOf(value: unknown): readonly unknown[] {
  try {
    // A copy, because a proxy of an array is an array too.
    return Array.isArray(value) ? Array.from(value as unknown[]) : [];
  } catch {
    return [];
  }
}

/** Formats any value for display, on one line if it is short. Runs none of the value's code. */
function show(value: unknown, cleaner: Cleaner | undefined): string {
  try {
    const shown = cleaner === undefined ? value : withoutSecrets(value, cleaner);
    const text = inspect(bounded(shown), {
      depth: SHOWN_DEPTH,
      breakLength: 120,
      customInspect: false,
      getters: false,
      maxArrayLength: 50,
      // With a cleaner, strings stay whole, because secrets in cut text would not be found.
      maxStringLength: cleaner === undefined ? VALUE_LIMIT : Infinity,
    });
    return cut(cleaner?.text(text) ?? text, VALUE_LIMIT);
  } catch {
    return `a value of type ${typeof value} that cannot be shown`;
  }
}

/** The number of values within a value that are shown. A larger value is shown in part, because `inspect` would traverse all of it. */
const SHOWN_VALUES = 500;

/** Returns the value itself if it is small, or else a copy of its beginning, with the same classes. */
function bounded(value: unknown): unknown {
  return countValues(value, SHOWN_VALUES, 0) > 0 ? value : beginningOf(value, { left: SHOWN_VALUES }, 0);
}

/** Subtracts the value and the values within it from a budget and returns the rest. */
function countValues(value: unknown, budget: number, depth: number): number {
  let left = budget - 1;
  if (typeof value !== "object" || value === null || types.isProxy(value) || depth > SHOWN_DEPTH || left <= 0) return left;
  const entries = entriesOf(value);
  left -= entries.length;
  for (const [, inner] of entries) {
    if (left <= 0) return left;
    left = countValues(inner, left + 1, depth + 1);
  }
  return left;
}

function beginningOf(value: unknown, budget: { left: number }, depth: number): unknown {
  budget.left -= 1;
  if (typeof value !== "object" || value === null || types.isProxy(value) || depth > SHOWN_DEPTH || !isCopyable(value))
    return value;
  const entries = entriesOf(value);
  const copy: object = Array.isArray(value) ? [] : (Object.create(Object.getPrototypeOf(value) as object | null) as object);
  for (const [key, inner] of entries) {
    if (budget.left <= 0) break;
    Object.defineProperty(copy, key, { value: beginningOf(inner, budget, depth + 1), enumerable: true, configurable: true });
  }
  return copy;
}

/** Returns the own properties that are shown, without running a getter. */
function entriesOf(value: object): [string, unknown][] {
  const keys = ArrayBuffer.isView(value) ? [] : Object.keys(value);
  return keys.slice(0, SHOWN_VALUES).flatMap((key): [string, unknown][] => {
    const descriptor = Object.getOwnPropertyDescriptor(value, key);
    return descriptor !== undefined && "value" in descriptor ? [[key, descriptor.value]] : [];
  });
}

/** Whether a value has no content other than its properties. */
function isCopyable(value: object): boolean {
  return Array.isArray(value) || Object.prototype.toString.call(value) === "[object Object]";
}

/** Removes redacted values from a JSON value; anything else is searched for secrets only as text. */
function withoutSecrets(value: unknown, cleaner: Cleaner): unknown {
  try {
    const json: string | undefined = JSON.stringify(value);
    return json === undefined ? value : cleaner.value(JSON.parse(json));
  } catch {
    // A value that cannot be copied cannot be searched for paths. Showing nothing is better than showing a secret.
    return typeof value === "object" ? "[redacted]" : value;
  }
}
