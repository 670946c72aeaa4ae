// Records the statements with which pg-boss 10, 11 and 12 create their schema and a set of jobs, for test/import/pg-boss.test.ts.
import { mkdirSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import pg from "pg";

const FIXTURES = fileURLToPath(new URL("../../import/fixtures/", import.meta.url));
const id = (n: number): string => `00000000-0000-4000-8000-${String(n).padStart(12, "0")}`;

/** Writes pg-boss-<version>.json, a list of [statement, values]. They can be replayed at any time, because pg-boss computes its times from now(). */
export async function writePgBoss(databaseUrl: string): Promise<void> {
  mkdirSync(FIXTURES, { recursive: true });
  for (const [version, name] of [
    ["10", "pg-boss-10"],
    ["11", "pg-boss-11"],
    ["12", "pg-boss"],
  ] as const) {
    const statements: [string, unknown[]?][] = [];
    const client = new pg.Client({ connectionString: databaseUrl });
    await client.connect();
    await client.query("drop schema if exists pgboss cascade");
    const executeSql = async (text: string, values?: unknown[]) => {
      const isRead = /^\s*select\b(?!\s+pgboss\.create_queue)/i.test(text);
      if (!isRead) statements.push(values === undefined || values.length === 0 ? [text] : [text, values]);
      return await client.query(text, values);
    };
    const module = await import(name);
    const PgBoss = module.PgBoss ?? module.default;
    const boss = new PgBoss({ db: { executeSql }, supervise: false, schedule: false, migrate: true, persistWarnings: false });
    boss.on("error", (error: Error) => {
      throw error;
    });
    await boss.start();
    await fill(boss, version);
    await boss.stop({ graceful: false, close: false });
    await client.end();
    writeFileSync(`${FIXTURES}pg-boss-${version}.json`, `${JSON.stringify(statements, undefined, 1)}\n`);
    console.log(`pg-boss ${version}: ${statements.length} statements`);
  }
}

// oxlint-disable-next-line typescript/no-explicit-any -- three versions of its types
async function fill(boss: any, version: string): Promise<void> {
  const queue = (name: string, options: object = {}) => boss.createQueue(name, version === "10" ? { name, ...options } : options);
  await queue("dead");
  await queue("email", {
    retryLimit: 4,
    retryDelay: 30,
    retryBackoff: true,
    ...(version === "10" ? {} : { retryDelayMax: 600 }),
  });
  await queue("report", { deadLetter: "dead" });
  await queue("one-at-a-time", { policy: "singleton" });
  await queue("short", { policy: "short" });
  const send = (n: number, name: string, data: unknown, options: object = {}) => boss.send(name, data, { id: id(n), ...options });
  await send(1, "email", { to: "a@b.c", amount: 0.1 });
  await send(2, "email", { to: "x'\"\\ é \u{1F600} ${7} {{x}}; drop table users" }, { priority: 5 });
  await send(3, "email", null, { startAfter: 86_400 });
  await send(4, "email", { fails: true }, { priority: 40_000 });
  const [job] = await boss.fetch("email");
  if (job.id !== id(4)) throw new Error("Expected the job that is to fail.");
  await boss.fail("email", job.id, { message: "no" });
  await send(5, "report", { day: 1 }, { expireInSeconds: 60 });
  await send(6, "one-at-a-time", { n: 1 }, { singletonKey: "k" });
  await send(7, "one-at-a-time", { n: 2 }, { singletonKey: "k" });
  await send(8, "short", { n: 1 }, { singletonKey: "k" });
  await send(9, "short", { n: 2 }, { singletonKey: "k" });
  await send(10, "dead", { running: true });
  await boss.fetch("dead");
  await send(11, "email", { done: true }, { priority: 90_000 });
  await boss.fetch("email");
  await boss.complete("email", id(11));
  await boss.schedule("report", "0 3 * * *", { nightly: true }, { tz: "Europe/Berlin", priority: 3, retryLimit: 1 });
  if (version === "12") {
    await boss.schedule("report", "FREQ=DAILY;BYHOUR=4", null, { key: "rule" });
    await boss.flow([
      { ref: "a", name: "report", data: { part: "a" }, options: { id: id(20) } },
      { ref: "b", name: "email", data: { part: "b" }, options: { id: id(21) } },
      { ref: "both", name: "report", data: { part: "both" }, options: { id: id(22) }, dependsOn: ["a", "b"] },
    ]);
  }
}
