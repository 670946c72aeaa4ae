import { beforeEach, describe, expect, it } from "vitest";
import type { Reason } from "../../src/jobs/explain-job.ts";
import { operationsOn } from "../../src/api/operations.ts";
import { legwork } from "../support/cli.ts";
import { testDatabase } from "../support/database.ts";
import { empty } from "../support/empty.ts";
import { rest, restToken, startRest } from "../support/rest.ts";
import { resetLegwork } from "../support/reset-legwork.ts";

const database = testDatabase();
const query = async (text: string, values: unknown[] = []) => (await database.pool.query(text, values)).rows;
const one = async (text: string, values: unknown[] = []) => Object.values((await query(text, values))[0])[0] as string;

const beat = (id = "w1", tasks = "{t,other}", running: unknown[] = []) =>
  query("select legwork_private.worker_beat($1, 'host', 1, 2, $2, $3)", [id, tasks, running]);

beforeEach(async () => {
  await resetLegwork(database.pool);
  await empty(
    database.pool,
    "legwork_private.schedule_definitions, legwork_private.schedule_occurrences, legwork_private.worker_faults, legwork_private.worker_starts, legwork_private.task_minutes",
  );
  await query(`select legwork_private.register_tasks('[{"name": "t", "queue": "q"}, {"name": "other"}]')`);
  await beat();
});

