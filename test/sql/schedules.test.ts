import fc from "fast-check";
import { beforeEach, describe, expect, it } from "vitest";
import { planSchedules } from "../../src/schedules/plan-schedules.ts";
import { connection } from "../support/connections.ts";
import { testDatabase } from "../support/database.ts";
import { empty } from "../support/empty.ts";
import { HandWorker } from "../support/hand-worker.ts";

const database = testDatabase();
const worker = new HandWorker("hand");

beforeEach(async () => {
  await database.pool.query("delete from graphile_worker._private_jobs");
  await database.pool.query("delete from graphile_worker._private_job_queues");
  await empty(database.pool, "legwork_private.schedule_definitions, legwork_private.schedule_occurrences, legwork_private.crontab_entries, legwork_private.finished_jobs, legwork_private.failed_attempts");
  await database.pool.query(`select legwork_private.register_tasks('[{"name": "t"}, {"name": "other"}]')`);
});

const query = async (sql: string, values: unknown[] = []): Promise<any[]> => (await database.pool.query(sql, values)).rows; // oxlint-disable-line typescript/no-explicit-any

/** Creates a schedule as of 2026-01-01, planned as a worker would plan it. */
async function make(name: string, rest: string, asOf = "2026-01-01Z"): Promise<string | null> {
  await query(`select legwork.schedule('${name}', 't', ${rest}, as_of => '${asOf}')`);
  await planSchedules(database.pool, { asOf: new Date(asOf) });
  return (await query("select to_char(next_at at time zone 'UTC', 'MM-DD HH24:MI:SS') as next from legwork.schedules where name = $1", [name]))[0].next;
}

/** Fires and plans schedules as a worker would at this time. */
async function tick(asOf: string | Date): Promise<number> {
  let fired = 0;
  for (let round = 0; round < 2_000; round++) {
    const [row] = await query("select * from legwork_private.fire_schedules($1)", [asOf]);
    fired += row.fired;
    const planned = row.wants_plan ? await planSchedules(database.pool, { asOf: new Date(asOf) }) : 0;
    if (!row.more && planned === 0) return fired;
  }
  throw new Error("The schedules never stop firing.");
}

async function runs(schedule = "s"): Promise<string[]> {
  const rows = await query(
    `select to_char(due_at at time zone 'UTC', 'HH24:MI:SS') || ' ' || state
       || case when occurrences is distinct from 1 then ' ' || coalesce(occurrences::text, '?') || ' to ' || to_char(last_due_at at time zone 'UTC', 'HH24:MI:SS') else '' end as it
     from legwork.schedule_runs where schedule = $1 order by due_at`,
    [schedule],
  );
  return rows.map((row) => row.it);
}

const jobs = async (): Promise<number> => (await query("select count(*)::int as n from graphile_worker._private_jobs"))[0].n;

it("a schedule enqueues a job at each of its times, once, with the schedule's name and tenant", async () => {
  expect(await make("s", `every => '5 minutes', payload => '{"a": 1}', tenant => 'acme', priority => -3, max_attempts => 2`)).toBe("01-01 00:05:00");
  expect(await tick("2026-01-01 00:04:59Z")).toBe(0);
  expect(await tick("2026-01-01 00:05:00Z")).toBe(1);
  expect(await tick("2026-01-01 00:05:00Z")).toBe(0);
  expect(await tick("2026-01-01 00:10:07Z")).toBe(1);
  expect(await query("select task, payload, tenant, priority, max_attempts from legwork.jobs order by id limit 1")).toEqual([
    { task: "t", payload: { a: 1 }, tenant: "acme", priority: -3, max_attempts: 2 },
  ]);
  expect(await query("select legwork_private.flag_value(flags, 'schedule') as schedule, run_at from graphile_worker._private_jobs order by id limit 1")).toEqual([
    { schedule: "s", run_at: new Date("2026-01-01T00:05:00Z") },
  ]);
  expect(await runs()).toEqual(["00:05:00 enqueued", "00:10:00 enqueued"]);
});

it("a schedule shows its last job and how that job ended", async () => {
  await make("s", "cron => '*/5 * * * *'");
  await tick("2026-01-01 00:05:00Z");
  const [job] = await worker.fetch(database.pool);
  await worker.complete(database.pool, [job?.id ?? ""]);
  const seen = await query("select sentence, last_state, last_outcome, last_job_id, runs, next_at from legwork.schedules");
  expect(seen).toEqual([
    { sentence: "Every 5 minutes", last_state: "enqueued", last_outcome: "completed", last_job_id: job?.id, runs: "1", next_at: new Date("2026-01-01T00:10:00Z") },
  ]);
  expect(await query("select outcome from legwork.schedule_runs")).toEqual([{ outcome: "completed" }]);
});

