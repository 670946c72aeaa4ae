import { Cron as Croner } from "croner";
import { LegworkError, toError } from "../errors.ts";
import { counted } from "../wording.ts";
import { assertTimezone, offsetAt } from "./local-time.ts";

/** The longest accepted expression. `legwork_private.assert_cron` has the same limit. */
const MAX_LENGTH = 200;

export const FIELDS = [
  { name: "second", low: 0, high: 59 },
  { name: "minute", low: 0, high: 59 },
  { name: "hour", low: 0, high: 23 },
  { name: "day", low: 1, high: 31 },
  { name: "month", low: 1, high: 12 },
  { name: "weekday", low: 0, high: 7 },
] as const;

const NICKNAMES: Record<string, string> = {
  "@yearly": "0 0 1 1 *",
  "@annually": "0 0 1 1 *",
  "@monthly": "0 0 1 * *",
  "@weekly": "0 0 * * SUN",
  "@daily": "0 0 * * *",
  "@midnight": "0 0 * * *",
  "@hourly": "0 * * * *",
};

/** Up to this many occurrences are enumerated, at 43 µs each. Beyond that, their number is computed. */
const MAX_ENUMERATED = 2_000;

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

/** Longer than any clock change so far. */
const MAX_SHIFT_MS = 3 * HOUR_MS;

/** The occurrences in a period. */
export interface Span {
  count: number;
  first: Date;
  last: Date;
  /** The occurrence before the last. */
  penultimate: Date | undefined;
}

/**
 * The times of a cron expression in a time zone. Croner computes them. This class determines what an expression means when clocks change, by the form
 * in which it passes the expression to croner:
 *
 * - An expression that names hours (`30 2 * * *`, `0,30 1-5 * * *`) means local times. A local time that is skipped occurs once, at the first
 *   moment after the gap. A local time that repeats occurs only the first time.
 * - An expression without hours (`0,30 * * * *`) is a rhythm, which continues through the repeated hour.
 */
export class CronTimes {
  readonly timezone: string;
  readonly #cron: Croner;
  /** The seconds, minutes and hours of the occurrences. `#days` is an expression for their days. */
  readonly #clock: readonly [Set<number>, Set<number>, Set<number>];
  readonly #days: Croner;
  readonly #isRhythm: boolean;

  /** Throws LW400, with the invalid part between > and <. */
  constructor(expression: string, timezone: string) {
    const fields = parseCron(expression);
    this.timezone = timezone;
    assertTimezone(timezone);
    const [second = "", minute = "", hour = "", ...days] = fields;
    const clock = [second, minute, hour].map((field, index) => expand(field, FIELDS[index]?.high ?? 0));
    this.#clock = clock as [Set<number>, Set<number>, Set<number>];
    this.#isRhythm = this.#clock[2].size === 24;
    // Croner treats an expression as local times if it has lists instead of stars and steps.
    const given = this.#isRhythm ? [second, minute, "*"] : clock.map((values) => [...values].join(","));
    this.#cron = croner([...given, ...days].join(" "), timezone);
    this.#days = croner(["0", "0", "0", ...days].join(" "), "UTC");
  }

  /** Returns the first occurrences after a time, at most `count`, up to and including `upto`. */
  next(after: Date, count: number, upto?: Date): Date[] {
    const times: Date[] = [];
    for (let time: Date | null = after; times.length < count; times.push(time)) {
      time = this.#cron.nextRun(time);
      if (time === null || (upto !== undefined && time > upto)) break;
    }
    return times;
  }

  /**
   * Returns the occurrences after one time and up to another; undefined if it does not occur in between. The cost of a long period is proportional to
   * its days.
   */
  span(after: Date, upto: Date): Span | undefined {
    const listed = this.next(after, MAX_ENUMERATED, upto);
    const [first] = listed;
    const [last, penultimate] = [listed.at(-1), listed.at(-2)];
    if (first === undefined || last === undefined) return undefined;
    if (listed.length < MAX_ENUMERATED) return { count: listed.length, first, last, penultimate };
    // Searches back from a second later, so that `upto` itself is included if it is an occurrence.
    const [end, beforeEnd] = this.#cron.previousRuns(2, new Date(Math.floor(upto.getTime() / 1_000) * 1_000 + 1_000));
    return {
      count: listed.length + this.#count(last.getTime(), upto.getTime()),
      first,
      last: end ?? last,
      penultimate: beforeEnd ?? penultimate,
    };
  }

  /** Counts the occurrences after one time and up to another. The cost is proportional to the number of days in between, not of occurrences. */
  count(after: Date, upto: Date): number {
    return this.#count(after.getTime(), upto.getTime());
  }

