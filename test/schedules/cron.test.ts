import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { sized } from "../support/long.ts";
import { parseCrontab } from "graphile-worker";
import { CronTimes, parseCron } from "../../src/schedules/cron.ts";
import { describeCron } from "../../src/schedules/describe-cron.ts";
import { formatLocal, localTime } from "../../src/schedules/local-time.ts";
import { previewSchedule } from "../../src/schedules/preview-schedule.ts";
import { registerCrontab } from "../../src/schedules/register-crontab.ts";
import { schedule } from "../../src/schedules/schedule.ts";
import { testDatabase } from "../support/database.ts";
import { scaled } from "../support/slowness.ts";

const database = testDatabase();

function localTimes(cron: string, timezone: string, from: string, upto: string): string[] {
  return new CronTimes(cron, timezone).next(new Date(from), 200, new Date(upto)).map((time) => formatLocal(time, timezone));
}

describe("a skipped local time fires once, after the gap, and a repeated one fires only the first time:", () => {
  it.each([
    // The zone; the day when clocks go forward, a time in the gap, the end of the gap; the day when they go back, a repeated time, its first occurrence.
    ["Europe/Berlin", "2026-03-29", "30 2 * * *", "03:00:00", "2026-10-25", "30 2 * * *", "2026-10-25T00:30:00.000Z"],
    ["America/New_York", "2026-03-08", "30 2 * * *", "03:00:00", "2026-11-01", "30 1 * * *", "2026-11-01T05:30:00.000Z"],
    // In this zone, clocks change by half an hour.
    ["Australia/Lord_Howe", "2026-10-04", "15 2 * * *", "02:30:00", "2026-04-05", "45 1 * * *", "2026-04-04T14:45:00.000Z"],
  ])("%s", async (zone, spring, missing, after, autumn, twice, first) => {
    const day = (date: string, cron: string): Date[] => {
      const noon = Date.parse(`${date}T12:00:00Z`);
      const times = new CronTimes(cron, zone).next(new Date(noon - 36 * 3_600_000), 300, new Date(noon + 24 * 3_600_000));
      return times.filter((time) => formatLocal(time, zone).startsWith(date));
    };
    expect(day(spring, missing).map((time) => formatLocal(time, zone))).toEqual([`${spring} ${after}`]);
    expect(day(autumn, twice).map((time) => time.toISOString())).toEqual([first]);
    // Several times in the gap result in one occurrence. Expressions with steps or stars in the minutes behave in the same way.
    expect(day(spring, `*/15 ${missing.split(" ")[1]} * * *`).length).toBe(zone === "Australia/Lord_Howe" ? 2 : 1);
    expect(day(autumn, `*/15 ${twice.split(" ")[1]} * * *`).length).toBe(4);
    expect(day(autumn, "*/15 */2 * * *").length).toBe(48);
    // The day before and the day after have no clock change.
    const preview = await previewSchedule({ cron: missing }, { timezone: zone, from: new Date(`${spring}T12:00:00Z`), count: 2 });
    expect(preview.every(({ local }) => !local.endsWith("03:00:00"))).toBe(true);
  });
});

it("an expression with a star for the hour fires in both repeated hours, and not in a skipped hour", () => {
  const hours = (from: string, upto: string): number => localTimes("0 * * * *", "Europe/Berlin", from, upto).length;
  expect(hours("2026-10-24T21:59:00Z", "2026-10-25T22:59:00Z")).toBe(25);
  expect(hours("2026-03-28T22:59:00Z", "2026-03-29T21:59:00Z")).toBe(23);
  expect(hours("2026-06-10T21:59:00Z", "2026-06-11T21:59:00Z")).toBe(24);
});