describe("calendar intervals follow the clock of their time zone, and month ends do not drift", () => {
  it.each([
    ["every => '1 month', timezone => 'Europe/Berlin', starts_at => '2026-01-31 10:00+01'", ["01-31 09:00", "02-28 09:00", "03-31 08:00", "04-30 08:00"]],
    ["every => '1 day', timezone => 'Europe/Berlin', starts_at => '2026-03-28 02:30+01'", ["03-28 01:30", "03-29 01:30", "03-30 00:30"]],
    ["every => '24 hours', timezone => 'Europe/Berlin', starts_at => '2026-03-28 02:30+01'", ["03-28 01:30", "03-29 01:30", "03-30 01:30"]],
    ["every => '1 day', timezone => 'America/New_York', starts_at => '2026-10-31 01:30-04'", ["10-31 05:30", "11-01 05:30", "11-02 06:30"]],
    ["every => '1 day', timezone => 'Australia/Lord_Howe', starts_at => '2026-04-04 01:45+11'", ["04-03 14:45", "04-04 14:45", "04-05 15:15"]],
    ["every => '1 year', starts_at => '2028-02-29Z'", ["02-29 00:00", "02-28 00:00", "02-28 00:00", "02-28 00:00", "02-29 00:00"]],
  ])("%s", async (rest, expected) => {
    await make("s", rest);
    const rows = await query("select to_char(t at time zone 'UTC', 'MM-DD HH24:MI') as t from legwork.schedules, unnest(upcoming) t");
    expect(rows.slice(0, expected.length).map((row) => row.t)).toEqual(expected);
  });
});

it("a schedule ends with its window, with its last run, or after its only time", async () => {
  await make("window", "every => '1 minute', starts_at => '2026-01-01 00:10Z', ends_at => '2026-01-01 00:12Z'");
  await make("cron", "cron => '* * * * *', starts_at => '2026-01-01 00:10Z', ends_at => '2026-01-01 00:12Z'");
  await make("runs", "cron => '* * * * *', max_runs => 2");
  await make("once", "at => '2026-01-01 00:07:30Z'");
  for (let minute = 0; minute < 20; minute++) await tick(new Date(Date.UTC(2026, 0, 1, 0, minute)));
  expect(await runs("window")).toEqual(["00:10:00 enqueued", "00:11:00 enqueued", "00:12:00 enqueued"]);
  expect(await runs("cron")).toEqual(await runs("window"));
  expect(await runs("runs")).toEqual(["00:01:00 enqueued", "00:02:00 enqueued"]);
  expect(await runs("once")).toEqual(["00:07:30 enqueued"]);
  expect(await query("select from legwork.schedules where next_at is not null")).toEqual([]);
});

it("jitter delays the job and not the occurrence", async () => {
  await make("s", "every => '1 hour', jitter => '10 minutes', missed => 'all'");
  await tick("2026-01-01 20:00:00Z");
  const [row] = await query(
    "select count(*)::int as n, count(distinct run_at - r.due_at)::int as different, min(run_at - r.due_at) >= '0' and max(run_at - r.due_at) < '10 minutes' as bounded from legwork.jobs j join legwork.schedule_runs r on r.job_id = j.id",
  );
  expect(row).toEqual({ n: 20, different: 20, bounded: true });
});

