import { beforeEach, expect, it } from "vitest";
import { disableSchedule } from "../../src/schedules/enable-schedule.ts";
import { previewSchedule } from "../../src/schedules/preview-schedule.ts";
import { scheduleLoad } from "../../src/schedules/schedule-load.ts";
import { schedule, type Timing } from "../../src/schedules/schedule.ts";
import { testDatabase } from "../support/database.ts";
import { empty } from "../support/empty.ts";

const database = testDatabase();
const HOUR_MS = 3_600_000;
const HOURS = 48;

beforeEach(async () => {
  await empty(
    database.pool,
    "legwork_private.schedule_definitions, legwork_private.schedule_occurrences, legwork_private.crontab_entries",
  );
  await database.pool.query(`select legwork_private.register_tasks('[{"name": "t"}]')`);
});

const from = new Date();
const hoursAhead = (hours: number): Date => new Date(from.getTime() + hours * HOUR_MS);

const SCHEDULES: { name: string; timing: Timing; timezone?: string; startsAt?: Date; endsAt?: Date }[] = [
  { name: "often", timing: { cron: "*/7 * * * *" } },
  { name: "nightly", timing: { cron: "30 2 * * *" }, timezone: "Europe/Berlin" },
  { name: "interval", timing: { every: "50 minutes" }, startsAt: hoursAhead(-3.3) },
  { name: "later", timing: { every: "25 minutes" }, startsAt: hoursAhead(20.4), endsAt: hoursAhead(30) },
  { name: "over soon", timing: { cron: "*/10 * * * *" }, endsAt: hoursAhead(5.2) },
  { name: "once", timing: { at: hoursAhead(3.5) } },
];

it("the load for each hour matches the previews of the schedules", async () => {
  for (const { name, timing, ...options } of SCHEDULES) await schedule(database.pool, name, "t", { ...timing, ...options });
  const first = Math.floor(from.getTime() / HOUR_MS);
  const expected = Array.from({ length: HOURS }, () => new Map<string, number>());
  for (const { name, timing, ...options } of SCHEDULES) {
    for (const { at } of await previewSchedule(timing, { ...options, count: 1_000, from, client: database.pool })) {
      const hour = expected[Math.floor(at.getTime() / HOUR_MS) - first];
      hour?.set(name, (hour.get(name) ?? 0) + 1);
    }
  }
  const { items, uncounted } = await scheduleLoad(database.pool, HOURS, from);
  expect(uncounted).toEqual([]);
  expect(items.map(({ at }) => at.getTime() / HOUR_MS)).toEqual(expected.map((_, hour) => first + hour));
  expect(items.map(({ schedules }) => new Map(schedules.map(({ name, jobs }) => [name, Number(jobs)])))).toEqual(expected);
  expect(items.map(({ jobs }) => Number(jobs))).toEqual(
    expected.map((hour) => [...hour.values()].reduce((sum, n) => sum + n, 0)),
  );
});

it("a disabled schedule adds no load, and one with three runs left adds three", async () => {
  await schedule(database.pool, "off", "t", { cron: "* * * * *" });
  await schedule(database.pool, "three", "t", { every: "10 minutes", maxRuns: 3 });
  await disableSchedule(database.pool, "off");
  const { items } = await scheduleLoad(database.pool, HOURS);
  expect(items.reduce((sum, { jobs }) => sum + Number(jobs), 0)).toBe(3);
});
