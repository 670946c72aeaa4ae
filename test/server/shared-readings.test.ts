import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { SharedReadings } from "../../src/server/rest/shared-readings.ts";

beforeEach(() => void vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] }));
afterEach(() => void vi.useRealTimers());

/** Shared readings, each of which takes this long (ms) and returns its own number. */
function readingsOf(took: number): { read: (key: string | null) => Promise<number> } {
  const readings = new SharedReadings<number>();
  let made = 0;
  const make = async (): Promise<number> => {
    const own = (made += 1);
    await new Promise((done) => setTimeout(done, took));
    return own;
  };
  return { read: async (key) => await readings.read(key, make) };
}

it("concurrent callers share one reading, and another key has its own", async () => {
  const { read } = readingsOf(5);
  const asked = Promise.all(["a", "a", null, "a"].map(read));
  await vi.advanceTimersByTimeAsync(5);
  expect(await asked).toEqual([1, 1, 2, 1]);
});

it.each([
  { took: 10, shared: 200 },
  { took: 500, shared: 1_000 },
])("a reading of $took ms is shared for $shared ms and then repeated", async ({ took, shared }) => {
  const { read } = readingsOf(took);
  const first = read(null);
  await vi.advanceTimersByTimeAsync(took);
  expect(await first).toBe(1);
  await vi.advanceTimersByTimeAsync(shared - 1);
  expect(await read(null)).toBe(1);
  await vi.advanceTimersByTimeAsync(1);
  const second = read(null);
  await vi.advanceTimersByTimeAsync(took);
  expect(await second).toBe(2);
});

it("a failed reading is repeated for the next caller", async () => {
  const readings = new SharedReadings<number>();
  const fail = async (): Promise<number> => {
    throw new Error("no database");
  };
  const failed = await Promise.allSettled([readings.read(null, fail), readings.read(null, fail)]);
  expect(failed.map(({ status }) => status)).toEqual(["rejected", "rejected"]);
  expect(await readings.read(null, async () => 7)).toBe(7);
});
