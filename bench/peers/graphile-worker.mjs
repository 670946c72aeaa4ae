// graphile-worker alone: `fill`, `add` or `work`, with a connection string.
import { run, runMigrations } from "graphile-worker";
import pg from "pg";
import { note } from "./measure.mjs";

const [mode, url, number] = process.argv.slice(2);
const pool = new pg.Pool({ connectionString: url, max: 24 });
pool.on("error", (error) => console.error(error));
pool.on("connect", (client) => void client.on("error", (error) => console.error(error)));
if (mode === "prepare") {
  await runMigrations({ pgPool: pool });
  await pool.end();
} else if (mode === "fill") {
  const start = performance.now();
  for (let from = 0; from < Number(number); from += 1_000) {
    await pool.query(
      "select graphile_worker.add_jobs(array(select json_populate_record(null::graphile_worker.job_spec, j) from json_array_elements($1::json) j))",
      [JSON.stringify(Array.from({ length: 1_000 }, (_, n) => ({ identifier: "noop", payload: { n: from + n } })))],
    );
  }
  console.log((performance.now() - start) / 1_000);
  await pool.end();
} else if (mode === "add") {
  const { addOneByOne } = await import("./add.mjs");
  await addOneByOne(Number(number), async (payload) => {
    await pool.query("select graphile_worker.add_job('noop', $1::json)", [JSON.stringify(payload)]);
  });
  await pool.end();
} else {
  const isTuned = number === "tuned";
  await run({
    pgPool: pool,
    taskList: {
      noop: async (payload) => note(payload),
      fails: async (payload) => {
        note(payload);
        if (payload.fails) throw new Error("This job fails.");
      },
    },
    parsedCronItems: [],
    preset: isTuned
      ? { worker: { concurrentJobs: 24, localQueue: { size: 500 }, completeJobBatchDelay: 0, failJobBatchDelay: 0 } }
      : { worker: { concurrentJobs: 10 } },
  });
}
