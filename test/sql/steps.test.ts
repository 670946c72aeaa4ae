import { beforeEach, describe, expect, it } from "vitest";
import { connection, untilBlocked } from "../support/connections.ts";
import { testDatabase } from "../support/database.ts";
import { resetLegwork } from "../support/reset-legwork.ts";
import { HandWorker } from "../support/hand-worker.ts";

const database = testDatabase();
const worker = new HandWorker("w");

type Client = Pick<Awaited<ReturnType<typeof connection>>, "query">;

beforeEach(async () => {
  await resetLegwork(database.pool);
  await database.pool.query(
    `select legwork_private.register_tasks('[{"name": "t", "redact": null}, {"name": "u"}, {"name": "secret", "redact": ["card"]}]')`,
  );
});

async function one<T = unknown>(sql: string, parameters: unknown[] = [], client: Client = database.pool): Promise<T> {
  const { rows } = await client.query<[T]>({ text: sql, values: parameters, rowMode: "array" });
  return rows[0]?.[0] as T;
}

/** Enqueues a job and fetches it. */
async function start(task = "t", options = ""): Promise<string> {
  const id = await one<string>(`select id from graphile_worker.add_job($1${options})`, [task]);
  await worker.fetch(database.pool, 10);
  return id;
}

async function load(id: string, attempt = 1, client: Client = database.pool): Promise<unknown[]> {
  return (await client.query("select kind, name, state, result from legwork_private.load_steps($1, 'w', $2)", [id, attempt])).rows;
}

async function ask(id: string, name = "go", timeout: string | null = null, kind = "wait"): Promise<unknown> {
  return (await database.pool.query("select * from legwork_private.await_step($1, 'w', 1, $2, $3, $4)", [id, kind, name, timeout]))
    .rows[0];
}

async function record(id: string, name: string, options: { worker?: string; attempt?: number; client?: Client } = {}) {
  const { worker: by = "w", attempt = 1, client = database.pool } = options;
  return await one(
    "select legwork_private.record_step($1, $2, $3, $4, '7', null, '1 second')",
    [id, by, attempt, name],
    client,
  );
}

/** Returns a waiting job to the queue with the statement that a worker uses for failed jobs. */
async function putBack(id: string, client: Client = database.pool): Promise<void> {
  const failures = `\n${id} ${JSON.stringify({ started: Date.now(), finished: Date.now(), decision: "wait" })}`;
  await client.query(
    `with told as materialized (select set_config('legwork.failures', $1, true)), put_back as (
       update graphile_worker._private_jobs set last_error = 'waits', run_at = now() + interval '3 seconds', locked_by = null, locked_at = null
       from told where id = $2 and locked_by = 'w' returning job_queue_id
     )
     update graphile_worker._private_job_queues q set locked_by = null, locked_at = null from put_back p where q.id = p.job_queue_id`,
    [failures, id],
  );
}

const send = (id: string, name = "go", payload: unknown = null, client: Client = database.pool): Promise<unknown> =>
  one("select legwork.send_signal($1, $2, $3)", [id, name, payload === null ? null : JSON.stringify(payload)], client);

const state = (id: string): Promise<unknown> => one("select state from legwork.jobs where id = $1", [id]);

async function wait(task = "t", options = ""): Promise<string> {
  const id = await start(task, options);
  expect(await ask(id)).toEqual({ state: "waiting", result: null });
  await putBack(id);
  return id;
}

