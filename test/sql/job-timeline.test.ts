import { beforeEach, describe, expect, it } from "vitest";
import { testDatabase } from "../support/database.ts";
import { HandWorker } from "../support/hand-worker.ts";
import { resetLegwork } from "../support/reset-legwork.ts";

const database = testDatabase();
const worker = new HandWorker("w");
const run = async (text: string, values: unknown[] = []) => (await database.pool.query(text, values)).rows;
const one = async (text: string, values: unknown[] = []) => (await run(text, values))[0];

beforeEach(async () => {
  await resetLegwork(database.pool);
  await run(`select legwork_private.register_tasks('[{"name": "a", "queue": "mail"}, {"name": "b"}]')`);
});

const enqueue = async (task: string, options = ""): Promise<string> =>
  (await one(`select legwork.enqueue($1, '{"user": "ann"}'${options}) as id`, [task])).id;

interface Entry {
  kind: string;
  started_at: Date;
  ended_at: Date | null;
  label: string;
  detail: string | null;
  actor: string | null;
  state: string | null;
  target: string | null;
}

const timeline = async (id: string): Promise<Entry[]> => await run("select * from legwork.job_timeline($1)", [id]);

/** Each entry as its kind and its times, in minutes after 10:00. */
const inMinutes = (entries: readonly Entry[]): string[] => {
  const minute = (at: Date | null): string => (at === null ? "" : String((at.getTime() - Date.parse("2026-11-01T10:00:00Z")) / 60_000));
  return entries.map((entry) => `${entry.kind} ${minute(entry.started_at)}–${minute(entry.ended_at)}`);
};

const at = (minutes: number): string => new Date(Date.parse("2026-11-01T10:00:00Z") + minutes * 60_000).toISOString();

