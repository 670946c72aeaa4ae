import { LegworkError, toError } from "./errors.ts";

/** Levels of arrays and objects that are shown as JSON. What is nested deeper would overflow the stack of whatever writes or draws it. */
const MAX_SHOWN_DEPTH = 1_000;

/** The one field of an object that stands for a value which cannot be shown as JSON; it holds the value's JSON as text. */
const TEXT_MARK = "legwork:text";

/** A number by the digits it is written with: `JSON.stringify` writes them as they are. */
interface RawNumber {
  readonly rawJSON: string;
}

/** What Node's JSON has beyond what TypeScript knows of it. */
const json = JSON as unknown as {
  rawJSON(text: string): RawNumber;
  isRawJSON(value: unknown): boolean;
  parse(text: string, reviver: (key: string, value: unknown, context: { source?: string }) => unknown): unknown;
};

/** Where a number may stand that JavaScript would write in another way; also found in texts, which only takes longer then. */
const MAY_LOSE_DIGITS = /\d\.\d|\d[eE]|\d{16}|-0/;

/**
 * Reads JSON without losing a digit: a number that JavaScript would write in another way (19 digits, 1e400, 0.10) becomes a raw number, which
 * `JSON.stringify` writes as it was. Throws a SyntaxError for what is not JSON.
 */
export function parseExactly(text: string): unknown {
  if (!mayLoseDigits(text)) return JSON.parse(text);
  return json.parse(text, (_key, value, { source }) =>
    typeof value === "number" && source !== undefined && String(value) !== source ? json.rawJSON(source) : value,
  );
}

/** Whether `parseExactly` may make something else of JSON than `JSON.parse`, which is quicker. */
export function mayLoseDigits(text: string): boolean {
  return MAY_LOSE_DIGITS.test(text);
}

/** Reads JSON of the database in order to show it: every digit is kept, and what is too deep is `{"legwork:text": "…"}`. */
export function parseToShow(text: string): unknown {
  return isDeep(text, MAX_SHOWN_DEPTH) ? { [TEXT_MARK]: text } : parseExactly(text);
}

/** Whether JSON has more levels of arrays and objects than that. */
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

/** Whether it is a number that is kept by its digits. */
export function isRawNumber(value: unknown): value is RawNumber {
  return typeof value === "object" && value !== null && json.isRawJSON(value);
}

/** A value of `parseExactly` with JavaScript's numbers, as a task gets it. */
export function withPlainNumbers(value: unknown): unknown {
  if (isRawNumber(value)) return Number(value.rawJSON);
  if (Array.isArray(value)) return value.map(withPlainNumbers);
  if (typeof value !== "object" || value === null || Object.getPrototypeOf(value) !== Object.prototype) return value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, withPlainNumbers(inner)]));
}

/**
 * A value as JSON that the database can keep. Throws LW400, naming the field, for what JSON does not have (functions, symbols, bigints, NaN, a
 * circle) and for what Postgres does not (NUL characters, halves of surrogate pairs). A number of any size can be given as `JSON.rawJSON("…")`.
 */
export function toJson(name: string, value: unknown): string {
  const path: { holder: unknown; key: string; value: unknown }[] = [];
  const refuse = (message: string, hint: string): never => {
    const steps = path.slice(1).map(({ holder, key }) => (Array.isArray(holder) ? Number(key) : key));
    const field = [name, ...steps].join(".");
    throw new LegworkError("LW400", `${field} ${message}.`, { hint, fields: [{ path: [name, ...steps], message }] });
  };
  const replacer = function (this: unknown, key: string, inner: unknown): unknown {
    // Called for each value with what holds it: what holds none of what follows is left behind.
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
    if (error instanceof RangeError) return withoutLooking(value) ?? refuse("is nested too deeply", "Give a flatter value.");
    const isCircular = error instanceof TypeError && /circular/i.test(error.message);
    return refuse(isCircular ? "refers to itself" : `cannot be read: ${error.message}`, JSON_HINT);
  }
}

/** As JSON, for what is deeper than a look at each value allows. Undefined where it is too deep for that as well. */
function withoutLooking(value: unknown): string | undefined {
  try {
    return JSON.stringify(value);
  } catch {
    return undefined;
  }
}

const JSON_HINT = "Give texts, numbers, booleans, null, lists and plain objects of them.";

function faultIn(value: unknown): { message: string; hint: string } | undefined {
  switch (typeof value) {
    case "function":
    case "symbol":
      return { message: `is a ${typeof value}, which JSON does not have`, hint: JSON_HINT };
    case "bigint":
      return { message: "is a bigint, which JSON does not have", hint: "Give it as text, or as JSON.rawJSON(String(value))." };
    case "number":
      return Number.isFinite(value) ? undefined : { message: `is ${value}, which JSON does not have`, hint: JSON_HINT };
    case "string":
      return isStorable(value)
        ? undefined
        : {
            message: "has a NUL character or half a surrogate pair, which the database cannot keep",
            hint: "Take it out, or encode the text.",
          };
    default:
      return isRawNumber(value) && !fitsNumeric(value.rawJSON)
        ? { message: "is a number of more digits than the database can keep", hint: "Give it as text." }
        : undefined;
  }
}

/** Whether Postgres's numeric can hold a number, given as JSON: 131,072 digits before the point and 16,383 behind it. */
export function fitsNumeric(number: string): boolean {
  const [, whole = "", fraction = "", exponent = "0"] = /^-?0*(\d*)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/.exec(number) ?? [];
  const shift = Number(exponent);
  return whole.length + shift <= 131_072 && fraction.length - shift <= 16_383;
}

/** Whether Postgres can keep a text. */
export function isStorable(text: string): boolean {
  return !text.includes("\u0000") && text.isWellFormed();
}
