import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { PRIORITIES } from "../../examples/assistant/schedules.ts";
import { startAssistant } from "../../examples/assistant/start.ts";
import { openTestKit, type TestKit } from "../../src/testing.ts";
import { ASSISTANT, type AssistantWorld, assistantWorld } from "../support/assistant.ts";
import { testDatabase } from "../support/database.ts";
import { TASKS } from "../support/job.ts";
import { IS_LONG } from "../support/long.ts";
import { scaled } from "../support/slowness.ts";

const DAY = 86_400_000;
const database = testDatabase();

/** The last whole month, so that all its occurrences are in the past. */
const MONTH = new Date(Date.UTC(new Date().getUTCFullYear(), new Date().getUTCMonth() - 1, 1));
/** A usual run covers only the first half, in which every schedule is due at least once, the last one on the 15th. */
const MONTH_END = new Date(
  IS_LONG
    ? Date.UTC(MONTH.getUTCFullYear(), MONTH.getUTCMonth() + 1, 1)
    : Date.UTC(MONTH.getUTCFullYear(), MONTH.getUTCMonth(), 16),
);
const DAYS = Array.from({ length: (MONTH_END.getTime() - MONTH.getTime()) / DAY }, (_, index) => index + 1);

let kit: TestKit;
let world: AssistantWorld;
const before = { ...process.env };

beforeAll(async () => {
  world = await assistantWorld();
  Object.assign(process.env, world.environment);
  kit = await openTestKit({ databaseUrl: database.url, tasks: [TASKS, join(ASSISTANT, "tasks")] });
});

afterAll(async () => {
  for (const name of Object.keys(world.environment)) {
    if (before[name] === undefined) delete process.env[name];
    else process.env[name] = before[name];
  }
  await kit.close();
  await world.stop();
});

/** Deletes the history, restores the sample students, and plans the schedules as of the day before the month. */
beforeEach(async () => {
  await kit.clear();
  await database.pool.query(`
    drop schema if exists assistant cascade;
    select legwork.unschedule(s.name) from legwork.schedules s where s.source = 'database';
    delete from legwork_private.schedule_occurrences`);
  await startAssistant(database.url, world.environment, { asOf: new Date(MONTH.getTime() - 60_000) });
});

// oxlint-disable-next-line typescript/no-explicit-any -- rows of every query
async function select(text: string, ...values: unknown[]): Promise<any[]> {
  return (await database.pool.query(text, values)).rows;
}

const day = (day: number): string => new Date(MONTH.getTime() + (day - 1) * DAY).toISOString().slice(0, 10);
const on = (date: number, time: string): Date => new Date(`${day(date)}T${time}Z`);

/** The days of the month that are this day of the week (0 is Sunday). */
const weekly = (weekday: number): number[] => DAYS.filter((day) => on(day, "00:00").getUTCDay() === weekday);

/** Why runs wait or are held back, according to the explanation of the job. */
async function explained(jobId: string): Promise<string[]> {
  const rows = await select("select reason, detail from legwork.explain_job($1)", jobId);
  return rows.filter(({ reason }) => reason.startsWith("schedule_")).map(({ reason, detail }) => `${reason}: ${detail}`);
}

const lastJob = async (schedule: string): Promise<string> =>
  (await select("select last_job_id as id from legwork.schedules where name = $1", schedule))[0].id;

/** Makes every change to a table fail, or lets changes succeed again. */
async function breakTable(table: string, isBroken = true): Promise<void> {
  await database.pool.query(
    isBroken
      ? `create function assistant.refuse() returns trigger language plpgsql as $$ begin raise 'The disk is full.'; end $$;
         create trigger refuse before update or delete on assistant.${table} execute function assistant.refuse()`
      : "drop function assistant.refuse() cascade",
  );
}

