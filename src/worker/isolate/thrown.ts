import { Discard, LegworkError, PayloadError, RetryAfter, SignalTimeout, Snooze, StepError, toError } from "../../errors.ts";
import type { Cleaner } from "../../thrown.ts";
import { LeaseLost } from "../remote-commands.ts";
import { Suspended } from "../attempt/steps.ts";

/** An error in a message between a worker and a child, with the parts that structured cloning would lose. */
interface DescribedError {
  /** The names of its classes, nearest first. Classes that both sides have are prefixed with `own:`. */
  readonly classes: readonly string[];
  readonly message: string;
  /** Own properties, such as name, stack, code and those of the database driver. The names of enumerable ones are in `shown`. */
  readonly own: Readonly<Record<string, unknown>>;
  readonly shown: readonly string[];
  /** Properties whose names are Legwork's symbols, such as `legwork.retryAt`, and which decide how the attempt ends. */
  readonly marks: Readonly<Record<string, unknown>>;
  readonly cause?: DescribedThrown;
  readonly errors?: readonly DescribedThrown[];
}

/** A thrown value, or a cause, in a message between a worker and a child. */
export type DescribedThrown = { readonly error: DescribedError } | { readonly value: unknown };

/** The maximum number of errors that are described for one error, because a chain of causes may be circular. */
const ERRORS_LIMIT = 50;

/** The largest property that is sent (characters of JSON). Stack traces and messages are truncated where they are stored. */
const PROPERTY_LIMIT = 1_000;

/**
 * Classes that both sides have, by name: an error of one of them keeps its class. DOMException is not included, because its properties can be read
 * only on real instances.
 */
const SHARED = new Map<string, { readonly prototype: object }>(
  [
    Discard,
    LegworkError,
    PayloadError,
    RetryAfter,
    SignalTimeout,
    Snooze,
    StepError,
    LeaseLost,
    Suspended,
    Error,
    AggregateError,
    EvalError,
    RangeError,
    ReferenceError,
    SyntaxError,
    TypeError,
    URIError,
  ].map((shared) => [shared.name, shared]),
);

/** Describes a thrown value. Never throws. */
export function describeThrown(thrown: unknown): DescribedThrown {
  try {
    return describe(toError(thrown), { left: ERRORS_LIMIT });
  } catch {
    return describe(new Error("The task threw a value that cannot be described."), { left: 1 });
  }
}

/** Removes redacted values from a described error. */
export function withoutSecrets(described: DescribedThrown, cleaner: Cleaner): DescribedThrown {
  const clean = (value: unknown): unknown => (typeof value === "string" ? cleaner.text(value) : cleaner.value(value));
  if ("value" in described) return { value: clean(described.value) };
  const { error } = described;
  const { cause, errors } = error;
  return {
    error: {
      ...error,
      message: cleaner.text(error.message),
      own: Object.fromEntries(Object.entries(error.own).map(([key, value]) => [key, clean(value)])),
      ...(cause === undefined ? {} : { cause: withoutSecrets(cause, cleaner) }),
      ...(errors === undefined ? {} : { errors: errors.map((one) => withoutSecrets(one, cleaner)) }),
    },
  };
}

/** Recreates a described error with the classes of this thread or process. */
export function reviveThrown(described: DescribedThrown): Error {
  return toError(revive(described));
}