describe("while its job is live, an occurrence", () => {
  it("is enqueued anyway, by default", async () => {
    await make("s", "every => '1 minute'");
    for (const minute of [1, 2, 3]) await tick(new Date(Date.UTC(2026, 0, 1, 0, minute)));
    expect(await jobs()).toBe(3);
  });

  it("is skipped, with the reason", async () => {
    await make("s", "every => '1 minute', overlap => 'skip', max_instances => 2");
    for (const minute of [1, 2, 3]) await tick(new Date(Date.UTC(2026, 0, 1, 0, minute)));
    expect(await runs()).toEqual(["00:01:00 enqueued", "00:02:00 enqueued", "00:03:00 skipped"]);
    const [{ reason }] = await query("select reason from legwork.schedule_runs where state = 'skipped'");
    expect(reason).toMatch(/^This schedule may have only 2 unfinished jobs at a time: jobs \d+, \d+ had not ended\.$/);
    await expect(query("select legwork.run_schedule('s')")).rejects.toMatchObject({ code: "LW409" });
    await query("delete from graphile_worker._private_jobs where id = (select min(id) from graphile_worker._private_jobs)");
    await tick("2026-01-01 00:04Z");
    expect((await runs()).at(-1)).toBe("00:04:00 enqueued");
  });

  it("waits for that job with a serial key, up to a maximum number of waiting jobs", async () => {
    await make("s", "every => '1 minute', overlap => 'queue', max_instances => 3");
    for (const minute of [1, 2, 3, 4]) await tick(new Date(Date.UTC(2026, 0, 1, 0, minute)));
    expect((await runs()).map((run) => run.split(" ")[1])).toEqual(["enqueued", "enqueued", "enqueued", "skipped"]);
    expect(await query("select distinct serial_key from legwork.jobs")).toEqual([{ serial_key: "schedule:s" }]);
    expect(await worker.fetch(database.pool, 10)).toHaveLength(1);
  });

  it("replaces that job: a waiting job never starts, and a running one is cancelled", async () => {
    await make("s", "every => '1 minute', overlap => 'cancel'");
    await tick("2026-01-01 00:01Z");
    await tick("2026-01-01 00:02Z");
    expect(await query("select state, error from legwork.jobs order by id")).toEqual([
      { state: "cancelled", error: "Cancelled by schedule 's': it was due again." },
      { state: "pending", error: null },
    ]);
    const [running] = await worker.fetch(database.pool);
    await tick("2026-01-01 00:03Z");
    expect(await query("select job_id from legwork_private.cancellations")).toEqual([{ job_id: running?.id }]);
    expect(await worker.fetch(database.pool)).toEqual([]);
    await worker.fail(database.pool, [running?.id ?? ""]);
    expect(await worker.fetch(database.pool)).toHaveLength(1);
  });
});

describe("occurrences that were missed while no worker was alive", () => {
  it.each(["every => '5 minutes'", "cron => '*/5 * * * *'"])("%s: are replaced by one run", async (when) => {
    await make("s", when);
    await tick("2026-01-01 00:05Z");
    expect(await tick("2026-01-01 12:02Z")).toBe(1);
    expect(await runs()).toEqual(["00:05:00 enqueued", "00:10:00 coalesced 142 to 11:55:00", "12:00:00 enqueued"]);
    const rows = await query("select job_id from legwork.schedule_runs order by due_at desc limit 2");
    expect(rows[0].job_id).toBe(rows[1].job_id);
    await tick("2026-01-01 12:05Z");
    expect((await runs()).at(-1)).toBe("12:05:00 enqueued");
  });

  it.each(["every => '5 minutes'", "cron => '*/5 * * * *'"])("%s: are not run with missed => none", async (when) => {
    await make("s", `${when}, missed => 'none'`);
    expect(await tick("2026-01-01 12:02Z")).toBe(0);
    await tick("2026-01-01 12:05Z");
    const rows = await query("select sum(occurrences)::int as n, min(due_at) as first, max(last_due_at) as last from legwork.schedule_runs where state = 'missed'");
    expect(rows).toEqual([{ n: 144, first: new Date("2026-01-01T00:05:00Z"), last: new Date("2026-01-01T12:00:00Z") }]);
    expect((await runs()).at(-1)).toBe("12:05:00 enqueued");
  });

  it.each(["every => '5 minutes'", "cron => '*/5 * * * *'"])("%s: are run within a window with missed => all", async (when) => {
    await make("s", `${when}, missed => 'all', missed_window => '1 hour'`);
    expect(await tick("2026-01-01 12:02Z")).toBe(12);
    const [row] = await query("select sum(occurrences)::int as n from legwork.schedule_runs where state = 'missed'");
    expect(row.n).toBe(144 - 12);
  });

  it.each(["every => '1 second'", "cron => '* * * * * *'"])("%s: are stored in few rows even for a month", async (when) => {
    await make("s", when);
    await tick("2026-02-01Z");
    const [row] = await query("select count(*)::int as rows, sum(occurrences) as n from legwork.schedule_runs where state = 'coalesced'");
    expect(row.rows).toBe(1);
    // Occurrences in the last minute count as late, not as missed.
    expect(Number(row.n) + (await jobs())).toBe(31 * 86_400);
    expect(await jobs()).toBeLessThanOrEqual(61);
  });

  it("are those that are at least a minute late", async () => {
    await make("s", "every => '10 seconds', missed => 'none'");
    expect(await tick("2026-01-01 00:01:09Z")).toBe(6);
  });
});

