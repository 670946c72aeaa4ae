import { type ChildProcess, spawnSync } from "node:child_process";
import { readFile } from "node:fs/promises";
import { createInterface } from "node:readline";
import { expect, inject, it } from "vitest";
import { whyRestart } from "../../src/worker/health/answers.ts";
import { legwork } from "../support/cli.ts";
import { onServer, testDatabase } from "../support/database.ts";
import { plainJobs } from "../support/plain-jobs.ts";
import { until } from "../support/until.ts";
import { directoryOf, workerProcess } from "../support/worker.ts";

const database = testDatabase();
const { add, state } = plainJobs(database);

const TASKS = {
  "compute.js": "export default ({ ms }) => { const end = Date.now() + ms; while (Date.now() < end); };",
  "wait.js": "export default ({ ms }) => new Promise((done) => setTimeout(done, ms));",
  "fail.js": "export default () => { throw new Error('no'); };",
};

/** The URL of the worker's health port, from its log. */
async function healthOf(worker: ChildProcess): Promise<string> {
  for await (const line of createInterface(worker.stderr!)) {
    const { event, url } = JSON.parse(line) as { event?: string; url?: string };
    if (event === "health_ready") {
      worker.stderr!.resume();
      return url!;
    }
  }
  throw new Error("The worker did not open its health port.");
}

interface Answer {
  status: number;
  text: string;
  body: { status?: string; detail?: string; slots?: number };
}

async function get(url: string, method = "GET"): Promise<Answer> {
  const response = await fetch(url, { method });
  const text = await response.text();
  const isJson = response.headers.get("content-type")?.includes("json") === true;
  return { status: response.status, text, body: isJson ? JSON.parse(text) : {} };
}

const metric = ({ text }: Answer, name: string): number =>
  Number(new RegExp(`^legwork_worker_process_${name} (.+)$`, "m").exec(text)?.[1]);

it("a worker responds to probes while it is running, computing, quiet, without its database, or stopping", async () => {
  const tasks = await directoryOf(TASKS);
  const worker = await workerProcess(database, tasks, { LEGWORK_HEALTH_PORT: "0", LEGWORK_CONCURRENCY: "3" }, { stderr: "pipe" });
  const exited = new Promise<number | null>((resolve) => worker.once("exit", resolve));
  const url = await healthOf(worker);
  const reasonIs = async (reason: RegExp): Promise<void> =>
    void (await until(
      `/ready returns ${reason}`,
      async () => reason.test((await get(`${url}/ready`)).body.detail ?? ""),
      15_000,
    ));
  const isReady = async (): Promise<void> =>
    void (await until("the worker is ready", async () => (await get(`${url}/ready`)).status === 200, 20_000));

  expect(new URL(url).hostname).toBe("127.0.0.1");
  await isReady();
  expect(await get(`${url}/ready?verbose`)).toMatchObject({ body: { status: "ready", slots: 3, running: 0 } });
  expect(await get(`${url}/health`)).toMatchObject({ status: 200, body: { status: "ok" } });
  expect(await get(`${url}/other`)).toMatchObject({ status: 404 });
  expect(await get(`${url}/health`, "POST")).toMatchObject({ status: 405 });

  const [, command = ""] = /^HEALTHCHECK .+ CMD (.+)$/m.exec(await readFile("deploy/docker/Dockerfile", "utf8")) ?? [];
  const [program, ...parameters] = JSON.parse(command) as string[];
  const checked = (healthPort: string): number | null =>
    spawnSync(program!, parameters, { env: { ...process.env, LEGWORK_HEALTH_PORT: healthPort, LEGWORK_PORT: "1" } }).status;
  expect([checked(new URL(url).port), checked("2")]).toEqual([0, 1]);

  // The main thread cannot respond at this point.
  await add("fail", {}, ", max_attempts => 1");
  const computing = await add("compute", { ms: 4_000 });
  const seen = await until("the metrics show the blocked event loop", async () => {
    const answer = await get(`${url}/metrics`);
    return metric(answer, "blocked_seconds") > 1 ? answer : undefined;
  });
  expect(metric(seen, "ready")).toBe(1);
  expect(metric(seen, "heartbeat_age_seconds")).toBeLessThan(4);
  expect(seen.text).toMatch(/^# TYPE process_resident_memory_bytes gauge\nprocess_resident_memory_bytes \d+$/m);
  expect((await get(`${url}/health`)).status).toBe(200);
  await until("the job has completed", async () => (await state(computing)) === "completed");
  const counted = await until("the attempts are counted", async () => {
    const answer = await get(`${url}/metrics`);
    return metric(answer, "attempts_completed_total") === 1 ? answer : undefined;
  });
  expect(metric(counted, "attempts_failed_total")).toBe(1);

  await database.pool.query("select legwork.quiet_worker(id) from legwork.workers");
  await reasonIs(/^The worker is quiet/);
  await database.pool.query("select legwork.resume_worker(id) from legwork.workers");
  await isReady();

  const name = new URL(database.url).pathname.slice(1);
  await onServer(inject("serverUrl"), async (client) => {
    await client.query(`alter database ${name} allow_connections false`);
    try {
      await client.query(
        "select pg_terminate_backend(pid) from pg_stat_activity where datname = $1 and application_name in ('legwork worker', 'legwork lease', 'legwork heartbeat', 'legwork tasks')",
        [name],
      );
      await reasonIs(/^The database has not confirmed a heartbeat for .+: .*not currently accepting connections/);
      // A restart would not help, because the database is unavailable.
      expect((await get(`${url}/health`)).status).toBe(200);
    } finally {
      await client.query(`alter database ${name} allow_connections true`);
    }
  });
  await isReady();

  const taken = await legwork(["worker", "--tasks", tasks, "--health-port", new URL(url).port], { DATABASE_URL: database.url });
  expect(taken).toMatchObject({
    code: 1,
    stderr: expect.stringContaining(`Port ${new URL(url).port} on 127.0.0.1 is already in use.`),
  });
  expect(taken.stderr).toContain("LEGWORK_HEALTH_PORT");

  const waiting = await add("wait", { ms: 1_500 });
  await until("the job runs", async () => (await state(waiting)) === "running");
  worker.kill("SIGTERM");
  await reasonIs(/^The worker is stopping/);
  expect((await get(`${url}/health`)).status).toBe(200);
  expect(await exited).toBe(0);
  expect(await state(waiting)).toBe("completed");
  await expect(get(`${url}/health`)).rejects.toThrow("fetch failed");
});

it("health fails only if the event loop was blocked for longer than maxBlocked and the process has not ended", () => {
  const status = { stage: "running", problem: "x", silentBecause: "y", slots: 1, running: 1, completed: 0, failed: 0 } as const;
  const blocked = (blockedFor: number, maxBlocked: number): string | undefined =>
    whyRestart(status, { blockedFor, silentFor: 100_000 }, maxBlocked);
  expect(blocked(300_000, 300_000)).toBeUndefined();
  expect(blocked(900_000, 0)).toBeUndefined();
  expect(blocked(320_000, 300_000)).toBe(
    "A task has blocked the event loop for 5 minutes 20 seconds, longer than maxBlocked allows.",
  );
});
