import { isRawNumber, parseExactly } from "../../json.ts";

/**
 * A request's body whose payloads have every digit of their numbers, as raw numbers; other fields have JavaScript's numbers, as their schemas take
 * them. `parsed` is the same body as JavaScript reads it.
 */
export function withDigits(body: string, parsed: unknown): unknown {
  try {
    return ofPayloads(parseExactly(body));
  } catch {
    // Too deep to be looked at in this way, and so for its schema, which says where.
    return parsed;
  }
}

function ofPayloads(value: unknown): unknown {
  if (isRawNumber(value)) return Number(value.rawJSON);
  if (Array.isArray(value)) return value.map(ofPayloads);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, key === "payload" ? inner : ofPayloads(inner)]));
}
