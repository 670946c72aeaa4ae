import { execFileSync, type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync } from "node:fs";
import { mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { cpus, tmpdir, totalmem } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import pg from "pg";
import { ResultTable } from "./result-table.ts";
import { freshDatabase, median, withServer } from "./server.ts";
import { writeBenchmarks } from "./write-benchmarks.ts";

const HERE = fileURLToPath(new URL("..", import.meta.url));
const PEERS = join(HERE, "bench/peers");

/** What is run: how a side is prepared, filled, worked on, and added to. */
interface Side {
  readonly name: string;
  /** The script of the peer, or `legwork` for this checkout's own command. */
  readonly program: "graphile-worker" | "pg-boss" | "bullmq" | "legwork";
  /** Arguments of the worker: tuned or default; for Legwork also the form of the task. */
  readonly work: "tuned" | "default";
  readonly isDefined?: boolean;
  /** Whether the log goes to a pipe that is read, at its default level. */
  readonly isLogged?: boolean;
}

const TUNED: readonly Side[] = [
  { name: "graphile-worker, tuned", program: "graphile-worker", work: "tuned" },
  { name: "legwork worker, tuned, plain task", program: "legwork", work: "tuned", isLogged: true },
  { name: "legwork worker, tuned, defined task", program: "legwork", work: "tuned", isDefined: true, isLogged: true },
  { name: "pg-boss, tuned", program: "pg-boss", work: "tuned" },
  { name: "BullMQ, tuned", program: "bullmq", work: "tuned" },
];
const DEFAULTS: readonly Side[] = [
  { name: "graphile-worker, 10 at a time", program: "graphile-worker", work: "default" },
  { name: "legwork worker, defaults", program: "legwork", work: "default", isLogged: true },
  { name: "pg-boss, defaults", program: "pg-boss", work: "default" },
  { name: "BullMQ, defaults", program: "bullmq", work: "default" },
];

interface Measured {
  seconds: number;
  latencies: number[];
  cpu: number;
}

/** The figures of one side in one round. */
interface Round {
  /** Jobs per second, between the calls of the first and the last job. */
  ran?: number;
  /** Jobs per second that were added in bulk. */
  added?: number;
  /** From the start of adding a job until its call (ms). */
  p50?: number;
  p99?: number;
}

/**
 * Measures Legwork's command beside graphile-worker, pg-boss and BullMQ, each in its best documented configuration and with its defaults: jobs that do
 * nothing, adding jobs in bulk, and the time from adding a job to its call in an idle system. The sides run in turn, each in a fresh database on the
 * same server; BullMQ runs on a Redis server with the append-only file, written every second. Writes bench/results.json and docs/reference/benchmarks.md.
 * `npm run bench -- peers 3` runs three rounds instead of five.
 */
export async function run({ short, parameters }: { short: boolean; parameters: readonly string[] }): Promise<void> {
  execFileSync("npm", ["ci", "--ignore-scripts", "--no-audit", "--no-fund"], {
    cwd: PEERS,
    stdio: ["ignore", "ignore", "inherit"],
  });
  const rounds = Number(parameters[0] ?? (short ? 1 : 5));
  const jobs = short ? 20_000 : 100_000;
  const samples = short ? 100 : 500;
  const directory = await mkdtemp(join(tmpdir(), "legwork-peers-"));
  const figures = new Map<string, Round[]>();
  const redis = await startRedis(directory);
  try {
    await writeTasks(directory);
    await withServer(async (serverUrl) => {
      const bench = new Bench(serverUrl, redis.url, directory);
      await bench.prepare();
      // The first round warms caches and is not counted.
      for (let round = short ? 1 : 0; round <= rounds; round++) {
        const sides = [...TUNED, ...DEFAULTS];
        for (const side of round % 2 === 0 ? sides : sides.toReversed()) {
          // One job every two seconds by default: that takes too long to measure, and no one runs it so.
          const isTimed = side.work === "tuned" || side.program !== "pg-boss";
          const figure = {
            ...(isTimed &&
              (await bench.throughput(side, side.work === "default" && side.program === "bullmq" ? jobs / 10 : jobs))),
            ...(side.work === "default" && (await bench.latency(side, samples))),
          };
          console.error(`round ${round}: ${side.name}: ${JSON.stringify(figure)}`);
          if (round > 0) figures.set(side.name, [...(figures.get(side.name) ?? []), figure]);
        }
      }
    });
  } finally {
    await redis.stop();
    await rm(directory, { recursive: true, force: true });
  }
  report(figures);
  // A short run only shows that the benchmark works.
  if (short) return;
  await writeFile(
    join(HERE, "bench/results.json"),
    `${JSON.stringify({ measuredOn: new Date().toISOString().slice(0, 10), machine: machine(), versions: versions(), short, jobs, rounds: Object.fromEntries(figures) }, null, 2)}\n`,
  );
  writeBenchmarks();
}

class Bench {
  readonly #serverUrl: string;
  readonly #redisUrl: string;
  readonly #directory: string;

  constructor(serverUrl: string, redisUrl: string, directory: string) {
    this.#serverUrl = serverUrl;
    this.#redisUrl = redisUrl;
    this.#directory = directory;
  }

  /** Makes a database for each system, which the rounds copy. */
  async prepare(): Promise<void> {
    for (const program of ["graphile-worker", "pg-boss", "legwork"] as const) {
      const url = await freshDatabase(this.#serverUrl, templateOf(program));
      if (program === "legwork") this.#call(join(HERE, "bin/legwork.js"), ["migrate"], { DATABASE_URL: url });
      else this.#call(join(PEERS, `${program}.mjs`), ["prepare", url]);
    }
  }

  async #fresh(side: Side): Promise<string> {
    if (side.program !== "bullmq") return await freshDatabase(this.#serverUrl, "legwork_peer", templateOf(side.program));
    this.#call(join(PEERS, "bullmq.mjs"), ["prepare", this.#redisUrl]);
    return this.#redisUrl;
  }

  async throughput(side: Side, jobs: number): Promise<Round> {
    const url = await this.#fresh(side);
    const added = jobs / Number(this.#call(join(PEERS, `${scriptOf(side)}.mjs`), ["fill", url, String(jobs)]));
    if (side.program !== "bullmq") await vacuum(url);
    const worker = this.#startWorker(side, url, jobs);
    const { seconds } = await worker.measured();
    await worker.stop();
    return { ran: Math.round(jobs / seconds), added: Math.round(added) };
  }

  async latency(side: Side, samples: number): Promise<Round> {
    const url = await this.#fresh(side);
    const worker = this.#startWorker(side, url, samples + 5);
    await delay(4_000);
    const environment = { BENCH_EVERY: "20" };
    this.#call(join(PEERS, `${scriptOf(side)}.mjs`), ["add", url, String(samples + 5)], environment);
    const { latencies } = await worker.measured();
    await worker.stop();
    const sorted = latencies.slice(5).toSorted((a, b) => a - b);
    const at = (share: number): number => Number((sorted[Math.floor(sorted.length * share)] ?? Number.NaN).toFixed(2));
    return { p50: at(0.5), p99: at(0.99) };
  }

  #startWorker(side: Side, url: string, jobs: number): { measured(): Promise<Measured>; stop(): Promise<void> } {
    const file = join(this.#directory, `out-${performance.now()}.json`);
    const environment = { ...process.env, NO_LOG_SUCCESS: "1", BENCH_JOBS: String(jobs), BENCH_OUT: file, DATABASE_URL: url };
    const settings = side.work === "tuned" ? { LEGWORK_CONCURRENCY: "24", LEGWORK_LOCAL_QUEUE_SIZE: "500" } : {};
    const folder = join(this.#directory, side.isDefined === true ? "defined" : "plain");
    const parameters =
      side.program === "legwork"
        ? ["--max-semi-space-size=1", join(HERE, "bin/legwork.js"), "worker", "--tasks", folder, "--crontab", "/dev/null"]
        : [join(PEERS, `${side.program}.mjs`), "work", url, side.work];
    const child = spawn(process.execPath, parameters, {
      env: { ...environment, ...(side.program === "legwork" && settings) },
      stdio: ["ignore", "ignore", side.isLogged === true ? "pipe" : "ignore"],
    });
    child.stderr?.resume();
    return { measured: () => measured(child, file), stop: () => stop(child) };
  }

  #call(script: string, parameters: readonly string[], more: Record<string, string> = {}): string {
    return execFileSync(process.execPath, [script, ...parameters], {
      encoding: "utf8",
      env: { ...process.env, ...more },
      stdio: ["ignore", "pipe", "inherit"],
    });
  }
}

function templateOf(program: Side["program"]): string {
  return `legwork_peer_${program.replace("-", "_")}`;
}

/** Legwork's jobs are those of graphile-worker. */
function scriptOf({ program }: Side): string {
  return program === "legwork" ? "graphile-worker" : program;
}

async function vacuum(url: string): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  await client.query("vacuum (analyze)");
  await client.query("checkpoint");
  await client.end();
}

async function measured(child: ChildProcess, file: string): Promise<Measured> {
  for (const deadline = performance.now() + 300_000; performance.now() < deadline;) {
    if (existsSync(file)) return JSON.parse(readFileSync(file, "utf8"));
    if (child.exitCode !== null) throw new Error(`The worker exited with code ${child.exitCode}.`);
    await delay(50);
  }
  throw new Error("The worker did not run its jobs within five minutes.");
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null) return;
  const exited = once(child, "exit");
  child.kill("SIGKILL");
  await exited;
}

/** The same task, as a plain function and as a defined task. */
async function writeTasks(directory: string): Promise<void> {
  const { mkdir } = await import("node:fs/promises");
  const from = JSON.stringify(join(PEERS, "measure.mjs"));
  for (const [folder, text] of Object.entries({
    plain: `import { note } from ${from};\nexport default async (payload) => note(payload);\n`,
    defined: `import { defineTask } from "legwork";\nimport { note } from ${from};\nexport default defineTask({ run: async (payload) => note(payload) });\n`,
  })) {
    await mkdir(join(directory, folder));
    await writeFile(join(directory, folder, "noop.mjs"), text);
  }
  await symlink(join(HERE, "node_modules"), join(directory, "node_modules"));
}

/** Starts Debian's Redis with the append-only file, in a directory of its own. */
async function startRedis(directory: string): Promise<{ url: string; stop(): Promise<void> }> {
  const port = await freePort();
  const child = spawn(
    "redis-server",
    ["--port", String(port), "--bind", "127.0.0.1", "--dir", directory, "--appendonly", "yes", "--save", ""],
    { stdio: "ignore" },
  );
  const failed = once(child, "error").then(() => {
    throw new Error("There is no redis-server: install it (apt-get install redis-server).");
  });
  await Promise.race([failed, delay(1_000)]);
  return { url: `redis://127.0.0.1:${port}`, stop: () => stop(child) };
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  server.close();
  return typeof address === "object" && address !== null ? address.port : 0;
}

function machine(): { cores: number; model: string; memoryGb: number; node: string } {
  return {
    cores: cpus().length,
    model: cpus()[0]?.model ?? "",
    memoryGb: Math.round(totalmem() / 2 ** 30),
    node: process.version,
  };
}

function versions(): Record<string, string> {
  const versionOf = (folder: string): string => JSON.parse(readFileSync(join(folder, "package.json"), "utf8")).version;
  return {
    legwork: versionOf(HERE),
    "graphile-worker": versionOf(join(HERE, "node_modules/graphile-worker")),
    "pg-boss": versionOf(join(PEERS, "node_modules/pg-boss")),
    bullmq: versionOf(join(PEERS, "node_modules/bullmq")),
  };
}

function report(figures: ReadonlyMap<string, readonly Round[]>): void {
  const base = figures.get(TUNED[0]?.name ?? "") ?? [];
  const table = new ResultTable({
    head: ["", "jobs/s", "to graphile-worker, tuned", "rounds", "added/s in bulk", "p50 ms", "p99 ms"],
  });
  for (const [name, rounds] of figures) {
    const ratios = rounds.map(({ ran = Number.NaN }, round) => ran / (base[round]?.ran ?? Number.NaN));
    const middle = (key: "ran" | "added" | "p50" | "p99"): string => {
      const values = rounds.map((round) => round[key]).filter((value) => value !== undefined);
      return values.length === 0 ? "" : String(Number(median(values).toFixed(2)));
    };
    table.push([
      name,
      middle("ran"),
      median(ratios).toFixed(3),
      ratios.map((ratio) => ratio.toFixed(2)).join(" "),
      middle("added"),
      middle("p50"),
      middle("p99"),
    ]);
  }
  console.log(table.toString());
}