describe("a schedule that requires another", () => {
  beforeEach(async () => {
    await make("first", "cron => '0 1 * * *'");
    await make("s", `cron => '0 1 * * *', requires => '{"first": "24 hours"}', requires_wait => '2 hours'`);
  });

  const finish = async (at: string, fails = false): Promise<void> => {
    const [job] = await query("select max(job_id) as id from legwork.schedule_runs where schedule = 'first'");
    if (fails) await query("select graphile_worker.permanently_fail_jobs(array[$1::bigint])", [job.id]);
    else await query("delete from graphile_worker._private_jobs where id = $1", [job.id]);
    await query("update legwork_private.finished_jobs set finished_at = $2, state = case when state = 'cancelled' then 'completed' else state end where id = $1", [job.id, at]);
  };

  it("waits for that schedule, shows the reason, and runs when the other one has completed", async () => {
    await tick("2026-01-01 01:00Z");
    expect(await query("select state, reason from legwork.schedule_runs where schedule = 's'")).toEqual([
      { state: "waiting", reason: expect.stringMatching(/^It requires first, whose job \d+ has not ended\.$/) },
    ]);
    await finish("2026-01-01 01:20Z");
    expect(await jobs()).toBe(0);
    await tick("2026-01-01 01:20:01Z");
    expect(await runs()).toEqual(["01:00:00 enqueued"]);
    expect(await jobs()).toBe(1);
  });

  it("is held back, with the reason, if the required schedule did not succeed", async () => {
    await tick("2026-01-01 01:00Z");
    await finish("2026-01-01 01:20Z", true);
    await tick("2026-01-01 02:59Z");
    expect(await runs()).toEqual(["01:00:00 waiting"]);
    await tick("2026-01-01 03:00Z");
    expect(await query("select state, reason from legwork.schedule_runs where schedule = 's'")).toEqual([
      { state: "held_back", reason: expect.stringMatching(/^It requires first, whose last job, job \d+, failed\. It waited 2 hours\.$/) },
    ]);
    expect(await query("select last_state, next_at from legwork.schedules where name = 's'")).toEqual([
      { last_state: "held_back", next_at: new Date("2026-01-02T01:00:00Z") },
    ]);
  });

  it("is explained by the job that did not succeed, and by its own last job", async () => {
    const own = (await query("select legwork.run_schedule('s', '2026-01-01 00:30Z') as id"))[0].id;
    await query("update legwork_private.schedule_definitions set requires_wait = '3 hours' where name = 's'");
    await tick("2026-01-01 01:00Z");
    await finish("2026-01-01 01:20Z", true);
    await tick("2026-01-01 01:21Z");
    const [{ id }] = await query("select max(job_id) as id from legwork.schedule_runs where schedule = 'first'");
    const explained = (job: string): ReturnType<typeof query> =>
      query("select position, reason, detail, fix from legwork.explain_job($1) where reason like 'schedule_%'", [job]);
    expect(await explained(id)).toEqual([
      {
        position: 2,
        reason: "schedule_waits",
        detail: expect.stringMatching(new RegExp(`^An occurrence of the schedule 's', due at .*, is waiting, until .* at the latest: It requires first, whose last job, job ${id}, failed\\.$`)),
        fix: "It starts as soon as that job has completed. To run it now, run the schedule: `select legwork.run_schedule('s');`",
      },
    ]);
    await query("delete from graphile_worker._private_jobs where id = $1", [own]);
    expect(await explained(own)).toMatchObject([
      { position: 2, reason: "schedule_waits", detail: expect.stringMatching(/^The next occurrence of its schedule 's', .*: It requires first, whose last job, job \d+, failed\.$/) },
    ]);
    await tick("2026-01-01 04:00Z");
    expect(await explained(own)).toMatchObject([
      { reason: "schedule_held_back", detail: expect.stringContaining("was held back: It requires first"), fix: "To run it anyway, run the schedule: `select legwork.run_schedule('s');`" },
    ]);
    // A confined caller sees only their own tenant's schedules.
    const client = await database.pool.connect();
    await client.query("begin; set local legwork.confined_to = 'acme'");
    expect((await client.query("select * from legwork_private.explain_schedules($1)", [id])).rows).toEqual([]);
    await client.query("rollback");
    client.release();
  });

  it("waits just as long if it becomes due while no worker is alive", async () => {
    await tick("2026-01-01 06:00Z");
    expect(await runs()).toEqual(["01:00:00 waiting"]);
    await finish("2026-01-01 06:10Z");
    await tick("2026-01-01 06:11Z");
    expect(await runs()).toEqual(["01:00:00 enqueued"]);
    await tick("2026-01-02 06:00Z");
    await finish("2026-01-02 06:10Z", true);
    await tick("2026-01-02 07:59Z");
    expect((await runs())[1]).toBe("01:00:00 waiting");
    await tick("2026-01-02 08:00Z");
    expect((await runs())[1]).toBe("01:00:00 held_back");
  });

  it("is held back if the required schedule succeeded too long ago, or was removed", async () => {
    await query("select legwork.disable_schedule('first', '2026-01-01 00:30Z')");
    await query("select legwork.run_schedule('first', '2026-01-01 00:40Z')");
    await finish("2025-12-31 00:50Z");
    await tick("2026-01-01 01:00Z");
    expect((await query("select reason from legwork.schedule_runs where state = 'waiting'"))[0].reason).toMatch(/within the last 24 hours.*completed earlier than that/);
    await query("select legwork.unschedule('first', '2026-01-01 01:10Z')");
    await tick("2026-01-01 01:11Z");
    expect((await query("select reason from legwork.schedule_runs where state = 'waiting'"))[0].reason).toMatch(/which no longer exists/);
  });

  it("cannot require itself or an unknown schedule", async () => {
    const requiring = (other: string): Promise<unknown> =>
      query(`select legwork.schedule('first', 't', cron => '0 1 * * *', requires => $1)`, [JSON.stringify({ [other]: "1 day" })]);
    await expect(requiring("s")).rejects.toMatchObject({ code: "LW400", message: expect.stringContaining("first -> s -> first") });
    await expect(requiring("first")).rejects.toMatchObject({ code: "LW400" });
    await expect(requiring("firts")).rejects.toMatchObject({ code: "LW404" });
    await expect(query(`select legwork.schedule('x', 't', cron => '0 1 * * *', requires => '{"first": "a while"}')`)).rejects.toMatchObject({ code: "LW400" });
  });
});