/** Runs the statements of each reason's fix one after the other, to check that they work. */
async function follow(reasons: readonly Reason[]): Promise<void> {
  for (const { fix, actions } of reasons) {
    const statements = [...fix.matchAll(/`([^`]+)`/g)].map(([, statement = ""]) => statement);
    expect(statements, fix).toHaveLength(actions.length);
    for (const statement of statements) await query(statement);
  }
}
const codes = (reasons: readonly Reason[]): string[] => reasons.map(({ reason }) => reason);

describe("a schedule", () => {
  const explain = (name = "s"): Promise<Reason[]> => operationsOn(database.pool).schedules.explain(name);
  const schedule = (rest: string) => query(`select legwork.schedule('s', ${rest})`);

  it("that is not held back shows its next occurrence", async () => {
    await schedule("'t', every => '1 hour'");
    expect(await explain()).toEqual([
      {
        position: 1,
        reason: "schedule_next",
        detail: expect.stringMatching(/^Its next occurrence is at .* \(in 59 minutes/),
        fix: "Wait, or run it now: `select legwork.run_schedule('s');`",
        actions: [{ do: "run_schedule", name: "s" }],
      },
    ]);
    await follow(await explain());
    expect(codes(await explain())).toEqual(["schedule_job_waits", "schedule_next"]);
    await expect(explain("ss")).rejects.toMatchObject({ code: "LW404", hint: expect.stringContaining("Did you mean 's'?") });
  });

  it("that is disabled shows when and by whom, and its fix enables it", async () => {
    await schedule("'t', every => '1 hour'");
    await query("select legwork.disable_schedule('s')");
    const reasons = await explain();
    expect(reasons).toMatchObject([
      {
        reason: "schedule_disabled",
        detail: expect.stringMatching(/^It was disabled by postgres at \d{4}-.*, \d+ (ms|seconds?) ago\./),
        actions: [
          { do: "enable_schedule", name: "s" },
          { do: "run_schedule", name: "s" },
        ],
      },
    ]);
    await follow(reasons);
    expect(codes(await explain())).toEqual(["schedule_job_waits", "schedule_next"]);
  });

  it("whose last occurrences were skipped names the job that prevented them", async () => {
    await schedule("'t', every => '1 minute', overlap => 'skip'");
    for (const minutes of [1, 2, 3])
      await query("select legwork_private.fire_schedules(now() + $1 * interval '61 seconds')", [minutes]);
    const job = await one("select last_job_id from legwork.schedules");
    expect((await explain())[0]).toMatchObject({
      reason: "schedule_skipped",
      detail: expect.stringMatching(new RegExp(`^The last 2 occurrences due from .* were skipped: .*job ${job} had not ended`)),
      fix: `See what job ${job} is doing: \`select * from legwork.explain_job(${job});\``,
    });
  });

  it("that requires another schedule names it, and shows how long its own occurrence has waited", async () => {
    await query("select legwork.schedule('base', 't', every => '1 day')");
    await schedule(`'t', every => '1 hour', requires => '{"base": "1 day"}'`);
    await query("select legwork_private.fire_schedules(now() + interval '61 minutes')");
    const reasons = await explain();
    expect(reasons[0]).toMatchObject({
      reason: "schedule_waits",
      detail: expect.stringMatching(
        /^The occurrence due at .* is waiting, until .* at the latest: It requires base, which has not run yet\.$/,
      ),
    });
    await query(
      "update legwork_private.schedule_occurrences set state = 'held_back', reason = 'It requires base. It waited 1 hour.'",
    );
    expect((await explain())[0]).toMatchObject({
      reason: "schedule_held_back",
      detail: expect.stringContaining("was held back: It requires base."),
      fix: "Run it anyway: `select legwork.run_schedule('s');`",
    });
  });

  it("reports that there is no worker, that no worker has its task, or that it is paused", async () => {
    await schedule("'t', every => '1 second'");
    await query("delete from legwork_private.worker_processes");
    await query("update legwork_private.schedule_definitions set upcoming = array[now() - interval '90 seconds']");
    expect(await explain()).toMatchObject([
      {
        reason: "schedule_late",
        detail: expect.stringMatching(/for 1 minute 3\d seconds, and has not fired: no Legwork worker is running/),
      },
      { reason: "no_worker", detail: "Its jobs would wait: no Legwork worker is running." },
    ]);
    await beat("w2", "{other}");
    await query("select legwork.pause_queue('q', 'provider is down')");
    expect(await explain()).toMatchObject([
      { reason: "schedule_late", detail: expect.stringContaining("none has fired it") },
      { reason: "no_worker", detail: "Its jobs would wait: the only running Legwork worker does not have the task 't'." },
      { reason: "queue_paused", detail: expect.stringContaining("provider is down") },
    ]);
  });

  it("that has ended, has missed occurrences, cannot fire, or is not planned reports this", async () => {
    await schedule("'t', every => '1 minute', missed => 'none', max_runs => 1");
    await query("select legwork_private.fire_schedules(now() + interval '1 hour')");
    expect((await explain()).find(({ reason }) => reason === "schedule_missed")).toMatchObject({
      detail: expect.stringMatching(/^The last \d+ occurrences due from .* were missed: No worker was running/),
    });
    await query("update legwork_private.schedule_definitions set runs = 1, is_complete = true, upcoming = '{}'");
    expect((await explain())[0]).toMatchObject({
      reason: "schedule_ended",
      detail: "It has ended: it has enqueued 1 job, which is its max_runs.",
    });
    await schedule("'t', cron => '0 3 * * *'");
    await query("update legwork_private.schedule_definitions set upcoming = '{}'");
    expect((await explain())[0]).toMatchObject({ reason: "schedule_unplanned" });
    await query("update legwork_private.schedule_definitions set problem = 'It cannot fire: boom.', failed_at = now()");
    expect((await explain())[0]).toMatchObject({
      reason: "schedule_problem",
      detail: expect.stringMatching(/^It cannot fire: boom\. It is retried every minute/),
    });
    await query(
      `select legwork_private.register_crontab('[{"identifier": "c", "task": "t", "cron": "* * * * *", "upcoming": []}]')`,
    );
    expect((await explain("c"))[0]).toMatchObject({ reason: "schedule_crontab" });
    await query("delete from legwork_private.worker_processes");
    await beat("w2", "{other}");
    const crontab = (await explain("c")).filter(({ reason }) => reason === "no_worker");
    expect(crontab.map(({ detail }) => detail)).toEqual([
      "Its jobs would wait: the only running Legwork worker does not have the task 't'.",
    ]);
  });
});

