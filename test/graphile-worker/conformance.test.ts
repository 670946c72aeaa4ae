import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runMigrations } from "graphile-worker";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startWorker, type Worker } from "../../src/worker/worker.ts";
import { type TestDatabase, testDatabase, testLog } from "../support/database.ts";
import { quietLogger, runDueJobs } from "../support/plain-worker.ts";
import { until } from "../support/until.ts";
import { ADMINISTERING } from "./administering.ts";
import { type Behavior, type Place, type Side, SUPPORT, TASKS } from "./behavior.ts";
import { ENQUEUEING } from "./enqueueing.ts";
import { LIBRARY } from "./library.ts";
import { RUNNING } from "./running.ts";

/** Behaviors that users of graphile-worker rely on, written independently of its test suite. */
const BEHAVIORS: readonly Behavior[] = [...ENQUEUEING, ...ADMINISTERING, ...RUNNING, ...LIBRARY];

const databases: Record<Place, TestDatabase> = {
  "without Legwork": testDatabase({ empty: true }),
  "with Legwork": testDatabase(),
  "with a limit": testDatabase(),
  "Legwork's worker": testDatabase(),
};
const places = Object.keys(databases) as Place[];
let tasks: string;
let worker: Worker;

beforeAll(async () => {
  tasks = await mkdtemp(join(tmpdir(), "legwork-conformance-"));
  for (const [name, source] of Object.entries(TASKS)) await writeFile(join(tasks, name), source);
  await runMigrations({ pgPool: databases["without Legwork"].pool, logger: quietLogger });
  for (const place of places) await databases[place].pool.query(SUPPORT);
  // Every task without a queue is in this one, so this limit applies to all of them.
  await databases["with a limit"].pool.query("select legwork.limit_concurrency(100, queue => 'default')");
  worker = await startWorker({
    databaseUrl: databases["Legwork's worker"].url,
    log: testLog,
    tasks: [tasks],
    concurrency: 4,
    localQueueSize: 4,
    shutdownTimeout: 2_000,
  });
});

afterAll(async () => {
  await worker.stop();
  await rm(tasks, { recursive: true, force: true });
});

function sideAt(place: Place): Side {
  const database = databases[place];
  return {
    place,
    database,
    tasks,
    rows: async (sql, values) => (await database.pool.query(sql, values)).rows,
    run: async (options = {}) => {
      if (place !== "Legwork's worker") {
        const { preset } = options;
        const own = { ...options, preset: { ...preset, worker: { taskDirectory: tasks, ...preset?.worker } } };
        return await runDueJobs(database, undefined, own);
      }
      await until("Legwork's worker has run the due jobs", async () => {
        const { rows } = await database.pool.query(
          "select from graphile_worker.jobs where locked_at is not null or run_at <= now() and attempts < max_attempts and task_identifier <> 'unknown'",
        );
        return rows.length === 0;
      });
    },
  };
}

async function clean({ database, place }: Side): Promise<void> {
  await database.pool.query("delete from graphile_worker._private_jobs");
  await database.pool.query("truncate public.seen; delete from graphile_worker._private_known_crontabs");
  // Once all users of a queue are gone, so is its lock.
  if (place !== "Legwork's worker") await database.pool.query("delete from graphile_worker._private_job_queues");
}

describe.each(places)("graphile-worker %s", (place) => {
  const relevant = BEHAVIORS.filter(({ anyWorker }) => place !== "Legwork's worker" || anyWorker === true);
  it.each(relevant)("$name", async ({ see, is, except }) => {
    const side = sideAt(place);
    await clean(side);
    expect(await see(side)).toEqual(except?.[place]?.is ?? is);
  });
});

it("docs/reference/database-footprint.md lists exactly the behaviors that differ", async () => {
  const page = await readFile(new URL("../../docs/reference/database-footprint.md", import.meta.url), "utf8");
  const list = page.slice(
    page.indexOf("## Differences for users of graphile-worker"),
    page.indexOf("## An older graphile-worker"),
  );
  const found = new Set<string>();
  for (const { is: usual, except = {} } of BEHAVIORS) {
    for (const { is, documented } of Object.values(except)) {
      expect(is).not.toEqual(usual);
      found.add(documented);
    }
  }
  const documented = [...list.matchAll(/^- \*\*(.+?)\*\*/gm)].map((match) => match[1]);
  expect(found).toEqual(new Set(documented));
});