describe("recording a step", () => {
  it("succeeds only for the worker that holds the job, and only for its current attempt", async () => {
    const id = await start();
    expect(await record(id, "a", { worker: "another" })).toBe(false);
    expect(await record(id, "a", { attempt: 2 })).toBe(false);
    expect(await record("999999", "a")).toBe(false);
    expect(await record(id, "a")).toBe(true);
    expect(await load(id)).toEqual([{ kind: "run", name: "a", state: "completed", result: "7" }]);
    await worker.giveBack(database.pool, [id]);
    expect(await record(id, "b")).toBe(false);
    expect(await load(id)).toEqual([{ kind: null, name: null, state: "lost", result: null }]);
    expect(await ask(id)).toEqual({ state: "lost", result: null });
    expect(await one("select array_agg(name) from legwork_private.job_steps")).toEqual(["a"]);
  });

  it("waits for a transaction that takes the job from the worker, and is rejected if that transaction commits", async () => {
    const id = await start();
    const taker = await connection(database);
    const recorder = await connection(database);
    await taker.query("begin");
    await worker.giveBack(taker, [id]);
    const recorded = record(id, "a", { client: recorder });
    await untilBlocked(database, recorder.backend);
    await taker.query("commit");
    expect(await recorded).toBe(false);
  });

  it("that began first commits before the job is taken from the worker", async () => {
    const id = await start();
    const taker = await connection(database);
    const recorder = await connection(database);
    await recorder.query("begin");
    expect(await record(id, "a", { client: recorder })).toBe(true);
    const taken = worker.giveBack(taker, [id]);
    await untilBlocked(database, taker.backend);
    await recorder.query("commit");
    await taken;
    await worker.fetch(database.pool);
    expect(await load(id)).toMatchObject([{ name: "a" }]);
  });

  it("twice changes nothing", async () => {
    const id = await start();
    expect([await record(id, "a"), await record(id, "a")]).toEqual([true, true]);
    expect(await one("select count(*)::int from legwork_private.job_steps")).toBe(1);
  });
});

