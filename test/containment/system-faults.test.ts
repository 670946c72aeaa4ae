import { execFileSync } from "node:child_process";
import { appendFileSync, chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, statfsSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Writable } from "node:stream";
import pg from "pg";
import pino from "pino";
import { afterAll, beforeAll, beforeEach, expect, it, onTestFinished } from "vitest";
import { type EmbeddedPostgres, startEmbeddedPostgres } from "../../src/embedded/start-embedded.ts";
import { migrate } from "../../src/db/migrate.ts";
import { createPool, type Pool } from "../../src/db/pool.ts";
import { Problems } from "../../src/health/problems.ts";
import { startServer } from "../../src/server/server.ts";
import { startWorker, type Worker } from "../../src/worker/worker.ts";
import { databaseUrl, testLog } from "../support/database.ts";
import { empty } from "../support/empty.ts";
import { scaled } from "../support/slowness.ts";
import { until } from "../support/until.ts";
import { directoryOf } from "../support/worker.ts";

// Faults that affect a whole server. The tests have a Postgres of their own, with a database on a small disk that can be filled.

const isRoot = process.getuid?.() === 0;
const home = mkdtempSync(join(tmpdir(), "legwork-faults-"));
const disk = join(home, "disk");
/** Where tasks record their runs, independently of the database. */
const notes = join(home, "runs");
const gate = join(home, "gate");
let postgres: EmbeddedPostgres;
let pool: Pool;
let url: string;

beforeAll(async () => {
  chmodSync(home, 0o755);
  postgres = await startEmbeddedPostgres({
    dataDir: join(home, "data"),
    log: testLog,
    settings: { fsync: "off", max_connections: "40", autovacuum: "off" },
  });
  const admin = new pg.Client({ connectionString: postgres.databaseUrl });
  await admin.connect();
  const name = "faults";
  if (isRoot) {
    // As root, Postgres runs as another user, who must own the disk.
    const [owner] = execFileSync("stat", ["-c", "%U", join(home, "data", "postgres")], { encoding: "utf8" })
      .trim()
      .split("\n");
    execFileSync("mkdir", ["-p", disk]);
    execFileSync("mount", ["-t", "tmpfs", "-o", "size=64m", "none", disk]);
    execFileSync("chown", [owner!, disk]);
    await admin.query(`create tablespace small location '${disk}'`);
    await admin.query(`create database ${name} tablespace small`);
  } else await admin.query(`create database ${name}`);
  await admin.end();
  url = databaseUrl(postgres.databaseUrl, name);
  pool = createPool(url, { log: testLog, max: 3 });
  await migrate(pool, testLog);
}, scaled(120_000));

afterAll(async () => {
  await pool?.end();
  await postgres?.stop();
  if (isRoot) execFileSync("umount", [disk]);
  rmSync(home, { recursive: true, force: true });
});

beforeEach(async () => {
  await pool.query("delete from graphile_worker._private_jobs");
  await empty(pool, "legwork_private.finished_jobs, legwork_private.failed_attempts");
  writeFileSync(notes, "");
  rmSync(gate, { force: true });
});

/** Records its run, waits for the gate, and returns a result large enough to make the history grow. */
const TASK = `
  import { appendFileSync, existsSync } from "node:fs";
  import { randomBytes } from "node:crypto";
  import { setTimeout as delay } from "node:timers/promises";
  export default async function (payload, { job }) {
    appendFileSync(${JSON.stringify(notes)}, job.id + "\\n");
    while (!existsSync(${JSON.stringify(gate)})) await delay(10);
    return undefined;
  }`;
/** Queries the database once the gate is open. */
const ASKING = `
  import { appendFileSync, existsSync } from "node:fs";
  import { setTimeout as delay } from "node:timers/promises";
  import { defineTask } from "legwork";
  export default defineTask({ retry: { attempts: 1 }, async run(payload, { job, sql }) {
    appendFileSync(${JSON.stringify(notes)}, job.id + "\\n");
    while (!existsSync(${JSON.stringify(gate)})) await delay(10);
    await Promise.all([sql\`select 1\`, sql\`select 2\`, sql\`select 3\`]);
  } });`;
const DEFINED = `
  import { appendFileSync, existsSync } from "node:fs";
  import { randomBytes } from "node:crypto";
  import { setTimeout as delay } from "node:timers/promises";
  import { defineTask } from "legwork";
  export default defineTask({ retry: { attempts: 1 }, async run(payload, { job }) {
    appendFileSync(${JSON.stringify(notes)}, job.id + "\\n");
    while (!existsSync(${JSON.stringify(gate)})) await delay(10);
    return randomBytes(60_000).toString("hex");
  } });`;

interface Running {
  readonly worker: Promise<Worker>;
  /** The response of `/ready`. */
  ready(): Promise<{ status: number; text: string }>;
  /** Whether the worker has logged this event. */
  hasLogged(event: string): boolean;
}

async function run({ withServer = true }: { withServer?: boolean } = {}): Promise<Running> {
  const problems = new Problems();
  const lines: string[] = [];
  const log = pino({ level: "info" }, new Writable({ write: (chunk, _encoding, done) => (lines.push(String(chunk)), done()) }));
  const server = withServer
    ? await startServer({ databaseUrl: url, host: "127.0.0.1", port: 0, token: "t".repeat(40), log: testLog, problems })
    : undefined;
  onTestFinished(async () => await server?.stop());
  const tasks = [await directoryOf({ "plain.mjs": TASK, "defined.ts": DEFINED, "asking.ts": ASKING })];
  const worker = startWorker({
    databaseUrl: url,
    log,
    tasks,
    concurrency: 8,
    localQueueSize: 8,
    shutdownTimeout: 2_000,
    problems,
  });
  onTestFinished(async () => void (await worker.then((started) => started.stop())));
  return {
    worker,
    ready: async () => {
      const answer = await fetch(`${server?.url}/ready`);
      return { status: answer.status, text: await answer.text() };
    },
    hasLogged: (event) => lines.some((line) => line.includes(`"event":"${event}"`)),
  };
}

