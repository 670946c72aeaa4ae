import { LegworkError } from "../../errors.ts";
import { formatNumber } from "../../wording.ts";
import { isRawNumber, mayLoseDigits, parseExactly } from "../../json.ts";

/** The most values in a body, counting elements of lists and fields of objects. Validation takes some microseconds per value. */
const MAX_VALUES = 100_000;
/** The most elements of a list or fields of an object, outside of payloads. No route accepts more. */
const MAX_ELEMENTS = 10_000;

/** Throws LW413 for a body that has more values than any route accepts. Reads each character once, before the body is parsed. */
export function assertCountable(body: string): void {
  // A value takes at least two characters.
  if (body.length < 2 * MAX_VALUES) return;
  let values = 0;
  for (let index = 0; index < body.length; index++) {
    const character = body.charCodeAt(index);
    if (character === 34 /* " */) index = endOfText(body, index);
    else if (character === 44 /* , */ || character === 91 /* [ */ || character === 123 /* { */) {
      if (++values > MAX_VALUES) throw tooMany(`The body has more than ${formatNumber(MAX_VALUES)} values.`);
    }
  }
}

/** The position at which the string that begins at `start` ends; the end of the body if it is not closed. */
function endOfText(json: string, start: number): number {
  for (let end = start + 1; end < json.length; end++) {
    const character = json.charCodeAt(end);
    if (character === 92 /* \ */) end++;
    else if (character === 34) return end;
  }
  return json.length;
}

/**
 * A request's body in which payloads keep every digit of their numbers, as raw numbers. Other fields have JavaScript's numbers, as their schemas
 * expect. `parsed` is the same body as parsed by JavaScript. Throws LW413 for a list or an object outside of payloads that has more elements than
 * any route accepts.
 */
export function withDigits(body: string, parsed: unknown): unknown {
  try {
    return ofPayloads(mayLoseDigits(body) ? parseExactly(body) : parsed);
  } catch (error) {
    if (error instanceof LegworkError) throw error;
    // The body is nested too deeply for this. Its schema reports where.
    return parsed;
  }
}

function ofPayloads(value: unknown): unknown {
  if (isRawNumber(value)) return Number(value.rawJSON);
  if (typeof value !== "object" || value === null) return value;
  const size = Array.isArray(value) ? value.length : Object.keys(value).length;
  if (size > MAX_ELEMENTS) {
    throw tooMany(
      `A list or an object in the body has ${formatNumber(size)} elements; at most ${formatNumber(MAX_ELEMENTS)} are allowed.`,
    );
  }
  if (Array.isArray(value)) return value.map(ofPayloads);
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, key === "payload" ? inner : ofPayloads(inner)]));
}

function tooMany(message: string): LegworkError {
  return new LegworkError("LW413", message, { hint: "Split it into several requests." });
}