describe("a job that waits for a signal", () => {
  it("is blocked, uses no attempt, does not hold a lock, and is explained", async () => {
    const id = await start("t", ", max_attempts => 1");
    await ask(id, "approval", "1 hour");
    await putBack(id);
    expect((await database.pool.query("select state, attempts, error, worker from legwork.jobs")).rows).toEqual([
      { state: "blocked", attempts: 0, error: null, worker: null },
    ]);
    expect(await one("select blocked || ' ' || later from legwork.queues")).toBe("1 0");
    expect((await database.pool.query("select * from legwork_private.failed_attempts")).rows).toEqual([]);
    const { rows } = await database.pool.query("select reason, detail, fix from legwork.explain_job($1)", [id]);
    expect(rows[0]).toMatchObject({ reason: "waits_for_signal", fix: `Send it: \`select legwork.send_signal(${id}, 'approval');\`` });
    expect(rows[0].detail).toMatch(/^Its task has been waiting for the signal 'approval' since .+, until .+ \(in 59 minutes 5\d seconds\)\.$/);
    expect(rows.map((row) => row.reason)).not.toContain("run_at_ahead");
  });

  it("may start as soon as the signal is sent, and receives the signal's payload", async () => {
    const id = await wait();
    expect(await worker.fetch(database.pool)).toEqual([]);
    expect(await send(id, "go", { by: "ada" })).toBe(true);
    expect(await state(id)).toBe("pending");
    expect(await worker.fetch(database.pool)).toEqual([{ id, task: "t" }]);
    await load(id);
    expect(await ask(id)).toEqual({ state: "completed", result: '{"by": "ada"}' });
  });

  it("continues to wait when another signal arrives", async () => {
    const id = await wait();
    expect(await send(id, "other")).toBe(true);
    expect(await state(id)).toBe("blocked");
    expect(await worker.fetch(database.pool)).toEqual([]);
  });

  it("starts at its deadline, which counts from its first wait", async () => {
    const id = await start();
    await ask(id, "go", "1 hour");
    await putBack(id);
    const first = await one("select run_at from legwork.jobs where id = $1", [id]);
    await database.pool.query("select legwork.retry_job($1)", [id]);
    await worker.fetch(database.pool);
    await load(id);
    expect(await ask(id, "go", "2 hours")).toMatchObject({ state: "waiting" });
    await putBack(id);
    expect(await one("select run_at from legwork.jobs where id = $1", [id])).toEqual(first);
    await database.pool.query("update legwork_private.job_steps set deadline = now() - interval '1 second'");
    await database.pool.query("select legwork.retry_job($1)", [id]);
    await worker.fetch(database.pool);
    await load(id);
    expect(await ask(id)).toEqual({ state: "timed_out", result: null });
    expect(await send(id)).toBe(false);
  });

  it("skips the rest of a sleep when it is retried manually, but continues to wait for a signal", async () => {
    const id = await start();
    await ask(id, "go", "1 hour");
    expect(await one("select state from legwork_private.await_step($1, 'w', 1, 'sleep', 'nap', '1 day')", [id])).toBe("waiting");
    await putBack(id);
    expect(await one("select legwork.retry_job($1)", [id])).toBe("pending");
    await worker.fetch(database.pool);
    expect(await load(id)).toMatchObject([{ kind: "sleep", name: "nap", state: "completed" }]);
    expect(await ask(id, "go")).toMatchObject({ state: "waiting" });
  });

  it("finds a signal that was sent before it waited, and uses the first of two signals", async () => {
    const id = await start();
    expect([await send(id, "go", 1), await send(id, "go", 2)]).toEqual([true, false]);
    expect(await ask(id)).toEqual({ state: "completed", result: "1" });
  });

  it("starts at once if the signal arrived before it was returned to the queue", async () => {
    const id = await start();
    await ask(id);
    await send(id);
    await putBack(id);
    expect(await worker.fetch(database.pool)).toEqual([{ id, task: "t" }]);
  });

  it("is woken by a signal that was being sent while it was returned to the queue", async () => {
    const id = await start();
    await ask(id);
    const sender = await connection(database);
    await sender.query("begin");
    await send(id, "go", null, sender);
    // The sender's open transaction does not block other sessions.
    await putBack(id);
    expect(await state(id)).toBe("blocked");
    await sender.query("commit");
    expect(await state(id)).toBe("pending");
  });

  it("continues to wait when the sender rolls back", async () => {
    const id = await wait();
    const sender = await connection(database);
    await sender.query("begin");
    await send(id, "go", null, sender);
    await sender.query("rollback");
    expect(await state(id)).toBe("blocked");
    expect(await send(id)).toBe(true);
    expect(await state(id)).toBe("pending");
  });

  it("is woken by a signal that commits before the job's return to the queue commits", async () => {
    const id = await start();
    await ask(id);
    const back = await connection(database);
    await back.query("begin");
    await putBack(id, back);
    expect(await send(id)).toBe(true);
    await back.query("commit");
    expect(await state(id)).toBe("blocked");
    expect(await one("select count(*)::int from legwork_private.job_signals where not is_delivered")).toBe(1);
    await database.pool.query("select legwork.tick()");
    expect(await state(id)).toBe("pending");
  });

  it("is returned to the queue after a sender has released its row, and then sees the signal", async () => {
    const id = await start();
    await ask(id);
    const sender = await connection(database);
    const back = await connection(database);
    await sender.query("begin");
    await send(id, "go", null, sender);
    // Runs now what would otherwise run at the commit.
    await sender.query("set constraints all immediate");
    const done = putBack(id, back);
    await untilBlocked(database, back.backend);
    await sender.query("commit");
    await done;
    expect(await state(id)).toBe("pending");
  });

  it("is woken by a sender in a repeatable read transaction", async () => {
    const id = await start();
    await ask(id);
    const sender = await connection(database);
    await sender.query("begin isolation level repeatable read");
    await send(id, "go", null, sender);
    await putBack(id);
    await sender.query("commit");
    await database.pool.query("select legwork.tick()");
    expect(await state(id)).toBe("pending");
  });

  it("is woken once, because the second of two concurrent senders waits for the first", async () => {
    const id = await wait();
    const [first, second] = [await connection(database), await connection(database)];
    await first.query("begin");
    expect(await send(id, "go", 1, first)).toBe(true);
    const late = send(id, "go", 2, second);
    await untilBlocked(database, second.backend);
    await first.query("commit");
    expect(await late).toBe(false);
    expect(await one("select payload from legwork_private.job_signals")).toBe(1);
  });

  it("does not start before its retry delay has passed because of a signal from an earlier wait", async () => {
    const id = await wait();
    await database.pool.query("select legwork.retry_job($1)", [id]);
    await worker.fetch(database.pool);
    // This attempt fails before it reaches the wait.
    await worker.fail(database.pool, [id]);
    expect(await state(id)).toBe("retrying");
    await send(id);
    expect(await state(id)).toBe("retrying");
  });

  it("ends when it is cancelled, and accepts no more signals after that", async () => {
    const id = await wait();
    await database.pool.query("select legwork.cancel_job($1)", [id]);
    expect(await state(id)).toBe("cancelled");
    await expect(send(id)).rejects.toMatchObject({ code: "LW409" });
  });

  it("does not expire, because it had started before expires_at", async () => {
    const id = await one<string>("select legwork.enqueue('t', expires_at => now() + interval '50 milliseconds')");
    await worker.fetch(database.pool);
    await ask(id);
    await putBack(id);
    await database.pool.query("select pg_sleep(0.06), legwork.tick()");
    expect(await state(id)).toBe("blocked");
    await send(id);
    expect(await worker.fetch(database.pool)).toHaveLength(1);
  });

  it("waits for its limits, pauses and serial key when the signal has arrived", async () => {
    await database.pool.query("select legwork.limit_concurrency(1, task => 't')");
    const id = await wait("t", ", queue_name => 's'");
    expect(await one("select count(*)::int from legwork_private.slots")).toBe(0);
    const other = await start("t");
    await send(id);
    expect(await state(id)).toBe("blocked");
    expect(await one("select reason from legwork.explain_job($1)", [id])).toBe("concurrency_limit");
    await worker.complete(database.pool, [other]);
    await database.pool.query("select legwork.pause_task('t')");
    expect(await state(id)).toBe("paused");
    await database.pool.query("select legwork.resume_task('t')");
    const serial = await one<string>("select id from graphile_worker.add_job('u', queue_name => 's', priority => -1)");
    expect(await worker.fetch(database.pool)).toEqual([{ id: serial, task: "u" }]);
    expect(await worker.fetch(database.pool)).toEqual([]);
    await worker.complete(database.pool, [serial]);
    expect(await worker.fetch(database.pool)).toEqual([{ id, task: "t" }]);
    expect(await one("select count(*)::int from legwork_private.slots")).toBe(1);
    expect((await database.pool.query("select * from legwork.reconcile()")).rows).toEqual([]);
  });

  it("continues to wait during a pause, and a signal that arrives during the pause is kept", async () => {
    const id = await wait();
    await database.pool.query("select legwork.pause_task('t')");
    expect(await state(id)).toBe("paused");
    expect(
      (await database.pool.query("select reason from legwork.explain_job($1)", [id])).rows.map((row) => row.reason),
    ).toEqual(expect.arrayContaining(["task_paused", "waits_for_signal"]));
    await database.pool.query("select legwork.resume_task('t')");
    expect(await state(id)).toBe("blocked");
    await database.pool.query("select legwork.pause_task('t')");
    await send(id);
    expect(await worker.fetch(database.pool)).toEqual([]);
    await database.pool.query("select legwork.resume_task('t')");
    expect(await worker.fetch(database.pool)).toHaveLength(1);
  });

  it("starts when the first of its waits ends", async () => {
    const id = await start();
    await ask(id, "a");
    await ask(id, "b", "1 hour");
    await ask(id, "nap", "10 minutes", "sleep");
    await putBack(id);
    const minutes = "select round(extract(epoch from run_at - now()) / 60)::int from legwork.jobs where id = $1";
    expect(await one(minutes, [id])).toBe(10);
    expect(
      (await database.pool.query("select reason from legwork.explain_job($1)", [id])).rows.slice(0, 3).map((row) => row.reason),
    ).toEqual(["waits_for_signal", "waits_for_signal", "sleeps"]);
    await send(id, "b");
    expect(await state(id)).toBe("pending");
    await worker.fetch(database.pool);
    // This attempt waits only for one of them, so the others do not wake it.
    await load(id);
    await ask(id, "a");
    await putBack(id);
    expect(await one("select run_at = legwork_private.far_future() from legwork.jobs where id = $1", [id])).toBe(true);
  });
});

