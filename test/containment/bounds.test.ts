import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { createToken } from "../../src/access/tokens.ts";
import { RetryAfter, Snooze } from "../../src/errors.ts";
import { setAlertRule } from "../../src/health/alert-rules.ts";
import { silenceAlerts } from "../../src/health/silence-alerts.ts";
import { defineTask } from "../../src/jobs/define-task.ts";
import { enqueue, enqueueMany, enqueueOn } from "../../src/jobs/enqueue.ts";
import { setPriority } from "../../src/jobs/set-priority.ts";
import { limitRate } from "../../src/queues/limits.ts";
import { setRetryPolicy } from "../../src/queues/retry-policy.ts";
import { schedule } from "../../src/schedules/schedule.ts";
import type { Server } from "../../src/server/server.ts";
import { startWorkflow } from "../../src/workflows/start-workflow.ts";
import { legwork } from "../support/cli.ts";
import { testDatabase } from "../support/database.ts";
import { rest, restToken, startRest } from "../support/rest.ts";

const database = testDatabase();
let server: Server;

beforeAll(async () => {
  server = await startRest(database);
});
afterAll(async () => {
  await server.stop();
});
beforeEach(async () => {
  await database.pool.query(`select legwork_private.register_tasks('[{"name": "t"}]')`);
});

/** Checks that the rejected calls left no job, schedule, limit or retry policy. */
async function expectNothing(): Promise<void> {
  const { rows } = await database.pool.query(
    `select (select count(*) from graphile_worker._private_jobs) + (select count(*) from legwork_private.schedule_definitions)
       + (select count(*) from legwork_private.limits) + (select count(*) from legwork_private.retry_policies) as left`,
  );
  expect(rows).toEqual([{ left: "0" }]);
}

const INTERVALS = ["300000 years", "-1 second", "100 years 1 day", "1000000 months -30000000 days"];
const TIMES = ["infinity", "-infinity", "290000-01-01Z", "1969-12-31Z", "0044-03-15 BC", "10000-01-01Z"];