it("a schedule that is declared again keeps its plan, and one whose times change fires what was due and starts over", async () => {
  await make("s", "every => '10 minutes'");
  await tick("2026-01-01 00:10Z");
  expect(await make("s", "every => '10 minutes'", "2026-01-01 00:19Z")).toBe("01-01 00:20:00");
  expect(await make("s", `every => '10 minutes', payload => '{"new": true}'`, "2026-01-01 00:19Z")).toBe("01-01 00:20:00");
  // An occurrence that was due but has not fired yet fires when the schedule is changed.
  expect(await make("s", "cron => '0 * * * *'", "2026-01-01 00:20:30Z")).toBe("01-01 01:00:00");
  expect(await runs()).toEqual(["00:10:00 enqueued", "00:20:00 enqueued"]);
});

it("a disabled schedule has no due occurrences, and after it is enabled, it is planned from that time on", async () => {
  await make("s", "cron => '*/10 * * * *'");
  await query("select legwork.disable_schedule('s', '2026-01-01 00:11Z')");
  expect(await query("select is_enabled, next_at from legwork.schedules")).toEqual([{ is_enabled: false, next_at: null }]);
  await tick("2026-01-01 03:00Z");
  await query("select legwork.enable_schedule('s', '2026-01-01 03:01Z')");
  await tick("2026-01-01 03:10Z");
  // An occurrence that was due when the schedule was disabled is not lost.
  expect(await runs()).toEqual(["00:10:00 enqueued", "03:10:00 enqueued"]);
  expect(await query("select legwork.run_schedule('s', '2026-01-01 03:15Z') > 0 as ran")).toEqual([{ ran: true }]);
  expect((await runs()).at(-1)).toBe("03:15:00 manual");
  await query("select legwork.unschedule('s', '2026-01-01 03:19Z')");
  expect(await query("select from legwork.schedules")).toEqual([]);
  expect(await runs()).toHaveLength(3);
});

it("a cron schedule created in SQL and removed before its times were computed has a missed occurrence", async () => {
  await query("select legwork.schedule('s', 't', cron => '* * * * *', as_of => '2026-01-01 00:00:10Z')");
  await query("select legwork.unschedule('s', '2026-01-01 00:05Z')");
  expect(await runs()).toEqual(["00:00:10 missed ? to 00:05:00"]);
  await query("select legwork.schedule('s2', 't', cron => '* * * * *', as_of => '2026-01-01 00:00:10Z')");
  await query("select legwork.unschedule('s2', '2026-01-01 00:00:50Z')");
  expect(await runs("s2")).toEqual([]);
});