describe("the schedules of assistant", () => {
  it(
    `B1 ${IS_LONG ? "a month" : "half a month"} of schedules runs in order, each job at its own times`,
    { timeout: scaled(180_000) },
    async () => {
      await database.pool.query(
        `insert into assistant.study_chat_memory (profile_id, content, created_at)
       select 1, 'Asks about decimals.', d from generate_series($1::timestamptz, $2::timestamptz - interval '1 day', interval '1 day') d`,
        [MONTH, MONTH_END],
      );
      // Fires all schedules for the first ten minutes, and then only those that are not due every few minutes.
      for (const source of [new Date(MONTH.getTime() + 600_000), MONTH_END]) {
        for (;;) {
          const [{ at }] = await select(
            "select min(next_at) as at from legwork.schedules where source = 'database' and (cron is not null or $1)",
            source !== MONTH_END,
          );
          if (at >= source) break;
          await kit.fireSchedules(at);
        }
      }
      await kit.fireSchedules(new Date(MONTH_END.getTime() - 1));

      const expected: Record<string, Date[]> = {
        "archive-conversations": [on(15, "02:00")],
        backup: DAYS.map((day) => on(day, "03:00")),
        "cache-cleanup": DAYS.flatMap((day) => ["00:00", "06:00", "12:00", "18:00"].map((time) => on(day, time))),
        maintenance: weekly(6).map((day) => on(day, "02:00")),
        "maintenance-analyze": weekly(6).map((day) => on(day, "02:00")),
        "maintenance-reindex": weekly(6).map((day) => on(day, "02:00")),
        "memory-cleanup": DAYS.map((day) => on(day, "00:00")),
        "profile-refresh": DAYS.map((day) => on(day, "04:00")),
        "quota-reset": [on(1, "00:00")],
        "usage-analysis": DAYS.map((day) => on(day, "01:00")),
        "weekly-summaries": weekly(0).map((day) => on(day, "00:00")),
      };
      const runs = await select(
        `select r.schedule, r.due_at, r.state, r.outcome, j.started_at from legwork.schedule_runs r join legwork.jobs j on j.id = r.job_id
       where r.schedule not in ('health-check', 'rate-limit-monitor') order by j.started_at, j.id`,
      );
      const times = (name: string): Date[] => runs.filter(({ schedule }) => schedule === name).map(({ due_at }) => due_at);
      expect(Object.fromEntries([...new Set(runs.map(({ schedule }) => schedule))].map((name) => [name, times(name)]))).toEqual(
        expected,
      );
      expect(new Set(runs.map(({ state, outcome }) => `${state} ${outcome}`))).toEqual(new Set(["enqueued completed"]));
      // The runs started in the order in which they were due, and dependent schedules ran after the required ones.
      const order = runs.map(({ due_at }) => due_at.getTime());
      expect(order).toEqual(order.toSorted((left, right) => left - right));
      const names = runs.map(({ schedule, due_at }) => `${schedule} ${due_at.toISOString().slice(0, 10)}`);
      for (const sunday of weekly(0)) {
        expect(names.indexOf(`weekly-summaries ${day(sunday)}`)).toBeGreaterThan(names.indexOf(`memory-cleanup ${day(sunday)}`));
      }
      const maintenance = names.filter((name) => name.startsWith("maintenance")).map((name) => name.split(" ")[0]);
      expect(maintenance).toEqual(weekly(6).flatMap(() => ["maintenance", "maintenance-reindex", "maintenance-analyze"]));

      // Every occurrence of the two frequent schedules is accounted for.
      const frequent = await select(
        `select schedule, sum(occurrences)::int as occurrences,
         array_agg(to_char(due_at at time zone 'UTC', 'MI') order by due_at) filter (where due_at < $1::timestamptz + interval '10 minutes') as first
       from legwork.schedule_runs where schedule in ('health-check', 'rate-limit-monitor') and due_at >= $1 group by 1 order by 1`,
        MONTH,
      );
      expect(frequent).toEqual([
        { schedule: "health-check", occurrences: DAYS.length * 288, first: ["04", "09"] },
        {
          schedule: "rate-limit-monitor",
          occurrences: DAYS.length * 1440,
          first: ["00", "01", "02", "03", "04", "05", "06", "07", "08", "09"],
        },
      ]);
      // The results: a summary for each week with memories, and one backup a day.
      const summaries = await select(
        "select week_ending::text as day from assistant.weekly_summaries where profile_id = 1 order by 1",
      );
      expect(summaries.map((row) => row.day)).toEqual(
        weekly(0)
          .filter((sunday) => sunday > 1)
          .map(day),
      );
      expect(
        (
          await select("select count(*)::int from legwork.jobs where task = 'backup/tables' and result ->> 'verified' = 'true'")
        )[0].count,
      ).toBe(DAYS.length);
    },
  );

  it("B2 weekly summaries wait for a failed cleanup, as its explanation states, and run once the cleanup has succeeded", async () => {
    const sunday = weekly(0)[1] ?? 8;
    await kit.fireSchedules(on(sunday - 1, "23:59:30"));
    await breakTable("study_chat_memory");
    await kit.fireSchedules(on(sunday, "00:00"));
    const cleanup = await lastJob("memory-cleanup");
    expect(
      await select(
        "select state, reason from legwork.schedule_runs where schedule = 'weekly-summaries' and due_at = $1",
        on(sunday, "00:00"),
      ),
    ).toEqual([{ state: "waiting", reason: `It requires memory-cleanup, whose job ${cleanup} has not ended.` }]);
    await kit.drain({ at: "1h" });
    expect(await kit.job(cleanup)).toMatchObject({ state: "failed", attempts: 3, error: "The disk is full." });
    await kit.fireSchedules(on(sunday, "00:10"));
    expect(await explained(cleanup)).toEqual([
      expect.stringMatching(
        new RegExp(
          `^schedule_waits: An occurrence of the schedule 'weekly-summaries', due at .* It requires memory-cleanup, whose last job, job ${cleanup}, failed\\.$`,
        ),
      ),
    ]);
    expect(await select("select from assistant.weekly_summaries")).toEqual([]);

    await breakTable("study_chat_memory", false);
    await database.pool.query("select legwork.retry_job($1)", [cleanup]);
    await kit.drain();
    await kit.fireSchedules(on(sunday, "00:20"));
    expect(await kit.job(await lastJob("weekly-summaries"))).toMatchObject({
      state: "completed",
      result: { weekEnding: day(sunday) },
    });
    expect(await explained(cleanup)).toEqual([]);
  });

  it("B2 a failed or missing dependency holds back the backup and then the profile refresh, as their jobs' explanations say", async () => {
    await kit.fireSchedules(on(2, "05:00"));
    const [usage, backup, refresh] = [await lastJob("usage-analysis"), await lastJob("backup"), await lastJob("profile-refresh")];
    for (const job of [usage, backup, refresh]) expect(await kit.job(job)).toMatchObject({ state: "completed" });
    expect(await explained(backup)).toEqual([]);

    // The query refers to a table that does not exist, so the job fails at once.
    await database.pool.query("alter table assistant.ai_usage rename to elsewhere");
    await kit.fireSchedules(on(3, "01:00"));
    const failed = await lastJob("usage-analysis");
    expect(await kit.job(failed)).toMatchObject({ state: "failed", attempts: 1 });
    await kit.fireSchedules(on(3, "03:00"));
    expect(await lastJob("backup")).toBe(backup);
    const why = `It requires usage-analysis, whose last job, job ${failed}, failed.`;
    expect(await explained(failed)).toEqual([
      expect.stringMatching(new RegExp(`^schedule_waits: An occurrence of the schedule 'backup', .*: ${why}$`)),
    ]);
    expect(await explained(backup)).toEqual([
      expect.stringMatching(new RegExp(`^schedule_waits: The next occurrence of its schedule 'backup', .*: ${why}$`)),
    ]);
    await kit.fireSchedules(on(3, "04:00"));
    expect(await explained(backup)).toEqual([
      expect.stringMatching(/^schedule_held_back: .* was held back: .* It waited 1 hour\.$/),
      expect.stringMatching(
        /^schedule_waits: An occurrence of the schedule 'profile-refresh', .* requires backup, which was itself held back\.$/,
      ),
    ]);
    expect(await explained(refresh)).toEqual([
      expect.stringMatching(
        /^schedule_waits: The next occurrence of its schedule 'profile-refresh', .*: It requires backup, which was itself held back\.$/,
      ),
    ]);
    await kit.fireSchedules(on(3, "05:00"));
    expect(
      await select(
        "select schedule, state from legwork.schedule_runs where due_at = any ($1) and schedule in ('backup', 'profile-refresh') order by 1",
        [on(3, "03:00"), on(3, "04:00")],
      ),
    ).toEqual([
      { schedule: "backup", state: "held_back" },
      { schedule: "profile-refresh", state: "held_back" },
    ]);

    // The required schedule does not exist any more.
    await database.pool.query("select legwork.unschedule('usage-analysis', $1)", [on(3, "06:00")]);
    await kit.fireSchedules(on(4, "03:00"));
    expect((await explained(backup))[0]).toMatch(/It requires usage-analysis, which no longer exists\.$/);
    // The backup can still be run manually, and then the requirement of the profile refresh is met.
    await database.pool.query("select legwork.run_schedule('backup', $1)", [on(4, "03:30")]);
    await kit.drain();
    await kit.fireSchedules(on(4, "04:00"));
    expect(await kit.job(await lastJob("profile-refresh"))).toMatchObject({ state: "completed" });
    expect(await lastJob("profile-refresh")).not.toBe(refresh);
  });

  it.each([
    ["health-check", "critical", "provider_checks", [10, 20, 40]],
    ["memory-cleanup", "high", "study_chat_memory", 2],
    ["profile-refresh", "medium", "profiles", 2],
    ["cache-cleanup", "low", "response_cache", 1],
  ] as const)("B8 %s is %s and retried as often as its level requires", async (schedule, level, table, retries) => {
    await breakTable(table);
    const [{ id }] = await select("select legwork.run_schedule($1) as id", schedule);
    await kit.drain({ at: "1h" });
    const job = await kit.job(id);
    const many = typeof retries === "number" ? retries : retries.length;
    expect(job).toMatchObject({
      state: "failed",
      attempts: many + 1,
      priority: PRIORITIES[level].priority,
      error: "The disk is full.",
    });
    if (typeof retries === "number") return;
    const waits = job.attempt_list
      .slice(0, -1)
      .map(({ retry_at, finished_at }) => (Number(retry_at) - Number(finished_at)) / 1000);
    expect(waits.map((wait, index) => wait / (retries[index] ?? 0))).toEqual(retries.map(() => expect.closeTo(1, 0)));
  });
});
