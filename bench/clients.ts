import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { type Client, createClient } from "graphql-ws";
import { WebSocket } from "ws";
import { migrate } from "../src/db/migrate.ts";
import { createPool } from "../src/db/pool.ts";
import { benchLog, enqueue, freshDatabase, median, runWorker, withServer } from "./server.ts";

const CLIENTS = 50;
/** Each client's subscriptions: the overview, the queues and the newest jobs. Pages also query the newest jobs every few seconds. */
const WATCHED = [
  "subscription { overview { running pending endedPerSecond failedAttemptsPerSecond } }",
  "subscription { queues { queues { name running pending blocked paused later oldest } } }",
  "subscription { jobs(first: 50) { jobs { id task state createdAt startedAt finishedAt } } }",
];
const ASKED_EVERY_MS = 5_000;

/** The lowest share of their throughput that workers must keep. */
const LEAST = 0.9;
const SHORT_TOLERANCE = 0.2;

/**
 * Measures how much 50 open dashboards slow the workers down: jobs run per second with and without the clients, one after the other in each pair. The
 * server is a separate process, as in production, and runs on both sides.
 */
export async function run({ short }: { short: boolean }): Promise<void> {
  const pairs = short ? 3 : 7;
  const jobs = short ? 40_000 : 150_000;
  await withServer(async (serverUrl) => {
    const url = await freshDatabase(serverUrl, "legwork_clients");
    const pool = createPool(url, { log: benchLog });
    await migrate(pool, benchLog);
    await pool.end();
    const directory = await mkdtemp(join(tmpdir(), "legwork-clients-"));
    const server = await startServer(url, directory);
    const ratios: number[] = [];
    try {
      for (let pair = 0; pair <= pairs; pair++) {
        const rates: Record<"alone" | "watched", number> = { alone: Number.NaN, watched: Number.NaN };
        for (const side of pair % 2 === 0 ? (["alone", "watched"] as const) : (["watched", "alone"] as const)) {
          await enqueue(url, "noop", jobs);
          const watchers = side === "watched" ? await watch(server) : undefined;
          rates[side] = await runWorker(url, "legwork", "noop", jobs);
          await watchers?.stop();
        }
        // The first pair warms caches and is not counted.
        if (pair > 0) ratios.push(rates.watched / rates.alone);
      }
    } finally {
      server.process.kill("SIGTERM");
      await once(server.process, "exit");
      await rm(directory, { recursive: true, force: true });
    }
    console.log(
      `With ${CLIENTS} clients, workers keep ${median(ratios).toFixed(3)} of their throughput (${ratios.map((ratio) => ratio.toFixed(2)).join(" ")}), at least ${LEAST}.`,
    );
    if (median(ratios) < LEAST - (short ? SHORT_TOLERANCE : 0)) process.exitCode = 1;
  });
}

interface Server {
  url: string;
  token: string;
  process: ChildProcess;
}

async function startServer(databaseUrl: string, dataDir: string): Promise<Server> {
  const script = fileURLToPath(new URL("../bin/legwork.js", import.meta.url));
  const child = spawn(process.execPath, [script, "server", "--port", "0", "--data-dir", dataDir], {
    env: { ...process.env, DATABASE_URL: databaseUrl, LEGWORK_RATE_LIMIT: "0" },
    stdio: ["ignore", "ignore", "pipe"],
  });
  const url = await new Promise<string>((resolve, reject) => {
    let output = "";
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      output += text;
      const found = /Listening on (http:\/\/[^\s"]+)/.exec(output)?.[1];
      if (found !== undefined) resolve(found);
    });
    child.once("exit", () => reject(new Error(`The server exited: ${output}`)));
  });
  return { url, process: child, token: (await readFile(join(dataDir, "token"), "utf8")).trim() };
}

/** Connects every client, and resolves when each subscription has delivered an event. */
async function watch({ url, token }: Server): Promise<{ stop(): Promise<void> }> {
  const stopped = new AbortController();
  const headers = { authorization: `Bearer ${token}`, "content-type": "application/json" };
  const clients: Client[] = [];
  const told: Promise<void>[] = [];
  const asking: Promise<void>[] = [];
  for (let number = 0; number < CLIENTS; number++) {
    const client = createClient({
      url: `${url.replace("http", "ws")}/graphql`,
      webSocketImpl: WebSocket,
      connectionParams: { authorization: headers.authorization },
      lazy: false,
    });
    clients.push(client);
    for (const query of WATCHED) {
      told.push(
        new Promise((resolve, reject) => {
          client.subscribe({ query }, { next: () => resolve(), error: reject, complete: () => undefined });
        }),
      );
    }
    asking.push(askAgain(number));
    // The server allows twenty unauthenticated connections per address at a time.
    if (number % 10 === 9) await Promise.all(told);
  }
  await Promise.all(told);

  async function askAgain(number: number): Promise<void> {
    const { signal } = stopped;
    // Spread over the interval, because users do not arrive all at once.
    await delay((number / CLIENTS) * ASKED_EVERY_MS, undefined, { signal }).catch(() => undefined);
    while (!signal.aborted) {
      await (await fetch(`${url}/api/v1/stats`, { headers })).text();
      const body = JSON.stringify({ query: "{ jobs(first: 50) { nodes { id task state createdAt } } }" });
      await (await fetch(`${url}/graphql`, { method: "POST", headers, body })).text();
      await delay(ASKED_EVERY_MS, undefined, { signal }).catch(() => undefined);
    }
  }

  return {
    async stop() {
      stopped.abort();
      await Promise.all(asking);
      for (const client of clients) await client.dispose();
    },
  };
}