describe("legwork.schedule rejects", () => {
  it.each([
    ["cron => '0 0 30 2 *'", "LW400", ">30 2<"],
    ["cron => '* * * * *', every => '1 hour'", "LW400", "exactly one"],
    ["timezone => 'UTC'", "LW400", "exactly one"],
    ["cron => '* * * * *', timezone => 'Europe/Berln'", "LW400", "Europe/Berln"],
    ["cron => '* * * * *', timezone => 'CEST'", "LW400", "CEST"],
    ["cron => '* * * * *', timezone => 'Mars5'", "LW400", "Mars5"],
    ["every => '0.9 seconds'", "LW400", "every is 900 ms; it must be between 1 second and 100 years"],
    ["every => '1 month -1 day'", "LW400", "none of its parts may be negative"],
    ["every => '1 day', starts_at => '2026-03-01Z', ends_at => '2026-02-01Z'", "LW400", "before it starts"],
    ["every => '1 day', ends_at => '2025-02-01Z'", "LW400", "the window ended"],
    ["every => '1 day', ends_at => '2026-01-01 12:00Z'", "LW400", "never fires"],
    ["at => '2025-01-01Z'", "LW400", "in the past"],
    ["at => 'infinity'", "LW400", "at is infinity; it must be between 1970-01-01 and 9999-12-31"],
    ["every => '300000 years'", "LW400", "every is 300,000 years; it must be between 1 second and 100 years"],
    ["every => '1 day', starts_at => '290000-01-01Z'", "LW400", "starts_at is 290000-01-01 00:00:00+00; it must be between 1970-01-01 and 9999-12-31"],
    ["cron => '@daily', starts_at => '3000-01-01Z'", "LW400", "it would never fire"],
    ["every => '1 day', priority => 40000", "LW400", "priority is 40000; it must be between -32768 and 32767"],
    ["every => '1 day', max_attempts => 0", "LW400", "max_attempts is 0; it must be between 1 and 32767"],
    ["every => '1 day', timezone => 'CET'", "LW400", "CET"],
    ["every => '1 day', timezone => 'Factory'", "LW400", "Factory"],
    ["every => '1 day', max_runs => 0", "LW400", "max_runs"],
    ["every => '1 day', jitter => '2 days'", "LW400", "jitter"],
    ["every => '1 day', overlap => 'some'", "LW400", "overlap"],
    ["every => '1 day', max_instances => 2", "LW400", "max_instances"],
    ["every => '1 day', missed => 'some'", "LW400", "missed"],
    ["every => '1 day', missed_window => '1 day'", "LW400", "missed_window"],
    ["every => '1 day', requires => '[]'", "LW400", "requires"],
  ])("%s", async (rest, code, text) => {
    await expect(query(`select legwork.schedule('s', 't', ${rest}, as_of => '2026-01-01Z')`)).rejects.toMatchObject({ code, message: expect.stringContaining(text) });
  });

  it("an unknown task, with the nearest name", async () => {
    await expect(query("select legwork.schedule('s', 'othr', every => '1 day')")).rejects.toMatchObject({ code: "LW404", hint: expect.stringContaining("'other'") });
    await expect(query("select legwork.schedule(repeat('s', 101), 't', every => '1 day')")).rejects.toMatchObject({ code: "LW400" });
    await expect(query("select legwork.unschedule('nothing')")).rejects.toMatchObject({ code: "LW404" });
  });

  it("any change to a schedule from a crontab", async () => {
    await query(`select legwork_private.register_crontab('[{"identifier": "nightly", "task": "t", "cron": "0 2 * * *", "upcoming": ["2099-01-01T02:00:00Z"]}]')`);
    expect(await query("select name, source, next_at, is_enabled from legwork.schedules")).toEqual([
      { name: "nightly", source: "crontab", next_at: new Date("2099-01-01T02:00:00Z"), is_enabled: true },
    ]);
    for (const call of ["unschedule('nightly')", "enable_schedule('nightly')", "disable_schedule('nightly')", "run_schedule('nightly')", "schedule('nightly', 't', every => '1 day')"]) {
      await expect(query(`select legwork.${call}`)).rejects.toMatchObject({ code: "LW409", hint: expect.any(String) });
    }
  });
});

