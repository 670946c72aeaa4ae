import { expect, it } from "vitest";
import { DatabaseClock } from "../../src/worker/clock.ts";

/** Reads the clock of a database that is `ahead` of this process (ms). The query takes `roundTrip` ms, all of them for the response. */
function read(clock: DatabaseClock, ahead: number, roundTrip: number): void {
  const after = performance.now();
  const before = after - roundTrip;
  clock.observe(new Date(performance.timeOrigin + before + ahead), before, after);
}

const ahead = (clock: DatabaseClock): number => clock.now() - (performance.timeOrigin + performance.now());

it("the clock keeps a fast reading of the database's time when a slow one follows", () => {
  const clock = new DatabaseClock();
  read(clock, 5_000, 2);
  read(clock, 5_000, 400);
  expect(Math.abs(ahead(clock) - 5_000)).toBeLessThan(3);
});

it("the clock replaces a slow reading with a fast one", () => {
  const clock = new DatabaseClock();
  read(clock, 5_000, 400);
  expect(Math.abs(ahead(clock) - 5_000)).toBeGreaterThan(100);
  read(clock, 5_000, 2);
  expect(Math.abs(ahead(clock) - 5_000)).toBeLessThan(3);
});

it("the clock follows a database whose time was changed, however slow the reading", () => {
  const clock = new DatabaseClock();
  read(clock, 5_000, 2);
  read(clock, -60_000, 400);
  expect(Math.abs(ahead(clock) + 60_000)).toBeLessThan(202);
});
