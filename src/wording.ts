// How messages write numbers, plurals and durations. SQL has the same functions in sql/definitions/values/wording.sql.

const WHOLE = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });

/** A whole number with separators: `1,000`. Counts of 64 bits may come as text and are shown exactly. */
export function formatNumber(count: number | bigint | string): string {
  return WHOLE.format(typeof count === "string" ? BigInt(count) : count);
}

/** A number with its noun: `counted(1, "job")` is `1 job`, `counted(1000, "job")` is `1,000 jobs`. `plural` defaults to the noun with an s. */
export function counted(count: number | bigint | string, noun: string, plural = `${noun}s`): string {
  return `${formatNumber(count)} ${Number(count) === 1 ? noun : plural}`;
}

/** The noun or verb that goes with a count, without the number: `pluralOf(2, "job waits", "jobs wait")` is `jobs wait`. */
export function pluralOf(count: number | bigint | string, one: string, many: string): string {
  return Number(count) === 1 ? one : many;
}

/** A duration in words, with its largest unit and the next one: `2 hours 5 minutes`, `1 second`, `250 ms`. */
export function durationInWords(milliseconds: number): string {
  if (milliseconds < 1_000) return `${Math.round(milliseconds)} ms`;
  let rest = Math.round(milliseconds / 1_000);
  const parts: string[] = [];
  for (const [unit, seconds] of [
    ["day", 86_400],
    ["hour", 3_600],
    ["minute", 60],
    ["second", 1],
  ] as const) {
    const count = Math.floor(rest / seconds);
    rest -= count * seconds;
    const isNext = parts.length > 0;
    if (count > 0) parts.push(counted(count, unit));
    if (isNext) break;
  }
  return parts.join(" ");
}
