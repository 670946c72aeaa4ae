// Imports from the real pg-boss and BullMQ while their producers and workers keep running. The import is killed repeatedly, and every job must still
// run exactly once.
import { execFile, execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { Queue, Worker } from "bullmq";
import { Redis } from "ioredis";
import pg from "pg";
import { PgBoss } from "pg-boss";
import { startRedis } from "../../support/redis.ts";

const LEGWORK = fileURLToPath(new URL("../../../bin/legwork.js", import.meta.url));
const JOBS = Number(process.env["JOBS"] ?? 20_000);
const databaseUrl = process.env["DATABASE_URL"] ?? "";
const environment = { ...process.env, DATABASE_URL: databaseUrl };
execFileSync(process.execPath, [LEGWORK, "migrate"], { env: environment });
const pool = new pg.Pool({ connectionString: databaseUrl });
await pool.query(`select legwork_private.register_tasks('[{"name": "email"}, {"name": "mail"}]')`);

/** Starts the import and kills it after a while, again and again until one completes. Returns the number of kills. */
async function importUntilDone(parameters: string[]): Promise<number> {
  for (let kills = 0; ; kills++) {
    const done = await new Promise<boolean>((resolve, reject) => {
      const child = execFile(
        process.execPath,
        [LEGWORK, "import", ...parameters, "--apply", "--json"],
        { env: environment, maxBuffer: 1e8 },
        (error, _out, text) => {
          if (error === null) resolve(true);
          else if (error.signal === "SIGKILL") resolve(false);
          else reject(new Error(text));
        },
      );
      if (kills < 6) setTimeout(() => child.kill("SIGKILL"), 1_500 + 900 * kills);
    });
    if (done) return kills;
  }
}

/** Throws unless each job ran in exactly one of the systems. */
async function assertOnce(name: string, ranThere: readonly number[], task: string): Promise<void> {
  const { rows } = await pool.query("select (payload->>'i')::int as i from legwork.jobs where task = $1", [task]);
  const all = [...ranThere, ...rows.map((row) => Number(row.i))];
  if (all.length !== JOBS || new Set(all).size !== JOBS)
    throw new Error(`${name}: ${all.length} runs of ${new Set(all).size} of ${JOBS} jobs.`);
  console.log(`✓ ${name}: ${ranThere.length} jobs ran there, ${rows.length} were imported, none was lost or duplicated.`);
}

const remote = new URL(databaseUrl);
remote.pathname = "/other";
await pool.query("create database other");
for (const [where, url] of [
  ["in the same database", databaseUrl],
  ["in another database", remote.href],
] as const) {
  await pool.query(
    "delete from legwork_private.imported_jobs; select legwork.cancel_jobs('{}'); delete from legwork_private.finished_jobs",
  );
  const boss = new PgBoss({ connectionString: url });
  boss.on("error", (error) => console.error(error.message));
  await boss.start();
  await boss.createQueue("email");
  await boss.insert(
    "email",
    Array.from({ length: JOBS / 2 }, (_, i) => ({ data: { i } })),
  );
  const ran: number[] = [];
  await boss.work<{ i: number }>(
    "email",
    { batchSize: 20, pollingIntervalSeconds: 0.5 },
    async (jobs) => void ran.push(...jobs.map((job) => job.data.i)),
  );
  const importing = importUntilDone(["pg-boss", ...(url === databaseUrl ? [] : ["--source-url", url])]);
  for (let i = JOBS / 2; i < JOBS; i += 100)
    await boss.insert(
      "email",
      Array.from({ length: 100 }, (_, n) => ({ data: { i: i + n } })),
    );
  console.log(`pg-boss ${where}: the import was killed ${await importing} times`);
  await boss.offWork("email", { wait: true });
  await importUntilDone(["pg-boss", ...(url === databaseUrl ? [] : ["--source-url", url])]);
  await boss.stop({ graceful: true });
  await assertOnce(`pg-boss ${where}`, ran, "email");
}

const redis = await startRedis();
const connection = new Redis(redis.url, { maxRetriesPerRequest: null });
const queue = new Queue("mail", { connection });
await queue.addBulk(Array.from({ length: JOBS / 2 }, (_, i) => ({ name: "one", data: { i } })));
const ran: number[] = [];
const worker = new Worker<{ i: number }>("mail", async (job) => void ran.push(job.data.i), {
  connection: connection.duplicate(),
  limiter: { max: 50, duration: 100 },
});
const importing = importUntilDone(["bullmq", "--redis-url", redis.url]);
for (let i = JOBS / 2; i < JOBS; i += 100)
  await queue.addBulk(Array.from({ length: 100 }, (_, n) => ({ name: "one", data: { i: i + n } })));
console.log(`BullMQ: the import was killed ${await importing} times`);
await worker.close();
await importUntilDone(["bullmq", "--redis-url", redis.url]);
await assertOnce("BullMQ", ran, "mail");
await redis.stop();
await pool.end();
// BullMQ's worker would keep trying to connect.
process.exit(0);