describe("SQL rejects a value that is out of range, and names the field and the range:", () => {
  const interval = (field: string, call: string): [string, string[], string] => [field, INTERVALS, call];
  const time = (field: string, call: string): [string, string[], string] => [field, TIMES, call];
  const number = (field: string, values: string[], call: string): [string, string[], string] => [field, values, call];
  const priority = ["32768", "-32769", "2147483647"];
  const attempts = ["0", "-1", "32768"];
  const cases = [
    time("run_at", "legwork.enqueue('t', run_at => '?')"),
    number("priority", priority, "legwork.enqueue('t', priority => ?)"),
    number("max_attempts", attempts, "legwork.enqueue('t', max_attempts => ?)"),
    interval("unique_for", "legwork.enqueue('t', unique_for => '?')"),
    interval("debounce", "legwork.enqueue('t', job_key => 'k', debounce => '?')"),
    interval("debounce_max", "legwork.enqueue('t', job_key => 'k', debounce => '1s', debounce_max => '?')"),
    interval("throttle", "legwork.enqueue('t', job_key => 'k', throttle => '?')"),
    interval("rate_per", "legwork.enqueue('t', rate_limit => 1, rate_per => '?')"),
    number("rate_limit", ["0", "-5"], "legwork.enqueue('t', rate_limit => ?, rate_per => '1s')"),
    number("expires_at", ["290000-01-01Z", "10000-01-01Z"], "legwork.enqueue('t', expires_at => '?')"),
    time("run_at", `legwork.enqueue_many('[{"task": "t"}, {"task": "t", "run_at": "?"}]')`),
    time("run_at", `legwork.enqueue_many('[{"task": "t", "job_key": "k", "run_at": "?"}]')`),
    number("priority", [...priority, "1e10", "1.5"], `legwork.enqueue_many('[{"task": "t"}, {"task": "t", "priority": ?}]')`),
    number("max_attempts", [...attempts, "1e300"], `legwork.enqueue_many('[{"task": "t", "max_attempts": ?}]')`),
    interval("unique_for", `legwork.enqueue_many('[{"task": "t", "unique_for": "?"}]')`),
    interval("throttle", `legwork.enqueue_many('[{"task": "t", "job_key": "k", "throttle": "?"}]')`),
    number("rate_limit", ["0", "1e10"], `legwork.enqueue_many('[{"task": "t", "rate_limit": ?, "rate_per": "1s"}]')`),
    number("run_at", ["soon", "2027-02-30T00:00:00Z", "300000-01-01Z"], `legwork.enqueue_many('[{"task": "t", "run_at": "?"}]')`),
    number("priority", priority, "legwork.enqueue_on('legwork.settings', 'insert', 't', priority => ?)"),
    number("max_attempts", attempts, "legwork.enqueue_on('legwork.settings', 'insert', 't', max_attempts => ?)"),
    interval("every", "legwork.schedule('s', 't', every => '?')"),
    time("at", "legwork.schedule('s', 't', at => '?')"),
    time("starts_at", "legwork.schedule('s', 't', every => '1 day', starts_at => '?')"),
    time("ends_at", "legwork.schedule('s', 't', every => '1 day', ends_at => '?')"),
    time("starts_at", "legwork.schedule('s', 't', cron => '@daily', starts_at => '?')"),
    interval("jitter", "legwork.schedule('s', 't', every => '1 day', jitter => '?')"),
    interval("missed_window", "legwork.schedule('s', 't', every => '1 day', missed => 'all', missed_window => '?')"),
    interval("requires_wait", `legwork.schedule('s', 't', every => '1 day', requires => '{"s": "1 day"}', requires_wait => '?')`),
    interval("requires.s", `legwork.schedule('s', 't', every => '1 day', requires => '{"s": "?"}')`),
    number("max_runs", ["0", "-1"], "legwork.schedule('s', 't', every => '1 day', max_runs => ?)"),
    number(
      "max_instances",
      ["0", "10001"],
      "legwork.schedule('s', 't', every => '1 day', overlap => 'skip', max_instances => ?)",
    ),
    number("priority", priority, "legwork.schedule('s', 't', every => '1 day', priority => ?)"),
    number("max_attempts", attempts, "legwork.schedule('s', 't', every => '1 day', max_attempts => ?)"),
    time("as_of", "legwork.schedule('s', 't', every => '1 day', as_of => '?')"),
    interval("per", "legwork.limit_rate(5, '?', task => 't')"),
    number("attempts", attempts, "legwork.set_retry_policy(task => 't', attempts => ?)"),
    interval("delay", "legwork.set_retry_policy(task => 't', backoff => 'fixed', delay => '?')"),
    interval("max_delay", "legwork.set_retry_policy(task => 't', backoff => 'fixed', max_delay => '?')"),
    number(
      "factor",
      ["0", "'NaN'", "'infinity'", "1e300"],
      "legwork.set_retry_policy(task => 't', backoff => 'exponential', factor => ?)",
    ),
    interval("duration", "legwork.silence_alerts('?')"),
    interval("raise_after", "legwork.set_alert_rule('backlog_age', raise_after => '?')"),
    interval("resolve_after", "legwork.set_alert_rule('backlog_age', resolve_after => '?')"),
    interval("period", "legwork.set_alert_rule('backlog_age', period => '?')"),
    number("warning", ["'NaN'", "'infinity'"], "legwork.set_alert_rule('backlog_age', warning => ?)"),
    interval("expires_in", "legwork.create_token('name', 'viewer', expires_in => '?')"),
  ];
  it.each(cases)("%s, %j in %s", async (field, values, call) => {
    for (const value of values) {
      await expect(database.pool.query(`select ${call.replace("?", value)}`)).rejects.toMatchObject({
        code: "LW400",
        message: expect.stringMatching(new RegExp(`^${field} is .*(must be|may be negative)`)),
      });
    }
    await expectNothing();
  });
});

