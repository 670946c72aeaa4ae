import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import {
  HERE,
  PEERS,
  type Running,
  startLegwork,
  startPeer,
  stop,
  TUNED as TUNED_SETTINGS,
  vacuum,
  writeNoop,
} from "./command.ts";
import { saveSection } from "./results.ts";
import { ResultTable } from "./result-table.ts";
import { freshDatabase, median, withServer } from "./server.ts";
import { writeBenchmarks } from "./write-benchmarks.ts";

/** One side of the comparison: a system and its configuration. */
interface Side {
  readonly name: string;
  /** The script in bench/peers, or `legwork` for this checkout's own command. */
  readonly program: "graphile-worker" | "pg-boss" | "bullmq" | "legwork";
  /** The configuration of the worker. For Legwork, `isDefined` selects the form of the task. */
  readonly work: "tuned" | "default";
  readonly isDefined?: boolean;
}

const TUNED: readonly Side[] = [
  { name: "graphile-worker, tuned", program: "graphile-worker", work: "tuned" },
  { name: "legwork worker, tuned, plain task", program: "legwork", work: "tuned" },
  { name: "legwork worker, tuned, defined task", program: "legwork", work: "tuned", isDefined: true },
  { name: "pg-boss, tuned", program: "pg-boss", work: "tuned" },
  { name: "BullMQ, tuned", program: "bullmq", work: "tuned" },
];
const DEFAULTS: readonly Side[] = [
  { name: "graphile-worker, 10 at a time", program: "graphile-worker", work: "default" },
  { name: "legwork worker, defaults", program: "legwork", work: "default" },
  { name: "pg-boss, defaults", program: "pg-boss", work: "default" },
  { name: "BullMQ, defaults", program: "bullmq", work: "default" },
];

/** The figures of one side in one round. */
interface Round {
  /** The jobs run per second, between the calls of the first and the last job. */
  ran?: number;
  /** The jobs added per second, in bulk. */
  added?: number;
  /** The time from the start of adding a job until its task is called (ms). */
  p50?: number;
  p99?: number;
}

/**
 * Compares Legwork's command with graphile-worker, pg-boss and BullMQ, each in its best documented configuration and with its defaults: running jobs
 * that do nothing, adding jobs in bulk, and the time from adding a job to its call in an idle system. The sides run one after the other, each in a
 * new database on the same server; BullMQ uses a Redis server that writes its append-only file every second. Writes bench/results.json and
 * docs/reference/benchmarks.md. `npm run bench -- peers 3` runs three rounds instead of five.
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
    await writeNoop(directory);
    await withServer(async (serverUrl) => {
      const bench = new Bench(serverUrl, redis.url, directory);
      await bench.prepare();
      // The first round warms caches and is not counted.
      for (let round = short ? 1 : 0; round <= rounds; round++) {
        const sides = [...TUNED, ...DEFAULTS];
        for (const side of round % 2 === 0 ? sides : sides.toReversed()) {
          // By default, pg-boss runs one job every two seconds. That takes too long to measure, and no one runs it like this.
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
  // A short run only verifies that the benchmark works.
  if (short) return;
  const inOrder = [...TUNED, ...DEFAULTS].map(({ name }) => [name, figures.get(name) ?? []] as const);
  saveSection("peers", { jobs, rounds: Object.fromEntries(inOrder) });
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

  /** Creates a database for each system, which the rounds copy. */
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

  #startWorker(side: Side, url: string, jobs: number): Running {
    const directory = this.#directory;
    if (side.program !== "legwork") return startPeer(side.program, { url, jobs, directory, work: side.work });
    const tasks = join(directory, side.isDefined === true ? "defined" : "plain");
    return startLegwork({ url, jobs, directory, tasks, settings: side.work === "tuned" ? TUNED_SETTINGS : {} });
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

/** Legwork's jobs are graphile-worker's. */
function scriptOf({ program }: Side): string {
  return program === "legwork" ? "graphile-worker" : program;
}

/** Starts Debian's Redis with an append-only file, in its own directory. */
async function startRedis(directory: string): Promise<{ url: string; stop(): Promise<void> }> {
  const port = await freePort();
  const child = spawn(
    "redis-server",
    ["--port", String(port), "--bind", "127.0.0.1", "--dir", directory, "--appendonly", "yes", "--save", ""],
    { stdio: "ignore" },
  );
  const failed = once(child, "error").then(() => {
    throw new Error("redis-server is not installed. Install it (apt-get install redis-server).");
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
