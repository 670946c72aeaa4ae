import { describe, expect, it, onTestFinished } from "vitest";
import { getJob } from "../../src/jobs/read-jobs.ts";
import { testDatabase } from "../support/database.ts";
import { GATED, recordedJobs, SHORT } from "../support/recorded-jobs.ts";
import { scaled } from "../support/slowness.ts";
import { until } from "../support/until.ts";
import { directoryOf, workerProcess } from "../support/worker.ts";

const database = testDatabase();
const { add, state, saysThatItRuns, open } = recordedJobs(database);

/** Keeps one worker running, like a supervisor: when it exits, another starts. */
function supervised(tasks: string, environment: Record<string, string>): { readonly deaths: number } {
  const counter = { deaths: 0 };
  let isOver = false;
  onTestFinished(() => void (isOver = true));
  const start = async (): Promise<void> => {
    // A worker whose first job kills it may exit before it is registered.
    const child = await workerProcess(database, tasks, environment).catch(() => undefined);
    if (child === undefined) return;
    const exited = child.exitCode !== null || child.signalCode !== null;
    if (!exited) await new Promise((resolve) => child.once("exit", resolve));
    if (isOver) return;
    counter.deaths += 1;
    await start();
  };
  void start();
  return counter;
}

const POISON = `
  import { defineTask } from "legwork";
  export default defineTask({ run: async ({ after }) => {
    if (after > 0) await new Promise((wake) => setTimeout(wake, after));
    process.exit(3);
  } });`;

describe("a job that kills its worker three times", () => {
  it.for([
    { kind: "at once", after: 0 },
    { kind: "after a while", after: 400 },
  ])("$kind is quarantined, and the other jobs complete", { timeout: scaled(120_000) }, async ({ after }) => {
    const tasks = await directoryOf({ "poison.ts": POISON, "short.ts": SHORT });
    const poison = await add("poison", { after });
    const others: string[] = [];
    for (let n = 0; n < 12; n++) others.push(await add("short"));
    const worker = supervised(tasks, { LEGWORK_CONCURRENCY: "4" });
    await until("the poisonous job has failed", async () => (await state(poison)) === "failed", 80_000);
    expect((await getJob(database.pool, poison)).error).toBe("Quarantined: three workers died while running this job.");
    for (const id of others) await until("another job has completed", async () => (await state(id)) === "completed", 20_000);
    expect(worker.deaths).toBeGreaterThanOrEqual(3);
    expect(worker.deaths).toBeLessThanOrEqual(5);
  });

  it(
    "is distinguished from a long job that runs at the same time",
    async () => {
      const tasks = await directoryOf({ "poison.ts": POISON, "gated.ts": GATED });
      const long = await add("gated", { gate: "long" });
      const worker = supervised(tasks, { LEGWORK_CONCURRENCY: "4" });
      await until("the long job is recorded as running", async () => {
        const { rows } = await database.pool.query("select from legwork.workers where running = array[$1::bigint]", [long]);
        return rows.length > 0;
      });
      const poison = await add("poison", { after: 0 });
      await until("two workers have died", () => worker.deaths >= 2, 60_000);
      await open("long");
      await until("the poisonous job has failed", async () => (await state(poison)) === "failed", 60_000);
      await until("the long job has completed", async () => (await state(long)) === "completed", 20_000);
      expect(worker.deaths).toBeLessThanOrEqual(5);
    },
    scaled(120_000),
  );

  it(
    "is also quarantined if its task allows only one attempt",
    async () => {
      const tasks = await directoryOf({
        "fragile.ts": GATED.replace("defineTask({", "defineTask({ retry: { attempts: 1 },"),
      });
      const id = await add("fragile", { gate: "never" });
      for (let death = 1; death <= 3; death++) {
        const victim = await workerProcess(database, tasks);
        await until("the job runs", () => saysThatItRuns(victim.pid, [id]), 20_000);
        victim.kill("SIGKILL");
      }
      await workerProcess(database, tasks);
      await until("the job has failed", async () => (await state(id)) === "failed", 20_000);
      expect(await getJob(database.pool, id)).toMatchObject({
        error: "Quarantined: three workers died while running this job.",
      });
    },
    scaled(90_000),
  );
});
