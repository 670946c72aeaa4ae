import { parseDuration } from "legwork";
import { expect, it } from "vitest";
import { durationToInterval } from "../src/bounds.ts";
import { calendarSpan } from "../src/schedules/calendar-span.ts";

it.each([
  ["250ms", 250],
  ["30s", 30_000],
  ["1d", 86_400_000],
  [5_000, 5_000],
])("%s is a duration of %i ms", (value, milliseconds) => {
  expect(parseDuration(value)).toBe(milliseconds);
});

it.each(["", "soon", "-1s", "101y", -1, Number.NaN, null, undefined, {}])("%s is not a duration", (value) => {
  expect(parseDuration(value)).toBeUndefined();
});

it("a day is 24 hours, except in schedules, which follow the calendar", () => {
  expect(durationToInterval("delay", "1d")).toBe("86400000 milliseconds");
  expect(calendarSpan("every", "1d")).toBe("1 days");
  expect(calendarSpan("every", "24h")).toBe("86400000 milliseconds");
});
