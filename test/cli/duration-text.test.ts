import { expect, it } from "vitest";
import { durationText, periodText } from "../../src/cli/duration-text.ts";

it.each([
  ["00:15:00", "15 minutes"],
  ["01:00:00", "1 hour"],
  ["1 day 02:00:00", "1 day 2 hours"],
  ["7 days", "7 days"],
  ["00:00:00.25", "250 ms"],
  ["90m", "1 hour 30 minutes"],
  ["2h", "2 hours"],
])("%s is written as %s", (duration, words) => {
  expect(durationText(duration)).toBe(words);
});

it.each(["01:02:03", "00:00:01.5", "1 year", "2y", "soon", ""])("'%s' is left as it is", (duration) => {
  expect(durationText(duration)).toBe(duration);
});

it("months are written out", () => {
  expect(durationText("1 mon")).toBe("1 month");
  expect(durationText("2 mons 1 day")).toBe("2 months 1 day");
});

it.each([
  ["00:01:00", "minute"],
  ["00:10:00", "10 minutes"],
  ["01:30:00", "1 hour 30 minutes"],
])("a limit's period of %s is written as per %s", (per, words) => {
  expect(periodText(per)).toBe(words);
});
