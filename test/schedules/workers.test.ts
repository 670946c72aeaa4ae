import { beforeEach, expect, it } from "vitest";
import { disableSchedule, enableSchedule } from "../../src/schedules/enable-schedule.ts";
import { listScheduleRuns, listSchedules } from "../../src/schedules/list-schedules.ts";
import { previewSchedule } from "../../src/schedules/preview-schedule.ts";
import { runSchedule } from "../../src/schedules/run-schedule.ts";
import { schedule } from "../../src/schedules/schedule.ts";
import { unschedule } from "../../src/schedules/unschedule.ts";
import { testDatabase } from "../support/database.ts";
import { empty } from "../support/empty.ts";
import { scaled } from "../support/slowness.ts";
import { until } from "../support/until.ts";
import { directoryOf, workerOver, workerProcess } from "../support/worker.ts";

const database = testDatabase();
const TASKS = { "t.js": "export default async () => {};" };

beforeEach(async () => {
  await empty(
    database.pool,
    "legwork_private.schedule_definitions, legwork_private.schedule_occurrences, legwork_private.crontab_entries",
  );
  await database.pool.query(`select legwork_private.register_tasks('[{"name": "t"}]')`);
});

it("a schedule created in SQL is planned and fires automatically", async () => {
  await workerOver(database.url, TASKS);
  await database.pool.query("select legwork.schedule('s', 't', cron => '* * * * * *', timezone => 'Europe/Berlin')");
  const runs = await until("two of the schedule's jobs have run", async () => {
    const rows = await listScheduleRuns(database.pool, "s");
    return rows.length >= 2 && rows.every(({ outcome }) => outcome === "completed") && rows;
  });
  // Each occurrence fires no later than a second after its time.
  for (const { due_at: due, recorded_at: at } of runs) expect(at.getTime() - due.getTime()).toBeLessThan(scaled(1_000));
  const [row] = await listSchedules(database.pool);
  expect(row).toMatchObject({ sentence: "Every second", last_state: "enqueued" });
});

it(
  "three workers fire no occurrence twice and lose none when one of them is killed during a tick",
  async () => {
    const tasks = await directoryOf(TASKS);
    const schedules = 300;
    const first = await workerProcess(database, tasks);
    for (let nth = 2; nth <= 3; nth++) await workerProcess(database, tasks);
    await database.pool.query(
      "select legwork.schedule('s' || n, 't', every => '1 second', missed => 'all') from generate_series(1, $1::int) n",
      [schedules],
    );
    // Makes sure that the first worker is killed in the middle of a scheduler transaction.
    const fired = async (): Promise<number> => {
      const { rows } = await database.pool.query("select count(*)::int as n from legwork_private.schedule_occurrences");
      return rows[0].n;
    };
    await until("schedules fire", async () => (await fired()) > schedules);
    const blocker = await database.pool.connect();
    await blocker.query("begin");
    // With this lock, a tick blocks when it enqueues, in the middle of its transaction.
    await blocker.query("lock table graphile_worker._private_jobs in share mode");
    await until("a tick is blocked", async () => {
      const { rows } = await database.pool.query(
        "select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock' and query like '%fire_schedules%'",
      );
      return rows.length > 0;
    });
    first.kill("SIGKILL");
    await blocker.query("commit");
    blocker.release();
    const before = await fired();
    await until("the other workers continue", async () => (await fired()) > before + 3 * schedules, 15_000);
    // Each past occurrence of each schedule has one row and one job.
    const { rows } = await database.pool.query(
      `with behind as (select min(next_at) as upto from legwork_private.schedule_definitions)
     select b.upto, count(*)::int as occurrences, count(distinct (o.schedule, o.due_at))::int as different, count(distinct o.job_id)::int as jobs,
       count(*) filter (where o.state <> 'enqueued')::int as others,
       (select sum(legwork_private.interval_index(d.anchor, d.every, d.timezone, b.upto - interval '1 microsecond'))::int from legwork_private.schedule_definitions d) as due
     from legwork_private.schedule_occurrences o, behind b where o.due_at < b.upto group by b.upto`,
    );
    const { upto, due, ...found } = rows[0];
    expect(upto).toBeInstanceOf(Date);
    expect(due).toBeGreaterThan(3 * schedules);
    expect(found).toEqual({ occurrences: due, different: due, jobs: due, others: 0 });
    // No other job was enqueued. Jobs of the previous test may still be ending.
    const { rows: made } = await database.pool.query(
      `with first as (select min(o.job_id) as id from legwork_private.schedule_occurrences o), jobs as (
       select j.id from graphile_worker._private_jobs j union select f.id from legwork_private.finished_jobs f where f.task = 't'
     )
     select count(*)::int as jobs, (select count(*)::int from legwork_private.schedule_occurrences) as occurrences
     from jobs j, first where j.id >= first.id`,
    );
    expect(made[0].jobs).toBe(made[0].occurrences);
  },
  scaled(60_000),
);

