import { chmod } from "node:fs/promises";
import { join } from "node:path";
import { beforeEach, describe, expect, it } from "vitest";
import { getJob, type JobRow } from "../../src/jobs/read-jobs.ts";
import { testDatabase } from "../support/database.ts";
import { until } from "../support/until.ts";
import { directoryOf, workerOver } from "../support/worker.ts";

const database = testDatabase();

beforeEach(async () => {
  await database.pool.query("delete from graphile_worker._private_jobs");
  await database.pool.query("truncate legwork.finished_jobs, legwork.failed_attempts");
});

async function add(task: string, payload: unknown = {}, options = ""): Promise<string> {
  const { rows } = await database.pool.query(`select id from graphile_worker.add_job($1, $2${options})`, [
    task,
    JSON.stringify(payload),
  ]);
  return rows[0].id;
}

async function ended(id: string): Promise<JobRow> {
  return await until(`job ${id} has ended`, async () => {
    const job = await getJob(database.pool, id);
    return job.finished_at === null ? undefined : job;
  });
}

describe("helpers.abortPromise", () => {
  it("rejects with the reason when the job is cancelled", async () => {
    await workerOver(database.url, {
      "wait.mjs": `export default async (_payload, { abortPromise, query }) => {
        await query("notify waiting");
        await abortPromise;
      };`,
    });
    const client = await database.pool.connect();
    try {
      await client.query("listen waiting");
      const waiting = new Promise((resolve) => client.once("notification", resolve));
      const id = await add("wait");
      await waiting;
      await database.pool.query("select legwork.cancel_job($1, 'not needed')", [id]);
      expect(await ended(id)).toMatchObject({ state: "cancelled", error: "Cancelled by postgres: not needed" });
      expect((await getJob(database.pool, id)).attempt_list).toMatchObject([{ error_name: "JobCancelled" }]);
    } finally {
      await client.query("unlisten *");
      client.release();
    }
  });

  it("that nothing waits for does no harm when it rejects", async () => {
    const rejections: unknown[] = [];
    const note = (reason: unknown): void => void rejections.push(reason);
    process.on("unhandledRejection", note);
    try {
      await workerOver(database.url, {
        "ignore.mjs": `export default async (_payload, helpers) => {
          void helpers.abortPromise;
          const ended = new Promise((resolve) => helpers.abortSignal.addEventListener("abort", resolve));
          await helpers.query("select legwork.cancel_job($1)", [helpers.job.id]);
          await ended;
          // The promise and what it would do to the process come first.
          await new Promise(setImmediate);
        };`,
      });
      expect(await ended(await add("ignore"))).toMatchObject({ state: "completed" });
      expect(rejections).toEqual([]);
    } finally {
      process.off("unhandledRejection", note);
    }
  });
});

describe("an executable", () => {
  it("that does not read its input completes or fails by its exit code", async () => {
    const directory = await directoryOf({
      "fine.sh": "#!/bin/sh\nexec 0<&-\nexit 0\n",
      "wrong.sh": "#!/bin/sh\nexec 0<&-\nexit 3\n",
      "killed.sh": "#!/bin/sh\nkill -9 $$\n",
      "broken.sh": "#!/no/such/interpreter\n",
    });
    for (const name of ["fine", "wrong", "killed", "broken"]) await chmod(join(directory, `${name}.sh`), 0o755);
    await workerOver(database.url, [directory]);
    // More than a pipe holds, so that it cannot all be written before the executable ends.
    const payload = { text: "x".repeat(200_000) };
    const once = ", max_attempts => 1";
    const [fine, wrong, killed, broken] = await Promise.all(
      ["fine", "wrong", "killed", "broken"].map(async (name) => await ended(await add(name, payload, once))),
    );
    expect(fine).toMatchObject({ state: "completed" });
    expect(wrong).toMatchObject({ state: "failed", error: "Process exited with code 3" });
    expect(killed).toMatchObject({ state: "failed", error: "Process was ended by SIGKILL" });
    expect(broken).toMatchObject({ state: "failed", error: expect.stringContaining("ENOENT") });
  });

  it("gets the payload on its input and its job in its environment", async () => {
    const directory = await directoryOf({
      "read.sh":
        '#!/bin/sh\ntest "$(cat)" = \'{"payload":{"n":1}}\' && test "$GRAPHILE_WORKER_TASK_IDENTIFIER" = read && test -n "$GRAPHILE_WORKER_JOB_ID"\n',
    });
    await chmod(join(directory, "read.sh"), 0o755);
    await workerOver(database.url, [directory]);
    expect(await ended(await add("read", { n: 1 }, ", max_attempts => 1"))).toMatchObject({ state: "completed" });
  });
});