  #count(after: number, upto: number): number {
    let count = 0;
    // Whole seconds: `start` is included and `stop` is not.
    const stop = Math.floor(upto / 1_000) * 1_000 + 1_000;
    let start = Math.floor(after / 1_000) * 1_000 + 1_000;
    while (start < stop) {
      const offset = offsetAt(start, this.timezone);
      const midnight = Math.floor((start + offset) / DAY_MS) * DAY_MS;
      // Only croner handles the times around a clock change and, for local times, the hours after it in which they may repeat.
      const begin = this.#isRhythm ? start : start - MAX_SHIFT_MS;
      const isSteady = (upto: number): boolean =>
        [begin, upto - 1].every((instant) => offsetAt(instant, this.timezone) === offset);
      const dayEnd = midnight + DAY_MS - offset;
      const hourEnd = Math.min(start + HOUR_MS, dayEnd);
      const plainEnd = [dayEnd, hourEnd].find(isSteady);
      const isPlain = plainEnd !== undefined;
      const end = Math.min(stop, plainEnd ?? hourEnd);
      if (!isPlain) {
        count += this.next(new Date(start - 1), Number.POSITIVE_INFINITY, new Date(end - 1)).length;
      } else if (this.#days.match(new Date(midnight))) {
        count += this.#before(end + offset - midnight) - this.#before(start + offset - midnight);
      }
      start = end;
    }
    return count;
  }

  /** Counts the occurrences of a day before a time on it (ms from midnight). */
  #before(time: number): number {
    const second = time / 1_000;
    const [seconds, minutes, hours] = this.#clock;
    const below = (values: Set<number>, limit: number): number => [...values].filter((value) => value < limit).length;
    const [h, m, s] = [Math.floor(second / 3_600), Math.floor(second / 60) % 60, second % 60];
    const inHour = below(minutes, m) * seconds.size + (minutes.has(m) ? below(seconds, s) : 0);
    return below(hours, h) * minutes.size * seconds.size + (hours.has(h) ? inHour : 0);
  }
}

/** Parses an expression into the six fields that croner computes. Throws LW400, with the invalid part between > and <. */
export function parseCron(expression: string): string[] {
  const text = expression.trim();
  if (text.length > MAX_LENGTH) {
    throw new LegworkError("LW400", `The cron expression has ${text.length} characters; the maximum is ${MAX_LENGTH}.`, {
      hint: "Split it into several schedules.",
    });
  }
  if (text.includes("@") && !Object.hasOwn(NICKNAMES, text.toLowerCase())) {
    throw new LegworkError("LW400", `Unknown cron shortcut >${text}<.`, {
      hint: `The shortcuts are ${new Intl.ListFormat("en-GB").format(Object.keys(NICKNAMES))}.`,
    });
  }
  const given = (NICKNAMES[text.toLowerCase()] ?? text).split(/\s+/);
  if (given.length !== 5 && given.length !== 6) {
    throw new LegworkError("LW400", `The cron expression '${text}' has ${counted(text === "" ? 0 : given.length, "field")}.`, {
      hint: "It needs five fields (minute hour day month weekday), or six with seconds first, for example 30 2 * * MON-FRI.",
    });
  }
  const fields = given.map((field) => field.replaceAll("?", "*"));
  if (fields.length === 5) fields.unshift("0");
  for (const [index, field] of fields.entries()) {
    const problem = problemOf(field, index);
    if (problem === undefined) continue;
    const items = field.split(",");
    const wrong = items.findIndex((item) => problemOf(item, index) !== undefined);
    const marked = wrong === -1 ? `>${field}<` : items.map((item, at) => (at === wrong ? `>${item}<` : item)).join(",");
    const shown = fields.map((other, at) => (at === index ? marked : other)).slice(6 - given.length);
    throw new LegworkError("LW400", `The cron expression is not valid: ${FIELDS[index]?.name} ${problem}: ${shown.join(" ")}`, {
      hint:
        "The fields are minute, hour, day of month, month and weekday. With six fields, seconds come first. A field is *, a number, a name, " +
        "a range (1-5), a step (*/15) or a list of these. Days also accept L, LW and 15W, and weekdays FRI#2 and FRIL.",
    });
  }
  // Croner treats a field as unrestricted only if it is a star. In cron, a star with a step of one is also unrestricted.
  const meant = fields.map((field) => field.replace(/^\*\/0*1$/, "*"));
  // Croner searches 400 years ahead, which takes a few milliseconds.
  if (croner(meant.join(" "), "UTC").nextRun(new Date(0)) === null) {
    const shown = [...fields.slice(6 - given.length, 3), `>${fields[3]}`, `${fields[4]}<`, fields[5]];
    throw new LegworkError(
      "LW400",
      `The cron expression never fires, because its months do not have that day: ${shown.join(" ")}`,
      {
        hint: "Use L for the last day of a month.",
      },
    );
  }
  return meant;
}

/** The problem with a single field, in croner's words. Undefined for a valid field. */
function problemOf(field: string, index: number): string | undefined {
  const { low, high } = FIELDS[index] ?? FIELDS[0];
  // Croner also accepts a +, and ranges that end outside their field if a step skips the end.
  if (field.startsWith("+")) return "must not contain a +";
  const outside = [...field.matchAll(/-(\d+)/g)].some(([, end]) => Number(end) > high);
  if (outside) return `is not between ${low} and ${high}`;
  try {
    croner(FIELDS.map((_, at) => (at === index ? field : "*")).join(" "), "UTC");
    return undefined;
  } catch (error) {
    return `cannot be parsed (${toError(error)
      .message.replace(/^CronPattern: /, "")
      .replace(/\.$/, "")})`;
  }
}

function croner(pattern: string, timezone: string): Croner {
  return new Croner(pattern, { timezone, paused: true, mode: "6-part", fixedTimeRule: "no-wildcard" });
}

/** Returns the values of a numeric field that croner has accepted. */
export function expand(field: string, high: number): Set<number> {
  const values = new Set<number>();
  for (const item of field.split(",")) {
    const [range = "", step = "1"] = item.split("/");
    const [from, to = from] = range === "*" ? [0, high] : range.split("-").map(Number);
    for (let value = from ?? 0; value <= (to ?? 0); value += Math.max(1, Number(step))) values.add(value);
  }
  return new Set([...values].toSorted((a, b) => a - b));
}
