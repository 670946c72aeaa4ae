import cronstrue from "cronstrue";
import { expand, FIELDS, parseCron } from "./cron.ts";

const DAY = 3;
const WEEKDAY = 5;
const NAMES: Record<number, readonly string[]> = {
  4: ["", "JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"],
  5: ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"],
};

/**
 * Describes an expression in a sentence, such as "At 02:30, Monday through Friday"; returns the expression itself if there are no words for it. If
 * both a day and a weekday are given and one of the two covers all values, a crontab differs from a schedule: graphile-worker applies only the other
 * field.
 */
export function describeCron(expression: string, { isCrontab = false }: { isCrontab?: boolean } = {}): string {
  try {
    const fields = parseCron(expression).map((field, index, all) => plainField(field, index, all.slice(index + 1, DAY)));
    const [day = "*", weekday = "*"] = [fields[DAY], fields[WEEKDAY]];
    const isAnyDay = namesAll(day, DAY);
    const isAnyWeekday = namesAll(weekday, WEEKDAY);
    if (isAnyDay) fields[DAY] = "*";
    if (isAnyWeekday) fields[WEEKDAY] = "*";
    if (!isCrontab && day !== "*" && weekday !== "*" && (isAnyDay || isAnyWeekday)) {
      // A day matches if either field matches, so every day matches.
      fields[DAY] = "*";
      fields[WEEKDAY] = "*";
    }
    return fields[DAY] !== "*" && fields[WEEKDAY] !== "*" ? either(fields) : words(fields);
  } catch {
    return expression;
  }
}

/** Describes an expression that restricts both day and weekday with "or". Cronstrue would write "and", as if it meant only Friday the 13th. */
function either(fields: readonly string[]): string {
  const without = (...indices: number[]): string => words(fields.map((field, index) => (indices.includes(index) ? "*" : field)));
  const time = without(DAY, 4, WEEKDAY);
  const [day, weekday, month] = [without(4, WEEKDAY), without(DAY, 4), without(DAY, WEEKDAY)].map((text) => {
    if (!text.startsWith(time)) throw new Error("cronstrue composes its sentences differently.");
    return text.slice(time.length);
  });
  return `${time}${day} or ${(weekday ?? "").replace(/^, (only )?/, "")}${month}`;
}

function words(fields: readonly string[]): string {
  // Croner counts weekdays from Sunday, like cronstrue.
  return cronstrue.toString(fields.join(" ").replace(/^0 /, ""), { use24HourTimeFormat: true, verbose: false });
}

/** Normalizes a field for cronstrue: in capitals, without leading zeros, and without uneven steps. */
function plainField(field: string, index: number, above: readonly string[]): string {
  // A step of minutes within certain hours stays a step, because cronstrue would describe a list of minutes as if it were independent of these hours.
  const isListed = above.every((larger) => larger === "*");
  return field
    .toUpperCase()
    .split(",")
    .map((item) => plainItem(item, index, isListed))
    .join(",");
}

function plainItem(item: string, index: number, isListed: boolean): string {
  const [, range = "", step, nth] = /^([^/#]+)(?:\/(\d+))?(?:#(\w+))?$/.exec(item) ?? [undefined, item];
  const trimmed = range.replaceAll(/\b0+(?=\d)/g, "");
  const [from, to] = trimmed.split("-");
  // Sunday to Sunday is the whole week.
  const plain = from === to && from !== "SUN" ? (from ?? trimmed) : trimmed;
  if (nth === undefined) {
    if (step === undefined || Number(step) === 1) return plain;
    return isListed ? stepped(plain, Number(step), index) : `${plain}/${Number(step)}`;
  }
  if (step === undefined && !/[*-]/.test(plain)) return nth === "L" ? `${plain}L` : `${plain}#${nth}`;
  const values = [...expand(numbered(step === undefined ? plain : `${plain}/${step}`, index), 6)];
  return [...new Set(values.map((value) => value % 7))].map((value) => (nth === "L" ? `${value}L` : `${value}#${nth}`)).join(",");
}

/**
 * Expands an uneven step through the whole field to its values: "every 7 minutes" would hide that the last interval of an hour has only 4 minutes.
 */
function stepped(range: string, step: number, index: number): string {
  const { low, high } = FIELDS[index] ?? FIELDS[0];
  const size = index === WEEKDAY ? 7 : high - low + 1;
  if (range !== "*" || (index !== DAY && size % step === 0)) return `${range}/${step}`;
  const values = Array.from({ length: Math.ceil(size / step) }, (_, nth) => low + nth * step);
  return values.map((value) => NAMES[index]?.[value] ?? String(value)).join(",");
}

/** Whether a field names every day or every weekday. */
function namesAll(field: string, index: number): boolean {
  if (/[LW#]/.test(field.replaceAll(/[A-Z]{3}/g, ""))) return false;
  const { low, high } = FIELDS[index] ?? FIELDS[0];
  const values = expand(numbered(field, index), high);
  const size =
    index === WEEKDAY ? new Set([...values].map((value) => value % 7)).size : [...values].filter((value) => value >= low).length;
  return size === (index === WEEKDAY ? 7 : high - low + 1);
}

/** Replaces names by numbers; a Sunday at the end of a range becomes 7. */
function numbered(field: string, index: number): string {
  return field.replaceAll(/-SUN/g, "-7").replaceAll(/[A-Z]{3}/g, (name) => String(NAMES[index]?.indexOf(name) ?? name));
}
