import { chmod } from "node:fs/promises";
import { join } from "node:path";
import { beforeEach, describe, expect, it } from "vitest";
import { enqueue } from "../../src/jobs/enqueue.ts";
import { getJob } from "../../src/jobs/read-jobs.ts";
import { RESULT_LIMIT } from "../../src/worker/graphile/outcomes.ts";
import { testDatabase } from "../support/database.ts";
import { plainJobs } from "../support/plain-jobs.ts";
import { empty } from "../support/empty.ts";
import { scaled } from "../support/slowness.ts";
import { until } from "../support/until.ts";
import { directoryOf, workerOver } from "../support/worker.ts";

const database = testDatabase();
const { add, ended } = plainJobs(database);

beforeEach(async () => {
  await database.pool.query("delete from graphile_worker._private_jobs");
  await empty(database.pool, "legwork_private.finished_jobs, legwork_private.failed_attempts");
});

const ECHO = `
  import { defineTask } from "legwork";
  import { z } from "zod";
  export default defineTask({
    description: "Returns its payload.",
    payload: z.object({ user: z.object({ id: z.number() }), note: z.string().default("none") }),
    result: z.object({ id: z.number(), note: z.string() }),
    queue: "echoes",
    run: async ({ user, note }) => ({ id: user.id, note }),
  });`;

describe("a defined task", () => {
  it("that is enqueued through add_job is run, and its result and exact times are stored", async () => {
    await workerOver(database.url, { "demo/echo.ts": ECHO });
    const job = await ended(await add("demo/echo", { user: { id: 7 } }));
    expect(job).toMatchObject({ state: "completed", queue: "echoes", result: { id: 7, note: "none" }, attempts: 1 });
    const { started_at, finished_at, created_at } = job as { started_at: Date; finished_at: Date; created_at: Date };
    expect(started_at.getTime()).toBeGreaterThanOrEqual(created_at.getTime());
    expect(finished_at.getTime() - started_at.getTime()).toBeLessThan(scaled(1_000));
  });

  it("is registered with its description, queue and schemas", async () => {
    await workerOver(database.url, { "demo/echo.ts": ECHO });
    const { rows } = await database.pool.query("select * from legwork.tasks where name = 'demo/echo'");
    expect(rows).toMatchObject([
      {
        description: "Returns its payload.",
        queue: "echoes",
        payload_schema: { type: "object", required: ["user"], properties: { user: { properties: { id: { type: "number" } } } } },
        result_schema: { type: "object", required: ["id", "note"] },
      },
    ]);
  });

  it("fails at once if its payload is invalid, with an error that names the field, and such a payload is rejected when enqueued", async () => {
    await workerOver(database.url, { "demo/echo.ts": ECHO });
    const job = await ended(await add("demo/echo", { user: { id: "seven" } }));
    expect(job).toMatchObject({
      state: "failed",
      attempts: 1,
      error: expect.stringContaining("user.id: Invalid input: expected number"),
    });
    expect((await getJob(database.pool, job.id)).attempt_list).toMatchObject([
      { state: "failed", error_name: "PayloadError", error_code: "LW422", retry_at: null },
    ]);
    await expect(enqueue(database.pool, "demo/echo", { user: { id: "seven" } })).rejects.toMatchObject({ code: "LW422" });
  });

  it("with a strict payload runs from a crontab, although graphile-worker adds a field to the payload", async () => {
    await workerOver(database.url, {
      "strict.ts": `
        import { defineTask } from "legwork";
        import { z } from "zod";
        export default defineTask({ payload: z.strictObject({ n: z.number() }), run: async ({ n }) => n });`,
    });
    expect(await ended(await add("strict", { n: 1, _cron: { ts: "2026-01-01T00:00:00Z", backfilled: false } }))).toMatchObject({
      state: "completed",
      result: 1,
    });
  });

  it("fails an attempt whose result is invalid, and is retried", async () => {
    await workerOver(database.url, { "wrong.ts": ECHO.replace("({ id: user.id, note })", "({ id: 'x', note })") });
    const id = await add("wrong", { user: { id: 1 } });
    const [attempt] = await until("the attempt has failed", async () => {
      const { attempt_list: attempts } = await getJob(database.pool, id);
      return attempts.length > 0 && attempts[0]?.state === "failed" ? attempts : undefined;
    });
    expect(attempt?.error_message).toBe(
      "The result does not match task 'wrong': id: Invalid input: expected number, received string.",
    );
    expect(await getJob(database.pool, id)).toMatchObject({ state: "retrying" });
  });
});

