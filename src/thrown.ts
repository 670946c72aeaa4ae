import { inspect, types } from "node:util";

/** The longest message of an error that is kept whole (characters). */
export const MESSAGE_LIMIT = 4_000;

/** The longest stack trace that is kept whole, with the error's properties and its causes (characters). */
export const STACK_LIMIT = 16_000;

/** The longest stack trace of one error, apart from those of its causes (characters): some twenty frames. */
const OWN_STACK_LIMIT = 8_000;

/** What is shown of a value that was thrown in place of an error, and of an error's own properties (characters). */
const VALUE_LIMIT = 1_000;

/** Levels of a value that are shown. */
const SHOWN_DEPTH = 4;

/** The longest name, code or label (characters). */
const NAME_LIMIT = 200;

/** Causes that are followed: a chain of them may be a circle. */
const DEPTH_LIMIT = 10;

/** Labels of one error, its causes' included. */
const LABELS_LIMIT = 50;

/** Errors of an AggregateError that are described. */
const ERRORS_LIMIT = 10;

/** What was thrown, as text that Postgres stores. */
export interface ThrownDescription {
  /** The error's class, such as `TypeError`; `NonError` for a value that is not an error. */
  readonly name: string;
  /** Never empty. */
  readonly message: string;
  /** The stack trace, the error's own properties and its causes; undefined when there is none of them. */
  readonly stack: string | undefined;
  /** The error's code, such as `ECONNREFUSED`. */
  readonly code: string | undefined;
  /** What a retry policy may name the error by: its name, its code and its classes, and those of what caused it. */
  readonly labels: readonly string[];
}

/** Hides what must not be read; both are applied before anything is cut. */
export interface Cleaner {
  text(text: string): string;
  /** Of a value of plain JSON. */
  value(value: unknown): unknown;
}

/**
 * Describes any value that JavaScript can throw, and never throws itself: not for undefined, a symbol, a circular object, a proxy, a
 * getter that throws, or a message that is not text. Messages are cut at 4,000 characters, stack traces at 8,000 (16,000 with
 * properties and causes), shown values at 1,000; what is cut ends with a mark that gives its full length.
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
    const message = typeof thrown === "string" ? thrown : `Not an error, but this was thrown: ${show(thrown, cleaner)}`;
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

/** Whether a value is an error, also one of another realm. False for a proxy, whose every answer is its handler's. */
export function isError(value: unknown): value is Error {
  if (value === null || typeof value !== "object" || types.isProxy(value)) return false;
  if (types.isNativeError(value)) return true;
  try {
    return value instanceof Error;
  } catch {
    return false;
  }
}

/** A property of any value; undefined when it has none, or reading it throws. */
export function propertyOf(value: unknown, key: PropertyKey): unknown {
  if (value === null || (typeof value !== "object" && typeof value !== "function")) return undefined;
  try {
    return Reflect.get(value, key);
  } catch {
    return undefined;
  }
}

/** Whether a value has a property, its prototypes' included; false when asking throws. */
export function hasProperty(value: unknown, key: PropertyKey): boolean {
  if (value === null || (typeof value !== "object" && typeof value !== "function")) return false;
  try {
    return Reflect.has(value, key);
  } catch {
    return false;
  }
}

/** Text that Postgres stores: NUL and halves of surrogate pairs become the replacement character. */
export function storableText(text: string): string {
  return text.toWellFormed().replaceAll("\0", "\uFFFD");
}

/** Text of at most so many characters; a longer one ends with a mark that gives its full length. */
export function cut(text: string, limit: number): string {
  if (text.length <= limit) return text;
  const mark = `… cut, ${text.length.toLocaleString("en-US")} characters`;
  return text.slice(0, Math.max(0, limit - mark.length)).toWellFormed() + mark;
}

/**
 * An error that says what is described: for code that reads `message` and `stack` without care. It has no other property of what
 * was thrown but `code`.
 */
export class DescribedError extends Error {
  readonly #thrown: unknown;

  constructor(description: ThrownDescription, thrown: unknown) {
    super(description.message);
    this.#thrown = thrown;
    const set = (key: string, value: unknown): void => {
      Object.defineProperty(this, key, { value, configurable: true, writable: true });
    };
    // The log takes an error's type from its constructor, and from its name only where it has none.
    set("constructor", undefined);
    set("name", description.name);
    set("stack", description.stack);
    if (description.code !== undefined) Object.assign(this, { code: description.code });
  }

