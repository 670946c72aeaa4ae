import { LegworkError, toError } from "./errors.ts";

/** The deepest nesting of arrays and objects that is shown as JSON. Deeper values would overflow the stack of the code that writes or draws them. */
const MAX_SHOWN_DEPTH = 1_000;

/** A value that cannot be shown as JSON is replaced by an object whose only field has this name and holds the value's JSON as text. */
const TEXT_MARK = "legwork:text";

/** A number with its original digits, which `JSON.stringify` writes unchanged. */
interface RawNumber {
  readonly rawJSON: string;
}

/** The parts of Node's JSON that TypeScript's types lack. Node 20, on which jobs can be enqueued, has no raw numbers. */
const json = JSON as unknown as {
  rawJSON?(text: string): RawNumber;
  isRawJSON?(value: unknown): boolean;
};

/** Matches JSON that may contain a number that JavaScript would write differently. A false match within a string only costs time. */
const MAY_LOSE_DIGITS = /\d\.\d|\d[eE]|\d{16}|-0/;

/** The prefix of the strings that stand for numbers while a text is parsed. It cannot be guessed, so no string in the text begins with it. */
const NUMBER_MARK = `#${crypto.getRandomValues(new BigUint64Array(1))[0]!.toString(36)}:`;

/**
 * Parses JSON without losing a digit: a number that JavaScript would write differently (19 digits, 1e400, 0.10) becomes a raw number, which
 * `JSON.stringify` writes unchanged. Throws a SyntaxError for text that is not JSON.
 *
 * `JSON.parse` with a reviver would do the same, but calls it for every value, which takes eight times as long.
 */
export function parseExactly(text: string): unknown {
  if (json.rawJSON === undefined || !mayLoseDigits(text)) return JSON.parse(text);
  const marked = markNumbers(text);
  if (marked === undefined) return JSON.parse(text);
  let parsed: unknown;
  try {
    parsed = JSON.parse(marked);
  } catch {
    // The original text is not JSON either. Parsing it throws an error that quotes it.
    return JSON.parse(text);
  }
  return withRawNumbers(parsed);
}

/** The text with each number that JavaScript would write differently as a marked string; undefined if no number needs a mark. */
function markNumbers(text: string): string | undefined {
  const parts: string[] = [];
  let taken = 0;
  for (let index = 0; index < text.length; index++) {
    const character = text.charCodeAt(index);
    if (character === 34 /* " */) index = endOfString(text, index);
    else if (character === 45 /* - */ || (character >= 48 && character <= 57) /* 0-9 */) {
      const start = index;
      while (isOfNumber(text.charCodeAt(index + 1))) index++;
      const source = text.slice(start, index + 1);
      if (String(Number(source)) === source) continue;
      parts.push(text.slice(taken, start), `"${NUMBER_MARK}`, source, '"');
      taken = index + 1;
    }
  }
  if (parts.length === 0) return undefined;
  parts.push(text.slice(taken));
  return parts.join("");
}

/** Whether a character can be part of a number: a digit or one of `+ - . E e`. */
function isOfNumber(character: number): boolean {
  return (
    (character >= 48 && character <= 57) ||
    character === 46 ||
    character === 101 ||
    character === 69 ||
    character === 43 ||
    character === 45
  );
}

/** The position at which the string that begins at `start` ends; the end of the text if it is not closed. */
export function endOfString(text: string, start: number): number {
  for (let end = text.indexOf('"', start + 1); end !== -1; end = text.indexOf('"', end + 1)) {
    let escapes = 0;
    while (text.charCodeAt(end - 1 - escapes) === 92 /* \ */) escapes++;
    if (escapes % 2 === 0) return end;
  }
  return text.length;
}

/** Replaces marked strings by raw numbers, in place. Not recursive, because the value may be nested deeper than the stack allows. */
function withRawNumbers(root: unknown): unknown {
  const holder = { root };
  const open: Record<string, unknown>[] = [holder];
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    for (const key of Object.keys(next)) {
      const value = next[key];
      if (typeof value === "object" && value !== null) open.push(value as Record<string, unknown>);
      else if (typeof value === "string" && value.startsWith(NUMBER_MARK)) {
        const raw = json.rawJSON!(value.slice(NUMBER_MARK.length));
        // An assignment to `__proto__` would change the prototype.
        if (key === "__proto__")
          Object.defineProperty(next, key, { value: raw, writable: true, enumerable: true, configurable: true });
        else next[key] = raw;
      }
    }
  }
  return holder.root;
}

/** Whether `parseExactly` may return something different from `JSON.parse`, which is faster. */
export function mayLoseDigits(text: string): boolean {
  return MAY_LOSE_DIGITS.test(text);
}

/** Parses JSON from the database for display: every digit is kept, and a value that is nested too deeply becomes `{"legwork:text": "…"}`. */
export function parseToShow(text: string): unknown {
  return isDeep(text, MAX_SHOWN_DEPTH) ? { [TEXT_MARK]: text } : parseExactly(text);
}

/** Whether JSON has more than `levels` levels of arrays and objects. */
export function isDeep(text: string, levels: number): boolean {
  if (text.length < 2 * levels) return false;
  let depth = 0;
  for (let index = 0, inText = false; index < text.length; index++) {
    const character = text.charCodeAt(index);
    if (inText) {
      if (character === 92 /* \ */) index++;
      else if (character === 34 /* " */) inText = false;
    } else if (character === 34) inText = true;
    else if (character === 91 /* [ */ || character === 123 /* { */) {
      if (++depth > levels) return true;
    } else if (character === 93 /* ] */ || character === 125 /* } */) depth--;
  }
  return false;
}