describe("month ends, leap days and the rest of the grammar result in the right days:", () => {
  it.each([
    ["0 12 L * *", "2028-01-01Z", ["2028-01-31", "2028-02-29", "2028-03-31", "2028-04-30"]],
    ["0 12 31 * *", "2027-01-01Z", ["2027-01-31", "2027-03-31", "2027-05-31"]],
    ["0 12 29 2 *", "2026-01-01Z", ["2028-02-29", "2032-02-29"]],
    ["0 12 29 2 *", "2096-01-01Z", ["2096-02-29", "2104-02-29"]],
    ["0 12 * * FRI#2", "2026-01-01Z", ["2026-01-09", "2026-02-13"]],
    ["0 12 * * friL", "2026-01-01Z", ["2026-01-30", "2026-02-27"]],
    ["0 12 15W * *", "2026-08-01Z", ["2026-08-14", "2026-09-15"]],
    ["0 12 LW * *", "2026-01-01Z", ["2026-01-30", "2026-02-27"]],
    ["0 12 1 JAN,jul *", "2026-02-01Z", ["2026-07-01", "2027-01-01"]],
    ["0 12 13 * FRI", "2026-02-01Z", ["2026-02-06", "2026-02-13", "2026-02-20"]],
    ["0 12 * * 7", "2026-01-01Z", ["2026-01-04", "2026-01-11"]],
    ["30 0 12 * * MON-FRI", "2026-01-02T13:00Z", ["2026-01-05", "2026-01-06"]],
    ["@weekly", "2026-01-01Z", ["2026-01-04", "2026-01-11"]],
    ["@yearly", "2026-02-01Z", ["2027-01-01"]],
  ])("%s from %s", (cron, from, days) => {
    const times = new CronTimes(cron, "UTC").next(new Date(from), days.length);
    expect(times.map((time) => time.toISOString().slice(0, 10))).toEqual(days);
  });
});

it("an expression has a description", () => {
  expect(describeCron("30 2 * * MON-FRI")).toBe("At 02:30, Monday through Friday");
  expect(describeCron("@daily")).toBe("At 00:00");
  expect(describeCron("*/10 * * * * *")).toBe("Every 10 seconds");
});

describe("the description matches the expression:", () => {
  it.each([
    ["0 0 */1 * 4", "At 00:00, only on Thursday", ["2026-12-03", "2026-12-10"]],
    ["0 0 * * fril", "At 00:00, on the last Friday of the month", ["2026-12-25", "2027-01-29"]],
    ["0 0 * * FRI#L", "At 00:00, on the last Friday of the month", ["2026-12-25", "2027-01-29"]],
    [
      "0 0 * * */2#2",
      "At 00:00, on the second Sunday, second Tuesday, second Thursday, and second Saturday of the month",
      ["2026-12-08", "2026-12-10"],
    ],
    ["0 0 13 * FRI", "At 00:00, on day 13 of the month or on Friday", ["2026-12-04", "2026-12-11", "2026-12-13"]],
    [
      "0 0 13 2 MON-FRI",
      "At 00:00, on day 13 of the month or Monday through Friday, only in February",
      ["2027-02-01", "2027-02-02"],
    ],
    // These match every day, so the weekday changes nothing.
    ["0 0 1-31 * 4", "At 00:00", ["2026-12-01", "2026-12-02"]],
    ["0 0 * * SUN-SUN", "At 00:00", ["2026-12-01", "2026-12-02"]],
    ["0 0 15w * *", "At 00:00, on the weekday nearest day 15 of the month", ["2026-12-15", "2027-01-15"]],
    ["0 0 l * *", "At 00:00, on the last day of the month", ["2026-12-31", "2027-01-31"]],
    ["0 0 1 */5 *", "At 00:00, on day 1 of the month, only in January, June, and November", ["2027-01-01", "2027-06-01"]],
    ["*/00005 * * * *", "Every 5 minutes", undefined],
    ["*/7 * * * *", "At 0, 7, 14, 21, 28, 35, 42, 49, and 56 minutes past the hour", undefined],
  ])("%s: %s", (cron, sentence, days) => {
    expect(describeCron(cron)).toBe(sentence);
    if (days === undefined) return;
    const times = new CronTimes(cron, "UTC").next(new Date("2026-11-30T12:00:00Z"), days.length);
    expect(times.map((time) => time.toISOString().slice(0, 10))).toEqual(days);
  });

  it("a step of one is equivalent to a star, in SQL too", async () => {
    expect(() => parseCron("0 0 31 2 */1")).toThrow(">31 2<");
    await expect(database.pool.query("select legwork_private.assert_cron('0 0 31 2 */1')")).rejects.toMatchObject({
      code: "LW400",
    });
  });
});

