import fc from "fast-check";
import { beforeEach, expect, it } from "vitest";
import { acknowledgeAlert } from "../../src/health/acknowledge-alert.ts";
import { dropAlertRule, listAlertRules, setAlertChannels, setAlertRule } from "../../src/health/alert-rules.ts";
import { listAlerts } from "../../src/health/list-alerts.ts";
import { readHealth } from "../../src/health/read-health.ts";
import { endSilence, silenceAlerts } from "../../src/health/silence-alerts.ts";
import { connection, untilBlocked } from "../support/connections.ts";
import { testDatabase } from "../support/database.ts";
import { empty } from "../support/empty.ts";
import { resetLegwork } from "../support/reset-legwork.ts";

const database = testDatabase();
const START = Date.parse("2026-01-05T12:00:00Z");

beforeEach(async () => {
  await resetLegwork(database.pool);
  await empty(database.pool, "legwork_private.alert_rules");
  await database.pool.query("select legwork.restore_alert_rules()");
  await setAlertChannels(database.pool, []);
});

/** Evaluates the rules this many seconds after the start. Returns the changes, with the rules' names. */
async function evaluate(seconds: number, client: { query: typeof database.pool.query } = database.pool): Promise<string[]> {
  const { rows } = await client.query(
    "select event || ' ' || rule as it from legwork.evaluate_alerts($1) order by 1",
    [new Date(START + seconds * 1_000)],
  );
  return rows.map(({ it }) => it);
}

/** Makes the oldest job of queue q due this many seconds after the start. */
async function backlog(dueAt: number | undefined): Promise<void> {
  const oldest = dueAt === undefined ? null : new Date(START + dueAt * 1_000).toISOString();
  await database.pool.query(
    "insert into legwork_private.samples (name, value) values ('queues', $1) on conflict (name) do update set value = excluded.value",
    [JSON.stringify([{ queue: "q", state: "pending", jobs: 1, oldest }])],
  );
  await database.pool.query(
    "insert into legwork_private.worker_processes (id, host, pid, concurrency, tasks, seen_at) values ('w', 'h', 1, 1, '{}', 'infinity') on conflict do nothing",
  );
}

async function attempts(task: string, outcomes: string, from: number): Promise<void> {
  for (const [index, outcome] of outcomes.split("").entries()) {
    const at = new Date(START + (from + index) * 1_000);
    if (outcome === "x") {
      await database.pool.query(
        "insert into legwork_private.failed_attempts (job_id, attempt, task, queue, error_name, error_message, started_at, failed_at, retry_at) values ($1, 1, $2, 'default', 'Error', 'refused', $3, $3, $3)",
        [from + index, task, at],
      );
    } else {
      await database.pool.query(
        `insert into legwork_private.finished_jobs (id, task, queue, state, priority, attempts, max_attempts, run_at, created_at, started_at, finished_at, worker)
         values ($1, $2, 'default', 'completed', 0, 1, 1, $3, $3, $3, $3, 'w')`,
        [from + index, task, at],
      );
    }
  }
  await database.pool.query("select legwork_private.roll_up()");
}

const open = async (): Promise<string[]> => (await listAlerts(database.pool)).map(({ rule, severity }) => `${rule} ${severity}`);

it("an alert is raised once, becomes critical once and is resolved once the target has been healthy for long enough", async () => {
  await backlog(0);
  expect(await evaluate(299)).toEqual([]);
  expect(await evaluate(300)).toEqual(["raised backlog_age"]);
  expect(await evaluate(301)).toEqual([]);
  expect(await evaluate(1_800)).toEqual(["escalated backlog_age"]);
  expect(await evaluate(1_900)).toEqual([]);
  // The backlog disappears and returns. There is still only one alert, with the highest severity that it has had.
  await backlog(undefined);
  expect(await evaluate(2_000)).toEqual([]);
  expect(await evaluate(2_059)).toEqual([]);
  await backlog(1_700);
  expect(await evaluate(2_061)).toEqual([]);
  await backlog(undefined);
  expect(await evaluate(2_070)).toEqual([]);
  expect(await open()).toEqual(["backlog_age critical"]);
  expect(await evaluate(2_130)).toEqual(["resolved backlog_age"]);
  expect(await evaluate(2_131)).toEqual([]);
  expect(await open()).toEqual([]);
  expect(await listAlerts(database.pool, { all: true })).toMatchObject([
    { target: "q", state: "resolved", severity: "critical", threshold: 300, raised_at: new Date(START + 300_000), resolved_at: new Date(START + 2_130_000) },
  ]);
});

