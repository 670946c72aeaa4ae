// DBOS: `prepare`, `fill` or `work`, with a connection string: workflows of ten steps that do nothing.
import { DBOS, DBOSClient } from "@dbos-inc/dbos-sdk";
import { note } from "./measure.mjs";

const [mode, url, number] = process.argv.slice(2);
const config = { name: "bench", systemDatabaseUrl: url, logLevel: "warn" };

async function tenSteps() {
  for (let n = 0; n < 10; n += 1) await DBOS.runStep(async () => n, { name: `step ${n}` });
  note({});
}
DBOS.registerWorkflow(tenSteps, { name: "tenSteps" });

if (mode === "prepare") {
  DBOS.setConfig(config);
  await DBOS.launch();
  await DBOS.registerQueue("bench", { workerConcurrency: 24, minPollingIntervalMs: 50 });
  await DBOS.shutdown();
} else if (mode === "fill") {
  const client = await DBOSClient.create({ systemDatabaseUrl: url, applicationName: "bench" });
  const start = performance.now();
  for (let from = 0; from < Number(number); from += 50) {
    await Promise.all(Array.from({ length: 50 }, () => client.enqueue({ workflowName: "tenSteps", queueName: "bench" })));
  }
  console.log((performance.now() - start) / 1_000);
  await client.destroy();
} else {
  DBOS.setConfig({ ...config, systemDatabasePoolSize: 24 });
  await DBOS.launch();
  await DBOS.registerQueue("bench", { workerConcurrency: 24, minPollingIntervalMs: 50 });
}
