import { LegworkError } from "../../errors.ts";
import { isRawNumber, mayLoseDigits, parseExactly } from "../../json.ts";

/** Values of a body, elements of lists and fields of objects alike. What checks them takes some microseconds for each. */
const MAX_VALUES = 100_000;
/** Elements of a list and fields of an object, outside of payloads: no route takes more. */
const MAX_ELEMENTS = 10_000;

/** Throws LW413 for a body, as text, that has more values than any route would take. Looks at each character once, before anything is made of them. */
export function assertCountable(body: string): void {
  // A value takes two characters at least.
  if (body.length < 2 * MAX_VALUES) return;
  let values = 0;
  for (let index = 0; index < body.length; index++) {
    const character = body.charCodeAt(index);
    if (character === 34 /* " */) index = endOfText(body, index);
    else if (character === 44 /* , */ || character === 91 /* [ */ || character === 123 /* { */) {
      if (++values > MAX_VALUES) throw tooMany(`The body has more than ${MAX_VALUES.toLocaleString("en")} values.`);
    }
  }
}

/** Where a text ends that begins there; the end of all where it does not end. */
function endOfText(json: string, start: number): number {
  for (let end = start + 1; end < json.length; end++) {
    const character = json.charCodeAt(end);
    if (character === 92 /* \ */) end++;
    else if (character === 34) return end;
  }
  return json.length;
}

/**
 * A request's body whose payloads have every digit of their numbers, as raw numbers; other fields have JavaScript's numbers, as their schemas take
 * them. `parsed` is the same body as JavaScript reads it. Throws LW413 for a list or an object outside of payloads that has more elements than any
 * route takes.
 */
export function withDigits(body: string, parsed: unknown): unknown {
  try {
    return ofPayloads(mayLoseDigits(body) ? parseExactly(body) : parsed);
  } catch (error) {
    if (error instanceof LegworkError) throw error;
    // Too deep to be looked at in this way, and so for its schema, which says where.
    return parsed;
  }
}

function ofPayloads(value: unknown): unknown {
  if (isRawNumber(value)) return Number(value.rawJSON);
  if (typeof value !== "object" || value === null) return value;
  const size = Array.isArray(value) ? value.length : Object.keys(value).length;
  if (size > MAX_ELEMENTS) {
    throw tooMany(
      `A list or an object of the body has ${size.toLocaleString("en")} elements; ${MAX_ELEMENTS.toLocaleString("en")} are taken.`,
    );
  }
  if (Array.isArray(value)) return value.map(ofPayloads);
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, key === "payload" ? inner : ofPayloads(inner)]));
}

function tooMany(message: string): LegworkError {
  return new LegworkError("LW413", message, { hint: "Send it in several requests, or less at once." });
}
