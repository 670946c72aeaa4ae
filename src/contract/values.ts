import { z } from "zod";
import { isTime, parseDuration } from "../duration.ts";
import { fitsNumeric, isRawNumber, isStorable } from "../json.ts";
import { isId } from "../id.ts";
import { formatNumber } from "../wording.ts";

/** The largest value of Postgres's integer type. */
export const MAX_INTEGER = 2_147_483_647;

/** The deepest nesting of arrays and objects in a stored JSON value. */
const MAX_DEPTH = 100;

/** The largest size of a stored JSON value (bytes, without escapes). */
const MAX_PAYLOAD = 1_000_000;

/** Text that Postgres can store: at least one character, and no NUL. */
export function text(max: number) {
  return (
    z
      .string()
      .min(1)
      .max(max)
      // oxlint-disable-next-line no-control-regex -- the one character that Postgres cannot store
      .regex(/^[^\u0000]*$/, "expected text without NUL characters")
      .refine((value) => value.isWellFormed(), "expected text without lone surrogates")
  );
}

export const jobId = z
  .string()
  .regex(/^\d{1,19}$/, "expected an id: a whole number, in digits")
  .refine(isId, "expected an id: a whole number below 2^63");

export const taskName = text(128);
export const queueName = text(128);

/** A point in time, from 1970 to 9999. */
export const time = z.iso
  .datetime({ offset: true, error: "expected a time such as 2026-12-24T18:00:00Z", abort: true })
  .refine((value) => isTime(new Date(value)), "expected a time between 1970-01-01 and 9999-12-31")
  .transform((value) => new Date(value))
  .meta({ examples: ["2026-12-24T18:00:00Z"] });

/** "500ms", "30s", "5m", "2h", or a number of milliseconds. */
export const duration = z
  .union([z.string(), z.number()])
  .refine((value) => parseDuration(value) !== undefined, {
    error: "expected a duration between 0 and 100 years, such as 500ms, 30s, 5m or 2h, or a number of milliseconds",
  })
  .meta({ examples: ["30s", 5000] });

/** A whole number in a query string, where it arrives as text. */
export function wholeNumber(min: number, max: number) {
  return z.coerce.number({ error: "expected a whole number" }).int().min(min).max(max);
}

/** Any JSON that Postgres can store. */
export const json = z
  .unknown()
  .superRefine((value, context) => {
    const fault = faultIn(value);
    if (fault !== undefined) context.addIssue({ code: "custom", ...fault });
  })
  .meta({ description: "Any JSON." });

/** A value and its location, as a link to its parent. A path for each of many thousands of values would take more memory than the values. */
interface Place {
  readonly value: unknown;
  readonly key: PropertyKey;
  readonly holder: Place | undefined;
  readonly depth: number;
}

/** Finds the first part of a value that cannot be stored unchanged. Not recursive: input may be nested deeper than the stack allows. */
function faultIn(root: unknown): { path: PropertyKey[]; message: string; params?: { code: "LW413" } } | undefined {
  const left: Place[] = [{ value: root, key: "", holder: undefined, depth: 0 }];
  let size = 0;
  for (let next = left.pop(); next !== undefined; next = left.pop()) {
    const { value, depth } = next;
    const message = faultOf(value);
    if (message !== undefined) return { path: pathTo(next), message };
    size += sizeOf(value);
    if (size > MAX_PAYLOAD) {
      return { path: [], message: `it has more than ${formatNumber(MAX_PAYLOAD)} bytes`, params: { code: "LW413" } };
    }
    if (typeof value !== "object" || value === null || isRawNumber(value)) continue;
    if (depth === MAX_DEPTH)
      return { path: pathTo(next).slice(0, 3), message: `it has more than ${MAX_DEPTH} levels of nesting` };
    if (Array.isArray(value)) {
      for (const [index, inner] of value.entries()) left.push({ value: inner, key: index, holder: next, depth: depth + 1 });
      continue;
    }
    for (const key of Object.keys(value)) {
      if (!isStorable(key))
        return { path: pathTo(next), message: "the name of a field contains a NUL character or a lone surrogate" };
      size += sizeOf(key) + 1;
      left.push({ value: (value as Record<string, unknown>)[key], key, holder: next, depth: depth + 1 });
    }
  }
  return undefined;
}

function faultOf(value: unknown): string | undefined {
  if (typeof value === "string") return isStorable(value) ? undefined : "it contains a NUL character or a lone surrogate";
  // JSON has no infinite numbers, so this number was too large for a double.
  const isTooLarge = isRawNumber(value) ? !fitsNumeric(value.rawJSON) : typeof value === "number" && !Number.isFinite(value);
  return isTooLarge ? "the number is too large" : undefined;
}

/** The size of a value as JSON (bytes), without its children and without escapes, but with separators. */
function sizeOf(value: unknown): number {
  if (typeof value === "string") return bytesOf(value) + 3;
  return isRawNumber(value) ? value.rawJSON.length + 1 : 2;
}

function pathTo(place: Place): PropertyKey[] {
  const path: PropertyKey[] = [];
  for (let at: Place | undefined = place; at.holder !== undefined; at = at.holder) path.push(at.key);
  return path.toReversed();
}

/** The size of a text as UTF-8 (bytes). */
export function bytesOf(value: string): number {
  let bytes = value.length;
  for (let index = 0; index < value.length; index++) {
    const unit = value.charCodeAt(index);
    // Each half of a surrogate pair accounts for two of the pair's four bytes.
    if (unit > 0x7f) bytes += unit <= 0x7ff || (unit >= 0xd800 && unit <= 0xdfff) ? 1 : 2;
  }
  return bytes;
}