describe("a workflow", () => {
  const explain = (id: string): Promise<Reason[]> => operationsOn(database.pool).workflows.explain(id);
  const start = (steps: string) => one("select legwork.start_workflow('w', $1)", [steps]);
  const jobOf = (id: string, step: string) =>
    one("select job_id from legwork.workflow_steps where workflow_id = $1 and name = $2", [id, step]);

  it("that is waiting reports which step it is waiting for, why that step is not running, and how many steps are behind it", async () => {
    const id = await start(
      '{"a": {"task": "t"}, "b": {"task": "t", "depends_on": ["a"]}, "c": {"task": "t", "depends_on": ["b"]}}',
    );
    await query("select legwork.pause_queue('q', 'provider is down')");
    const reasons = await explain(id);
    expect(reasons).toMatchObject([
      {
        reason: "workflow_running",
        detail: expect.stringMatching(/^It has been running for .*\. 0 of its 3 steps completed\.$/),
      },
      {
        reason: "step_waits",
        detail: expect.stringMatching(/^Step 'a' \(job \d+\) is paused\. Queue 'q' was paused by postgres .*provider is down\.$/),
        actions: [{ do: "resume_queue", name: "q" }],
      },
      { reason: "steps_behind", detail: "2 steps wait for other steps to end; the first, 'b', for 'a'." },
    ]);
    await follow(reasons);
    expect((await explain(id))[1]?.detail).toContain("Nothing holds it back");
    await query("update graphile_worker._private_jobs set locked_by = 'w1', locked_at = now(), attempts = 1 where id = $1", [
      await jobOf(id, "a"),
    ]);
    expect(codes(await explain(id))).toEqual(["workflow_running", "step_running", "steps_behind"]);
    const job = await jobOf(id, "a");
    expect((await explain(id))[1]?.detail).toMatch(new RegExp(`^Step 'a' \\(job ${job}\\) is running: attempt 1, since `));
    await query("select legwork.cancel_job($1, 'wrong file')", [job]);
    expect((await explain(id))[1]).toMatchObject({
      detail: expect.stringMatching(/ is running: .* Cancelled by postgres: wrong file\. Its task was signaled to stop at /),
      fix: expect.stringMatching(/^Wait for the task to respond to its abort signal\./),
      actions: [],
    });
  });

  it("that has failed names the failed step and its error, and its fix retries it", async () => {
    const id = await start('{"a": {"task": "t"}, "b": {"task": "t", "depends_on": ["a"]}}');
    const job = await jobOf(id, "a");
    await query("select graphile_worker.permanently_fail_jobs(array[$1::bigint], 'boom')", [job]);
    await query("select legwork.tick()");
    const [failed, step, ...rest] = await explain(id);
    expect(failed).toMatchObject({
      reason: "workflow_failed",
      detail: expect.stringMatching(/^It failed at .*\. 0 of its 2 steps completed\. Step 'a' failed: boom$/),
      actions: [{ do: "retry_workflow", id }],
    });
    expect(step).toMatchObject({
      reason: "step_failed",
      detail: expect.stringMatching(new RegExp(`^Step 'a' \\(job ${job}, task t\\) failed at .*: boom$`)),
    });
    expect(rest).toEqual([]);
    await follow([failed!]);
    expect(codes(await explain(id))).toEqual(["workflow_running", "step_waits", "steps_behind"]);
    await query("select legwork.cancel_workflow($1, 'wrong file')", [id]);
    expect(await explain(id)).toMatchObject([
      { reason: "workflow_cancelled", detail: expect.stringMatching(/Cancelled by postgres: wrong file$/) },
    ]);
    await expect(explain("999999")).rejects.toMatchObject({ code: "LW404" });
  });
});

