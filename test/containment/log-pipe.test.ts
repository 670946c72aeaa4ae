import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { testDatabase } from "../support/database.ts";
import { scaled } from "../support/slowness.ts";
import { until } from "../support/until.ts";
import { directoryOf, workerProcess } from "../support/worker.ts";

const database = testDatabase();

/** Logs a lot: about 40 MB in a hundred jobs. */
const TALKATIVE = `
  import { defineTask } from "legwork";
  export default defineTask({ run: async (_payload, { log }) => {
    for (let line = 0; line < 100; line++) {
      log.info({ text: "x".repeat(4_000) }, "line " + line);
      if (line % 20 === 0) await new Promise((wake) => setTimeout(wake, 1));
    }
  } });`;

async function completed(): Promise<number> {
  const { rows } = await database.pool.query(
    "select count(*)::int as jobs from legwork_private.finished_jobs where state = 'completed'",
  );
  return rows[0].jobs;
}

async function addTalkative(jobs: number): Promise<void> {
  await database.pool.query("select graphile_worker.add_job('talkative') from generate_series(1, $1)", [jobs]);
}

function residentMegabytes(pid: number | undefined): number {
  return Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]) / 1024;
}

it(
  "a worker with an unread log pipe runs its jobs, sends heartbeats, does not grow, and reports how many lines are missing",
  { timeout: scaled(240_000) },
  async () => {
    const worker = await workerProcess(database, await directoryOf({ "talkative.ts": TALKATIVE }), {}, { stderr: "pipe" });
    const runTalkative = async (): Promise<void> => {
      const before = await completed();
      await addTalkative(100);
      await until("100 jobs have run", async () => (await completed()) === before + 100, 40_000);
    };
    await runTalkative();
    // If the log were kept in memory, each round would add 40 MB. A busy machine collects garbage late, so growth must stop only after some rounds.
    let growth = Infinity;
    for (let batch = 0; batch < 5 && growth >= 20; batch++) {
      const before = residentMegabytes(worker.pid);
      await runTalkative();
      growth = residentMegabytes(worker.pid) - before;
    }
    expect(growth).toBeLessThan(20);
    const { rows } = await database.pool.query(
      "select suspected, blocked_since, seen_at > clock_timestamp() - interval '4 seconds' as speaks from legwork.workers",
    );
    expect(rows).toEqual([{ suspected: false, blocked_since: null, speaks: true }]);
    let text = "";
    worker.stderr?.on("data", (data) => (text += data));
    await until("the log reports the missing lines", () => text.includes("log_lines_dropped"));
    worker.kill("SIGTERM");
    await until("the last lines are in the log", () => text.includes("The worker has stopped."));
    for (const line of text.trimEnd().split("\n")) expect(() => JSON.parse(line)).not.toThrow();
  },
);

it(
  "a worker with an unread log pipe ends on SIGTERM",
  async () => {
    const worker = await workerProcess(database, await directoryOf({ "talkative.ts": TALKATIVE }), {}, { stderr: "pipe" });
    const before = await completed();
    await addTalkative(20);
    await until("the jobs have run", async () => (await completed()) === before + 20, 20_000);
    worker.kill("SIGTERM");
    await until("the worker has ended", () => worker.exitCode === 0);
  },
  scaled(60_000),
);

it.for(["fatal", "error"])(
  "every line is written, in order, when the process exits right after a line of level %s",
  async (level) => {
    const script = `
    const { createLogger } = await import(${JSON.stringify(new URL("../../src/log.ts", import.meta.url).href)});
    const log = createLogger({ level: "info" });
    for (let line = 0; line < 5_000; line++) log.info({ line }, "A line.");
    // The worker formats these lines itself, without pino.
    const { CompletedLines } = await import(${JSON.stringify(new URL("../../src/worker/graphile/completed-lines.ts", import.meta.url).href)});
    const job = { id: "7", task_identifier: "works", attempts: 1, flags: null };
    for (let batch = 0; batch < 2; batch++) new CompletedLines(log).write(Array.from({ length: 1_000 }, () => ({ job, durationMs: 1 })));
    log.${level}("The last line.");
    new CompletedLines(log).write([{ job, durationMs: 2 }]);
    process.exit(1);`;
    const child = spawn(process.execPath, ["--input-type=module", "-e", script], { stdio: ["ignore", "ignore", "pipe"] });
    let text = "";
    for await (const data of child.stderr) text += String(data);
    const lines = text
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line));
    expect(lines.slice(0, 5_000).map(({ line }) => line)).toEqual(Array.from({ length: 5_000 }, (_, line) => line));
    expect(lines.slice(5_000, 7_000).every(({ event, jobId }) => event === "job_completed" && jobId === "7")).toBe(true);
    expect(lines.slice(7_000)).toMatchObject([
      { level, msg: "The last line." },
      { event: "job_completed", durationMs: 2 },
    ]);
  },
);