describe("a job with recorded steps", () => {
  it("starts over when its key is used for another request, even for an identical one", async () => {
    const id = await wait("t", ", job_key => 'k'");
    await send(id, "other");
    await database.pool.query("select legwork.retry_job($1)", [id]);
    expect(await one("select count(*)::int from legwork_private.job_steps")).toBe(1);
    expect(await one("select id from graphile_worker.add_job('t', job_key => 'k', job_key_mode => 'unsafe_dedupe')")).toBe(id);
    expect(await one("select count(*)::int from legwork_private.job_signals")).toBe(1);
    expect(await one("select id from graphile_worker.add_job('t', job_key => 'k')")).toBe(id);
    expect(await one("select count(*)::int from (select 1 from legwork_private.job_steps union all select 1 from legwork_private.job_signals) x")).toBe(0);
  });

  it.each(["select 1", "select legwork.limit_concurrency(1, task => 't')"])(
    "starts at once when its key is used for another request that keeps its run_at (%s)",
    async (before) => {
      await database.pool.query(before);
      const id = await wait("t", ", job_key => 'k'");
      expect(await state(id)).toBe("blocked");
      await database.pool.query("select graphile_worker.add_job('t', job_key => 'k', job_key_mode => 'preserve_run_at')");
      expect(await worker.fetch(database.pool)).toEqual([{ id, task: "t" }]);
    },
  );

  it("keeps its steps when it is retried after it failed, except for a wait that had timed out", async () => {
    const id = await start("t", ", max_attempts => 1");
    await record(id, "a");
    expect(await ask(id, "go", "0 seconds")).toEqual({ state: "timed_out", result: null });
    await ask(id, "later");
    await putBack(id);
    // Being returned to the queue does not count as a failure.
    expect(await one("select count(*)::int from legwork_private.job_steps where state = 'timed_out'")).toBe(1);
    await database.pool.query("select legwork.retry_job($1)", [id]);
    await worker.fetch(database.pool);
    await worker.fail(database.pool, [id]);
    expect(await state(id)).toBe("failed");
    await expect(send(id)).rejects.toMatchObject({ code: "LW409", hint: `\`select legwork.retry_job(${id})\` retries it.`, detail: expect.stringContaining('"retry_job"') });
    await database.pool.query("select legwork.retry_job($1)", [id]);
    await worker.fetch(database.pool);
    expect(await load(id)).toMatchObject([{ name: "a" }]);
    expect(await ask(id, "go", "1 hour")).toEqual({ state: "waiting", result: null });
  });

  it("loses its steps once it is deleted from the history", async () => {
    const [gone, kept] = [await start(), await start()];
    for (const id of [gone, kept]) {
      await record(id, "a");
      await send(id);
    }
    await worker.complete(database.pool, [gone]);
    await database.pool.query("delete from legwork_private.finished_jobs");
    await database.pool.query("update legwork_private.job_steps set recorded_at = now() - interval '1 year'");
    await database.pool.query("update legwork_private.job_signals set sent_at = now() - interval '1 year'");
    await database.pool.query("select legwork.maintain_history()");
    expect(await one("select array_agg(job_id) from legwork_private.job_steps")).toEqual([kept]);
    expect(await one("select array_agg(job_id) from legwork_private.job_signals")).toEqual([kept]);
  });

  it("whose task redacts values shows its steps redacted, receives them unredacted, and leaves no unredacted values in the database", async () => {
    const id = await start("secret");
    await database.pool.query(
      `select legwork_private.record_step($1, 'w', 1, 'a', '{"card": "[redacted]"}', '{"card": "4111"}', '1 second')`,
      [id],
    );
    await ask(id);
    await send(id, "go", { card: "4222", by: "ada" });
    await putBack(id);
    await worker.fetch(database.pool);
    expect(await load(id)).toEqual([{ kind: "run", name: "a", state: "completed", result: '{"card": "4111"}' }]);
    expect(await ask(id)).toEqual({ state: "completed", result: '{"by": "ada", "card": "4222"}' });
    const shown = "select array_agg(result::text order by name) from legwork.steps";
    expect(await one(shown)).toEqual(['{"card": "[redacted]"}', '{"by": "ada", "card": "[redacted]"}']);
    expect(await one("select payload::text from legwork_private.job_signals")).toBe('{"by": "ada", "card": "[redacted]"}');
    expect(await one("select count(*)::int from legwork_private.step_secrets")).toBe(3);
    await worker.complete(database.pool, [id]);
    expect(await one("select count(*)::int from legwork_private.step_secrets")).toBe(0);
    expect(await one(shown)).toHaveLength(2);
  });
});

describe("sending a signal is rejected", () => {
  it.each([
    ["without a name", "''", "null", "LW400"],
    ["with a long name", "repeat('x', 201)", "null", "LW400"],
    ["with a large payload", "'go'", "to_jsonb(repeat('x', 300000))", "LW413"],
  ])("%s", async (_what, name, payload, code) => {
    const id = await start();
    await expect(one(`select legwork.send_signal($1, ${name}, ${payload})`, [id])).rejects.toMatchObject({ code });
  });

  it("to a job that does not exist, has ended, or has received a thousand signals", async () => {
    await expect(send("999999")).rejects.toMatchObject({ code: "LW404" });
    const [done, busy] = [await start(), await start()];
    await worker.complete(database.pool, [done]);
    await expect(send(done)).rejects.toMatchObject({ code: "LW409" });
    await database.pool.query("select legwork.send_signal($1, 's' || n) from generate_series(1, 1000) n", [busy]);
    await expect(send(busy)).rejects.toMatchObject({ code: "LW409" });
  });
});