describe("the record of a failed attempt", () => {
  it("has the error's name, message, stack and code", async () => {
    await workerOver(database.url, {
      "fails.ts": `export default async () => { throw Object.assign(new RangeError("too far"), { code: "EFAR" }); };`,
    });
    const job = await ended(await add("fails", {}, ", max_attempts => 1"));
    expect(job).toMatchObject({ state: "failed", error: "too far" });
    const [attempt] = (await getJob(database.pool, job.id)).attempt_list;
    expect(attempt).toMatchObject({ error_name: "RangeError", error_message: "too far", error_code: "EFAR" });
    expect(attempt?.error_stack).toMatch(/RangeError: too far\n\s+at .*fails\.ts/);
  });

  it("may contain characters that Postgres cannot store, which does not stop the worker", async () => {
    await workerOver(database.url, {
      "nul.ts": `export default async () => { throw new Error("a\\0b\\ud800c"); };`,
      "fine.ts": `export default async () => "x\\0y";`,
      "text.ts": `export default async () => { throw "only text"; };`,
    });
    expect(await ended(await add("nul", {}, ", max_attempts => 1"))).toMatchObject({ error: "a\uFFFDb\uFFFDc" });
    expect(await ended(await add("fine"))).toMatchObject({ state: "completed", result: "x\uFFFDy" });
    expect(await ended(await add("text", {}, ", max_attempts => 1"))).toMatchObject({ error: "only text" });
  });
});

describe("a result", () => {
  it("that is too large is cut, with a mark", async () => {
    await workerOver(database.url, { "large.ts": `export default async ({ bytes }) => "x".repeat(bytes);` });
    expect((await ended(await add("large", { bytes: RESULT_LIMIT + 1 }))).result).toEqual({
      "legwork:cut": { bytes: RESULT_LIMIT + 3, start: `"${"x".repeat(999)}` },
    });
    expect((await ended(await add("large", { bytes: RESULT_LIMIT - 2 }))).result).toHaveLength(RESULT_LIMIT - 2);
  });

  it("that JSON cannot represent fails the job at once, because another attempt would return the same value", async () => {
    await workerOver(database.url, { "big.ts": "export default async () => 1n;" });
    expect(await ended(await add("big"))).toMatchObject({
      state: "failed",
      attempts: 1,
      error: "Do not know how to serialize a BigInt",
    });
  });

  it("is stored for every job, alone, in a batch, and with a serial key", async () => {
    await workerOver(
      database.url,
      { "double.ts": "export default async ({ n }) => n * 2;" },
      { concurrency: 10, localQueueSize: 50 },
    );
    await database.pool.query(
      `select graphile_worker.add_jobs(array(select row('double', json_build_object('n', n), case when n % 3 = 0 then 's' || n % 2 end,
         null, null, null, null, null)::graphile_worker.job_spec from generate_series(1, 300) n))`,
    );
    await until("all jobs have completed", async () => {
      const { rows } = await database.pool.query("select count(*)::int as jobs from legwork_private.finished_jobs");
      return rows[0].jobs === 300;
    });
    const { rows } = await database.pool.query(
      `select count(*)::int as jobs from legwork.jobs
       where state = 'completed' and result::int = 2 * (payload ->> 'n')::int and started_at <= finished_at and worker is not null`,
    );
    expect(rows).toEqual([{ jobs: 300 }]);
  });

  it("is stored exactly as returned, with the right job, whatever it contains, even next to jobs without a result", async () => {
    await workerOver(
      database.url,
      { "give.ts": "export default async ({ value }) => value;" },
      { concurrency: 10, localQueueSize: 100 },
    );
    const values = [
      "two\nlines",
      "\r\n",
      'a "word", {braces}, \\ and \\n',
      "",
      " ",
      [],
      {},
      null,
      undefined,
      false,
      0,
      "null",
      "\u2028",
    ];
    const ids = await Promise.all(values.map(async (value) => await add("give", { value })));
    const results = await Promise.all(ids.map(async (id) => (await ended(id)).result));
    expect(results).toEqual(values.map((value) => value ?? null));
  });
});