describe("a queue", () => {
  const explain = (): Promise<Reason[]> => operationsOn(database.pool).queues.explain("q");

  it("that is not held back shows how many jobs wait, for how long, and how many end per minute", async () => {
    expect(await explain()).toMatchObject([
      { position: 1, reason: "queue_idle", detail: "No job of this queue is ready to run.", fix: "Nothing to do.", actions: [] },
    ]);
    await query("select legwork.enqueue('t'), legwork.enqueue('t', run_at => now() + interval '1 hour')");
    expect(await explain()).toMatchObject([
      {
        reason: "queue_moving",
        detail: expect.stringMatching(
          /^1 job is ready to run; the oldest has waited for .*\. 1 job is due later\. No job has ended in the last five minutes\.$/,
        ),
      },
    ]);
    await query("select legwork.enqueue('t', run_at => now() - interval '10 minutes') from generate_series(1, 60)");
    await query(
      "insert into legwork_private.task_minutes (minute, task, completed, waits, runs) values (date_trunc('minute', now()), 't', 10, '{}', '{}')",
    );
    expect(await explain()).toMatchObject([
      {
        reason: "queue_behind",
        detail: expect.stringMatching(
          /^61 jobs are ready to run; the oldest has waited for 10 minutes.* In the last five minutes, 2 jobs per minute ended; at that rate, the jobs that are ready take another 30 minutes\.$/,
        ),
      },
    ]);
    await expect(operationsOn(database.pool).queues.explain("qq")).rejects.toMatchObject({ code: "LW404" });
  });

  it("that is held back names every pause, every full limit, every task without a worker and every full worker, with fixes that work", async () => {
    await query("select legwork.limit_concurrency(1, task => 't'), legwork.pause_queue('q', 'down'), legwork.pause_task('t')");
    const first = await one("select legwork.enqueue('t')");
    await query("select legwork.enqueue('t') from generate_series(1, 3)");
    await query("select legwork.emergency_stop('help')");
    expect(codes(await explain())).toEqual(["everything_stopped", "queue_paused", "task_paused", "queue_idle"]);
    await follow((await explain()).slice(0, 3));
    await query("select legwork.tick()");
    const [limit, ...rest] = await explain();
    expect(limit).toMatchObject({
      reason: "concurrency_limit",
      detail: `The concurrency limit of task 't' is 1, and all slots are taken by job ${first}. 3 jobs wait in line.`,
      actions: [{ do: "limit_concurrency", scope: "task", name: "t", max: 2 }],
    });
    expect(codes(rest)).toEqual(["queue_moving"]);
    await query("update legwork_private.worker_processes set running = array[1, 2]");
    expect(codes(await explain())).toEqual(["concurrency_limit", "workers_busy", "queue_moving"]);
    await query("update legwork_private.worker_processes set tasks = '{other}'");
    expect((await explain())[1]).toMatchObject({
      reason: "no_worker",
      detail: expect.stringMatching(
        /^1 job of task 't' has been waiting for .*: the only running Legwork worker does not have the task 't'\.$/,
      ),
    });
    await query("select graphile_worker.add_job('othr') from generate_series(1, 2)");
    await query("select legwork.drop_limit('concurrency', task => 't')");
    expect((await operationsOn(database.pool).queues.explain("default"))[0]).toMatchObject({
      reason: "no_worker",
      detail: expect.stringMatching(
        /^2 jobs of task 'othr' are waiting, the oldest for .*: the only .* does not have the task 'othr'\. No Legwork worker has ever had it\. Did you mean 'other'\?$/,
      ),
      fix: expect.stringMatching(
        /^If so, cancel those jobs and enqueue them again for the right task\. Otherwise start a worker /,
      ),
    });
    expect((await operationsOn(database.pool).workers.explain("w1")).at(-1)).toMatchObject({
      reason: "worker_lacks_task",
      detail: expect.stringMatching(/ No Legwork worker has ever had it\. Did you mean 'other'\?$/),
      fix: expect.stringMatching(/^If so, cancel those jobs/),
    });
    await follow([limit!]);
    expect((await query("select limits from legwork.tasks where name = 't'"))[0].limits).toMatchObject([{ max: 2 }]);
  });
});