describe("job_timeline", () => {
  it("shows for every minute between a job's creation and its end that the job ran, or why it did not", async () => {
    await run(
      `insert into legwork_private.finished_jobs (id, task, queue, state, priority, attempts, max_attempts, payload, run_at, created_at, started_at, finished_at, worker)
       values (7, 'a', 'mail', 'completed', 0, 1, 5, '{}', $1, $2, $3, $4, 'w')`,
      [at(60), at(0), at(62), at(65)],
    );
    for (const [attempt, due, started, failed, retry] of [
      [1, 10, 31, 32, 42],
      [2, 42, 42, 43, null],
    ] as const) {
      await run(
        `insert into legwork_private.failed_attempts (job_id, attempt, task, queue, error_name, error_message, started_at, failed_at, retry_at, worker, run_at)
         values (7, $1, 'a', 'mail', 'TypeError', E'no such user\\nat line 2', $2, $3, $4, 'w', $5)`,
        [attempt, at(started), at(failed), retry === null ? null : at(retry), at(due)],
      );
    }
    const audit = `insert into legwork_private.audit_entries (occurred_at, actor, surface, operation, target_type, target, before, after) values ($1, $2, 'dashboard', $3, $4, $5, $6, $7)`;
    const pause = { scope: "queue", name: "mail", reason: "provider is down", paused_by: "ada", paused_at: at(5) };
    await run(audit, [at(20), "bob", "resume", "queue", "mail", pause, null]);
    await run(audit, [at(60), "ada", "retry_job", "job", "7", { state: "failed" }, { state: "pending" }]);
    await run(audit, [at(60), "ada", "retry_job", "job", "8", { state: "failed" }, { state: "pending" }]);
    await run("insert into legwork_private.job_waits values (7, 'limit', $1, $2, '{99:}')", [at(10), at(30)]);
    await run("insert into legwork_private.job_logs (job_id, attempt, logged_at, level, message) values (7, 1, $1, 'info', 'x')", [at(62)]);
    const entries = await timeline("7");
    expect(inMinutes(entries)).toEqual([
      "enqueued 0–0",
      "scheduled 0–10",
      "paused 10–20",
      "limit 20–30",
      "worker 30–31",
      "attempt 31–32",
      "retry_delay 32–42",
      "attempt 42–43",
      "failed 43–60",
      "action 60–60",
      "worker 60–62",
      "attempt 62–65",
    ]);
    expect(entries[2]).toMatchObject({ label: "Queue 'mail' paused", detail: "provider is down", actor: "ada", target: "mail" });
    expect(entries[3]).toMatchObject({ detail: "For a limit that has been removed since." });
    expect(entries[5]).toMatchObject({ label: "Attempt 1", state: "failed", detail: "TypeError: no such user", actor: "w" });
    expect(entries[9]).toMatchObject({ label: "Retried", actor: "ada" });
  });

  it("records how long jobs waited for a limit and for other jobs, and nothing for jobs that did not wait", async () => {
    await run("select legwork.limit_concurrency(1, task => 'a', key => 'user')");
    const [first, second] = [await enqueue("a"), await enqueue("a")];
    const dependent = await enqueue("b", `, depends_on => array[${second}]`);
    const waiting = await timeline(second);
    expect(waiting.at(-1)).toMatchObject({
      kind: "limit",
      ended_at: null,
      detail: "For the concurrency limit of task 'a' for user = ann.",
      target: "a",
    });
    expect((await timeline(dependent)).at(-1)).toMatchObject({ kind: "dependency", ended_at: null, detail: `For job ${second}.`, target: second });
    await run("update legwork_private.waiting_jobs set entered_at = entered_at - interval '1 hour', run_at = run_at - interval '1 hour'");
    await worker.fetch(database.pool);
    await worker.complete(database.pool, [first]);
    await worker.fetch(database.pool);
    await worker.complete(database.pool, [second]);
    expect(
      await run("select job_id, kind, round(extract(epoch from ended_at - started_at) / 60)::integer as minutes from legwork_private.job_waits order by job_id"),
    ).toEqual([
      { job_id: second, kind: "limit", minutes: 60 },
      { job_id: dependent, kind: "dependency", minutes: 60 },
    ]);
    expect((await timeline(second)).map(({ kind }) => kind)).toContain("limit");
    expect((await timeline(dependent)).find(({ kind }) => kind === "dependency")?.ended_at).toBeInstanceOf(Date);
  });

  it("names who retried, reprioritized, reran and cancelled a job, even if this was a bulk operation", async () => {
    const id = await enqueue("b");
    await worker.fetch(database.pool);
    await run("update graphile_worker._private_jobs set max_attempts = 1 where id = $1", [id]);
    await worker.fail(database.pool, [id]);
    await run("select legwork.rerun_job($1)", [id]);
    await run("select legwork.retry_jobs('{\"task\": \"b\"}')");
    await run("select legwork.set_priority($1, 5)", [id]);
    await run("select legwork.cancel_job($1, 'not wanted')", [id]);
    const entries = await timeline(id);
    expect(entries.map(({ kind, label, actor }) => [kind, label, actor])).toEqual([
      ["enqueued", "Enqueued", null],
      expect.arrayContaining(["worker"]),
      ["attempt", "Attempt 1", "w"],
      expect.arrayContaining(["failed"]),
      ["action", expect.stringMatching(/^Rerun as job \d+$/), "postgres"],
      expect.arrayContaining(["worker"]),
      ["action", "Retried with other jobs", "postgres"],
      ["action", "Priority changed from 0 to 5", "postgres"],
      ["action", "Cancelled", "postgres"],
      ["end", "Cancelled", null],
    ]);
    expect(entries.at(-2)?.detail).toBe("not wanted");
  });

  it("shows failed steps, the part of an attempt before a wait for a signal, and the jobs that were enqueued", async () => {
    const id = await enqueue("b");
    await worker.fetch(database.pool);
    await run("select legwork_private.record_failed_step($1, 'w', 1, 'ship', 'Error: no truck', '1 second')", [id]);
    await run("select legwork_private.record_step($1, 'w', 1, 'charge', '7', null, '2 seconds')", [id]);
    await run("select legwork_private.await_step($1, 'w', 1, 'wait', 'approved', null)", [id]);
    await run("select set_config('legwork.parent_id', $1, true), legwork.enqueue('a')", [id]);
    const before = await timeline(id);
    expect(before.filter(({ kind }) => kind === "step").map(({ label, state, detail }) => [label, state, detail])).toEqual([
      ["Step 'charge'", "completed", null],
      ["Step 'ship'", "failed", "Error: no truck"],
    ]);
    expect(before.find(({ kind }) => kind === "child")).toMatchObject({ state: "pending", label: expect.stringMatching(/^Job \d+ \(a\)$/) });
    await run("select legwork_private.record_step($1, 'w', 1, 'ship', '8', null, '1 second')", [id]);
    expect(await run("select name, state, error from legwork.steps where job_id = $1 and kind = 'run' order by name", [id])).toEqual([
      { name: "charge", state: "completed", error: null },
      { name: "ship", state: "completed", error: null },
    ]);
    // Simulates that a worker has returned the job to the queue to wait.
    await run("update graphile_worker._private_jobs set locked_at = null, locked_by = null, attempts = 0, run_at = legwork_private.far_future() where id = $1", [id]);
    await run("update legwork_private.job_steps set wake_at = legwork_private.far_future() where job_id = $1 and kind = 'wait'", [id]);
    const waiting = await timeline(id);
    expect(waiting.find(({ kind, state }) => kind === "attempt" && state === "suspended")).toBeDefined();
    expect(waiting.find(({ kind }) => kind === "signal")).toMatchObject({ ended_at: null, state: "waiting", label: "Waiting for the signal 'approved'" });
    await run("select legwork.send_signal($1, 'approved')", [id]);
    expect((await timeline(id)).find(({ kind }) => kind === "action")).toMatchObject({ label: "Signal 'approved' sent", actor: "postgres" });
  });

  it("shows a tenant only its own jobs, and no workers", async () => {
    const id = await enqueue("b", ", tenant => 'acme'");
    await worker.fetch(database.pool);
    const client = await database.pool.connect();
    try {
      await client.query("begin; select set_config('legwork.role', 'viewer', true), set_config('legwork.confined_to', 'acme', true)");
      const { rows } = await client.query("select * from legwork.job_timeline($1)", [id]);
      expect(rows.find(({ kind }) => kind === "attempt")).toMatchObject({ actor: null, target: null });
      await client.query("select set_config('legwork.confined_to', 'other', true)");
      await expect(client.query("select * from legwork.job_timeline($1)", [id])).rejects.toMatchObject({ code: "LW404" });
    } finally {
      await client.query("rollback");
      client.release();
    }
  });
});