function describe(thrown: unknown, budget: { left: number }): DescribedThrown {
  if (!(thrown instanceof Error)) return { value: plain(thrown) };
  budget.left -= 1;
  const own: Record<string, unknown> = {};
  const shown: string[] = [];
  for (const key of new Set([...Object.getOwnPropertyNames(thrown), "name", "stack", "code"])) {
    if (key === "message" || key === "cause" || key === "errors") continue;
    const value = read(thrown, key);
    const kept = typeof value === "string" && (key === "name" || key === "stack") ? value : plain(value);
    if (kept === undefined) continue;
    own[key] = kept;
    if (Object.prototype.propertyIsEnumerable.call(thrown, key)) shown.push(key);
  }
  const marks: Record<string, unknown> = {};
  for (const symbol of Object.getOwnPropertySymbols(thrown)) {
    const mark = Symbol.keyFor(symbol);
    if (mark?.startsWith("legwork.") === true) marks[mark] = plain(read(thrown, symbol));
  }
  const message = read(thrown, "message");
  const cause = read(thrown, "cause");
  const errors = read(thrown, "errors");
  return {
    error: {
      classes: classesOf(thrown),
      message: typeof message === "string" ? message : textOf(plain(message)),
      own,
      shown,
      marks,
      ...(cause === undefined || budget.left <= 0 ? {} : { cause: describe(cause, budget) }),
      ...(Array.isArray(errors) ? { errors: errors.slice(0, budget.left).map((one) => describe(one, budget)) } : {}),
    },
  };
}

function classesOf(error: object): string[] {
  const classes: string[] = [];
  for (
    let type = Object.getPrototypeOf(error) as object | null;
    type !== null && type !== Object.prototype && classes.length < ERRORS_LIMIT;
    type = Object.getPrototypeOf(type) as object | null
  ) {
    const name = read(read(type, "constructor"), "name");
    if (typeof name === "string") classes.push(SHARED.get(name)?.prototype === type ? `own:${name}` : name);
  }
  return classes;
}

function textOf(value: unknown): string {
  return typeof value === "bigint" ? String(value) : (JSON.stringify(value) ?? "");
}

function read(target: unknown, key: PropertyKey): unknown {
  try {
    return (target as Record<PropertyKey, unknown> | null | undefined)?.[key];
  } catch {
    return undefined;
  }
}

/** Converts a value to one that can be cloned: strings, numbers and other primitives, dates, and small JSON values. */
function plain(value: unknown): unknown {
  switch (typeof value) {
    case "string":
      return value.length <= PROPERTY_LIMIT ? value : `${value.slice(0, PROPERTY_LIMIT)}…`;
    case "number":
    case "boolean":
    case "bigint":
      return value;
    case "object":
      if (value === null || value instanceof Date) return value;
      try {
        const json: string | undefined = JSON.stringify(value);
        return json === undefined || json.length > PROPERTY_LIMIT ? undefined : JSON.parse(json);
      } catch {
        return undefined;
      }
    default:
      return undefined;
  }
}

function revive(described: DescribedThrown): unknown {
  if ("value" in described) return described.value;
  const { classes, message, own, shown, marks, cause, errors } = described.error;
  const error = new Error(message);
  Object.setPrototypeOf(error, prototypeOf(classes));
  const define = (key: PropertyKey, value: unknown, enumerable: boolean): void =>
    void Object.defineProperty(error, key, { value, enumerable, configurable: true, writable: true });
  // Remove the stack trace, because it would point to this line.
  define("stack", undefined, false);
  for (const [key, value] of Object.entries(own)) define(key, value, shown.includes(key));
  for (const [key, value] of Object.entries(marks)) define(Symbol.for(key), value, true);
  if (cause !== undefined) define("cause", revive(cause), false);
  if (errors !== undefined) define("errors", errors.map(revive), false);
  return error;
}

/** Creates prototypes whose constructors have these names, down to the first shared class, because a retry policy may name any of these classes. */
function prototypeOf(classes: readonly string[]): object {
  let prototype: object = Error.prototype;
  const first = classes.findIndex((name) => name.startsWith("own:"));
  const shared = SHARED.get(classes[first]?.slice("own:".length) ?? "");
  if (shared !== undefined) prototype = shared.prototype;
  for (const name of classes.slice(0, Math.max(first, 0)).toReversed()) {
    const constructor = Object.defineProperty(function constructor() {}, "name", { value: name });
    prototype = Object.create(prototype, { constructor: { value: constructor } }) as object;
  }
  return prototype;
}