it("crontab entries are listed as schedules, with their next and last run", async () => {
  const crontab = await directoryOf({
    crontab: '# nightly\n0 2 * * * t ?id=nightly {"a": 1}\n\n*/5 * * * * t\n',
  });
  await workerOver(database.url, TASKS, { crontab: `${crontab}/crontab` });
  const rows = await until("the entries are registered", async () => {
    const found = await listSchedules(database.pool);
    return found.length === 2 && found;
  });
  expect(rows).toMatchObject([
    {
      name: "nightly",
      source: "crontab",
      task: "t",
      cron: "0 2 * * *",
      payload: { a: 1 },
      sentence: "At 02:00",
      is_enabled: true,
    },
    { name: "t", source: "crontab", cron: "*/5 * * * *", sentence: "Every 5 minutes" },
  ]);
  expect(rows[0]?.next_at?.toISOString()).toMatch(/T02:00:00/);
  await database.pool.query(
    "update graphile_worker._private_known_crontabs set last_execution = '2026-01-01 02:00Z' where identifier = 'nightly'",
  );
  expect((await listSchedules(database.pool))[0]?.last_due_at).toEqual(new Date("2026-01-01T02:00:00Z"));
  await expect(disableSchedule(database.pool, "nightly")).rejects.toMatchObject({ code: "LW409" });
});

it("a schedule created in TypeScript is planned at once, in the caller's transaction", async () => {
  const client = await database.pool.connect();
  await client.query("begin");
  const asOf = new Date("2026-03-28T12:00:00Z");
  const next = await schedule(client, "s", "t", { cron: "30 2 * * *", timezone: "Europe/Berlin", payload: { a: 1 }, asOf });
  expect(next).toEqual(new Date("2026-03-29T01:00:00Z"));
  await client.query("rollback");
  client.release();
  expect(await listSchedules(database.pool)).toEqual([]);

  expect(await schedule(database.pool, "s", "t", { every: "1d", requiresWait: undefined, asOf })).toEqual(
    new Date("2026-03-29T12:00:00Z"),
  );
  expect((await listSchedules(database.pool))[0]?.every).toBe("1 day");
  expect(await disableSchedule(database.pool, "s")).toBe(true);
  expect(await enableSchedule(database.pool, "s", { asOf })).toEqual(new Date("2026-03-29T12:00:00Z"));
  const job = await runSchedule(database.pool, "s");
  expect(await listScheduleRuns(database.pool, "s", { limit: 1 })).toMatchObject([{ state: "manual", job_id: job }]);
  await unschedule(database.pool, "s");
});

it("a schedule without an occurrence in its window is rejected, and so is an invalid payload", async () => {
  const options = { cron: "0 0 1 1 *", startsAt: new Date("2030-02-01Z"), endsAt: new Date("2030-12-01Z") };
  await expect(schedule(database.pool, "s", "t", options)).rejects.toMatchObject({
    code: "LW400",
    message: expect.stringContaining("never fires"),
  });
  await database.pool.query(
    `select legwork_private.register_tasks('[{"name": "strict", "payload_schema": {"type": "object", "properties": {"n": {"type": "number"}}, "required": ["n"]}}]')`,
  );
  await expect(schedule(database.pool, "s", "strict", { every: "1h" })).rejects.toMatchObject({ code: "LW422" });
});

it("a preview lists the next times, with their local times", async () => {
  const from = new Date("2026-03-28T00:00:00Z");
  const times = await previewSchedule({ cron: "30 2 * * *" }, { timezone: "Europe/Berlin", from, count: 3 });
  expect(times.map(({ local }) => local)).toEqual(["2026-03-28 02:30:00", "2026-03-29 03:00:00", "2026-03-30 02:30:00"]);
  const every = await previewSchedule({ every: "1 month" }, { from: new Date("2026-01-31Z"), count: 2, client: database.pool });
  expect(every.map(({ local }) => local)).toEqual(["2026-02-28 00:00:00", "2026-03-31 00:00:00"]);
  await expect(previewSchedule({ cron: "0 0 30 2 *" })).rejects.toMatchObject({ code: "LW400" });
  for (const timing of [{ cron: "* * * * *" }, { at: new Date("2100-01-01Z") }, { every: "1h" }]) {
    const client = database.pool;
    await expect(previewSchedule(timing, { timezone: "Mars/Phobos", client })).rejects.toMatchObject({ code: "LW400" });
  }
});