it("each occurrence is enqueued or accounted for exactly once, however many workers are alive", async () => {
  let nth = 0;
  await fc.assert(
    fc.asyncProperty(
      fc.array(
        fc.record({
          when: fc.constantFrom("every => '7 seconds'", "every => '90 seconds'", "cron => '*/2 * * * *'", "cron => '*/20 * * * * *'"),
          missed: fc.constantFrom("none", "one", "all"),
          overlap: fc.constantFrom("allow", "skip", "queue", "cancel"),
        }),
        { minLength: 1, maxLength: 4 },
      ),
      fc.array(fc.tuple(fc.integer({ min: 1, max: 600 }), fc.integer({ min: 1, max: 3 })), { minLength: 1, maxLength: 8 }),
      async (schedules, ticks) => {
        nth += 1;
        const begin = Date.UTC(2026, 0, 1);
        const names = schedules.map((_, index) => `p${nth}-${index}`);
        for (const [index, { when, missed, overlap }] of schedules.entries()) {
          await query(`select legwork.schedule($1, 't', ${when}, missed => $2, overlap => $3, as_of => '2026-01-01Z')`, [names[index], missed, overlap]);
        }
        await planSchedules(database.pool, { asOf: new Date(begin) });
        let now = begin;
        for (const [seconds, workers] of ticks) {
          now += seconds * 1_000;
          const at = new Date(now);
          await Promise.all(Array.from({ length: workers }, () => tick(at)));
          // This call handles the schedules that the concurrent calls skipped.
          await tick(at);
        }
        for (const [index, name] of names.entries()) {
          const period = [7, 90, 120, 20][["7 s", "90 ", "*/2 ", "*/20"].findIndex((start) => schedules[index]?.when.includes(start))] ?? 1;
          const expected = Math.floor((now - begin) / 1_000 / period);
          const [row] = await query(
            `select coalesce(sum(occurrences), 0)::int as accounted, count(distinct job_id) filter (where state <> 'coalesced')::int as made,
               count(*) filter (where state = 'enqueued')::int as enqueued, bool_and(last_due_at >= due_at) as ordered
             from legwork.schedule_runs where schedule = $1`,
            [name],
          );
          expect({ schedule: schedules[index], accounted: row.accounted }).toEqual({ schedule: schedules[index], accounted: expected });
          expect(row.made).toBe(row.enqueued);
          const [{ overlapping }] = await query(
            `select count(*)::int as overlapping from legwork.schedule_runs a join legwork.schedule_runs b
             on a.schedule = b.schedule and a.due_at < b.due_at and a.last_due_at >= b.due_at where a.schedule = $1`,
            [name],
          );
          expect(overlapping).toBe(0);
        }
        await query("delete from legwork_private.schedule_definitions");
        await query("delete from graphile_worker._private_jobs");
      },
    ),
    { numRuns: 25 },
  );
});

it("the doctor reports schedules that no worker fires or plans", async () => {
  const finding = (): Promise<unknown[]> => query("select severity, finding from legwork.doctor_schedules()");
  expect(await finding()).toEqual([{ severity: "ok", finding: "No schedule is late." }]);
  await query("select legwork.schedule('s', 't', cron => '* * * * *', as_of => now() - interval '5 minutes')");
  expect(await finding()).toEqual([
    { severity: "critical", finding: "The next occurrences of schedule 's' have not been computed." },
  ]);
  await planSchedules(database.pool, { asOf: new Date(Date.now() - 300_000) });
  expect(await finding()).toEqual([{ severity: "critical", finding: expect.stringMatching(/^1 schedule is late by up to [34] minutes/) }]);
});

