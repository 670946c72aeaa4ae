import { spawn } from "node:child_process";
import { join, resolve } from "node:path";
import { afterEach, beforeEach, describe, expect, it, onTestFinished } from "vitest";
import { scheduleAllActiveUsers, scheduleArchive } from "../../examples/calendar/jobs.ts";
import { type Calendar, startCalendar } from "../../examples/calendar/start.ts";
import { connection } from "../support/connections.ts";
import { testDatabase } from "../support/database.ts";
import { configure, TASKS } from "../support/job.ts";
import { makeToken, rest, startRest } from "../support/rest.ts";
import { smtpServer } from "../support/smtp-server.ts";
import { scaled } from "../support/slowness.ts";
import { until } from "../support/until.ts";
import { workerOver } from "../support/worker.ts";

const ROOT = resolve(import.meta.dirname, "../..");
const OWN = join(ROOT, "examples/calendar/tasks");
const database = testDatabase();

let calendar: Calendar;
let ann: string;
let bob: string;

beforeEach(async () => {
  calendar = await startCalendar(database.url, { CALENDAR_PORT: "0" });
  await database.pool.query(`
    select graphile_worker.permanently_fail_jobs(array(select id from legwork.jobs where finished_at is null), 'The test is over.');
    select legwork.unschedule(name) from legwork.schedules where name like 'calendar-%';
    delete from calendar.events;
    update calendar.archive_configurations set archived_through = null, notify = false, is_active = true;
    delete from calendar.users where id > 2`);
  ann = await makeToken(database, "operator", "calendar-user-1");
  bob = await makeToken(database, "operator", "calendar-user-2");
});
afterEach(async () => {
  // A test's schedule must not fire in the next test.
  await database.pool.query("select legwork.unschedule(name) from legwork.schedules where name like 'calendar-%'");
  await calendar.stop();
});

// oxlint-disable-next-line typescript/no-explicit-any -- rows of every query
async function select(text: string, ...values: unknown[]): Promise<any[]> {
  return (await database.pool.query(text, values)).rows;
}

interface Answer {
  status: number;
  // oxlint-disable-next-line typescript/no-explicit-any -- each route has its own
  body: any;
}

async function ask(method: "GET" | "POST", path: string, token?: string, body?: unknown): Promise<Answer> {
  const response = await fetch(`${calendar.url}${path}`, {
    method,
    headers: {
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
      ...(body === undefined ? {} : { "content-type": "application/json" }),
    },
    ...(body === undefined ? {} : { body: typeof body === "string" ? body : JSON.stringify(body) }),
  });
  return { status: response.status, body: await response.json() };
}

/** Runs the app's command line in a separate process. */
async function cli(
  token: string | undefined,
  ...parameters: string[]
): Promise<{ code: number | null; stdout: string; stderr: string }> {
  const { PATH = "", NODE_COMPILE_CACHE = "" } = process.env;
  const child = spawn(
    process.execPath,
    ["--import", join(ROOT, "scripts/import-legwork.ts"), join(ROOT, "examples/calendar/cli.ts"), "jobs", ...parameters],
    { env: { PATH, NODE_COMPILE_CACHE, DATABASE_URL: database.url, ...(token === undefined ? {} : { CALENDAR_TOKEN: token }) } },
  );
  let stdout = "";
  let stderr = "";
  child.stdout.on("data", (part) => (stdout += String(part)));
  child.stderr.on("data", (part) => (stderr += String(part)));
  const code = await new Promise<number | null>((done) => child.once("close", done));
  return { code, stdout, stderr };
}

/** Waits until a job has ended. */
// oxlint-disable-next-line typescript/no-explicit-any -- results of every task
async function ended(id: string): Promise<any> {
  return await until(`job ${id} has ended`, async () => {
    const [job] = await select("select * from legwork.jobs where id = $1 and finished_at is not null", id);
    return job;
  });
}

async function addEvent(calendarId: number, title: string, startsAt: string, endsAt: string): Promise<void> {
  await select(
    "insert into calendar.events (calendar_id, title, starts_at, ends_at) values ($1, $2, $3, $4)",
    calendarId,
    title,
    startsAt,
    endsAt,
  );
}

