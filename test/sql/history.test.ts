import { beforeEach, describe, expect, it } from "vitest";
import { testDatabase } from "../support/database.ts";
import { empty } from "../support/empty.ts";

const database = testDatabase();

beforeEach(async () => {
  await database.pool.query("delete from graphile_worker._private_jobs");
  await empty(database.pool, "legwork_private.finished_jobs, legwork_private.failed_attempts");
});

async function addJob(options: { maxAttempts?: number; key?: string; flags?: string[] } = {}): Promise<string> {
  const { rows } = await database.pool.query(
    "select id from graphile_worker.add_job('demo', '{\"n\": 1}', max_attempts => $1, job_key => $2, flags => $3)",
    [options.maxAttempts ?? 25, options.key, options.flags],
  );
  return rows[0].id;
}

/** Fetches a job as graphile-worker does. */
async function fetchJob(id: string): Promise<void> {
  await database.pool.query(
    "update graphile_worker._private_jobs set attempts = attempts + 1, locked_by = 'worker-1', locked_at = now() where id = $1",
    [id],
  );
}

/** Fails a job as graphile-worker does. */
async function failJob(id: string, message: string): Promise<void> {
  await database.pool.query(
    `update graphile_worker._private_jobs
     set last_error = $2, run_at = greatest(now(), run_at) + (exp(least(attempts, 10)) * interval '1 second'), locked_by = null, locked_at = null
     where id = $1 and locked_by = 'worker-1'`,
    [id, message],
  );
}

async function job(id: string): Promise<Record<string, unknown> | undefined> {
  const { rows } = await database.pool.query("select * from legwork.jobs where id = $1", [id]);
  expect(rows.length).toBeLessThanOrEqual(1);
  return rows[0];
}

async function finished(id: string): Promise<Record<string, unknown>[]> {
  return (await database.pool.query("select * from legwork_private.finished_jobs where id = $1", [id])).rows;
}

async function attempts(id: string): Promise<Record<string, unknown>[]> {
  return (await database.pool.query("select * from legwork.attempts where job_id = $1 order by attempt", [id])).rows;
}

describe("a job's states", () => {
  it("a new job is pending, and a job with a start time in the future is scheduled", async () => {
    const id = await addJob();
    expect(await job(id)).toMatchObject({ task: "demo", queue: "default", state: "pending", payload: { n: 1 }, attempts: 0 });
    await database.pool.query("select graphile_worker.reschedule_jobs(array[$1::bigint], run_at => now() + interval '1 hour')", [id]);
    expect(await job(id)).toMatchObject({ state: "scheduled" });
  });

  it("a fetched job is running and has a running attempt", async () => {
    const id = await addJob();
    await fetchJob(id);
    expect(await job(id)).toMatchObject({ state: "running", worker: "worker-1", attempts: 1 });
    expect(await attempts(id)).toMatchObject([{ attempt: 1, state: "running", worker: "worker-1" }]);
  });

  it("a failed job with attempts left is retrying until it is due", async () => {
    const id = await addJob();
    await fetchJob(id);
    await failJob(id, "no");
    expect(await job(id)).toMatchObject({ state: "retrying", error: "no", attempts: 1, finished_at: null });
    await database.pool.query("update graphile_worker._private_jobs set run_at = now() where id = $1", [id]);
    expect(await job(id)).toMatchObject({ state: "pending" });
  });
});