describe("a schedule with an invalid row does not prevent others from firing, and", () => {
  /** Creates the schedules `bad` and `good`, makes the row of `bad` invalid, and advances the time until both are due. */
  async function spoil(change: string, rest = "every => '2 seconds'"): Promise<void> {
    await make("bad", rest);
    await make("good", "every => '2 seconds'");
    await query(`update legwork_private.schedule_definitions set ${change} where name = 'bad'`);
    for (const second of ["03", "05", "07"]) await tick(`2026-01-01 00:00:${second}Z`);
    expect(await runs("good")).toEqual(["00:00:02 enqueued", "00:00:04 enqueued", "00:00:06 enqueued"]);
  }

  it.each(["priority = 40000", "max_attempts = 40000", "max_attempts = 0", "jitter = '300000 years'", "jitter = '-1 day'"])("%s is replaced by the nearest valid value", async (change) => {
    await spoil(change);
    expect(await runs("bad")).toEqual(["00:00:02 enqueued", "00:00:04 enqueued", "00:00:06 enqueued"]);
  });

  it.each([
    ["task = repeat('x', 200)"],
    ["max_instances = -2147483648, overlap = 'cancel'"],
    ["timezone = 'Nowhere', every = '1 day', upcoming = '{}'"],
    ["every = '0', upcoming = '{}'"],
    ["every = '300000 years', upcoming = '{}'"],
    ["anchor = 'infinity', upcoming = '{}'"],
  ])("%s is reported as its problem, and the schedule can be disabled, replaced and removed", async (change) => {
    for (const end of ["select legwork.disable_schedule('bad', '2026-01-01 00:00:08Z')", "select legwork.schedule('bad', 'other', every => '1 day', as_of => '2026-01-01 00:00:08Z')", "select legwork.unschedule('bad', '2026-01-01 00:00:08Z')"]) {
      await empty(database.pool, "legwork_private.schedule_definitions, legwork_private.schedule_occurrences");
      await spoil(change);
      expect(await query("select problem is not null as is_told from legwork.schedules where name = 'bad'")).toEqual([{ is_told: true }]);
      expect(await query("select finding from legwork.doctor_schedules() where finding like '%''bad''%'")).toHaveLength(1);
      await query(end);
    }
  });

  it("an invalid interval in requires is reported as its problem", async () => {
    await make("good", "every => '2 seconds'");
    await make("bad", `every => '2 seconds', requires => '{"good": "1 hour"}'`);
    await query(`update legwork_private.schedule_definitions set requires = '{"good": "a while"}' where name = 'bad'`);
    // The requirement is checked once the required schedule's job has completed.
    await tick("2026-01-01 00:00:03Z");
    await query("delete from graphile_worker._private_jobs");
    await query("update legwork_private.finished_jobs set state = 'completed'");
    await tick("2026-01-01 00:00:05Z");
    expect((await runs("good")).slice(0, 2)).toEqual(["00:00:02 enqueued", "00:00:04 enqueued"]);
    expect(await query("select problem from legwork.schedules where name = 'bad'")).toEqual([{ problem: expect.stringContaining("a while") }]);
  });

  it("is retried every minute, so that it continues once its row is valid", async () => {
    await spoil("task = repeat('x', 200)");
    await query("update legwork_private.schedule_definitions set task = 't' where name = 'bad'");
    await tick("2026-01-01 00:00:40Z");
    expect(await runs("bad")).toEqual([]);
    await tick("2026-01-01 00:01:10Z");
    expect(await query("select problem, runs > 0 as has_run from legwork.schedules where name = 'bad'")).toEqual([{ problem: null, has_run: true }]);
  });

  it.each([
    ["starts_at = '290000-01-01Z', planned_to = '290000-01-01Z', upcoming = '{}'", "Its times are out of range: planned_to is 290000-01-01T00:00:00+00."],
    ["ends_at = '290000-01-01Z', upcoming = '{}'", "Its times are out of range: ends_at is 290000-01-01T00:00:00+00."],
    ["ends_at = 'infinity', upcoming = '{}'", "Its times are out of range: ends_at is infinity."],
    ["timezone = 'Nowhere', upcoming = '{}'", "There is no time zone named 'Nowhere'."],
  ])(
    "%s of a cron expression is reported as its problem, and does not affect the plans of other schedules",
    async (change, problem) => {
      await make("bad", "cron => '* * * * * *'");
      await query("select legwork.schedule('good', 't', cron => '*/2 * * * * *', as_of => '2026-01-01Z')");
      await query(`update legwork_private.schedule_definitions set ${change} where name = 'bad'`);
      await tick("2026-01-01 00:00:03Z");
      expect(await runs("good")).toEqual(["00:00:02 enqueued"]);
      expect(await query("select problem from legwork.schedules where name = 'bad'")).toEqual([{ problem }]);
      await query("select legwork.unschedule('bad', '2026-01-01 00:00:04Z')");
    },
  );

  it.each([
    ["ends_at = '290000-01-01Z', upcoming = '{}'", "Its times are out of range: ends_at."],
    ["ends_at = 'infinity', upcoming = '{}'", "Its times are out of range: ends_at is Infinity."],
  ])("%s of a cron expression is also reported if the plans are made over an application's own connection", async (change, problem) => {
    await make("bad", "cron => '* * * * * *'");
    await query(`update legwork_private.schedule_definitions set ${change} where name = 'bad'`);
    await planSchedules(await connection(database));
    expect(await query("select problem from legwork.schedules where name = 'bad'")).toEqual([{ problem }]);
  });
});

it("a cron schedule that is created in SQL and has no occurrence in its window is reported as a problem", async () => {
  await make("s", "cron => '0 0 29 2 *', starts_at => '2029-01-01Z', ends_at => '2031-01-01Z'");
  expect(await query("select next_at, problem from legwork.schedules")).toEqual([{ next_at: null, problem: "It never fires: no occurrence of '0 0 29 2 *' is in its window." }]);
});

it("a calendar interval uses the first of two equal clock times when clocks go back by two hours", async () => {
  await make("s", "every => '1 day', timezone => 'Antarctica/Troll', starts_at => '2026-10-23 01:30+02'");
  const [{ upcoming }] = await query("select upcoming from legwork.schedules");
  expect(upcoming.slice(0, 3).map((time: Date) => time.toISOString())).toEqual(["2026-10-22T23:30:00.000Z", "2026-10-23T23:30:00.000Z", "2026-10-24T23:30:00.000Z"]);
});

it("a schedule without an end ends at the last possible time", async () => {
  await make("s", "every => '100 years', starts_at => '9850-01-01Z'");
  const [{ upcoming }] = await query("select upcoming from legwork.schedules");
  expect(upcoming).toEqual([new Date("9850-01-01Z"), new Date("9950-01-01Z")]);
});