it("a rule with raiseAfter raises only after the condition has lasted that long", async () => {
  await setAlertRule(database.pool, "backlog_age", { raiseAfter: "60s" });
  await backlog(0);
  expect(await evaluate(400)).toEqual([]);
  await backlog(undefined);
  expect(await evaluate(430)).toEqual([]);
  await backlog(0);
  expect(await evaluate(440)).toEqual([]);
  expect(await evaluate(499)).toEqual([]);
  expect(await evaluate(500)).toEqual(["raised backlog_age"]);
});

it("consecutive failures are counted whatever happened before them, and a success resets the count", async () => {
  await dropAlertRule(database.pool, "error_rate");
  await attempts("a", "xxx.xx", 0);
  expect(await evaluate(10)).toEqual([]);
  await attempts("a", "x", 20);
  expect(await evaluate(21)).toEqual(["raised consecutive_failures"]);
  expect((await listAlerts(database.pool))[0]).toMatchObject({ target: "a", value: 3, message: "Task 'a' has failed 3 times in a row: refused" });
  await attempts("a", "xxxxxxx", 30);
  expect(await evaluate(40)).toEqual(["escalated consecutive_failures"]);
  await attempts("a", ".", 50);
  expect(await evaluate(51)).toEqual(["resolved consecutive_failures"]);
});

it("error rates, failed jobs and slow runs are evaluated over the rule's period", async () => {
  const minute = new Date(START);
  const zeros = Array.from({ length: 17 }, () => 0);
  await database.pool.query(
    "insert into legwork_private.task_minutes (minute, task, completed, failed, failed_attempts, waits, runs) values ($1, 'rate', 30, 0, 10, $2, $2), ($1, 'dead', 900, 100, 100, $2, $2), ($1, 'few', 3, 0, 3, $2, $2)",
    [minute, zeros],
  );
  // A run of a minute counts as slow only if the task usually takes less.
  await database.pool.query(
    "insert into legwork_private.task_minutes (minute, task, completed, waits, runs) values ($1, 'slow', 10, $2, $3), ($1, 'backup', 10, $2, $3)",
    [minute, zeros, zeros.with(13, 10)],
  );
  await database.pool.query(
    "insert into legwork_private.task_totals (task, waits, runs, usual_run, usual_runs) values ('slow', '{}', '{}', 2, 500), ('backup', '{}', '{}', 400, 500)",
  );
  expect(await evaluate(60)).toEqual(["raised error_rate", "raised failed_jobs", "raised slow_runs"]);
  expect((await listAlerts(database.pool)).map(({ rule, target }) => `${rule} ${target}`).toSorted()).toEqual([
    "error_rate rate",
    "failed_jobs dead",
    "slow_runs slow",
  ]);
  expect(await evaluate(960)).toEqual([]);
  expect(await evaluate(1_300)).toEqual(["resolved error_rate", "resolved slow_runs"]);
});

it("a job that runs for too long raises an alert even if it was locked recently", async () => {
  await database.pool.query("select graphile_worker.add_job('long')");
  const { rows } = await database.pool.query(
    "update graphile_worker._private_jobs set locked_by = 'w', locked_at = $1, attempts = 1 returning id",
    [new Date(START)],
  );
  await database.pool.query(
    "insert into legwork_private.worker_processes (id, host, pid, concurrency, tasks, running, seen_at) values ('w', 'h', 1, 1, '{}', $1, 'infinity')",
    [[rows[0].id]],
  );
  expect(await evaluate(100)).toEqual([]);
  await database.pool.query("update graphile_worker._private_jobs set locked_at = $1", [new Date(START + 800_000)]);
  expect(await evaluate(899)).toEqual([]);
  expect(await evaluate(900)).toEqual(["raised stuck_jobs"]);
  await database.pool.query("update graphile_worker._private_jobs set locked_at = null, locked_by = null");
  expect(await evaluate(910)).toEqual(["resolved stuck_jobs"]);
});