describe("TypeScript rejects a value that is out of range, and names the field and the range:", () => {
  const far = new Date(8.64e15);
  const cases: [string, () => unknown][] = [
    ["runAt", () => enqueue(database.pool, "t", {}, { runAt: far })],
    ["runAt", () => enqueue(database.pool, "t", {}, { runAt: new Date(Number.NaN) })],
    ["runAt", () => enqueue(database.pool, "t", {}, { runAt: "infinity" as never })],
    ["expiresAt", () => enqueue(database.pool, "t", {}, { expiresAt: far })],
    ["priority", () => enqueue(database.pool, "t", {}, { priority: 1e10 })],
    ["priority", () => enqueueMany(database.pool, [{ task: "t", priority: 0.5 }])],
    ["maxAttempts", () => enqueue(database.pool, "t", {}, { maxAttempts: 0 })],
    ["rateLimit", () => enqueue(database.pool, "t", {}, { rateLimit: Number.NaN, ratePer: "1s" })],
    ["uniqueFor", () => enqueue(database.pool, "t", {}, { uniqueFor: "300000y" })],
    ["debounce", () => enqueue(database.pool, "t", {}, { jobKey: "k", debounce: Number.POSITIVE_INFINITY })],
    ["throttle", () => enqueue(database.pool, "t", {}, { jobKey: "k", throttle: 0 })],
    ["priority", () => enqueueOn(database.pool, "legwork.settings", ["insert"], "t", { priority: 40_000 })],
    ["startsAt", () => schedule(database.pool, "s", "t", { every: "1d", startsAt: far })],
    ["endsAt", () => schedule(database.pool, "s", "t", { every: "1d", endsAt: far })],
    ["at", () => schedule(database.pool, "s", "t", { at: far })],
    ["every", () => schedule(database.pool, "s", "t", { every: "300000y" })],
    ["every", () => schedule(database.pool, "s", "t", { every: "300000 years" })],
    ["jitter", () => schedule(database.pool, "s", "t", { every: "1d", jitter: 1e300 })],
    ["priority", () => schedule(database.pool, "s", "t", { every: "1d", priority: 40_000 })],
    ["maxAttempts", () => schedule(database.pool, "s", "t", { every: "1d", maxAttempts: 40_000 })],
    ["priority", () => setPriority(database.pool, "1", 40_000)],
    ["per", () => limitRate(database.pool, 1, "300000y", { task: "t" })],
    ["max", () => limitRate(database.pool, 1e10, "1s", { task: "t" })],
    ["delay", () => setRetryPolicy(database.pool, { backoff: "fixed", delay: "300000y" }, { task: "t" })],
    ["expiresIn", () => createToken(database.pool, { name: "n", expiresIn: "300000y" })],
    ["duration", () => silenceAlerts(database.pool, "300000y")],
    ["raiseAfter", () => setAlertRule(database.pool, "backlog_age", { raiseAfter: "300000y" })],
    ["a.delay", () => startWorkflow(database.pool, { name: "w", steps: { a: { task: "t", delay: "300000y" } } })],
    ["a.priority", () => startWorkflow(database.pool, { name: "w", steps: { a: { task: "t", priority: 40_000 } } })],
    ["a.runAt", () => startWorkflow(database.pool, { name: "w", steps: { a: { task: "t", runAt: far } } })],
    ["deadline", () => startWorkflow(database.pool, { name: "w", steps: { a: { task: "t" } } }, { deadline: far })],
    ["when", () => new RetryAfter("999999999d")],
    ["when", () => new RetryAfter(far)],
    ["when", () => new Snooze(1e17)],
    ["when", () => new Snooze(new Date(Number.NaN))],
  ];
  it.each(cases)("%s of %s", async (field, call) => {
    await expect((async () => call())()).rejects.toMatchObject({
      code: "LW400",
      message: expect.stringMatching(new RegExp(`(^|: )${field.replace(".", "\\.")}( is|: it is) .*must be .*between `)),
    });
    await expectNothing();
  });

  it.each([
    ["timeout", { timeout: "300000y" }],
    ["retry.delay", { retry: { backoff: "fixed", delay: "300000y" } }],
    ["retry.attempts", { retry: { attempts: 40_000 } }],
    ["retry.factor", { retry: { backoff: "exponential", factor: 1e300 } }],
  ])("%s in a task definition", (field, options) => {
    expect(() => defineTask({ ...options, run: () => Promise.resolve() } as never)).toThrow(
      expect.objectContaining({ code: "LW515", message: expect.stringContaining(`${field}: `) }),
    );
  });
});

describe("REST rejects a value that is out of range, and names the field:", () => {
  it.each([
    ["runAt", "POST", "/jobs", { task: "t", runAt: "290000-01-01T00:00:00Z" }],
    ["runAt", "POST", "/jobs", { task: "t", runAt: "+010000-01-01T00:00:00Z" }],
    ["priority", "POST", "/jobs", { task: "t", priority: 40_000 }],
    ["maxAttempts", "POST", "/jobs", { task: "t", maxAttempts: 0 }],
    ["uniqueFor", "POST", "/jobs", { task: "t", uniqueFor: "300000y" }],
    ["every", "PUT", "/schedules/s", { task: "t", every: "300000 years" }],
    ["startsAt", "PUT", "/schedules/s", { task: "t", every: "1d", startsAt: "290000-01-01T00:00:00Z" }],
    ["priority", "PUT", "/schedules/s", { task: "t", every: "1d", priority: 40_000 }],
    ["never fire", "PUT", "/schedules/s", { task: "t", cron: "@daily", startsAt: "5000-01-01T00:00:00Z" }],
  ])("%s of %s %s %j", async (field, method, path, body) => {
    const answer = await rest(server, method, path, body);
    expect(answer.status).toBe(400);
    expect(answer.text).toContain(field);
    await expectNothing();
  });
});

it("the CLI rejects a value that is out of range, and names the option", async () => {
  const environment = { LEGWORK_URL: server.url, LEGWORK_TOKEN: restToken };
  const cases: [string, string[]][] = [
    ["run-at", ["add", "t", "--run-at", "+290000-01-01T00:00:00Z"]],
    ["priority", ["add", "t", "--priority", "40000"]],
    ["priority", ["schedule", "add", "s", "t", "--every", "1d", "--priority", "40000"]],
    ["max", ["schedule", "add", "s", "t", "--every", "1d", "--max-attempts", "40000"]],
  ];
  for (const [option, parameters] of cases) {
    const result = await legwork(parameters, environment);
    expect([parameters, result.code]).toEqual([parameters, 2]);
    expect(result.stderr).toContain(option);
    expect(result.stderr).not.toContain("at file:");
  }
  await expectNothing();
});