async function enqueue(count: number): Promise<void> {
  await pool.query(
    "select graphile_worker.add_job(case n % 2 when 0 then 'plain' else 'defined' end, max_attempts => 1) from generate_series(1, $1) n",
    [count],
  );
}

const runs = (): string[] => readFileSync(notes, "utf8").trim().split("\n").filter(Boolean);

async function expectAllOnce(count: number): Promise<void> {
  await until(
    "every job has ended",
    async () => (await pool.query("select from legwork.jobs where finished_at is null limit 1")).rows.length === 0,
    30_000,
  );
  const { rows } = await pool.query(
    "select state, count(*)::int as jobs, max(attempts)::int as attempts from legwork.jobs group by 1",
  );
  expect(rows).toEqual([{ state: "completed", jobs: count, attempts: 1 }]);
  expect(runs().toSorted()).toEqual([...new Set(runs())].toSorted());
  expect(runs()).toHaveLength(count);
}

it.skipIf(!isRoot)(
  "a full disk does not end any job: /ready reports it, and work resumes once there is space again",
  { timeout: scaled(60_000) },
  async () => {
    await enqueue(40);
    const running = await run();
    await running.worker;
    await until("eight jobs run", () => runs().length === 8);
    const { bavail, bsize } = statfsSync(disk);
    const filler = join(disk, "filler");
    const chunk = Buffer.alloc(bsize * 64);
    for (let left = bavail * bsize; left > 0; left -= chunk.length) {
      try {
        appendFileSync(filler, left >= chunk.length ? chunk : chunk.subarray(0, left));
      } catch {
        break; // The disk is full.
      }
    }
    onTestFinished(() => rmSync(filler, { force: true }));
    writeFileSync(gate, "");
    const answer = await until("the server is not ready", async () => {
      const { status, text } = await running.ready();
      return status === 503 ? text : undefined;
    });
    expect(answer).toMatch(/No space left on device/);
    expect(running.hasLogged("recording_failed")).toBe(true);
    const { rows } = await pool.query("select from legwork_private.finished_jobs where state <> 'completed'");
    expect(rows).toEqual([]);
    rmSync(filler);
    await expectAllOnce(40);
    await until("the server is ready", async () => (await running.ready()).status === 200);
  },
);

it(
  "a read-only server does not end any job: /ready reports it, and work resumes once the server is writable",
  { timeout: scaled(60_000) },
  async () => {
    await enqueue(24);
    const running = await run();
    await running.worker;
    await until("eight jobs run", () => runs().length === 8);
    const set = async (value: string): Promise<void> => {
      await pool.query(`alter system set default_transaction_read_only = ${value}`);
      await pool.query("select pg_reload_conf()");
    };
    await set("on");
    writeFileSync(gate, "");
    const answer = await until("the server is not ready", async () => {
      const { status, text } = await running.ready();
      return status === 503 && running.hasLogged("recording_failed") ? text : undefined;
    });
    expect(answer).toMatch(/read-only/);
    await set("off");
    await expectAllOnce(24);
    await until("the server is ready", async () => (await running.ready()).status === 200);
  },
);

/** Takes every connection that the server allows. Resolves to a function that releases them. */
async function takeAllConnections(): Promise<() => Promise<void>> {
  const held: pg.Client[] = [];
  for (;;) {
    const client = new pg.Client({ connectionString: url });
    client.on("error", () => undefined);
    try {
      await client.connect();
    } catch {
      return async () => void (await Promise.all(held.map((one) => one.end())));
    }
    held.push(client);
  }
}

it("a worker that starts when no connection is free waits for one", { timeout: scaled(60_000) }, async () => {
  await enqueue(4);
  writeFileSync(gate, "");
  const giveBack = await takeAllConnections();
  const running = await run({ withServer: false });
  await until("the worker logs that it waits", () => running.hasLogged("database_unusable"));
  expect(runs()).toEqual([]);
  await giveBack();
  await running.worker;
  await expectAllOnce(4);
});

it("an attempt that needs a connection when none is free waits for one", { timeout: scaled(60_000) }, async () => {
  const running = await run({ withServer: false });
  await running.worker;
  await pool.query("select legwork.enqueue('asking', '{}')");
  await until("the job runs", () => runs().length === 1);
  const giveBack = await takeAllConnections();
  writeFileSync(gate, "");
  await until("the worker logs that it waits", () => running.hasLogged("database_unusable"));
  await giveBack();
  await expectAllOnce(1);
});

it(
  "tables that a restore has not created yet do not end any job: the worker continues once they exist",
  { timeout: scaled(60_000) },
  async () => {
    await enqueue(24);
    const running = await run();
    await running.worker;
    await until("eight jobs run", () => runs().length === 8);
    await pool.query("alter schema legwork rename to legwork_gone");
    writeFileSync(gate, "");
    await until("the worker has noticed", () => running.hasLogged("recording_failed"));
    await pool.query("alter schema legwork_gone rename to legwork");
    await expectAllOnce(24);
    expect(existsSync(gate)).toBe(true);
  },
);
