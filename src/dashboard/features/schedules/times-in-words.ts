const WEEKDAYS: Readonly<Record<string, string>> = {
  sunday: "SUN",
  monday: "MON",
  tuesday: "TUE",
  wednesday: "WED",
  thursday: "THU",
  friday: "FRI",
  saturday: "SAT",
};

/** Names of days that users may type, with the cron fields for them: day of the month and weekday. */
const DAYS: readonly [RegExp, string][] = [
  [/^(?:every )?(?:week ?days?|work(?:ing)? ?days?)\b/, "* * MON-FRI"],
  [/^(?:every )?weekends?\b/, "* * SAT,SUN"],
  [/^(?:every day|daily|each day)\b/, "* * *"],
  [/^(?:first|1st) (?:day )?of (?:the|each|every) month\b|^monthly\b/, "1 * *"],
];

/**
 * Recognizes times in words, such as "weekdays 9:00 New York", "every 15 minutes", "mondays and fridays at 8:30 pm" or "first of the month 6:00".
 * Returns a cron expression, and the time zone if one is given. Returns undefined for anything else, so that a cron expression is not changed.
 */
export function timesInWords(typed: string, zones: readonly string[]): { cron: string; zone?: string } | undefined {
  let rest = typed.toLowerCase().replaceAll(",", " ").replaceAll(/\s+/g, " ").trim();
  const zone = zones.find((name) => {
    const city = name.split("/").at(-1)!.replaceAll("_", " ").toLowerCase();
    return rest.endsWith(` ${city}`) || rest.endsWith(` ${name.toLowerCase()}`);
  });
  if (zone !== undefined) {
    const city = zone.split("/").at(-1)!.replaceAll("_", " ").toLowerCase();
    rest = rest.slice(0, rest.endsWith(zone.toLowerCase()) ? -zone.length : -city.length).replace(/ (?:in )?$/, "");
  }
  const cron = everySome(rest) ?? atTimes(rest);
  return cron === undefined ? undefined : { cron, ...(zone === undefined ? {} : { zone }) };
}

/** "every minute", "every 15 minutes", "hourly", "every 2 hours". */
function everySome(text: string): string | undefined {
  if (/^(?:every hour|hourly)$/.test(text)) return "0 * * * *";
  const [, count = "1", unit] = /^every(?: (\d{1,2}))? (minutes?|hours?)$/.exec(text) ?? [];
  if (unit === undefined) return undefined;
  const each = Number(count);
  // Accepts only intervals that divide an hour or a day evenly, because cron starts over at the end of the hour or day.
  if (unit.startsWith("minute"))
    return each >= 1 && 60 % each === 0 ? (each === 1 ? "* * * * *" : `*/${each} * * * *`) : undefined;
  return each >= 1 && 24 % each === 0 ? `0 ${each === 1 ? "*" : `*/${each}`} * * *` : undefined;
}

/** Days and a time of day. Defaults: every day, and midnight. */
function atTimes(text: string): string | undefined {
  const known = DAYS.find(([pattern]) => pattern.test(text));
  let days = known?.[1];
  let rest = known === undefined ? text : text.replace(known[0], "");
  if (days === undefined) {
    const named: string[] = [];
    for (;;) {
      const [all, day] =
        /^\s*(?:and |every |on )*(sun|mon|tues?|wed(?:nes)?|thu(?:rs)?|fri|sat(?:ur)?)(?:day)?s?(?= |$)/.exec(rest) ?? [];
      if (all === undefined || day === undefined) break;
      named.push(Object.entries(WEEKDAYS).find(([name]) => name.startsWith(day))![1]);
      rest = rest.slice(all.length);
    }
    if (named.length > 0) days = `* * ${named.join(",")}`;
  }
  const time = /^\s*(?:at )?(?:(\d{1,2})(?::(\d{2}))?\s?(am|pm)?|(noon)|(midnight))$/.exec(rest);
  if (time === null) return days !== undefined && rest.trim() === "" ? `0 0 ${days}` : undefined;
  const [, digits, minutes, half, noon] = time;
  // A number alone is not a time: it may be the beginning of a cron expression.
  if (days === undefined && digits !== undefined && minutes === undefined && half === undefined) return undefined;
  const hour =
    digits === undefined
      ? noon === undefined
        ? 0
        : 12
      : (Number(digits) % (half === undefined ? 24 : 12)) + (half === "pm" ? 12 : 0);
  if (Number(digits ?? 0) > (half === undefined ? 23 : 12) || Number(minutes ?? 0) > 59) return undefined;
  return `${Number(minutes ?? 0)} ${hour} ${days ?? "* * *"}`;
}