describe("the end of a job", () => {
  it("a job that a plain worker completes is completed, with the times of its row", async () => {
    const id = await addJob();
    await fetchJob(id);
    await database.pool.query("delete from graphile_worker._private_jobs where id = $1", [id]);
    const row = await job(id);
    expect(row).toMatchObject({ state: "completed", worker: "worker-1", attempts: 1, result: null });
    expect(row?.started_at).toBeInstanceOf(Date);
    expect(new Date(String(row?.finished_at)).getTime()).toBeGreaterThanOrEqual(new Date(String(row?.started_at)).getTime());
    expect(await attempts(id)).toMatchObject([{ attempt: 1, state: "completed" }]);
  });

  it("the worker's report is stored with the job it completes", async () => {
    const id = await addJob();
    await fetchJob(id);
    const client = await database.pool.connect();
    await client.query(
      `select set_config('legwork.completed_ids', $1, false), set_config('legwork.completed_starts', '{1700000000000500}', false),
         set_config('legwork.completed_ends', '{1700000001000250}', false), set_config('legwork.completed_results', '{"ok": true}', false)`,
      [`{${id}}`],
    );
    await client.query("delete from graphile_worker._private_jobs where id = $1", [id]);
    client.release(true);
    expect(await job(id)).toMatchObject({
      state: "completed",
      result: { ok: true },
      started_at: new Date(1_700_000_000_000.5),
      finished_at: new Date(1_700_000_001_000.25),
    });
  });

  // The plan of the statement that records a batch is made for the connection's first batch.
  it.each([1, 100, 2_000])("after a first batch of %i jobs, a large batch takes no longer per job than a small one", async (first) => {
    const client = await database.pool.connect();
    try {
      let jobs = 0;
      /** The time it takes to complete this many jobs (ms per job). */
      const complete = async (count: number): Promise<number> => {
        jobs += count;
        const { rows } = await client.query(
          "select array_agg(id) as ids from graphile_worker.add_jobs(array(select row($2, '{}', null, null, null, null, null, null)::graphile_worker.job_spec from generate_series(1, $1::int)))",
          [count, `many/${first}`],
        );
        const ids: string[] = rows[0].ids;
        await client.query(
          "update graphile_worker._private_jobs set locked_at = now(), locked_by = 'w', attempts = 1 where id = any ($1)",
          [ids],
        );
        const times = `{${ids.map(() => 1_700_000_000_000_000).join(",")}}`;
        await client.query(
          `select set_config('legwork.completed_ids', $1, false), set_config('legwork.completed_starts', $2, false), set_config('legwork.completed_ends', $2, false),
             set_config('legwork.completed_results', $3, false)`,
          [`{${ids.join(",")}}`, times, ids.join("\n")],
        );
        const begin = performance.now();
        await client.query("delete from graphile_worker._private_jobs where id = any ($1)", [ids]);
        return (performance.now() - begin) / count;
      };
      await complete(first);
      const small = Math.min(await complete(500), await complete(500), await complete(500));
      const large = Math.min(await complete(4_000), await complete(4_000));
      // Scanning or copying the whole report for each job would take about eight times as long.
      expect(large / small).toBeLessThan(3);
      const { rows } = await database.pool.query(
        `select count(*)::int as jobs, count(distinct id)::int as ids from legwork_private.finished_jobs
         where task = $1 and started_at = to_timestamp(1700000000) and result::bigint = id`,
        [`many/${first}`],
      );
      expect(rows[0]).toEqual({ jobs, ids: jobs });
    } finally {
      client.release(true);
    }
  });

  it("remove_job cancels a job, and so does deleting its row manually", async () => {
    const removed = await addJob({ key: "k" });
    await database.pool.query("select graphile_worker.remove_job('k')");
    expect(await job(removed)).toMatchObject({ state: "cancelled", worker: null, job_key: "k" });
    const deleted = await addJob();
    await database.pool.query("delete from graphile_worker._private_jobs where id = $1", [deleted]);
    expect(await job(deleted)).toMatchObject({ state: "cancelled" });
    expect(await attempts(deleted)).toEqual([]);
  });

  it("complete_jobs completes a job without an attempt", async () => {
    const id = await addJob();
    await database.pool.query("select graphile_worker.complete_jobs(array[$1::bigint])", [id]);
    expect(await job(id)).toMatchObject({ state: "completed", worker: null, attempts: 0 });
    expect(await attempts(id)).toEqual([]);
  });

  it("permanently_fail_jobs fails and keeps a job, with the attempts from graphile-worker's table", async () => {
    const id = await addJob();
    await database.pool.query("select graphile_worker.permanently_fail_jobs(array[$1::bigint], 'by hand')", [id]);
    expect(await job(id)).toMatchObject({ state: "failed", error: "by hand", attempts: 25 });
    expect(await attempts(id)).toEqual([]);
    expect((await database.pool.query("select from graphile_worker._private_jobs where id = $1", [id])).rows).toHaveLength(1);
  });

  it("the last attempt's failure fails the job, once, with every attempt recorded", async () => {
    const id = await addJob({ maxAttempts: 2 });
    for (const message of ["first", "second"]) {
      await fetchJob(id);
      await failJob(id, message);
    }
    expect(await job(id)).toMatchObject({ state: "failed", error: "second", attempts: 2, worker: "worker-1" });
    expect(await finished(id)).toHaveLength(1);
    const [first, second] = await attempts(id);
    expect(first).toMatchObject({ attempt: 1, state: "failed", error_message: "first" });
    expect(first?.retry_at).toBeInstanceOf(Date);
    expect(second).toMatchObject({ attempt: 2, state: "failed", error_message: "second", retry_at: null });
  });

  it("a job whose payload is invalid fails at its first attempt", async () => {
    const id = await addJob();
    await fetchJob(id);
    const client = await database.pool.connect();
    await client.query("select set_config('legwork.failures', $1, false)", [
      `\n${id} ${JSON.stringify({ started: 1, finished: 2, name: "PayloadError", stack: "stack", code: "LW422", decision: "discard" })}`,
    ]);
    await client.query(
      "update graphile_worker._private_jobs set last_error = 'bad', run_at = now() + interval '2 seconds', locked_by = null, locked_at = null where id = $1",
      [id],
    );
    client.release(true);
    expect(await job(id)).toMatchObject({ state: "failed", attempts: 1 });
    expect(await attempts(id)).toMatchObject([{ error_name: "PayloadError", error_stack: "stack", error_code: "LW422", retry_at: null }]);
  });
});

