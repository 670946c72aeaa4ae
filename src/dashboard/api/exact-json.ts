/** A number that keeps its original digits: `JSON.stringify` writes them unchanged. */
interface RawNumber {
  readonly rawJSON: string;
}

/** Newer JSON functions that TypeScript does not declare and some browsers do not support yet. */
const json = JSON as unknown as {
  rawJSON?: (text: string) => RawNumber;
  isRawJSON?: (value: unknown) => boolean;
  parse(text: string, reviver: (key: string, value: unknown, context?: { source?: string }) => unknown): unknown;
};

/** Matches numbers that JavaScript might not represent exactly. A match inside a string is harmless and only costs time. */
const MAY_LOSE_DIGITS = /[\d.]{16}|\d[eE]/;

/** The number of significant digits that a JavaScript number always preserves (IEEE 754: 15.95). */
const KEPT_DIGITS = 15;

let hasMadeRaw = false;

/**
 * Parses JSON without losing digits: a number that JavaScript cannot represent (19 digits, 1e400) becomes a raw number, which is displayed and sent
 * with its original digits. A browser without `JSON.rawJSON` rounds it. Throws a SyntaxError for invalid JSON.
 */
export function parseExactly(text: string): unknown {
  const { rawJSON } = json;
  if (rawJSON === undefined || !MAY_LOSE_DIGITS.test(text)) return JSON.parse(text);
  return json.parse(text, (_key, value, context) => {
    const source = context?.source;
    if (typeof value !== "number" || source === undefined || String(value) === source || isHeld(source, value)) return value;
    hasMadeRaw = true;
    return rawJSON.call(JSON, source);
  });
}

function isHeld(source: string, value: number): boolean {
  const digits = source
    .replace(/[eE].*$/, "")
    .replaceAll(/\D/g, "")
    .replace(/^0+/, "");
  return Number.isFinite(value) && digits.length <= KEPT_DIGITS && (value !== 0 || digits === "");
}

export function isRawNumber(value: unknown): value is RawNumber {
  return typeof value === "object" && value !== null && json.isRawJSON?.(value) === true;
}

/** Whether a response contains a raw number. Such a response must not be copied: `JSON.stringify` does not recognize a copy of a raw number. */
export function holdsRawNumber(value: unknown): boolean {
  if (!hasMadeRaw || typeof value !== "object" || value === null) return false;
  return isRawNumber(value) || Object.values(value).some(holdsRawNumber);
}
