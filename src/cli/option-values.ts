import { InvalidArgumentError } from "commander";
import { assertId } from "../bounds.ts";
import { isTime, parseDuration } from "../duration.ts";
import { isId } from "../id.ts";
import { calendarSpan } from "../schedules/calendar-span.ts";
import { durationInWords, formatNumber } from "../wording.ts";

// Parsers for options and arguments. An invalid value is rejected before the command connects to anything. The message says what was expected.

type Parse<Value> = (text: string) => Value;

/** Parses an option that can be repeated: collects its values. */
export function collect(value: string, previous: string[] | undefined): string[] {
  return [...(previous ?? []), value];
}

/** A whole number within a range. */
export function wholeNumber(low = 1, high = 2_147_483_647): Parse<number> {
  return (text) => {
    const number = /^\s*[+-]?\d+\s*$/.test(text) ? Number(text) : Number.NaN;
    if (Number.isSafeInteger(number) && number >= low && number <= high) return number;
    throw new InvalidArgumentError(`Expected a whole number from ${formatNumber(low)} to ${formatNumber(high)}.`);
  };
}

/** Collects numbers by queue, typed as mail=5. */
export function queueSlots(text: string, previous: string[] | undefined): string[] {
  const [, count = ""] = /^\s*\S.*=\s*(\d+)\s*$/.exec(text) ?? [];
  if (Number(count) >= 1 && Number(count) <= 10_000) return collect(text, previous);
  throw new InvalidArgumentError("Expected a queue and a number from 1 to 10,000, such as mail=5.");
}

/** The number of rows to list, at most 500. Further rows are read page by page. */
export const listLimit = wholeNumber(1, 500);

/** A time between 1970 and 9999. A time without a zone is local. */
export function time(text: string): Date {
  const parsed = new Date(text);
  if (isTime(parsed)) return parsed;
  throw new InvalidArgumentError("Expected a time between 1970-01-01 and 9999-12-31, such as 2026-12-24T18:00:00Z.");
}

/** A duration of at least `low` (ms), unchanged, because the database or the server parses it. */
export function duration(low = 0): Parse<string> {
  return (text) => {
    milliseconds(low)(text);
    return text;
  };
}

/** A duration of at least `low` (ms), in milliseconds. */
export function milliseconds(low = 0): Parse<number> {
  return (text) => {
    const parsed = /^\s*\d/.test(text) ? parseDuration(text) : undefined;
    if (parsed !== undefined && parsed >= low) return parsed;
    throw new InvalidArgumentError(
      `Expected a duration${low === 0 ? "" : ` of at least ${durationInWords(low)}`} and at most 100 years, such as 500ms, 30s, 5m, 2h or 7d.`,
    );
  };
}

/** A duration of a schedule, with calendar days, weeks, months and years. */
export function calendarDuration(text: string): string {
  try {
    calendarSpan("duration", text);
    return text;
  } catch {
    throw new InvalidArgumentError("Expected a duration of at most 100 years, such as 30s, 5m, 2h, 1d or '1 month'.");
  }
}

/** The id of a row, as an option. */
export function idOf(what: string): Parse<string> {
  return (text) => {
    if (isId(text)) return text;
    throw new InvalidArgumentError(`Expected the id of ${what}: a whole number below 2^63.`);
  };
}

/** The id of a row, as an argument. */
export function idArgument(what: "batch" | "bulk action" | "job" | "workflow"): Parse<string> {
  return (text) => assertId(what, text);
}

/** The ids of jobs, as an argument that can be repeated. */
export function jobIds(text: string, previous: string[] | undefined): string[] {
  return [...(previous ?? []), assertId("job", text)];
}

/** The ids of jobs, as an option that can be repeated. */
export function jobIdsOption(text: string, previous: string[] | undefined): string[] {
  return [...(previous ?? []), idOf("a job")(text)];
}

/** The id of a token. */
export function tokenId(text: string): string {
  if (/^[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}$/i.test(text)) return text;
  throw new InvalidArgumentError("Expected the id of a token, as `legwork token list` shows it.");
}
