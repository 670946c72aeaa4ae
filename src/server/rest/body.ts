import { LegworkError } from "../../errors.ts";
import { formatNumber } from "../../wording.ts";
import { endOfString, isRawNumber, mayLoseDigits, parseExactly } from "../../json.ts";

/** The maximum number of values in a body, counting elements of lists and fields of objects. Validation takes some microseconds per value. */
const MAX_VALUES = 50_000;
/** The maximum number of fields in an object and, outside payloads, of elements in a list. No route accepts longer lists outside payloads. */
const MAX_ELEMENTS = 10_000;
/** The longest string without escapes (characters). A longer string would exceed the maximum size of a payload. */
const MAX_STRING = 1_000_000;

/** Throws LW413 if a part of the body is too large for every route. Scans the body once, before it is parsed, because parsing takes longer. */
export function assertCountable(body: string): void {
  // A field takes at least four characters, and any other value takes at least two.
  if (body.length < 4 * MAX_ELEMENTS) return;
  let values = 0;
  // The number of fields of each open object, and a number below zero for each open list.
  const open: number[] = [];
  for (let index = 0; index < body.length; index++) {
    switch (body.charCodeAt(index)) {
      case 34 /* " */: {
        const end = endOfString(body, index);
        assertLength(body, index, end);
        index = end;
        break;
      }
      case 91 /* [ */:
        open.push(Number.NEGATIVE_INFINITY);
        values++;
        break;
      case 123 /* { */:
        open.push(1);
        values++;
        break;
      case 93 /* ] */:
      case 125 /* } */:
        open.pop();
        break;
      case 44 /* , */: {
        const fields = (open.pop() ?? Number.NEGATIVE_INFINITY) + 1;
        open.push(fields);
        values++;
        if (fields > MAX_ELEMENTS) throw tooMany(`An object in the body has more than ${formatNumber(MAX_ELEMENTS)} fields.`);
        break;
      }
      default:
    }
    if (values > MAX_VALUES) throw tooMany(`The body has more than ${formatNumber(MAX_VALUES)} values.`);
  }
}

/** Throws LW413 for a string that is too long for every route. A string with escapes may be shorter than its JSON, so its schema decides. */
function assertLength(body: string, start: number, end: number): void {
  if (end - start <= MAX_STRING + 1 || body.slice(start, end).includes("\\")) return;
  throw tooLarge(`A string in the body has more than ${formatNumber(MAX_STRING)} characters.`, "Send a shorter string.");
}

/**
 * Parses a request's body so that numbers in payloads are raw numbers with every digit. Numbers in other fields are JavaScript numbers, as their
 * schemas expect. `parsed` is the same body as parsed by JavaScript. Throws LW413 for a list outside payloads that has more elements than any route
 * accepts.
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
  if (typeof value !== "object" || value === null) return value;
  if (isRawNumber(value)) return Number(value.rawJSON);
  if (Array.isArray(value)) {
    if (value.length > MAX_ELEMENTS) {
      throw tooMany(
        `A list in the body has ${formatNumber(value.length)} elements; at most ${formatNumber(MAX_ELEMENTS)} are allowed.`,
      );
    }
    return value.map(ofPayloads);
  }
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, key === "payload" ? inner : ofPayloads(inner)]));
}

function tooMany(message: string): LegworkError {
  return tooLarge(message, "Split it into several requests.");
}

function tooLarge(message: string, hint: string): LegworkError {
  return new LegworkError("LW413", message, { hint });
}