describe("the next runs of a crontab entry are those that graphile-worker runs:", () => {
  it.each([
    ["0 0 1-31 * 4", ["2026-12-03T00:00", "2026-12-10T00:00", "2026-12-17T00:00"], "At 00:00, only on Thursday"],
    ["0 0 */1 * 4", ["2026-12-03T00:00", "2026-12-10T00:00", "2026-12-17T00:00"], "At 00:00, only on Thursday"],
    ["0 0 1 * 0-6", ["2026-12-01T00:00", "2027-01-01T00:00", "2027-02-01T00:00"], "At 00:00, on day 1 of the month"],
    ["0 0 13 * 5", ["2026-12-04T00:00", "2026-12-11T00:00", "2026-12-13T00:00"], "At 00:00, on day 13 of the month or on Friday"],
    [
      "*/7 22 1-31 * 0",
      ["2026-12-06T22:00", "2026-12-06T22:07", "2026-12-06T22:14"],
      "Every 7 minutes, between 22:00 and 22:59, only on Sunday",
    ],
    ["0 0 29 2 *", ["2028-02-29T00:00", "2032-02-29T00:00"], "At 00:00, on day 29 of the month, only in February"],
    ["0 0 30 2 *", [], "0 0 30 2 *"],
  ])("%s", async (cron, expected, sentence) => {
    const [item] = parseCrontab(`${cron} t`);
    const entry = { identifier: "line", task: "t", cron, payload: null, match: item!.match };
    await registerCrontab(database.pool, [entry], new Date("2026-11-30T12:00:00Z"));
    const { rows } = await database.pool.query(
      "select upcoming, sentence from legwork_private.crontab_entries where identifier = 'line'",
    );
    expect(rows[0].upcoming.slice(0, 3).map((time: Date) => time.toISOString().slice(0, 16))).toEqual(expected);
    expect(rows[0].sentence).toBe(sentence);
  });
});

describe("a preview and a schedule reject the same input:", () => {
  it.each([
    [{ cron: "0 12 * * *" }, { timezone: "BST" }, "BST"],
    [{ cron: "0 12 * * *" }, { timezone: "CET" }, "CET"],
    [{ cron: "0 12 * * *" }, { timezone: "wet" }, "wet"],
    [{ cron: "0 12 * * *" }, { timezone: "+05:30" }, "+05:30"],
    [{ cron: "0 12 * * *" }, { timezone: "Factory" }, "Factory"],
    [{ every: "0.5s" }, {}, "between 1 second and 100 years"],
    [{ every: "999ms" }, {}, "between 1 second and 100 years"],
    [{ every: 0 }, {}, "between 1 second and 100 years"],
    [{ every: "-1h" }, {}, "every is '-1h'"],
    [{ every: "101 years" }, {}, "between 1 second and 100 years"],
    [{ every: "1 month -1 day" }, {}, "none of its parts may be negative"],
    [{ every: "1d" }, { startsAt: new Date("2027-01-02"), endsAt: new Date("2027-01-01") }, "2027-01-01"],
    [{ every: "1d" }, { startsAt: new Date(Date.UTC(10_000, 0)) }, "startsAt is"],
  ])("%j %j", async (timing, options, text) => {
    await database.pool.query(`select legwork_private.register_tasks('[{"name": "t"}]')`);
    const refusal = { code: "LW400", message: expect.stringContaining(text) };
    await expect(previewSchedule(timing as never, { ...options, client: database.pool })).rejects.toMatchObject(refusal);
    await expect(schedule(database.pool, "refused", "t", { ...timing, ...options })).rejects.toMatchObject({
      code: "LW400",
    });
  });

  it.each(["BST", "IST", "CET", "MET", "EET", "wet", "EST", "+05:30", "Factory", "localtime"])(
    "the zone %s, in SQL too",
    async (timezone) => {
      await expect(database.pool.query("select legwork_private.assert_timezone($1)", [timezone])).rejects.toMatchObject({
        code: "LW400",
      });
      await expect(previewSchedule({ cron: "0 12 * * *" }, { timezone })).rejects.toMatchObject({ code: "LW400" });
    },
  );

  it.each(["UTC", "GMT", "Europe/Berlin", "america/new_york", "Etc/GMT+5", "Japan", "EST5EDT"])(
    "but the zone %s is accepted, in SQL too",
    async (timezone) => {
      await database.pool.query("select legwork_private.assert_timezone($1)", [timezone]);
      await previewSchedule({ cron: "0 12 * * *" }, { timezone });
    },
  );
});

