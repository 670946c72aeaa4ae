import { measureSides, type Side } from "./database-sides.ts";

/** Measures what limits and failures cost: the same jobs without and with a limit, and jobs that fail, compared with graphile-worker. */
export async function run({ short, parameters }: { short: boolean; parameters: readonly string[] }): Promise<void> {
  await measureSides("limits", sidesFor(short ? 2_000 : 20_000), { short, rounds: Number(parameters[0] ?? (short ? 1 : 5)) });
}

function sidesFor(jobs: number): Side[] {
  const n = (count: number): string => count.toLocaleString("en-US");
  const side = (name: string, more: Partial<Side> = {}): Side => ({ name, program: "legwork", jobs, ...more });
  const unlimited = "no limit";
  const keyed = (count: number): Partial<Side> => ({
    payload: `json_build_object('key', 'k' || n % ${count})`,
    before: ["select legwork.limit_concurrency(1, task => 'noop', key => 'key')"],
    besides: unlimited,
  });
  return [
    side(unlimited, { payload: "json_build_object('key', 'k' || n % 1000)" }),
    side("a limit of 24 at a time", {
      before: ["select legwork.limit_concurrency(24, task => 'noop')"],
      besides: unlimited,
    }),
    side("one at a time for each of 1,000 keys", { ...keyed(1_000), least: 0.6 }),
    side(`one at a time for each of ${n(jobs)} keys`, keyed(jobs)),
    ...[10, 1].flatMap((failing) => {
      const what = failing === 1 ? "every job fails" : `one in ${failing} jobs fails`;
      return [
        side(`${what}, graphile-worker alone`, { program: "graphile-worker", failing }),
        side(what, { failing, besides: `${what}, graphile-worker alone` }),
      ];
    }),
  ];
}
