import { existsSync } from "node:fs";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { type Browser, chromium, type Page } from "playwright-core";
import { migrate } from "../src/db/migrate.ts";
import { createPool, type Pool } from "../src/db/pool.ts";
import { startServer } from "../src/server/server.ts";
import { startWorker } from "../src/worker/worker.ts";
import { benchLog, freshDatabase, median, withServer } from "./server.ts";

/** The longest time until the overview shows the state of the system (ms), on a browser's first visit. */
const MOST_PAINT_MS = 1_000;
/** The largest compressed size of the first page's scripts (bytes). */
const MOST_SCRIPT = 250_000;
/** The largest share of a core that the open overview may use while the system is busy. */
const MOST_CPU = 0.1;
/** The number of jobs enqueued per second. Each causes two events: it is enqueued, and it ends. */
const JOBS_PER_SECOND = 5_000;

/**
 * Measures the cost of the overview for a browser: the time until its first sentence is shown, and the CPU time while the system is busy. The busy
 * system runs on the same machine.
 */
export async function run({ short }: { short: boolean }): Promise<void> {
  const tasks = await mkdtemp(join(tmpdir(), "legwork-bench-tasks-"));
  await mkdir(join(tasks, "bench"));
  await writeFile(join(tasks, "bench", "noop.js"), "export default async () => {};\n");
  try {
    await withServer(async (serverUrl) => {
      const url = await freshDatabase(serverUrl, "legwork_dashboard");
      const pool = createPool(url, { log: benchLog, max: 3 });
      await migrate(pool, benchLog);
      const token = "a token of the benchmark";
      const server = await startServer({ databaseUrl: url, host: "127.0.0.1", port: 0, token, log: benchLog });
      const worker = await startWorker({
        databaseUrl: url,
        log: benchLog,
        tasks: [tasks],
        concurrency: 24,
        localQueueSize: 500,
        shutdownTimeout: 2_000,
      });
      const browser = await chromium.launch({ executablePath: chromiumPath(), args: ["--no-sandbox"] });
      try {
        const address = `${server.url}/#token=${encodeURIComponent(token)}`;
        await measurePaint(browser, address, short ? 3 : 7);
        await measureCpu(browser, address, pool, short ? 10 : 30);
      } finally {
        await browser.close();
        await worker.stop();
        await server.stop();
        await pool.end();
      }
    });
  } finally {
    await rm(tasks, { recursive: true, force: true });
  }
}

/** The page itself checks for the sentence on every frame, because polling from outside is too coarse. */
const WELL = `new Promise((resolve) => {
  const look = () => (document.querySelector('.verdict:not([data-status="unknown"])') === null ? requestAnimationFrame(look) : resolve(performance.now()));
  look();
})`;

async function openOverview(browser: Browser, address: string): Promise<{ page: Page; ms: number }> {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 } });
  const page = await context.newPage();
  await page.goto(address);
  return { page, ms: await page.evaluate<number>(WELL) };
}

/** Loads the page with an empty cache each time. The first load warms the server and is not counted. */
async function measurePaint(browser: Browser, address: string, times: number): Promise<void> {
  const took: number[] = [];
  let script = 0;
  for (let time = 0; time <= times; time += 1) {
    const { page, ms } = await openOverview(browser, address);
    if (time > 0) took.push(ms);
    await page.getByRole("region", { name: "Queues, table" }).waitFor();
    script = await page.evaluate<number>(
      "performance.getEntriesByType('resource').filter(({ name }) => name.endsWith('.js')).reduce((sum, { encodedBodySize }) => sum + encodedBodySize, 0)",
    );
    await page.context().close();
  }
  report(
    "until the overview shows the system's state",
    `${median(took).toFixed(0)} ms`,
    median(took) <= MOST_PAINT_MS,
    `at most ${MOST_PAINT_MS} ms`,
  );
  report(
    "its scripts, compressed",
    `${(script / 1_000).toFixed(0)} kB`,
    script <= MOST_SCRIPT,
    `at most ${MOST_SCRIPT / 1_000} kB`,
  );
}

/** Measures the CPU time of the page's renderer process while jobs are enqueued and run. */
async function measureCpu(browser: Browser, address: string, pool: Pool, seconds: number): Promise<void> {
  const { page } = await openOverview(browser, address);
  await page.getByRole("region", { name: "Queues, table" }).waitFor();
  const session = await browser.newBrowserCDPSession();
  const cpu = async (): Promise<number> => {
    const { processInfo } = await session.send("SystemInfo.getProcessInfo");
    return processInfo.filter(({ type }) => type === "renderer").reduce((sum, { cpuTime }) => sum + cpuTime, 0);
  };
  let isBusy = true;
  let enqueued = 0;
  const load = (async () => {
    while (isBusy) {
      const began = performance.now();
      const tenth = JOBS_PER_SECOND / 10;
      await pool.query(
        `select graphile_worker.add_jobs(array(
           select row('bench/noop', '{}'::json, null, null, null, null, null, null)::graphile_worker.job_spec from generate_series(1, $1::int)))`,
        [tenth],
      );
      enqueued += tenth;
      await delay(Math.max(0, 100 - (performance.now() - began)));
    }
  })();
  // The page's rates are averages over ten seconds.
  await delay(3_000);
  const [cpuBefore, endedBefore, enqueuedBefore, began] = [await cpu(), await countEnded(pool), enqueued, performance.now()];
  await delay(seconds * 1_000);
  const [cpuAfter, endedAfter, enqueuedAfter, ended] = [await cpu(), await countEnded(pool), enqueued, performance.now()];
  isBusy = false;
  await load;
  const elapsed = (ended - began) / 1_000;
  const events = (endedAfter - endedBefore + (enqueuedAfter - enqueuedBefore)) / elapsed;
  const share = (cpuAfter - cpuBefore) / elapsed;
  console.log(
    `${"jobs enqueued and ended meanwhile".padEnd(46)} ${Math.round(events).toLocaleString("en").padStart(9)} a second`,
  );
  report(
    "share of a core for the open overview",
    `${(share * 100).toFixed(1)} %`,
    share <= MOST_CPU,
    `at most ${MOST_CPU * 100} %`,
  );
  await page.context().close();
}

async function countEnded(pool: Pool): Promise<number> {
  return Number((await pool.query("select ended from legwork_private.activity()")).rows[0].ended);
}

function report(what: string, value: string, isGood: boolean, wanted: string): void {
  console.log(`${what.padEnd(46)} ${value.padStart(9)}   ${isGood ? "" : "TOO HIGH: "}${wanted}`);
  if (!isGood) process.exitCode = 1;
}

function chromiumPath(): string {
  const paths = [process.env.LEGWORK_TEST_CHROMIUM, "/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];
  const found = paths.find((path) => path !== undefined && existsSync(path));
  if (found !== undefined) return found;
  throw new Error(
    "No browser found. Install Chromium (apt-get install chromium), or set LEGWORK_TEST_CHROMIUM to the path of a browser.",
  );
}