describe("a failed job", () => {
  async function failedJob(key?: string): Promise<string> {
    const id = await addJob({ maxAttempts: 1, ...(key === undefined ? {} : { key }) });
    await fetchJob(id);
    await failJob(id, "no");
    return id;
  }

  it("that reschedule_jobs gives another attempt is live again and no longer finished", async () => {
    const id = await failedJob();
    await database.pool.query("select graphile_worker.reschedule_jobs(array[$1::bigint], run_at => now(), attempts => 0)", [id]);
    expect(await job(id)).toMatchObject({ state: "pending", finished_at: null });
    expect(await finished(id)).toEqual([]);
    await fetchJob(id);
    await database.pool.query("delete from graphile_worker._private_jobs where id = $1", [id]);
    expect(await finished(id)).toMatchObject([{ state: "completed" }]);
  });

  it("that is discarded stays in the history as failed", async () => {
    const id = await failedJob("k");
    await database.pool.query("select graphile_worker.remove_job('k')");
    expect(await finished(id)).toMatchObject([{ state: "failed" }]);
    expect((await database.pool.query("select from graphile_worker._private_jobs")).rows).toEqual([]);
  });

  it("that is completed manually is completed", async () => {
    const id = await failedJob();
    await database.pool.query("select graphile_worker.complete_jobs(array[$1::bigint])", [id]);
    expect(await finished(id)).toMatchObject([{ state: "completed" }]);
  });

  it("whose key is used again remains failed, and a new job is created", async () => {
    const id = await failedJob("k");
    const next = await addJob({ key: "k" });
    expect(next).not.toBe(id);
    expect(await job(id)).toMatchObject({ state: "failed" });
    expect(await job(next)).toMatchObject({ state: "pending" });
  });
});

describe("a change that does not end a job", () => {
  it("a job that is returned to the queue unstarted has no failed attempt", async () => {
    const id = await addJob();
    await fetchJob(id);
    await failJob(id, "no");
    await fetchJob(id);
    await database.pool.query(
      "update graphile_worker._private_jobs set attempts = greatest(0, attempts - 1), locked_by = null, locked_at = null where id = $1",
      [id],
    );
    expect(await attempts(id)).toHaveLength(1);
  });

  it("a lock that is released after four hours counts as a lost attempt", async () => {
    const id = await addJob();
    await fetchJob(id);
    await database.pool.query("update graphile_worker._private_jobs set locked_at = now() - interval '5 hours' where id = $1", [id]);
    await database.pool.query(
      "update graphile_worker._private_jobs set locked_at = null, locked_by = null, run_at = greatest(run_at, now()) where locked_at < now() - interval '4 hours'",
    );
    expect(await attempts(id)).toMatchObject([{ error_name: "WorkerLost", worker: "worker-1" }]);
    expect(await job(id)).toMatchObject({ state: "pending" });
  });

  it("a job that a plain worker completes after five hours is completed, not cancelled", async () => {
    const id = await addJob();
    await fetchJob(id);
    await database.pool.query("update graphile_worker._private_jobs set locked_at = now() - interval '5 hours' where id = $1", [id]);
    await database.pool.query("delete from graphile_worker._private_jobs where id = $1", [id]);
    expect(await job(id)).toMatchObject({ state: "completed" });
  });

  it("a transaction that is rolled back leaves nothing in the history", async () => {
    const id = await addJob();
    const client = await database.pool.connect();
    await client.query("begin");
    await client.query("delete from graphile_worker._private_jobs where id = $1", [id]);
    await client.query("rollback");
    client.release();
    expect(await finished(id)).toEqual([]);
    expect(await job(id)).toMatchObject({ state: "pending" });
  });
});