describe("the invalid part of an expression is marked, in SQL and in TypeScript:", () => {
  it.each([
    ["0 25 * * *", "0 >25< * * *"],
    ["0 0 1-5,9,MOX 2 *", "0 0 1-5,9,>MOX< 2 *"],
    ["*/0 * * * *", ">*/0< * * * *"],
    ["5/10 * * * *", ">5/10< * * * *"],
    ["0 0 * * FRI#6", "0 0 * * >FRI#6<"],
    ["0 0 10-5 * *", "0 0 >10-5< * *"],
    ["0,,5 * * * *", "0,><,5 * * * *"],
    ["0 0 0 * JANX *", "0 0 0 * >JANX< *"],
    ["0 0 30 2 *", "0 0 >30 2< *"],
    ["0 0 31 4,6,9,11 ?", ">31 4,6,9,11<"],
    ["@reboot", ">@reboot<"],
    ["0 0 * * * * 2027", "has 7 fields"],
    ["", "has 0 fields"],
    ["0 0 * * +1", ">+1<"],
  ])("%s", async (cron, marked) => {
    expect(() => parseCron(cron)).toThrow(marked);
    await expect(database.pool.query("select legwork_private.assert_cron($1)", [cron])).rejects.toMatchObject({
      code: "LW400",
      message: expect.stringContaining(marked),
    });
  });
});

/** Expressions that users may type: mostly valid, sometimes not. */
const item = fc.oneof(
  { weight: 4, arbitrary: fc.integer({ min: 0, max: 62 }).map(String) },
  { weight: 3, arbitrary: fc.constant("*") },
  {
    weight: 2,
    arbitrary: fc.tuple(fc.integer({ min: 0, max: 33 }), fc.integer({ min: 0, max: 62 })).map(([a, b]) => `${a}-${b}`),
  },
  { weight: 2, arbitrary: fc.integer({ min: 0, max: 70 }).map((n) => `*/${n}`) },
  {
    weight: 1,
    arbitrary: fc
      .tuple(fc.integer({ min: 0, max: 12 }), fc.integer({ min: 0, max: 61 }), fc.integer({ min: 0, max: 13 }))
      .map(([a, b, n]) => `${a}-${b}/${n}`),
  },
  {
    weight: 2,
    arbitrary: fc.constantFrom(
      "JAN",
      "feb",
      "SUN",
      "mon",
      "FRI",
      "JAN-MAR",
      "MON-FRI",
      "FRI-SUN",
      "SUN-SUN",
      "L",
      "LW",
      "15W",
      "0W",
      "5L",
      "5#2",
      "FRI#5",
      "FRIL",
      "MON-FRI#2",
      "*/2#1",
      "*/2L",
      "*#1",
      "*L",
      "5#L",
      "5#02",
      "5##2",
      "",
      "?",
      "?/5",
      "/5",
      "1/2",
      "1-2-3",
      "+1",
      "00",
      "007",
      "99999999999",
      "a",
      "-1",
      "1-",
      "*-5",
      "JANL",
      "MONTH",
      "W",
      "15W-20W",
      "L-3",
      "1.5",
    ),
  },
);
const field = fc.oneof(
  { weight: 5, arbitrary: item },
  { weight: 1, arbitrary: fc.array(item, { minLength: 2, maxLength: 3 }).map((items) => items.join(",")) },
  { weight: 3, arbitrary: fc.constant("*") },
);

