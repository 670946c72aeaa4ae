import { describe, expect, it } from "vitest";
import { formatTick, formatValue, logLines, logRange } from "../src/dashboard/components/chart/chart-units.ts";

describe("the axis of a chart of durations", () => {
  it.each([
    [
      [0.0002, 0.004],
      [0.001, 0.01],
    ],
    [
      [0.02, 45],
      [0.01, 60],
    ],
    [
      [90, 90],
      [60, 600],
    ],
    [
      [7_000, null, 200_000],
      [3_600, 864_000],
    ],
    [
      [null, 0],
      [0.001, 0.01],
    ],
    [[], [0.1, 10]],
  ])("for the values %j has the range %j", (values, range) => {
    expect(logRange([values])).toEqual(range);
    expect(logLines(...logRange([values])).length).toBeGreaterThanOrEqual(2);
  });

  it("has grid lines at powers of ten of seconds, minutes, hours and days", () => {
    expect(logLines(0.1, 100_000).map((line) => formatTick(line, "duration"))).toEqual([
      "100 ms",
      "1.0 s",
      "10 s",
      "1 min",
      "10 min",
      "1 h",
      "10 h",
      "1 d",
    ]);
  });
});

it("a count is abbreviated on the axis and exact as a value", () => {
  expect([formatTick(1_012, "count"), formatValue(1_012, "count")]).toEqual(["1K", "1,012"]);
});
