import { setTimeout as delay } from "node:timers/promises";
import { expect, it } from "vitest";
import { SharedReadings } from "../../src/server/shared-readings.ts";
import { until } from "../support/until.ts";

it("many who ask at once share one reading, and those of another key have their own", async () => {
  const readings = new SharedReadings<number>();
  let made = 0;
  const make = async (): Promise<number> => {
    made += 1;
    await delay(5);
    return made;
  };
  const asked = await Promise.all(["a", "a", null, "a"].map((key) => readings.read(key, make)));
  expect(made).toBe(2);
  expect(asked).toEqual([2, 2, 2, 2]);
  expect(await readings.read("a", make)).toBe(2);
  expect(made).toBe(2);
});

it("a reading is not shared for ever", async () => {
  const readings = new SharedReadings<number>();
  let made = 0;
  await until("it is read anew", async () => ((await readings.read(null, async () => (made += 1))) > 1 ? true : undefined));
  expect(made).toBe(2);
});

it("one that fails is made anew for the next who asks", async () => {
  const readings = new SharedReadings<number>();
  const fail = async (): Promise<number> => {
    throw new Error("no database");
  };
  const failed = await Promise.allSettled([readings.read(null, fail), readings.read(null, fail)]);
  expect(failed.map(({ status }) => status)).toEqual(["rejected", "rejected"]);
  expect(await readings.read(null, async () => 7)).toBe(7);
});