const archived = async (calendarId = 2): Promise<string[]> =>
  (await select("select title from calendar.events where calendar_id = $1 order by starts_at, id", calendarId)).map(
    ({ title }) => title,
  );

describe("calendar", () => {
  it("C1 a user's daily and weekly schedules use the user's time zone, and scheduling again replaces them", async () => {
    const client = database.pool;
    expect(await scheduleArchive(client, 1, { schedule_type: "daily", hour: 23, minute: 59 })).toMatchObject({
      job_id: "calendar-user-1-daily",
      archive_config_id: 1,
      replaced: false,
    });
    // 6 is Sunday here, as in the source's scheduler. Cron counts Sunday as 0.
    await scheduleArchive(client, 1, { schedule_type: "weekly", day_of_week: 6, hour: 7, minute: 30 });
    await scheduleArchive(client, 2, { schedule_type: "daily", hour: 23, minute: 59 });
    const local = `select name, to_char(next_at at time zone timezone, 'FMDay HH24:MI') as at, timezone, tenant
      from legwork.schedules where name like 'calendar-%' order by name`;
    const day = expect.stringMatching(/day 23:59$/);
    expect(await select(local)).toEqual([
      { name: "calendar-user-1-daily", at: day, timezone: "Europe/Vienna", tenant: "calendar-user-1" },
      { name: "calendar-user-1-weekly", at: "Sunday 07:30", timezone: "Europe/Vienna", tenant: "calendar-user-1" },
      { name: "calendar-user-2-daily", at: day, timezone: "America/New_York", tenant: "calendar-user-2" },
    ]);
    expect(await scheduleArchive(client, 1, { schedule_type: "daily", hour: 6, minute: 5 })).toMatchObject({ replaced: true });
    const [replaced] = await select(local);
    expect(replaced.at).toMatch(/day 06:05$/);
    expect(await select(local)).toHaveLength(3);
    // Removes one schedule, or all schedules of a user.
    expect(await ask("POST", "/jobs/remove", ann, { job_id: "calendar-user-1-weekly" })).toEqual({
      status: 200,
      body: { removed: ["calendar-user-1-weekly"] },
    });
    expect((await select(local)).map(({ name }) => name)).toEqual(["calendar-user-1-daily", "calendar-user-2-daily"]);
  });

  it("C1 all active users are scheduled in one call, and a user without an archive is skipped and named", async () => {
    await select(
      `insert into calendar.users (id, email, is_active) values (7, 'no-archive@example.com', true), (8, 'gone@example.com', false)`,
    );
    const { scheduled, skipped } = await scheduleAllActiveUsers(database.pool, { schedule_type: "daily", hour: 23, minute: 59 });
    expect(scheduled.map(({ job_id }) => job_id)).toEqual(["calendar-user-1-daily", "calendar-user-2-daily"]);
    expect(skipped).toEqual([
      { user_id: 7, reason: "archive_config_id: user 7 has no active archive configurations, expected exactly 1." },
    ]);
    // The app also schedules all users whenever it starts.
    await startCalendar(database.url, { CALENDAR_AUTO_SCHEDULE: "true" });
    expect(await select("select from legwork.schedules where name like 'calendar-%'")).toHaveLength(2);
  });

  it("C2 a manual run copies the range's events to the archive, and a second run archives no event twice", async () => {
    await addEvent(1, "the day before", "2024-12-17 21:00Z", "2024-12-17 22:00Z");
    await addEvent(1, "just after midnight in Vienna", "2024-12-17 23:30Z", "2024-12-18 00:30Z");
    await addEvent(1, "noon", "2024-12-18 11:00Z", "2024-12-18 12:00Z");
    await addEvent(1, "over midnight", "2024-12-18 22:00Z", "2024-12-19 05:00Z");
    await addEvent(1, "the day after", "2024-12-18 23:00Z", "2024-12-19 00:00Z");
    await addEvent(3, "Bob's", "2024-12-18 11:00Z", "2024-12-18 12:00Z");
    await workerOver(database.url, [TASKS, OWN]);
    const range = { start_date: "2024-12-18", end_date: "2024-12-18" };
    const first = await ask("POST", "/jobs/trigger", ann, range);
    expect(first).toMatchObject({ status: 202, body: { archive_config_id: 1, ...range } });
    expect(await ended(first.body.job_id)).toMatchObject({ state: "completed", result: { archived: 3, alreadyArchived: 0 } });
    const expected = ["just after midnight in Vienna", "noon", "over midnight"];
    expect(await archived()).toEqual(expected);
    const second = await ask("POST", "/jobs/trigger", ann, range);
    expect(await ended(second.body.job_id)).toMatchObject({ state: "completed", result: { archived: 0, alreadyArchived: 3 } });
    expect(await archived()).toEqual(expected);
    // The events are copied, not moved.
    expect(await select("select from calendar.events where calendar_id = 1")).toHaveLength(5);
    // For concurrent transactions that bypass the limit on runs, the constraint prevents duplicates.
    await select("delete from calendar.events where calendar_id = 2");
    const copy = "select * from calendar.archive(1, '2024-12-18', '2024-12-18')";
    const counts = await Promise.all(Array.from({ length: 4 }, async () => (await select(copy))[0].archived as number));
    expect(counts.toSorted((a, b) => a - b)).toEqual([0, 0, 0, 3]);
    expect(await archived()).toEqual(expected);
  });

  it("C2 an event that has not ended is left for a run after its end", async () => {
    await select(`insert into calendar.events (calendar_id, title, starts_at, ends_at) values
      (1, 'long', now() - interval '3 days', now() + interval '1 hour'), (1, 'short', now() - interval '3 seconds', now() - interval '1 second')`);
    await scheduleArchive(database.pool, 1, {});
    const run = async () => (await select("select legwork.run_schedule('calendar-user-1-daily') as id"))[0].id as string;
    await workerOver(database.url, [TASKS, OWN]);
    expect(await ended(await run())).toMatchObject({ result: { archived: 1, notOver: 1 } });
    await select("update calendar.events set ends_at = now() - interval '1 second' where title = 'long'");
    expect(await ended(await run())).toMatchObject({ result: { archived: 1, alreadyArchived: 1, notOver: 0 } });
    expect(await archived()).toEqual(["long", "short"]);
  });

  it("C3 the five routes return the right status codes", async () => {
    expect(await ask("GET", "/jobs/health")).toMatchObject({
      status: 503,
      body: { status: "unhealthy", scheduler_running: false },
    });
    await workerOver(database.url, [TASKS, OWN]);
    const healthy = await until("the health check counts the worker", async () => {
      const answer = await ask("GET", "/jobs/health");
      return answer.status === 200 && answer;
    });
    expect(healthy).toEqual({
      status: 200,
      body: { status: "healthy", scheduler_running: true, workers: 1, active_users: 2, scheduled_jobs: 0, failing_jobs: 0 },
    });
    const daily = { schedule_type: "daily", hour: 23, minute: 59 };
    expect(await ask("POST", "/jobs/schedule", ann, daily)).toMatchObject({
      status: 201,
      body: { job_id: "calendar-user-1-daily", schedule_type: "daily", archive_config_id: 1, next_run_time: expect.any(String) },
    });
    expect(await ask("POST", "/jobs/schedule", ann, { ...daily, hour: 4 })).toMatchObject({
      status: 200,
      body: { replaced: true },
    });
    const triggered = await ask("POST", "/jobs/trigger", ann, {});
    expect(triggered.status).toBe(202);
    await ended(triggered.body.job_id);
    expect(await ask("GET", "/jobs/status", ann)).toMatchObject({
      status: 200,
      body: {
        user_id: 1,
        running: 0,
        jobs: [
          {
            job_id: "calendar-user-1-daily",
            schedule_type: "daily",
            enabled: true,
            next_run_time: expect.stringMatching(/:59:00/),
          },
        ],
        history: expect.arrayContaining([
          expect.objectContaining({
            job_id: triggered.body.job_id,
            state: "completed",
            result: expect.objectContaining({ archived: 0 }),
          }),
        ]),
      },
    });
    expect((await ask("POST", "/jobs/remove", ann, {})).status).toBe(200);
    expect(await ask("POST", "/jobs/remove", ann, {})).toMatchObject({ status: 404, body: { error: { code: "LW404" } } });
    // An error names the invalid field.
    const refused: [string, unknown, string][] = [
      ["/jobs/schedule", { hour: 24 }, "hour"],
      ["/jobs/schedule", { schedule_type: "hourly" }, "schedule_type"],
      ["/jobs/schedule", { day_of_week: 1 }, "day_of_week"],
      ["/jobs/schedule", { hour: 1, user_id: 2 }, "user_id"],
      ["/jobs/schedule", [], "object"],
      ["/jobs/schedule", "{", "JSON"],
      ["/jobs/trigger", { start_date: "2024-12-18" }, "end_date"],
      ["/jobs/trigger", { start_date: "2024-12-19", end_date: "2024-12-18" }, "end_date"],
      ["/jobs/trigger", { start_date: "2024-02-30", end_date: "2024-03-01" }, "start_date"],
      ["/jobs/trigger", { start_date: "2000-01-01", end_date: "2024-03-01" }, "end_date"],
    ];
    for (const [path, body, field] of refused) {
      expect(await ask("POST", path, ann, body)).toMatchObject({
        status: 400,
        body: { error: { code: "LW400", message: expect.stringContaining(field) } },
      });
    }
    expect(await select("select from legwork.schedules where name like 'calendar-%'")).toEqual([]);
  });

  it(
    "C4 the command line has the same five commands, with exit codes",
    async () => {
      const health = await cli(undefined, "health");
      expect(health).toMatchObject({ code: 1, stderr: "" });
      const scheduled = await cli(
        ann,
        "schedule",
        "--user",
        "1",
        "--type",
        "weekly",
        "--day",
        "6",
        "--hour",
        "23",
        "--minute",
        "59",
      );
      expect(JSON.parse(scheduled.stdout)).toMatchObject({ job_id: "calendar-user-1-weekly", schedule_type: "weekly" });
      const triggered = await cli(ann, "trigger", "--user", "1", "--start", "2024-12-18", "--end", "2024-12-18");
      const { job_id: id } = JSON.parse(triggered.stdout);
      expect(await select("select payload ->> 'start' as start from legwork.jobs where id = $1", id)).toEqual([
        { start: "2024-12-18" },
      ]);
      const status = await cli(ann, "status", "--user", "1");
      expect(JSON.parse(status.stdout)).toMatchObject({ user_id: 1, jobs: [{ job_id: "calendar-user-1-weekly" }] });
      expect(await cli(ann, "remove", "--user", "1")).toMatchObject({ code: 2, stderr: expect.stringContaining("--confirm") });
      expect(await cli(ann, "remove", "--user", "1", "--confirm")).toMatchObject({ code: 0 });
      expect(await cli(ann, "remove", "--user", "1", "--confirm")).toMatchObject({
        code: 1,
        stderr: expect.stringContaining("no schedules"),
      });
      expect(await cli(ann, "schedule", "--user", "1", "--hour", "x")).toMatchObject({
        code: 2,
        stderr: expect.stringContaining("--hour"),
      });
      expect(await cli(ann, "schedule")).toMatchObject({ code: 2, stderr: expect.stringContaining("--user") });
    },
    scaled(90_000),
  );

  it(
    "C5 a user sees and changes only their own jobs and archives, over HTTP and on the command line",
    async () => {
      await ask("POST", "/jobs/schedule", ann, {});
      await ask("POST", "/jobs/trigger", ann, {});
      // Bob can neither see nor remove any of it, even by its name.
      expect((await ask("GET", "/jobs/status", bob)).body).toEqual({
        user_id: 2,
        jobs: [],
        running: 0,
        history: expect.any(Array),
      });
      const { history } = (await ask("GET", "/jobs/status", bob)).body;
      expect(history.filter(({ state }: { state: string }) => state !== "failed")).toEqual([]);
      expect((await ask("POST", "/jobs/remove", bob, { job_id: "calendar-user-1-daily" })).status).toBe(404);
      expect((await ask("POST", "/jobs/remove", bob, {})).status).toBe(404);
      // Another user's configuration is rejected like an unknown one.
      for (const id of [1, 999]) {
        for (const path of ["/jobs/schedule", "/jobs/trigger"]) {
          expect(await ask("POST", path, bob, { archive_config_id: id })).toMatchObject({
            status: 403,
            body: { error: { code: "LW403" } },
          });
        }
      }
      // The database does not allow a configuration with another user's calendar either.
      await expect(
        select("insert into calendar.archive_configurations (user_id, source_id, archive_id) values (2, 1, 4)"),
      ).rejects.toMatchObject({
        code: "23503",
      });
      for (const command of [["status"], ["schedule"], ["trigger"], ["remove", "--confirm"]]) {
        expect(await cli(bob, ...command, "--user", "1")).toMatchObject({
          code: 1,
          stdout: "",
          stderr: expect.stringContaining("user 1"),
        });
      }
      expect(await cli(bob, "schedule-all")).toMatchObject({ code: 1, stderr: expect.stringContaining("admin") });
      expect(await select("select name from legwork.schedules where name like 'calendar-%'")).toEqual([
        { name: "calendar-user-1-daily" },
      ]);
      // No token, an unknown token, and a viewer's token.
      expect((await ask("GET", "/jobs/status")).status).toBe(401);
      expect((await ask("GET", "/jobs/status", `lw_${"0".repeat(64)}`)).status).toBe(401);
      const viewer = await makeToken(database, "viewer", "calendar-user-1");
      expect((await ask("GET", "/jobs/status", viewer)).status).toBe(200);
      expect((await ask("POST", "/jobs/schedule", viewer, { hour: 1 })).status).toBe(403);
      expect((await ask("GET", "/jobs/status", await makeToken(database, "operator", "another-app"))).status).toBe(403);
      // An admin may act for all users on the command line.
      expect(await cli(await makeToken(database, "admin"), "schedule-all")).toMatchObject({ code: 0 });
    },
    scaled(60_000),
  );

  it("C5 Legwork's own REST API does not let a user start an archive run for another user", async () => {
    const server = await startRest(database);
    onTestFinished(() => server.stop());
    await workerOver(database.url, [TASKS, OWN]);
    await addEvent(1, "Ann's", "2024-12-18 11:00Z", "2024-12-18 12:00Z");
    const payload = { userId: 1, configurationId: 1, start: "2024-12-18", end: "2024-12-18" };
    const made = await rest(server, "POST", "/jobs", { task: "calendar/archive", payload }, { authorization: `Bearer ${bob}` });
    expect(made.status).toBe(201);
    expect(await ended(made.body.id)).toMatchObject({
      state: "failed",
      attempts: 1,
      error: expect.stringContaining("not to user 1"),
    });
    expect(await archived()).toEqual([]);
  });

  it("C6 missed runs are coalesced into one, which archives every missed day", async () => {
    await scheduleArchive(database.pool, 1, { schedule_type: "daily", hour: 23, minute: 59 });
    for (let days = 1; days <= 4; days++) {
      await select(
        `insert into calendar.events (calendar_id, title, starts_at, ends_at)
         values (1, $1, now() - make_interval(days => $2) - interval '1 second', now() - make_interval(days => $2))`,
        `${days} days ago`,
        days,
      );
    }
    // The last run was four days ago, and no worker has been alive since then. The next run is three days late:
    await select(
      "update calendar.archive_configurations set archived_through = (now() at time zone 'Europe/Vienna')::date - 4 where id = 1",
    );
    await select(
      "select legwork_private.fire_schedules(next_at + interval '3 days', 100, name) from legwork.schedules where name = 'calendar-user-1-daily'",
    );
    const jobs = await select("select id from legwork.jobs where task = 'calendar/archive' and finished_at is null");
    expect(jobs).toHaveLength(1);
    const runs = await select(
      "select state, occurrences::int from legwork.schedule_runs where schedule = 'calendar-user-1-daily' and recorded_at > now() - interval '1 minute' and state in ('coalesced', 'enqueued') order by due_at",
    );
    expect(runs).toContainEqual({ state: "coalesced", occurrences: expect.any(Number) });
    await select("select legwork.retry_job($1)", jobs[0].id);
    await workerOver(database.url, [TASKS, OWN]);
    expect(await ended(jobs[0].id)).toMatchObject({ state: "completed", result: { archived: 4 } });
    expect(await archived()).toEqual(["4 days ago", "3 days ago", "2 days ago", "1 days ago"]);
  });

  it("C6 at most one of a user's runs is active, scheduled or manual, and another user's runs are independent", async () => {
    await workerOver(database.url, [TASKS, OWN]);
    const holder = await connection(database);
    await holder.query("begin; select from calendar.archive_configurations where user_id = 1 for update");
    const ids: string[] = [];
    for (const day of ["2024-12-17", "2024-12-18", "2024-12-19"]) {
      ids.push((await ask("POST", "/jobs/trigger", ann, { start_date: day, end_date: day })).body.job_id);
    }
    await until(
      "one job runs",
      async () => (await select("select from legwork.jobs where id = $1 and state = 'running'", ids[0])).length === 1,
    );
    const bobs = await ask("POST", "/jobs/trigger", bob, { start_date: "2024-12-18", end_date: "2024-12-18" });
    expect(await ended(bobs.body.job_id)).toMatchObject({ state: "completed" });
    expect(await select("select state from legwork.jobs where id = any ($1) order by id", ids)).toEqual([
      { state: "running" },
      { state: "blocked" },
      { state: "blocked" },
    ]);
    await holder.query("rollback");
    for (const id of ids) expect(await ended(id)).toMatchObject({ state: "completed" });
    const overlaps = await select(
      `select from legwork.jobs a, legwork.jobs b where a.id = any ($1) and b.id = any ($1) and a.id < b.id
         and a.started_at < b.finished_at and b.started_at < a.finished_at`,
      ids,
    );
    expect(overlaps).toEqual([]);
  });

  it("C7 schedules survive restarts, a mail reports the result, and runs are in the history and the metrics", async () => {
    const { url, mails } = await smtpServer();
    configure({ LEGWORK_SMTP_URL: url, LEGWORK_MAIL_FROM: "calendar@example.org" });
    await select("update calendar.archive_configurations set notify = true where id = 1");
    await select("update legwork_private.duties set every = '200 ms', due_at = now()");
    await addEvent(1, "noon", "2024-12-18 11:00Z", "2024-12-18 12:00Z");
    const first = await workerOver(database.url, [TASKS, OWN]);
    await ask("POST", "/jobs/schedule", ann, { hour: 3, minute: 0 });
    await first.stop();
    await calendar.stop();
    calendar = await startCalendar(database.url, { CALENDAR_PORT: "0" });
    await workerOver(database.url, [TASKS, OWN]);
    expect((await ask("GET", "/jobs/status", ann)).body.jobs).toMatchObject([{ schedule: expect.any(String), enabled: true }]);
    const range = { start_date: "2024-12-18", end_date: "2024-12-18" };
    const run = await ask("POST", "/jobs/trigger", ann, range);
    await ended(run.body.job_id);
    const mail = await until("the mail has arrived", () => mails[0]);
    expect(mail).toMatchObject({ to: ["ann@example.com"], source: expect.stringContaining("Events archived from 2024-12-18") });
    // Without archived events, no mail is sent.
    const again = await ask("POST", "/jobs/trigger", ann, range);
    await ended(again.body.job_id);
    expect(await select("select from legwork.jobs where parent_id = $1", again.body.job_id)).toEqual([]);
    const { history } = (await ask("GET", "/jobs/status", ann)).body;
    expect(history.slice(0, 2)).toMatchObject([
      { job_id: again.body.job_id, state: "completed", attempts: 1, result: { archived: 0 } },
      { job_id: run.body.job_id, state: "completed", attempts: 1, result: { archived: 1 } },
    ]);
    await until("the runs are counted", async () => {
      const [counted] = await select(
        "select completed::int from legwork.task_statistics('1 hour') where task = 'calendar/archive'",
      );
      return counted?.completed >= 2;
    });
    // More complex schedules use Legwork's own API with the same task.
    await select(`select legwork.schedule('calendar-user-1-workdays', 'calendar/archive', cron => '0 18 * * MON-FRI', timezone => 'Europe/Vienna',
      payload => '{"userId": 1, "configurationId": 1, "days": 1}', tenant => 'calendar-user-1')`);
    expect((await ask("GET", "/jobs/status", ann)).body.jobs).toHaveLength(2);
  });
});
