import { ResultTable } from "./result-table.ts";
import type { RatesSection } from "./results.ts";
import { median } from "./server.ts";

interface Compared {
  readonly name: string;
  /** The side to compare with. */
  readonly besides?: string;
  /** The lowest allowed ratio. */
  readonly least?: number;
}

/** Returns the ratio of each round to the same round of the side that this side is compared with; 1 for a side that is not compared. */
export function ratiosOf({ name, besides = name }: Compared, rates: ReadonlyMap<string, readonly number[]>): number[] {
  return (rates.get(name) ?? []).map((rate, round) => rate / (rates.get(besides)?.[round] ?? Number.NaN));
}

/** Prints the rates and ratios. The process exits with 1 if a ratio is below its minimum, except after a short run. */
export function reportRates(sides: readonly Compared[], rates: ReadonlyMap<string, readonly number[]>, short: boolean): void {
  const table = new ResultTable({ head: ["", "per second (median)", "ratio (median)", "rounds", "at least"] });
  for (const side of sides) {
    const ratios = ratiosOf(side, rates);
    const ratio = median(ratios);
    if (side.least !== undefined && !short && !(ratio >= side.least)) process.exitCode = 1;
    const all = ratios.map((value) => value.toFixed(2)).join(" ");
    table.push([side.name, Math.round(median(rates.get(side.name) ?? [])), ratio.toFixed(3), all, side.least ?? ""]);
  }
  console.log(table.toString());
  if (process.exitCode === 1) console.error("A figure is below its minimum.");
}

export function withRates(sides: readonly Compared[], rates: ReadonlyMap<string, readonly number[]>): RatesSection["sides"] {
  return sides.map(({ name, besides, least }) => ({
    name,
    ...(besides !== undefined && { besides }),
    ...(least !== undefined && { least }),
    rates: (rates.get(name) ?? []).map(Math.round),
  }));
}