describe("a plain graphile-worker task", () => {
  it("runs unchanged, as an ES module, a CommonJS module or an executable", async () => {
    const directory = await directoryOf({
      "plain.mjs": `export default async (payload, helpers) => { helpers.logger.info("hello"); return { got: payload.n, id: helpers.job.id }; };`,
      "old/common.cjs":
        "module.exports = async (payload, { query }) => { const { rows } = await query('select 1 as one'); return rows[0]; };",
      "script.sh": "#!/bin/sh\ncat > /dev/null\n",
    });
    await chmod(join(directory, "script.sh"), 0o755);
    await workerOver(database.url, [directory]);
    const plain = await add("plain", { n: 1 });
    expect(await ended(plain)).toMatchObject({ state: "completed", result: { got: 1, id: plain } });
    expect(await ended(await add("old/common"))).toMatchObject({ state: "completed", result: { one: 1 } });
    expect(await ended(await add("script"))).toMatchObject({ state: "completed", result: null });
  });

  it("receives the job's row as it is in the database, with separate Date objects", async () => {
    await workerOver(database.url, {
      "row.mjs": `export default async (payload, { job, query }) => {
        const { rows } = await query("select * from graphile_worker._private_jobs where id = $1", [job.id]);
        const { task_identifier, ...row } = job;
        return { given: row, there: rows[0], apart: new Set([job.run_at, job.created_at, job.updated_at]).size };
      };`,
    });
    const [now, later] = [
      await add("row", { n: 1 }),
      await add("row", {}, ", run_at => now() - interval '1 minute', priority => 3"),
    ];
    for (const id of [now, later]) {
      const { result } = (await ended(id)) as unknown as { result: { given: unknown; there: unknown; apart: number } };
      expect(result.given).toEqual(result.there);
      expect(result.apart).toBe(3);
    }
  });

  it("whose batch entries fail with characters that Postgres cannot store does not stop the worker", async () => {
    await workerOver(database.url, {
      "batch.mjs": `export default async (payload) => payload.map(() => Promise.reject(new Error("bad \\0 byte")));`,
    });
    expect(await ended(await add("batch", [1], ", max_attempts => 1"))).toMatchObject({
      state: "failed",
      error: "Batch failures:\nbad \uFFFD byte",
    });
  });
});

it("all jobs that a job enqueues carry its correlation id, through the context, SQL, triggers and plain helpers", async () => {
  await database.pool.query("create table if not exists orders (id int)");
  await workerOver(database.url, {
    "parent.ts": `
      import { defineTask } from "legwork";
      export default defineTask({ run: async (_payload, { enqueue, sql }) => {
        await enqueue("child", { by: "context" });
        await sql\`select legwork.enqueue('child', '{"by": "sql"}')\`;
        await sql\`insert into orders values (1)\`;
        await sql.transaction(async (sql, client) => { await enqueue("child", { by: "transaction" }, {}, client); });
        await enqueue("plain");
      } });`,
    "plain.mjs": `export default async (_payload, { addJob }) => { await addJob("child", { by: "plain" }, { flags: ["kept"] }); };`,
    "child.mjs": "export default async () => {};",
  });
  await database.pool.query(`select legwork.enqueue_on('orders', 'insert', 'child', payload => '{"by": "id"}')`);
  const { rows } = await database.pool.query(
    "select legwork.enqueue('parent', correlation_id => 'cause', tenant => 'acme') as id",
  );
  const family = await until("the children have ended", async () => {
    const { rows: found } = await database.pool.query(
      "select * from legwork.jobs where correlation_id = 'cause' and state = 'completed' order by id",
    );
    return found.length === 7 ? found : undefined;
  });
  const children = family.filter((job) => job.task === "child");
  expect(children.map((job) => job.payload.by)).toEqual(["context", "sql", 1, "transaction", "plain"]);
  const plain = family.find((job) => job.task === "plain");
  expect(children.map((job) => job.parent_id)).toEqual([...Array(4).fill(rows[0].id), plain.id]);
  expect(new Set(family.map((job) => job.tenant))).toEqual(new Set(["acme"]));
  // If there is no correlation id, the first job's own id is used.
  const alone = await add("parent");
  await until("the child jobs have ended", async () => {
    const { rows: found } = await database.pool.query(
      "select from legwork.jobs where correlation_id = $1 and state = 'completed'",
      [alone],
    );
    return found.length === 6;
  });
});

it("jobs that were enqueued while no worker ran are run when one starts", async () => {
  const id = await add("late");
  await workerOver(database.url, { "late.mjs": "export default async () => 'ran';" });
  expect(await ended(id)).toMatchObject({ state: "completed", result: "ran" });
});
