import { expect, it } from "vitest";
import { Supervisor, type RunnerEnd, type Supervised } from "../../src/worker/supervisor.ts";
import { testLog } from "../support/database.ts";
import { until } from "../support/until.ts";

/** A runner that the test ends. */
interface Runner extends Supervised {
  end(end: RunnerEnd): void;
  readonly startedAt: number;
}

interface Scene {
  readonly runners: Runner[];
  readonly problems: (string | undefined)[];
  readonly restarts: { reason: string; jobId: string | undefined }[];
  /** The errors with which the next starts fail. */
  readonly failures: Error[];
  /** The results of the next releases of jobs. Without a result here, a release returns true. */
  readonly releases: boolean[];
}

async function stage(): Promise<Scene & { supervisor: Supervisor<Supervised> }> {
  const scene: Scene = { runners: [], problems: [], restarts: [], failures: [], releases: [] };
  const start = async (): Promise<Supervised> => {
    const failure = scene.failures.shift();
    if (failure !== undefined) throw failure;
    const { promise: ended, resolve: end } = Promise.withResolvers<RunnerEnd>();
    const runner = {
      ended,
      end,
      startedAt: performance.now(),
      release: async () => scene.releases.shift() ?? true,
      stop: async () => undefined,
    };
    scene.runners.push(runner);
    return runner;
  };
  const supervisor = await Supervisor.start({
    log: testLog,
    start,
    onProblem: (problem) => scene.problems.push(problem),
    onRestart: (reason, jobId) => scene.restarts.push({ reason, jobId }),
  });
  return { ...scene, supervisor };
}

it("a runner that ends is replaced after a growing delay, and the reason names the job", async () => {
  const { runners, problems, restarts, supervisor } = await stage();
  const waits: number[] = [];
  for (let n = 1; n <= 4; n++) {
    const endedAt = performance.now();
    runners.at(-1)!.end({ error: new Error("value out of range"), jobId: "42" });
    await until("another runner is active", () => runners.length === n + 1);
    waits.push(runners.at(-1)!.startedAt - endedAt);
  }
  // The delays are 250, 500, 1,000 and 2,000 ms, each shortened at random by up to a half.
  for (const [n, wait] of waits.entries()) expect(wait).toBeGreaterThanOrEqual(125 * 2 ** n - 5);
  expect(restarts).toHaveLength(4);
  expect(restarts[0]).toEqual({
    reason: "its runner ended with an error while running job 42: value out of range.",
    jobId: "42",
  });
  expect(problems.slice(0, 2)).toEqual([
    "The worker is restarting: its runner ended with an error while running job 42: value out of range.",
    undefined,
  ]);
  expect(await supervisor.stop(1_000)).toBe(runners.at(-1));
});

it("only a lost connection is reported as such, and a start or a release that fails is retried", async () => {
  const { runners, problems, restarts, failures, releases, supervisor } = await stage();
  failures.push(new Error("not yet"));
  releases.push(false);
  runners[0]!.end({ error: Object.assign(new Error("terminating connection"), { code: "57P01" }), jobId: undefined });
  await until("another runner is active", () => runners.length === 2);
  expect(restarts.map(({ reason }) => reason)).toEqual(["it lost its connection to the database: terminating connection."]);
  expect(problems).toEqual([
    "The worker is restarting: it lost its connection to the database: terminating connection.",
    undefined,
  ]);
  await supervisor.stop(1_000);
});

it("stopping does not wait for a restart", async () => {
  const { runners, supervisor } = await stage();
  for (let n = 1; n <= 3; n++) {
    runners.at(-1)!.end({ error: undefined, jobId: undefined });
    await until("another runner is active", () => runners.length === n + 1);
  }
  runners.at(-1)!.end({ error: undefined, jobId: undefined });
  const before = performance.now();
  expect(await supervisor.stop(10_000)).toBe(runners.at(-1));
  expect(performance.now() - before).toBeLessThan(900);
});