describe("a worker", () => {
  const explain = (id = "w1"): Promise<Reason[]> => operationsOn(database.pool).workers.explain(id);

  it("that is idle, is full or lacks a task reports this", async () => {
    expect(await explain()).toMatchObject([
      { reason: "worker_idle", detail: "It is running no jobs and could run 2 at a time.", fix: "Nothing to do." },
    ]);
    const ids = (await query("select legwork.enqueue('t') as id from generate_series(1, 2)")).map(({ id }) => id);
    await query(
      "update graphile_worker._private_jobs set locked_by = 'w1', locked_at = now() - interval '1 minute', attempts = 1",
    );
    await beat("w1", "{t,other}", ids);
    await query(`select legwork_private.register_tasks('[{"name": "lost", "queue": "q"}]'), legwork.enqueue('lost')`);
    expect(await explain()).toMatchObject([
      {
        reason: "worker_full",
        detail: expect.stringMatching(
          /^It is running 2 of at most 2 jobs; the longest, job \d+ \(task t\), since .*, for 1 minute/,
        ),
        actions: [{ do: "explain_job" }],
      },
      {
        reason: "worker_lacks_task",
        detail: "It does not have the task 'lost', for which 1 job waits, and no running worker runs it.",
      },
    ]);
  });

  it("that is silent, is blocked, cannot record or keeps restarting shows for how long, because of which job, and why", async () => {
    const id = await one("select legwork.enqueue('t')");
    await query("update graphile_worker._private_jobs set locked_by = 'w1', locked_at = now(), attempts = 1");
    await beat("w1", "{t,other}", [id]);
    await query(
      "update legwork_private.worker_processes set seen_at = now() - interval '20 seconds', blocked_since = now() - interval '30 seconds', blocked_jobs = array[$1::bigint]",
      [id],
    );
    await query("update legwork_private.worker_processes set started_at = now() - interval '1 hour'");
    await query(
      "select legwork_private.note_worker_fault('host', 1, 'restart', 'out of memory'), legwork_private.note_worker_fault('host', 1, 'recording', 'no', $1)",
      [id],
    );
    expect(await explain()).toMatchObject([
      {
        reason: "worker_silent",
        detail: expect.stringMatching(/^It has sent no heartbeat since .*, for 2\d seconds\.$/),
        fix: expect.stringContaining("No other Legwork worker is running"),
      },
      { reason: "worker_cannot_record", actions: [{ do: "cancel_job", id }] },
      {
        reason: "worker_restarts",
        detail: expect.stringMatching(/^Its runner has restarted once in 15 minutes, .*: out of memory$/),
      },
      {
        reason: "worker_blocked",
        detail: expect.stringMatching(
          new RegExp(`^Synchronous code of job ${id} \\(task t\\) has blocked it since .*, for 3\\d seconds`),
        ),
      },
      { reason: "worker_running" },
    ]);
  });

  it("that is quiet or draining shows who requested this, under its id and under host:pid, and takes jobs again after the fix", async () => {
    await beat("w1");
    await query("select legwork.quiet_worker('w1')");
    const [reason] = await explain("host:1");
    expect(reason).toMatchObject({
      reason: "worker_quiet",
      detail: expect.stringMatching(/^postgres made it quiet at .*, so it takes no new jobs\.$/),
      actions: [{ do: "resume_worker", name: "host:1" }],
    });
    await query("select legwork.drain_worker('w1')");
    expect((await explain("w1"))[0]?.detail).toContain("drain");
    await query(/`(select legwork\.resume_worker.*;)`/.exec(reason?.fix ?? "")?.[1] ?? "");
    expect((await explain("w1")).map(({ reason: code }) => code)).not.toContain("worker_quiet");
  });

  it("that has ended is distinguished from one that never existed", async () => {
    await query(
      "insert into legwork_private.worker_starts (id, host, pid, tasks, started_at) values ('w0', 'host', 7, 1, now())",
    );
    expect(await explain("w0")).toMatchObject([
      {
        reason: "worker_gone",
        detail: expect.stringMatching(/on host \(process 7\), and has since stopped or died\. It holds no jobs\.$/),
      },
    ]);
    await expect(explain("w9")).rejects.toMatchObject({ code: "LW404", hint: expect.stringContaining("legwork.workers") });
  });
});

