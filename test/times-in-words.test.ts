import { expect, it } from "vitest";
import { timesInWords } from "../src/dashboard/features/schedules/times-in-words.ts";

const ZONES = ["UTC", "America/New_York", "Europe/Berlin", "America/Argentina/Buenos_Aires"];

it.each([
  ["weekdays 9:00 New York", "0 9 * * MON-FRI", "America/New_York"],
  ["Weekdays at 9:30 in Europe/Berlin", "30 9 * * MON-FRI", "Europe/Berlin"],
  ["every day at 7 am UTC", "0 7 * * *", "UTC"],
  ["daily 12 pm", "0 12 * * *", undefined],
  ["daily 12:30 am", "30 0 * * *", undefined],
  ["mondays and fridays at 8:30 pm", "30 20 * * MON,FRI", undefined],
  ["tue, thursday 23:59 Buenos Aires", "59 23 * * TUE,THU", "America/Argentina/Buenos_Aires"],
  ["weekends at noon", "0 12 * * SAT,SUN", undefined],
  ["first of the month 6:00", "0 6 1 * *", undefined],
  ["sunday", "0 0 * * SUN", undefined],
  ["9:15", "15 9 * * *", undefined],
  ["every 15 minutes", "*/15 * * * *", undefined],
  ["every minute", "* * * * *", undefined],
  ["hourly", "0 * * * *", undefined],
  ["every 6 hours", "0 */6 * * *", undefined],
])("%s is %s", (typed, cron, zone) => {
  expect(timesInWords(typed, ZONES)).toEqual(zone === undefined ? { cron } : { cron, zone });
});

it.each([
  "",
  "0 7 * * MON-FRI",
  "7",
  "@daily",
  "every 7 minutes",
  "every 5 hours",
  "weekdays 25:00",
  "weekdays 13 pm",
  "9:75",
  "soon",
  "mon the 3rd",
])("%j is left as it is", (typed) => {
  expect(timesInWords(typed, ZONES)).toBeUndefined();
});
