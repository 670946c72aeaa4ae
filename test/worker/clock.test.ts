import { expect, it } from "vitest";
import { DatabaseClock } from "../../src/worker/clock.ts";

/** What a database whose clock is `ahead` of ours (ms) answers to a question that took `roundTrip` ms, all of it on the way back. */
function read(clock: DatabaseClock, ahead: number, roundTrip: number): void {
  const after = performance.now();
  const before = after - roundTrip;
  clock.observe(new Date(performance.timeOrigin + before + ahead), before, after);
}

const ahead = (clock: DatabaseClock): number => clock.now() - (performance.timeOrigin + performance.now());

it("keeps a quick reading of the database's clock when a slow one follows", () => {
  const clock = new DatabaseClock();
  read(clock, 5_000, 2);
  read(clock, 5_000, 400);
  expect(Math.abs(ahead(clock) - 5_000)).toBeLessThan(3);
});

it("replaces a slow reading by a quick one", () => {
  const clock = new DatabaseClock();
  read(clock, 5_000, 400);
  expect(Math.abs(ahead(clock) - 5_000)).toBeGreaterThan(100);
  read(clock, 5_000, 2);
  expect(Math.abs(ahead(clock) - 5_000)).toBeLessThan(3);
});

it("follows a clock that was set, however slow the reading", () => {
  const clock = new DatabaseClock();
  read(clock, 5_000, 2);
  read(clock, -60_000, 400);
  expect(Math.abs(ahead(clock) + 60_000)).toBeLessThan(202);
});