it("a missing worker, a finding of the doctor and an overloaded host raise alerts", async () => {
  await backlog(0);
  await database.pool.query("delete from legwork_private.worker_processes");
  expect(await evaluate(61)).toEqual(["raised no_worker"]);
  await database.pool.query(
    "insert into legwork_private.worker_processes (id, host, pid, concurrency, tasks, seen_at, cpu, memory, disk, heap_bytes, host_seen_at) values ('w', 'h', 1, 1, '{}', 'infinity', 0.5, 0.5, 0.96, 1e6, $1)",
    [new Date(START + 62_000)],
  );
  await database.pool.query("insert into legwork_private.samples (name, value) values ('database', $1)", [
    JSON.stringify([
      { check: "locks", severity: "warning", finding: "A session waits." },
      { check: "triggers", severity: "critical", finding: "A trigger is missing." },
    ]),
  ]);
  expect(await evaluate(72)).toEqual(["raised database", "raised host_disk"]);
  expect(await evaluate(82)).toEqual(["resolved no_worker"]);
  const { rows } = await database.pool.query("select message from legwork.alerts where state = 'open' order by rule");
  expect(rows.map(({ message }) => message)).toEqual(["A trigger is missing.", "Host h uses 96% of its disk."]);
});

it("a rule for one task replaces the rule for all tasks", async () => {
  await setAlertRule(database.pool, "a_failures", { kind: "consecutive_failures", target: "a", critical: 1 });
  await attempts("a", "x", 0);
  await attempts("b", "xx", 10);
  expect(await evaluate(20)).toEqual(["raised a_failures"]);
  expect(await open()).toEqual(["a_failures critical"]);
  await setAlertRule(database.pool, "a_failures", { enabled: false });
  // Disabling a rule resolves its alert. Task b has not failed often enough for the general rule.
  expect(await evaluate(21)).toEqual(["resolved a_failures"]);
  expect(await open()).toEqual([]);
});

it("an alert is raised and resolved once, however many processes evaluate the rules", async () => {
  await setAlertChannels(database.pool, [{ task: "pager" }]);
  await backlog(0);
  const many = (seconds: number): Promise<string[][]> => Promise.all(Array.from({ length: 12 }, () => evaluate(seconds)));
  expect((await many(400)).flat()).toEqual(["raised backlog_age"]);
  await backlog(undefined);
  await many(500);
  expect((await many(600)).flat()).toEqual(["resolved backlog_age"]);
  const { rows } = await database.pool.query(
    "select payload -> 'alert' ->> 'event' as event from graphile_worker._private_jobs order by id",
  );
  expect(rows).toEqual([{ event: "raised" }, { event: "resolved" }]);
});

it("only one alert is open per rule and target, even if two processes evaluate the rules at the same time", async () => {
  const insert = `insert into legwork_private.alert_records (rule, kind, target, severity, value, threshold, message, raised_at)
    values ('r', 'database', 't', 'warning', 1, 1, 'm', now()) on conflict (rule, target) where resolved_at is null do nothing returning id`;
  const [first, second] = [await connection(database), await connection(database)];
  await first.query("begin");
  expect((await first.query(insert)).rows).toHaveLength(1);
  const waiting = second.query(insert);
  await untilBlocked(database, second.backend);
  await first.query("commit");
  expect((await waiting).rows).toHaveLength(0);
});

it("notifications are enqueued in the transaction that raises the alert: both are rolled back, or both are committed", async () => {
  await setAlertChannels(database.pool, [{ webhook: "https://example.test/hook" }]);
  await backlog(0);
  const client = await connection(database);
  await client.query("begin");
  expect(await evaluate(400, client as never)).toEqual(["raised backlog_age"]);
  // A concurrent evaluation is skipped.
  expect(await evaluate(400)).toEqual([]);
  await client.query("rollback");
  expect(await open()).toEqual([]);
  expect((await database.pool.query("select from graphile_worker._private_jobs")).rows).toHaveLength(0);
  expect(await evaluate(401)).toEqual(["raised backlog_age"]);
  expect((await database.pool.query("select from graphile_worker._private_jobs")).rows).toHaveLength(1);
});

