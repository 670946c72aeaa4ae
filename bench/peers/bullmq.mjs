// BullMQ: `prepare`, `fill`, `add` or `work`, with the URL of a Redis server.
import { Queue, Worker } from "bullmq";
import { Redis } from "ioredis";
import { note } from "./measure.mjs";

const [mode, url, number] = process.argv.slice(2);
const connection = new Redis(url, { maxRetriesPerRequest: null });
if (mode === "prepare") {
  await connection.flushall();
  await connection.quit();
} else if (mode === "fill") {
  const queue = new Queue("noop", { connection });
  const start = performance.now();
  for (let from = 0; from < Number(number); from += 1_000) {
    await queue.addBulk(Array.from({ length: 1_000 }, (_, n) => ({ name: "noop", data: { n: from + n } })));
  }
  console.log((performance.now() - start) / 1_000);
  await queue.close();
  await connection.quit();
} else if (mode === "add") {
  const queue = new Queue("noop", { connection });
  const { addOneByOne } = await import("./add.mjs");
  await addOneByOne(Number(number), async (payload) => void (await queue.add("noop", payload)));
  await queue.close();
  await connection.quit();
} else {
  const worker = new Worker("noop", async ({ data }) => note(data), {
    connection,
    ...(number === "tuned" && { concurrency: 200 }),
  });
  worker.on("error", (error) => console.error(error));
}