  /** What was thrown, as it was thrown: for tests, which want to see it. */
  static thrownOf(error: unknown): unknown {
    return typeof error === "object" && error !== null && #thrown in error ? error.#thrown : error;
  }
}

/** Text without secrets that Postgres stores, of at most so many characters. */
type Clean = (text: string, limit: number) => string;

/** Name, message, and the stack trace with the properties of one error, without its causes. */
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
    // A long message stands in the stack as well, before the frames, which are what it is read for.
    const short = text.length > VALUE_LIMIT ? ownStack.replace(text, () => cut(text, VALUE_LIMIT)) : ownStack;
    stack = clean(short, OWN_STACK_LIMIT);
  } else if (ownStack !== undefined) stack = clean(show(ownStack, cleaner), OWN_STACK_LIMIT);
  const properties = propertiesOf(error, cleaner);
  if (properties !== undefined) stack = `${stack}${stack === "" ? "" : "\n"}    with ${clean(properties, VALUE_LIMIT)}`;
  return { name, message, stack };
}

/** What caused an error, and what an AggregateError consists of: each with its own stack trace. */
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

/** An error's own properties apart from those that are shown already; undefined when there are none. */
function propertiesOf(error: Error, cleaner: Cleaner | undefined): string | undefined {
  try {
    const rest: Record<string, unknown> = {};
    for (const key of Object.keys(error)) {
      if (["name", "message", "stack", "cause", "errors"].includes(key)) continue;
      const descriptor = Object.getOwnPropertyDescriptor(error, key);
      const value: unknown = descriptor !== undefined && "value" in descriptor ? descriptor.value : "[getter]";
      // A property may hold a payload: its paths count from there.
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
 * Names, codes and classes of an error and of what caused it. `fetch` throws a TypeError whose cause says ECONNREFUSED.
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

/** The names of a value's classes, its own first. */
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
    // A proxy in the chain: what was found before it counts.
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

/** Any value as text for people, on one line where it is short. Runs none of the value's code. */
function show(value: unknown, cleaner: Cleaner | undefined): string {
  try {
    const shown = cleaner === undefined ? value : withoutSecrets(value, cleaner);
    const text = inspect(bounded(shown), {
      depth: SHOWN_DEPTH,
      breakLength: 120,
      customInspect: false,
      getters: false,
      maxArrayLength: 50,
      // With a cleaner whole, because nothing is found in what is cut.
      maxStringLength: cleaner === undefined ? VALUE_LIMIT : Infinity,
    });
    return cut(cleaner?.text(text) ?? text, VALUE_LIMIT);
  } catch {
    return `a value of type ${typeof value} that cannot be shown`;
  }
}

/** Values within a value that are shown; what has more is shown in part, because `inspect` would go through all of it. */
const SHOWN_VALUES = 500;

/** The value itself when it is small, else a copy of its beginning, of the same classes. */
function bounded(value: unknown): unknown {
  return countValues(value, SHOWN_VALUES, 0) > 0 ? value : beginningOf(value, { left: SHOWN_VALUES }, 0);
}

/** How much of a budget is left after the value and those within it. */
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

/** Own properties that are shown, without running a getter. */
function entriesOf(value: object): [string, unknown][] {
  const keys = ArrayBuffer.isView(value) ? [] : Object.keys(value);
  return keys.slice(0, SHOWN_VALUES).flatMap((key): [string, unknown][] => {
    const descriptor = Object.getOwnPropertyDescriptor(value, key);
    return descriptor !== undefined && "value" in descriptor ? [[key, descriptor.value]] : [];
  });
}

/** What has no content but its properties. */
function isCopyable(value: object): boolean {
  return Array.isArray(value) || Object.prototype.toString.call(value) === "[object Object]";
}

/** A value of JSON without what a task redacts; anything else is searched for secrets as text only. */
function withoutSecrets(value: unknown, cleaner: Cleaner): unknown {
  try {
    const json: string | undefined = JSON.stringify(value);
    return json === undefined ? value : cleaner.value(JSON.parse(json));
  } catch {
    // What cannot be copied cannot be searched for paths: better nothing than a secret.
    return typeof value === "object" ? "[redacted]" : value;
  }
}