it("each channel's task gets the payload it expects", async () => {
  await setAlertChannels(database.pool, [
    { webhook: "https://example.test/hook", payload: { more: 1 } },
    { slack: "team" },
    { email: "ops@example.test" },
    { task: "own/pager", payload: { to: "7" } },
    { task: "own/night", from: "critical" },
  ]);
  await backlog(0);
  await evaluate(400);
  const jobs = async (): Promise<unknown[]> =>
    (await database.pool.query("select task, payload, correlation_id from legwork.jobs order by id")).rows;
  const alert = { event: "raised", rule: "backlog_age", kind: "backlog_age", target: "q", severity: "warning", value: 400, threshold: 300 };
  const text = "[warning] backlog_age: q\nA job in queue 'q' has been waiting for 6 minutes 40 seconds.";
  expect(await jobs()).toMatchObject([
    { task: "notify/webhook", payload: { url: "https://example.test/hook", more: 1, body: alert } },
    { task: "notify/webhook", payload: { endpoint: "team", slack: text } },
    { task: "notify/email", payload: { to: "ops@example.test", subject: "[warning] backlog_age: q", text } },
    { task: "own/pager", payload: { to: "7", alert } },
  ]);
  await evaluate(1_800);
  expect(await jobs()).toHaveLength(9);
});

it("a silence suppresses notifications, and an alert that is still open afterwards is announced then", async () => {
  await setAlertChannels(database.pool, [{ task: "pager" }]);
  const silence = await silenceAlerts(database.pool, "1h", { rule: "backlog_age", reason: "moving" });
  const events = async (): Promise<string[]> =>
    (await database.pool.query("select payload #>> '{alert,event}' as event from graphile_worker._private_jobs order by id")).rows.map(({ event }) => event);
  // The silence starts now, but this test uses times in the past.
  await backlog(0);
  expect(await evaluate(400)).toEqual(["raised backlog_age"]);
  expect(await events()).toEqual([]);
  expect(await listAlerts(database.pool)).toMatchObject([{ silenced: true, state: "open" }]);
  await backlog(undefined);
  await evaluate(410);
  expect(await evaluate(500)).toEqual(["resolved backlog_age"]);
  await backlog(500);
  await evaluate(900);
  expect(await events()).toEqual([]);
  expect(await endSilence(database.pool, silence)).toBe(true);
  expect(await endSilence(database.pool, silence)).toBe(false);
  await database.pool.query("update legwork_private.alert_silences set until = $1", [new Date(START + 901_000)]);
  expect(await evaluate(905)).toEqual([]);
  expect(await events()).toEqual(["raised"]);
});

it("an acknowledged alert is not announced again before it is resolved", async () => {
  await setAlertChannels(database.pool, [{ task: "pager" }]);
  await backlog(0);
  await evaluate(400);
  const [alert] = await listAlerts(database.pool);
  await acknowledgeAlert(database.pool, alert!.id, { note: "on it", by: "ann" });
  expect(await evaluate(2_000)).toEqual([]);
  expect(await listAlerts(database.pool)).toMatchObject([{ state: "acknowledged", severity: "critical", acknowledged_by: "ann", note: "on it" }]);
  await backlog(undefined);
  await evaluate(2_010);
  expect(await evaluate(2_100)).toEqual(["resolved backlog_age"]);
  const { rows } = await database.pool.query("select payload #>> '{alert,event}' as event from graphile_worker._private_jobs order by id");
  expect(rows).toEqual([{ event: "raised" }, { event: "resolved" }]);
  await expect(acknowledgeAlert(database.pool, alert!.id)).rejects.toMatchObject({ code: "LW409" });
  await expect(acknowledgeAlert(database.pool, "99999999")).rejects.toMatchObject({ code: "LW404" });
});

it("invalid rules and channels are rejected with a hint", async () => {
  const pool = database.pool;
  await expect(setAlertRule(pool, "mine", { warning: 1 })).rejects.toMatchObject({ code: "LW404", hint: expect.stringContaining("backlog_age") });
  await expect(setAlertRule(pool, "mine", { kind: "backlog_ages" as never, warning: 1 })).rejects.toMatchObject({ code: "LW400", hint: expect.stringContaining("'backlog_age'") });
  await expect(setAlertRule(pool, "mine", { kind: "backlog_age" })).rejects.toMatchObject({ code: "LW400" });
  await expect(setAlertRule(pool, "backlog_age", { warning: 9, critical: 5 })).rejects.toMatchObject({ code: "LW400" });
  await expect(setAlertRule(pool, "No Name", { kind: "backlog_age", warning: 1 })).rejects.toMatchObject({ code: "LW400" });
  await expect(setAlertRule(pool, "error_rate", { period: "1s" })).rejects.toMatchObject({ code: "LW400" });
  await expect(dropAlertRule(pool, "backlog_agee")).rejects.toMatchObject({ code: "LW404", hint: expect.stringContaining("'backlog_age'") });
  await expect(silenceAlerts(pool, "1h", { rule: "nope" })).rejects.toMatchObject({ code: "LW404" });
  await expect(silenceAlerts(pool, 0)).rejects.toMatchObject({ code: "LW400" });
  for (const wrong of [{ webhook: "ftp://x" }, { slack: "a b" }, {}, { webhook: "https://x", email: "a" }, { task: "" }, { task: "a", from: "never" }, "https://x", { slack: null }]) {
    const refused = await setAlertChannels(pool, [wrong as never]).catch((error: { code: string }) => error.code);
    expect([wrong, refused]).toEqual([wrong, "LW400"]);
  }
  await dropAlertRule(pool, "host_cpu");
  expect((await listAlertRules(pool)).map(({ name }) => name)).not.toContain("host_cpu");
  expect((await pool.query("select legwork.restore_alert_rules() as n")).rows).toEqual([{ n: 1 }]);
});

