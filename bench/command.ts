import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync } from "node:fs";
import { mkdir, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import pg from "pg";

export const HERE = fileURLToPath(new URL("..", import.meta.url));
export const PEERS = join(HERE, "bench/peers");

/** What a worker measured (bench/peers/measure.mjs): the time from the first call to the last (s), and the CPU time of its process until then (s). */
export interface Measured {
  seconds: number;
  /** The times from just before a job was added until its task was called (ms), for jobs whose payload has the time at which they were added. */
  latencies: number[];
  cpu: number;
}

export interface Running {
  readonly pid: number;
  /** Resolves when the given number of jobs have run. */
  measured(): Promise<Measured>;
  stop(): Promise<void>;
}

/** graphile-worker and Legwork with 24 jobs at a time and a local queue of 500: the fastest settings of both. */
export const TUNED = { LEGWORK_CONCURRENCY: "24", LEGWORK_LOCAL_QUEUE_SIZE: "500" };

/** Starts `legwork worker` as users do, with its default log, which is read from a pipe. It measures `jobs` calls of its tasks. */
export function startLegwork(options: {
  url: string;
  jobs: number;
  directory: string;
  tasks: string;
  settings?: Readonly<Record<string, string>>;
}): Running {
  const { url, jobs, directory, tasks, settings = {} } = options;
  const script = join(HERE, "bin/legwork.js");
  return start(["--max-semi-space-size=1", script, "worker", "--tasks", tasks, "--crontab", "/dev/null"], {
    jobs,
    directory,
    settings: { ...settings, DATABASE_URL: url },
    isLogged: true,
  });
}

/** Starts the worker of another system with its script in bench/peers. */
export function startPeer(program: string, options: { url: string; jobs: number; directory: string; work: string }): Running {
  const { url, jobs, directory, work } = options;
  return start([join(PEERS, `${program}.mjs`), "work", url, work], { jobs, directory, settings: {}, isLogged: false });
}

function start(
  parameters: readonly string[],
  options: { jobs: number; directory: string; settings: Readonly<Record<string, string>>; isLogged: boolean },
): Running {
  const file = join(options.directory, `out-${performance.now()}.json`);
  const child = spawn(process.execPath, parameters, {
    env: { ...process.env, NO_LOG_SUCCESS: "1", BENCH_JOBS: String(options.jobs), BENCH_OUT: file, ...options.settings },
    stdio: ["ignore", "ignore", options.isLogged ? "pipe" : "ignore"],
  });
  child.stderr?.resume();
  return { pid: child.pid ?? 0, measured: () => measured(child, file), stop: () => stop(child) };
}

async function measured(child: ChildProcess, file: string): Promise<Measured> {
  for (const deadline = performance.now() + 600_000; performance.now() < deadline;) {
    if (existsSync(file)) return JSON.parse(readFileSync(file, "utf8"));
    if (child.exitCode !== null) throw new Error(`The worker exited with code ${child.exitCode}.`);
    await delay(50);
  }
  throw new Error("The worker did not run its jobs within ten minutes.");
}

export async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null) return;
  const exited = once(child, "exit");
  child.kill("SIGKILL");
  await exited;
}

/** Writes the task `noop`, as a plain function (folder `plain`) and with `defineTask` (folder `defined`). The task records its calls. */
export async function writeNoop(directory: string): Promise<void> {
  const from = JSON.stringify(join(PEERS, "measure.mjs"));
  for (const [folder, text] of Object.entries({
    plain: `import { note } from ${from};\nexport default async (payload) => note(payload);\n`,
    defined: `import { defineTask } from "legwork";\nimport { note } from ${from};\nexport default defineTask({ run: async (payload) => note(payload) });\n`,
  })) {
    await mkdir(join(directory, folder));
    await writeFile(join(directory, folder, "noop.mjs"), text);
    const failing = '{ note(payload); if (payload.fails) throw new Error("This job fails."); }';
    await writeFile(join(directory, folder, "fails.mjs"), text.replace("note(payload)", failing));
  }
  await symlink(join(HERE, "node_modules"), join(directory, "node_modules"));
}

/** Vacuums a database's tables, so that all sides run with the same query plans. */
export async function vacuum(url: string): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  await client.query("vacuum (analyze)");
  await client.query("checkpoint");
  await client.end();
}