/** Whether a value is a number with its original digits. */
export function isRawNumber(value: unknown): value is RawNumber {
  return typeof value === "object" && value !== null && json.isRawJSON?.(value) === true;
}

/** Converts a value of `parseExactly` to JavaScript's numbers, as a task receives it. */
export function withPlainNumbers(value: unknown): unknown {
  if (isRawNumber(value)) return Number(value.rawJSON);
  if (Array.isArray(value)) return value.map(withPlainNumbers);
  if (typeof value !== "object" || value === null || Object.getPrototypeOf(value) !== Object.prototype) return value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, withPlainNumbers(inner)]));
}

/** The maximum number of values that `toJsonAtOnce` converts; larger values are left to `toJsonByValue`. */
const MAX_PLAIN_VALUES = 1_000_000;

/**
 * Converts a value to JSON that the database can store. Throws LW400, naming the field, for values that JSON does not have (functions, symbols,
 * bigints, NaN, circular references) and for text that Postgres cannot store (NUL characters, lone surrogates). Pass a number of any size as
 * `JSON.rawJSON("…")`.
 */
export function toJson(name: string, value: unknown): string {
  return toJsonAtOnce(value) ?? toJsonByValue(name, value);
}

/** Matches JSON that may contain text that Postgres cannot store: `JSON.stringify` escapes NUL characters and lone surrogates. */
const MAY_NOT_BE_STORABLE = /\\u(?:0000|d[89a-f])/;

/**
 * The JSON of a value that is valid plain data; undefined for any other value. `toJsonByValue` converts other values, or names what is wrong with
 * them, but takes ten times as long.
 */
function toJsonAtOnce(root: unknown): string | undefined {
  try {
    const open: unknown[] = [root];
    // Each value is visited once. A value that contains itself exceeds the maximum, and is left to `toJsonByValue`.
    for (let left = MAX_PLAIN_VALUES; open.length > 0; left--) {
      const value = open.pop();
      if (left === 0 || faultIn(value) !== undefined) return undefined;
      if (typeof value !== "object" || value === null || isRawNumber(value)) continue;
      if (typeof (value as { toJSON?: unknown }).toJSON === "function" && !(value instanceof Date)) return undefined;
      for (const inner of Object.values(value)) open.push(inner);
    }
    const text = JSON.stringify(root);
    return MAY_NOT_BE_STORABLE.test(text) ? undefined : text;
  } catch {
    return undefined;
  }
}

/** Like `toJson`, for values of every kind. */
function toJsonByValue(name: string, value: unknown): string {
  const path: { holder: unknown; key: string; value: unknown }[] = [];
  const refuse = (message: string, hint: string): never => {
    const steps = path.slice(1).map(({ holder, key }) => (Array.isArray(holder) ? Number(key) : key));
    const field = [name, ...steps].join(".");
    throw new LegworkError("LW400", `${field} ${message}.`, { hint, fields: [{ path: [name, ...steps], message }] });
  };
  const replacer = function (this: unknown, key: string, inner: unknown): unknown {
    // Called for each value with its parent: the path is first cut back to that parent.
    while (path.length > 0 && path.at(-1)?.value !== this) path.pop();
    path.push({ holder: this, key, value: inner });
    const fault = faultIn(inner) ?? (Array.isArray(this) ? undefined : faultIn(key));
    if (fault !== undefined) refuse(fault.message, fault.hint);
    return inner;
  };
  try {
    return JSON.stringify(value, replacer);
  } catch (thrown) {
    const error = toError(thrown);
    if (error instanceof LegworkError) throw error;
    path.length = 0;
    if (error instanceof RangeError) return withoutLooking(value) ?? refuse("is nested too deeply", "Use a flatter value.");
    const isCircular = error instanceof TypeError && /circular/i.test(error.message);
    return refuse(isCircular ? "contains a circular reference" : `cannot be read: ${error.message}`, JSON_HINT);
  }
}

/** Converts a value that is nested too deeply to be checked part by part; undefined if it is too deep even for `JSON.stringify`. */
function withoutLooking(value: unknown): string | undefined {
  try {
    return JSON.stringify(value);
  } catch {
    return undefined;
  }
}

const JSON_HINT = "Use strings, numbers, booleans, null, arrays and plain objects of these.";

function faultIn(value: unknown): { message: string; hint: string } | undefined {
  switch (typeof value) {
    case "function":
    case "symbol":
      return { message: `is a ${typeof value}, which JSON does not have`, hint: JSON_HINT };
    case "bigint":
      return {
        message: "is a bigint, which JSON does not have",
        hint: "Pass it as a string, or as JSON.rawJSON(String(value)).",
      };
    case "number":
      return Number.isFinite(value) ? undefined : { message: `is ${value}, which JSON does not have`, hint: JSON_HINT };
    case "string":
      return isStorable(value)
        ? undefined
        : {
            message: "contains a NUL character or a lone surrogate, which the database cannot store",
            hint: "Remove it, or encode the text.",
          };
    default:
      return isRawNumber(value) && !fitsNumeric(value.rawJSON)
        ? { message: "is a number with more digits than the database can store", hint: "Pass it as a string." }
        : undefined;
  }
}

/** Whether Postgres's numeric type can hold a number, given as JSON: 131,072 digits before the decimal point and 16,383 after it. */
export function fitsNumeric(number: string): boolean {
  if (number.length < 1_000 && !/e/i.test(number)) return true;
  const [, whole = "", fraction = "", exponent = "0"] = /^-?0*(\d*)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/.exec(number) ?? [];
  const shift = Number(exponent);
  return whole.length + shift <= 131_072 && fraction.length - shift <= 16_383;
}

/** Whether Postgres can store a text. */
export function isStorable(text: string): boolean {
  return !text.includes("\u0000") && text.isWellFormed();
}
