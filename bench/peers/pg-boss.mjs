// pg-boss: `prepare`, `fill`, `add` or `work`, with a connection string.
import { PgBoss } from "pg-boss";
import { note } from "./measure.mjs";

const [mode, url, number] = process.argv.slice(2);
const boss = new PgBoss({ connectionString: url, max: 24, useListenNotify: true, supervise: mode === "work", schedule: false });
boss.on("error", (error) => console.error(error));
await boss.start();
if (mode === "prepare") {
  await boss.createQueue("noop", { notify: true });
  await boss.stop({ graceful: false });
} else if (mode === "fill") {
  const start = performance.now();
  for (let from = 0; from < Number(number); from += 1_000) {
    await boss.insert(
      "noop",
      Array.from({ length: 1_000 }, (_, n) => ({ data: { n: from + n } })),
    );
  }
  console.log((performance.now() - start) / 1_000);
  await boss.stop({ graceful: false });
} else if (mode === "add") {
  const { addOneByOne } = await import("./add.mjs");
  await addOneByOne(Number(number), async (payload) => void (await boss.send("noop", payload)));
  await boss.stop({ graceful: false });
} else {
  const tuned = { batchSize: 500, localConcurrency: 4, burstWhenBatchFull: true, pollingIntervalSeconds: 0.5 };
  await boss.work("noop", number === "tuned" ? tuned : {}, async (jobs) => {
    for (const { data } of jobs) note(data);
  });
}
