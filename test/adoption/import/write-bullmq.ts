// Records the keys that BullMQ 5 and 6 leave in Redis for a set of jobs, for test/import/bullmq.test.ts.
import { writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { Redis } from "ioredis";

const FIXTURES = fileURLToPath(new URL("../../import/fixtures/", import.meta.url));
/** In 2090, so that jobs stay delayed. */
const LATER = Date.UTC(2090, 0, 1) - Date.now();

/** Writes bullmq-<version>.json, a list of Redis commands. */
export async function writeBullmq(redisUrl: string): Promise<void> {
  const connection = new Redis(redisUrl, { maxRetriesPerRequest: null });
  for (const [version, name] of [
    ["5", "bullmq-5"],
    ["6", "bullmq"],
  ] as const) {
    await connection.flushall();
    await fill(await import(name), connection, version);
    const commands = await dump(connection);
    writeFileSync(`${FIXTURES}bullmq-${version}.json`, `${JSON.stringify(commands, undefined, 1)}\n`);
    console.log(`BullMQ ${version}: ${commands.length} commands`);
  }
  connection.disconnect();
}

// oxlint-disable-next-line typescript/no-explicit-any -- two versions of its types
async function fill({ Queue, FlowProducer, Worker }: any, connection: Redis, version: string): Promise<void> {
  const mail = new Queue("mail", { connection });
  await mail.add("welcome", { to: "a@b.c", amount: 0.1, emoji: "\u{1F600}" });
  await mail.add(
    "welcome",
    { to: "x'\"\\ ${7}" },
    { attempts: 5, backoff: { type: "exponential", delay: 1_000 }, removeOnComplete: true },
  );
  await mail.add("receipt", [1, 2], { priority: 10 });
  await mail.add("receipt", "text", { priority: 2 });
  await mail.add("later", { n: 1 }, { delay: LATER, attempts: 3 });
  await mail.add("custom", { n: 2 }, { jobId: "order-7" });
  await mail.add("unique", { n: 3 }, { deduplication: { id: "u" } });
  await mail.add("first", { n: 4 }, { lifo: true });
  await mail.upsertJobScheduler(
    "nightly",
    { pattern: "0 3 * * *", tz: "Europe/Berlin", limit: 100 },
    { name: "digest", data: { all: true }, opts: { attempts: 4 } },
  );
  await mail.upsertJobScheduler("often", { every: 90_000 }, { name: "poll", data: { n: 1 } });
  await mail.upsertJobScheduler("too-often", { every: 200 }, { name: "poll", data: {} });
  if (version === "5") await mail.add("legacy", { old: true }, { repeat: { pattern: "0 0 4 * * *" } });
  const paused = new Queue("paused", { connection });
  await paused.add("p", { n: 1 });
  await paused.pause();

  // A job whose first attempt has failed, one that is running, and one that has ended.
  const worked = new Queue("worked", { connection });
  await worked.add("fails", { n: 1 }, { attempts: 3, backoff: { type: "fixed", delay: LATER } });
  await worked.add("runs", { n: 2 });
  await worked.add("done", { n: 3 });
  const worker = new Worker("worked", null, { connection: connection.duplicate(), autorun: false });
  const [fails, , done] = [await worker.getNextJob("t1"), await worker.getNextJob("t2"), await worker.getNextJob("t3")];
  await fails.moveToFailed(new Error("no"), "t1");
  await done.moveToCompleted("ok", "t3", false);

  const flow = new FlowProducer({ connection });
  const child = (n: number, queueName = "mail") => ({ name: "part", queueName, data: { part: n } });
  await flow.add({
    name: "whole",
    queueName: "reports",
    data: { flow: 1 },
    children: [child(1), { ...child(2), opts: { priority: 3 } }, { ...child(3, "reports"), children: [child(4)] }],
  });
  await flow.add({ name: "mixed", queueName: "reports", data: { flow: 2 }, children: [child(5), child(6, "worked")] });
  const part = await worker.getNextJob("t4");
  if (part.data.part !== 6) throw new Error("Expected the job that is to stay running.");
  await worker.close(true);
  for (const one of [mail, paused, worked, flow]) await one.close();
}

async function dump(connection: Redis): Promise<(string | number)[][]> {
  const commands: (string | number)[][] = [];
  for (const key of (await connection.keys("*")).toSorted()) {
    const type = await connection.type(key);
    if (type === "hash") commands.push(["HSET", key, ...Object.entries(await connection.hgetall(key)).flat()]);
    else if (type === "list") commands.push(["RPUSH", key, ...(await connection.lrange(key, 0, -1))]);
    else if (type === "set") commands.push(["SADD", key, ...(await connection.smembers(key)).toSorted()]);
    else if (type === "string") commands.push(["SET", key, (await connection.get(key)) ?? ""]);
    else if (type === "zset") {
      const members = await connection.zrange(key, 0, -1, "WITHSCORES");
      commands.push(["ZADD", key, ...members.map((_, index) => members[index % 2 === 0 ? index + 1 : index - 1] ?? "")]);
    }
  }
  return commands;
}
