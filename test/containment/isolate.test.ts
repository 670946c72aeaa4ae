import { describe, expect, it } from "vitest";
import { getJob } from "../../src/jobs/read-jobs.ts";
import { testDatabase } from "../support/database.ts";
import { until } from "../support/until.ts";
import { workerOver } from "../support/worker.ts";

const database = testDatabase();

const KINDS = ["thread", "process"] as const;

async function add(task: string, payload: unknown = {}, options = "max_attempts => 1"): Promise<string> {
  const { rows } = await database.pool.query(`select legwork.enqueue($1, $2, ${options}) as id`, [task, JSON.stringify(payload)]);
  return rows[0].id;
}

async function end(id: string) {
  return await until(`job ${id} ends`, async () => {
    const job = await getJob(database.pool, id);
    return ["completed", "failed", "cancelled"].includes(job.state) ? job : undefined;
  });
}

const isolated = (kind: string | undefined, body: string, options = "", head = ""): string => `
  import { defineTask, Discard, PayloadError, RetryAfter, Snooze, StepError } from "legwork";
  import { z } from "zod";
  ${head}
  export default defineTask({ ${kind === undefined ? "" : `isolate: "${kind}",`} ${options} run: async (payload, context) => { ${body} } });`;

describe.each(KINDS)("a task in a %s", (kind) => {
  it("that loops for ever ends with its timeout, and its neighbours do not notice", async () => {
    await workerOver(database.url, {
      "loop.ts": isolated(kind, "for (;;);", 'timeout: "200ms", grace: "100ms",'),
      "neighbour.ts": isolated(kind, "return 'fine';"),
      "here.ts": isolated(undefined, "return 'fine';"),
    });
    const loop = await add("loop");
    const others = await Promise.all([add("neighbour"), add("here"), add("neighbour")]);
    for (const id of others) expect(await end(id)).toMatchObject({ state: "completed", result: "fine", attempts: 1 });
    const job = await end(loop);
    expect(job).toMatchObject({ state: "failed", attempts: 1, error: "The task took longer than 200 ms." });
    expect(job.attempt_list[0]).toMatchObject({ error_name: "TimeoutError" });
  });
});