it("the command line and REST explain these objects too, in their own words, and a name in place of a job id gets a hint", async () => {
  await query(
    "select legwork.schedule('s', 't', every => '1 hour'), legwork.disable_schedule('s'), legwork.pause_queue('q', 'down')",
  );
  await query(
    `select legwork_private.register_tasks('[{"name": "t", "queue": "q"}, {"name": "other"}, {"name": "odd", "queue": "-q"}]'), legwork.pause_queue('-q', E'two\\n2. lines')`,
  );
  const id = await one(`select legwork.start_workflow('w', '{"a": {"task": "t"}}')`);
  const server = await startRest(database);
  try {
    expect((await rest(server, "GET", "/schedules/s/explain")).body.items[0].fix).toBe(
      "Enable it: `POST /api/v1/schedules/s/enable`, or run it once now: `POST /api/v1/schedules/s/run`",
    );
    expect((await rest(server, "GET", "/queues/q/explain")).body.items[0]).toMatchObject({
      reason: "queue_paused",
      fix: "Resume the queue: `POST /api/v1/queues/q/resume`",
    });
    expect((await rest(server, "GET", `/workflows/${id}/explain`)).body.items[1].actions).toEqual([
      { do: "resume_queue", name: "q" },
    ]);
    // Commands take a while to start.
    await query("update legwork_private.worker_processes set seen_at = now() + interval '1 hour'");
    expect((await rest(server, "GET", "/workers/w1/explain")).body.items[0].reason).toBe("worker_idle");
    expect(await rest(server, "GET", "/workers/none/explain")).toMatchObject({
      status: 404,
      body: { hint: expect.stringContaining("`GET /api/v1/workers`") },
    });
    const environments: Record<string, string>[] = [
      { DATABASE_URL: database.url },
      { LEGWORK_URL: server.url, LEGWORK_TOKEN: restToken },
    ];
    for (const environment of environments) {
      const explain = async (...words: string[]) => {
        const { stdout, stderr } = await legwork(["explain", ...words], environment);
        return stdout + stderr;
      };
      expect(await explain("schedule", "s")).toMatch(
        /^1\. It was disabled by postgres at .*\n {3}Enable it: `legwork schedule enable s`, or run it once now: `legwork schedule run s`\n2\. Queue 'q' was paused/,
      );
      expect(await explain("queue", "q")).toContain("Resume the queue: `legwork resume q`");
      expect(await explain("workflow", id)).toContain("Step 'a' (job ");
      expect(await explain("worker", "w1")).toContain("It is running no jobs");
      // A line of a reason cannot be mistaken for another reason, nor a name for an option.
      const hostile = await explain("queue", "--", "-q");
      expect(hostile).toMatch(
        /^1\. Queue '-q' was paused by postgres at .*: two\n {3}2\. lines\.\n {3}Resume the queue: `legwork resume -- -q`\n2\. /,
      );
      const pointed = await explain("s");
      expect(pointed).toContain("'s' is not a job id. It is the name of a schedule.");
      expect(pointed).toContain("Write `legwork explain schedule s`.");
      expect(await explain("nothing")).toContain("'nothing' is not a job id.");
    }
  } finally {
    await server.stop();
  }
});

it("a tenant gets explanations of its own objects, counts of its own jobs, and no fix that it may not apply", async () => {
  await query(
    "select legwork.schedule('mine', 't', every => '1 hour', tenant => 'acme'), legwork.schedule('theirs', 't', every => '1 hour', tenant => 'other')",
  );
  await query(
    "select legwork.enqueue('t', tenant => 'acme'), legwork.enqueue('t', tenant => 'other') from generate_series(1, 3)",
  );
  await query("select legwork.pause_task('other')");
  const client = await database.pool.connect();
  const ask = async (role: string, call: string): Promise<Reason[]> => {
    await client.query("begin");
    await client.query("select set_config('legwork.confined_to', 'acme', true), set_config('legwork.role', $1, true)", [role]);
    try {
      return (await client.query(`select * from legwork.${call}`)).rows;
    } finally {
      await client.query("rollback");
    }
  };
  try {
    expect(codes(await ask("viewer", "explain_schedule('mine')"))).toEqual(["schedule_next"]);
    expect((await ask("viewer", "explain_schedule('mine')"))[0]).toMatchObject({
      fix: "Wait, or ask an operator to run it now.",
      actions: [],
    });
    expect((await ask("operator", "explain_schedule('mine')"))[0]).toMatchObject({ actions: [{ do: "run_schedule" }] });
    await expect(ask("operator", "explain_schedule('theirs')")).rejects.toMatchObject({ code: "LW404" });
    await expect(ask("admin", "explain_worker('w1')")).rejects.toMatchObject({ code: "LW403" });
    await expect(ask("enqueuer", "explain_queue('q')")).rejects.toMatchObject({ code: "LW403" });
    expect((await ask("operator", "explain_queue('q')")).at(-1)?.detail).toMatch(/^3 jobs are ready to run/);
    await query("select legwork.pause_queue('q')");
    expect((await ask("operator", "explain_queue('q')"))[0]).toMatchObject({
      fix: "Ask an operator of the whole system to resume the queue.",
      actions: [],
    });
  } finally {
    client.release();
  }
});