it("SQL and croner accept the same expressions", async () => {
  await database.pool.query(`create function accepts(cron text) returns boolean language plpgsql as $$
    begin perform legwork_private.assert_cron(cron); return true; exception when sqlstate 'LW400' then return false; end $$`);
  const accepts = (cron: string): boolean => {
    try {
      return parseCron(cron).length === 6;
    } catch {
      return false;
    }
  };
  let accepted = 0;
  const expression = fc.array(field, { minLength: 5, maxLength: 6 }).map((fields) => fields.join(" "));
  await fc.assert(
    fc.asyncProperty(fc.array(expression, { minLength: 50, maxLength: 50 }), async (crons) => {
      const { rows } = await database.pool.query("select cron, accepts(cron) as accepted from unnest($1::text[]) as cron", [
        crons,
      ]);
      expect(rows).toEqual(crons.map((cron) => ({ cron, accepted: accepts(cron) })));
      accepted += rows.filter((row) => row.accepted).length;
    }),
    { numRuns: 50 },
  );
  expect(accepted).toBeGreaterThan(100);
});

const zone = fc.constantFrom(
  "UTC",
  "Europe/Berlin",
  "America/New_York",
  "Australia/Lord_Howe",
  "America/Santiago",
  "Asia/Kathmandu",
);
const valid = fc
  .tuple(
    fc.constantFrom("*", "*/7", "0", "0,30", "10-20"),
    fc.constantFrom("*", "*/15", "0", "5-50/5", "30"),
    fc.constantFrom("*", "*/6", "2", "0,1,2,3", "1-3", "0"),
    fc.constantFrom("*", "*", "L", "29,30", "1-7"),
    fc.constantFrom("*", "*", "3,10", "4"),
    fc.constantFrom("*", "*", "SUN", "MON-FRI", "SUN#1"),
  )
  .map((fields) => fields.join(" "));

it("each occurrence is a local time that the expression names, or the end of a gap", () => {
  fc.assert(
    fc.property(
      valid,
      zone,
      fc.date({ min: new Date("2025-01-01"), max: new Date("2028-01-01"), noInvalidDate: true }),
      (cron, zone, from) => {
        const times = new CronTimes(cron, zone).next(from, 30);
        const plain = new CronTimes(cron, "UTC");
        for (const [index, time] of times.entries()) {
          expect(time.getTime()).toBeGreaterThan((times[index - 1] ?? from).getTime());
          const local = localTime(time.getTime(), zone);
          const wall = Date.UTC(local.year, local.month - 1, local.day, local.hour, local.minute, local.second);
          const before = localTime(time.getTime() - 1_000, zone);
          const gap =
            wall - Date.UTC(before.year, before.month - 1, before.day, before.hour, before.minute, before.second) - 1_000;
          // A local time between the last second before the occurrence and the occurrence itself.
          const named = plain.next(new Date(wall - 1_000 - Math.max(0, gap)), 1)[0];
          expect(named?.getTime()).toBeLessThanOrEqual(wall);
        }
      },
    ),
    { numRuns: 300 },
  );
});

it("a long span is counted exactly, whatever clock changes it contains", () => {
  fc.assert(
    fc.property(
      valid.filter((cron) => !cron.startsWith("* *")),
      zone,
      fc.date({ min: new Date("2026-03-01"), max: new Date("2026-11-10"), noInvalidDate: true }),
      fc.integer({ min: 1, max: 30 * 86_400 }),
      (cron, zone, from, seconds) => {
        const times = new CronTimes(cron, zone);
        const upto = new Date(from.getTime() + seconds * 1_000);
        const listed = times.next(from, 20_000, upto);
        if (listed.length === 20_000) return;
        const span = times.span(from, upto);
        expect({ count: span?.count ?? 0, first: span?.first, last: span?.last, penultimate: span?.penultimate }).toEqual({
          count: listed.length,
          first: listed[0],
          last: listed.at(-1),
          penultimate: listed.at(-2),
        });
      },
    ),
    { numRuns: sized(30, 300) },
  );
});

it("a month of a schedule that fires every second is counted quickly", () => {
  const begun = performance.now();
  const span = new CronTimes("* * * * * *", "Europe/Berlin").span(
    new Date("2026-03-01T00:00:00Z"),
    new Date("2026-04-01T00:00:00Z"),
  );
  expect(span?.count).toBe(31 * 86_400);
  expect(performance.now() - begun).toBeLessThan(scaled(5_000));
});
