/** Whether this is the long run (`npm run test:long`), with every combination and many more random cases. */
export const IS_LONG = process.env.LEGWORK_TEST_LONG === "1";

/** Selects the combinations that a usual run tests. Tests that use it show it in their names. LEGWORK_TEST_SEED repeats a selection. */
export const SEED = Number(process.env.LEGWORK_TEST_SEED ?? Date.now() % 2 ** 31);

/** The number for a usual run, or the one for the long run. */
export function sized(short: number, long: number): number {
  return IS_LONG ? long : short;
}

/** A random sample of this size in the original order; all elements in the long test run. */
export function sampled<T>(all: readonly T[], count: number): T[] {
  if (IS_LONG || all.length <= count) return [...all];
  let state = 1 + (SEED % 2_147_483_646);
  // The random number generator of Park and Miller.
  const random = (): number => (state = (state * 48_271) % 2_147_483_647);
  return all
    .map((one, place) => ({ one, place, rank: random() }))
    .toSorted((one, other) => one.rank - other.rank)
    .slice(0, count)
    .toSorted((one, other) => one.place - other.place)
    .map(({ one }) => one);
}
