import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { ResultTable } from "./result-table.ts";
import { runMigrations } from "graphile-worker";
import pg from "pg";
import { createPool } from "../src/db/pool.ts";
import { LegworkError } from "../src/errors.ts";
import { benchLog, enqueue, freshDatabase, median, withServer } from "./server.ts";

const runChild = promisify(execFile);

/** How far this checkout's ratio to graphile-worker may fall below the other checkout's, as a fraction. */
const TOLERANCE = 0.03;

/** The engine alone (`bench/worker.ts`) without and with results, and the whole `legwork worker` command. */
const KINDS = ["noop", "result", "command"] as const;
type Kind = (typeof KINDS)[number];

const HERE = fileURLToPath(new URL("..", import.meta.url));

/**
 * Compares this checkout with another one; both run alternately on one server: `npm run bench -- compare ../other`. In each of ten rounds,
 * graphile-worker alone and each kind of both checkouts run the same jobs, each in a separate database. A round's rates are divided by
 * graphile-worker's rate of that round. To run only some kinds, list their names after the checkout.
 */
export async function run({ short, parameters }: { short: boolean; parameters: readonly string[] }): Promise<void> {
  const [other, ...only] = parameters;
  if (other === undefined) {
    throw new LegworkError("LW400", "The other checkout is missing.", {
      hint: "Name another checkout in which `npm ci` has run: npm run bench -- compare ../legwork-before",
    });
  }
  const checkouts = [resolve(other), HERE];
  const rounds = short ? 2 : 10;
  const jobs = short ? 30_000 : 60_000;
  const directory = await mkdtemp(join(tmpdir(), "legwork-compare-"));
  await writeFile(
    join(directory, "noop.ts"),
    'import { defineTask } from "legwork";\nexport default defineTask({ run: async () => {} });\n',
  );
  const ratios = new Map<string, number[]>();
  const bare: number[] = [];
  await withServer(async (serverUrl) => {
    const pool = createPool(await freshDatabase(serverUrl, "legwork_compare_bare"), { log: benchLog });
    await runMigrations({ pgPool: pool });
    await pool.end();
    for (const [index, checkout] of checkouts.entries()) {
      const url = await freshDatabase(serverUrl, `legwork_compare_${index}`);
      await runChild(process.execPath, [join(checkout, "bin/legwork.js"), "migrate"], {
        env: { ...process.env, DATABASE_URL: url },
      });
    }
    // The first round warms caches and is not counted.
    for (let round = 0; round <= rounds; round++) {
      const turns = [
        { key: "bare", work: () => engine(serverUrl, HERE, "legwork_compare_bare", "graphile", "noop", jobs) },
        ...KINDS.filter((kind) => only.length === 0 || only.includes(kind)).flatMap((kind) =>
          checkouts.map((checkout, index) => ({
            key: `${kind} ${index}`,
            work: () =>
              kind === "command"
                ? command(serverUrl, checkout, `legwork_compare_${index}`, directory, jobs)
                : engine(serverUrl, checkout, `legwork_compare_${index}`, "legwork", kind, jobs),
          })),
        ),
      ];
      const rates = new Map<string, number>();
      // Every other round runs in the opposite order, because one side's pending disk writes slow down the next.
      for (const { key, work } of round % 2 === 0 ? turns : turns.toReversed()) rates.set(key, await work());
      if (round === 0) continue;
      const base = rates.get("bare") ?? Number.NaN;
      bare.push(base);
      for (const [key, rate] of rates) ratios.set(key, [...(ratios.get(key) ?? []), rate / base]);
    }
  });
  await rm(directory, { recursive: true, force: true });
  report(bare, ratios);
}

function report(bare: readonly number[], ratios: ReadonlyMap<string, readonly number[]>): void {
  console.log(`graphile-worker alone: ${Math.round(median(bare))} jobs/s (median of ${bare.length} rounds)`);
  const table = new ResultTable({ head: ["", "the other", "this one", "this / other", "at least", "this one's rounds"] });
  for (const kind of KINDS) {
    const [before = [], now = []] = [ratios.get(`${kind} 0`), ratios.get(`${kind} 1`)];
    if (now.length === 0) continue;
    // Compared within each round, because both checkouts ran under the same conditions in it.
    const change = median(now.map((value, round) => value / (before[round] ?? Number.NaN)));
    table.push([
      kind,
      median(before).toFixed(3),
      median(now).toFixed(3),
      change.toFixed(3),
      (1 - TOLERANCE).toFixed(2),
      now.map((value) => value.toFixed(2)).join(" "),
    ]);
    if (change < 1 - TOLERANCE) process.exitCode = 1;
  }
  console.log(table.toString());
  if (process.exitCode === 1) console.error("This checkout is slower than allowed.");
}

/** Returns the jobs per second according to the checkout's own `bench/worker.ts`. */
async function engine(
  serverUrl: string,
  checkout: string,
  template: string,
  runner: string,
  task: Kind,
  jobs: number,
): Promise<number> {
  const url = await freshDatabase(serverUrl, "legwork_compare", template);
  await enqueue(url, task, jobs);
  const { stdout } = await runChild(process.execPath, [join(checkout, "bench/worker.ts"), url, runner, task, String(jobs)], {
    env: { ...process.env, NO_LOG_SUCCESS: "1" },
  });
  return Number(stdout.trim().split("\n").at(-1));
}

/** Returns the jobs per second of the checkout's `legwork worker`, from the start of the first job to the end of the last. */
async function command(serverUrl: string, checkout: string, template: string, tasks: string, jobs: number): Promise<number> {
  const url = await freshDatabase(serverUrl, "legwork_compare", template);
  await enqueue(url, "noop", jobs);
  const script = join(checkout, "bin/legwork.js");
  const child = spawn(
    process.execPath,
    ["--max-semi-space-size=1", script, "worker", "--tasks", tasks, "--crontab", "/dev/null", "--concurrency", "24"],
    { env: { ...process.env, DATABASE_URL: url, LEGWORK_LOCAL_QUEUE_SIZE: "500", LEGWORK_LOG_LEVEL: "warn" }, stdio: "ignore" },
  );
  const exited = once(child, "exit");
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    for (const deadline = performance.now() + 120_000; ;) {
      const { rows } = await client.query("select from graphile_worker._private_jobs limit 1");
      if (rows.length === 0) break;
      if (performance.now() > deadline) throw new Error("The worker did not run its jobs within two minutes.");
      await delay(100);
    }
    // Early checkouts have the history in the schema legwork.
    const { rows: found } = await client.query(
      "select coalesce(to_regclass('legwork_private.finished_jobs'), to_regclass('legwork.finished_jobs'))::text as history",
    );
    const { rows } = await client.query(
      `select count(*) / extract(epoch from max(finished_at) - min(started_at))::float8 as rate from ${found[0].history}`,
    );
    return rows[0].rate;
  } finally {
    await client.end();
    child.kill("SIGTERM");
    await exited;
  }
}