it("tenant, correlation id and parent are read from the flags and stay with the job", async () => {
  const id = await addJob({ flags: ["tenant:acme", "correlation:c-1", "parent:7", "other"] });
  const context = { tenant: "acme", correlation_id: "c-1", parent_id: "7" };
  expect(await job(id)).toMatchObject(context);
  await database.pool.query("delete from graphile_worker._private_jobs where id = $1", [id]);
  expect(await job(id)).toMatchObject(context);
});

it.each([["parent:abc"], ["parent:"], ["parent:99999999999999999999"], ["tenant:"], ["correlation"]])(
  "a malformed context flag such as %s does not prevent a job from being read and ended",
  async (flag) => {
    const id = await addJob({ flags: [flag], maxAttempts: 1 });
    expect(await job(id)).toMatchObject({ parent_id: null });
    await fetchJob(id);
    await failJob(id, "no");
    expect(await job(id)).toMatchObject({ state: "failed", parent_id: null });
    await database.pool.query("select graphile_worker.complete_jobs(array[$1::bigint])", [id]);
    expect(await job(id)).toMatchObject({ state: "completed", parent_id: null });
  },
);

it("a batch of completions is recorded in one insert, without loss", async () => {
  await database.pool.query(
    "select graphile_worker.add_jobs(array(select row('demo', '{}', null, null, null, null, null, null)::graphile_worker.job_spec from generate_series(1, 1000)))",
  );
  await database.pool.query("delete from graphile_worker._private_jobs");
  const { rows } = await database.pool.query("select count(*)::int as jobs, count(distinct id)::int as ids from legwork_private.finished_jobs");
  expect(rows).toEqual([{ jobs: 1000, ids: 1000 }]);
});

it("no flag can prevent a job from ending", async () => {
  for (const flags of [JSON.stringify({ [`correlation:${"x".repeat(9_000)}`]: true }), '["tenant:x"]', '"tenant:x"']) {
    const id = await addJob();
    await database.pool.query("update graphile_worker._private_jobs set flags = $2 where id = $1", [id, flags]);
    expect(await job(id)).toMatchObject({ tenant: null });
    await fetchJob(id);
    await database.pool.query("delete from graphile_worker._private_jobs where id = $1", [id]);
    expect(await job(id)).toMatchObject({ state: "completed" });
  }
});

it("truncating graphile-worker's table cancels its jobs", async () => {
  const id = await addJob();
  await database.pool.query("truncate graphile_worker._private_jobs");
  expect(await job(id)).toMatchObject({ state: "cancelled" });
});

it("a block of code that only mentions complete_jobs completes nothing", async () => {
  const id = await addJob();
  await database.pool.query("do $$ begin delete from graphile_worker._private_jobs /* not complete_jobs: a purge */; end $$");
  expect(await job(id)).toMatchObject({ state: "cancelled" });
});

it("users cannot write history through their own triggers", async () => {
  await database.pool.query("create role legwork_test_forger; create schema forge authorization legwork_test_forger; grant usage on schema legwork to legwork_test_forger");
  const client = await database.pool.connect();
  await client.query("set role legwork_test_forger");
  await client.query("create table forge.gone (like graphile_worker._private_jobs)").catch(() => client.query("create table forge.gone (id int)"));
  for (const name of ["tg_jobs__record_finished", "tg_jobs__record_change", "tg_enqueue__statement", "tg_enqueue__row"]) {
    await expect(
      client.query(`create trigger forged after delete on forge.gone referencing old table as gone for each statement execute function legwork_private.${name}()`),
    ).rejects.toMatchObject({ code: "42501" });
  }
  client.release(true);
  await database.pool.query("drop owned by legwork_test_forger cascade; drop role legwork_test_forger");
});
