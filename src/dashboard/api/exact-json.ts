/** A number that is kept by the digits it was written with: `JSON.stringify` writes them as they are. */
interface RawNumber {
  readonly rawJSON: string;
}

/** What browsers have beyond what TypeScript knows of it, or do not have yet. */
const json = JSON as unknown as {
  rawJSON?: (text: string) => RawNumber;
  isRawJSON?: (value: unknown) => boolean;
  parse(text: string, reviver: (key: string, value: unknown, context?: { source?: string }) => unknown): unknown;
};

/** Where a number may stand that JavaScript does not hold as it is written; also found in texts, which only takes longer then. */
const MAY_LOSE_DIGITS = /[\d.]{16}|\d[eE]/;

/** The digits that a JavaScript number always keeps (IEEE 754: 15.95). */
const KEPT_DIGITS = 15;

let hasMadeRaw = false;

/**
 * Reads JSON without losing a digit: a number that JavaScript cannot hold (19 digits, 1e400) becomes a raw number, which is shown and sent as it was
 * written. A browser without `JSON.rawJSON` rounds it. Throws a SyntaxError for what is not JSON.
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

/** Whether a raw number is anywhere in an answer, which must then not be copied. */
export function holdsRawNumber(value: unknown): boolean {
  if (!hasMadeRaw || typeof value !== "object" || value === null) return false;
  return isRawNumber(value) || Object.values(value).some(holdsRawNumber);
}