it("health reflects the rules at the present moment", async () => {
  await database.pool.query(`select legwork_private.register_tasks('[{"name": "a"}, {"name": "b"}]')`);
  await database.pool.query("delete from legwork_private.alert_rules where kind not in ('consecutive_failures', 'no_worker')");
  const health = async (): Promise<Record<string, string>> =>
    Object.fromEntries((await readHealth(database.pool)).filter(({ scope }) => scope !== "queue").map(({ scope, name, status }) => [`${scope} ${name}`, status]));
  expect(await health()).toMatchObject({ "system system": "healthy", "task a": "healthy", "task b": "healthy" });
  const ago = Math.floor((Date.now() - START) / 1_000) - 60;
  await attempts("a", "xxxxx", ago);
  expect(await health()).toMatchObject({ "system system": "degraded", "task a": "degraded", "task b": "healthy" });
  await attempts("a", "xxxxxxx", ago + 10);
  expect(await health()).toMatchObject({ "system system": "degraded", "task a": "unhealthy" });
  await backlog(ago - 600);
  await database.pool.query("delete from legwork_private.worker_processes");
  const [system] = await readHealth(database.pool);
  expect(system).toMatchObject({ scope: "system", status: "unhealthy" });
  expect(system?.reasons).toHaveLength(2);
});

it("an alert is raised when required, announced once and resolved once, whatever the values are", async () => {
  await setAlertChannels(database.pool, [{ task: "pager" }]);
  await setAlertRule(database.pool, "backlog_age", { warning: 100, critical: 1_000, raiseAfter: "20s", resolveAfter: "30s" });
  const looks = fc.array(fc.record({ after: fc.integer({ min: 1, max: 25 }), age: fc.constantFrom(0, 50, 100, 500, 1_000, 5_000) }), { maxLength: 25 });
  await fc.assert(
    fc.asyncProperty(looks, async (steps) => {
      await empty(database.pool, "legwork_private.alert_records, legwork_private.alert_pending");
      await database.pool.query("delete from graphile_worker._private_jobs");
      // A model that implements the same rules in a few lines, without tables.
      let [now, since, clear, isOpen, isCritical]: [number, number, number, boolean, boolean] = [0, -1, -1, false, false];
      const expected: string[] = [];
      for (const { after, age } of steps) {
        now += after;
        await backlog(now - age);
        await evaluate(now);
        const isBad = age >= 100;
        if (!isBad) since = -1;
        else if (since < 0) since = now;
        if (!isOpen && isBad && now - since >= 20) {
          [isOpen, isCritical, clear] = [true, age >= 1_000, -1];
          expected.push(`raised ${isCritical ? "critical" : "warning"}`);
        } else if (isOpen && isBad) {
          clear = -1;
          if (age >= 1_000 && !isCritical) {
            isCritical = true;
            expected.push("escalated critical");
          }
        } else if (isOpen) {
          if (clear < 0) clear = now;
          if (now - clear >= 30) {
            expected.push(`resolved ${isCritical ? "critical" : "warning"}`);
            [isOpen, since] = [false, -1];
          }
        }
      }
      const { rows } = await database.pool.query(
        "select payload #>> '{alert,event}' || ' ' || (payload #>> '{alert,severity}') as it from graphile_worker._private_jobs order by id",
      );
      expect(rows.map(({ it }) => it)).toEqual(expected);
      expect(await open()).toHaveLength(isOpen ? 1 : 0);
    }),
    { numRuns: 25 },
  );
});
