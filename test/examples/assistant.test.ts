import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished } from "vitest";
import { jobsOf, PRIORITIES } from "../../examples/assistant/schedules.ts";
import { assistantConfig } from "../../examples/assistant/config.ts";
import { startAssistant } from "../../examples/assistant/start.ts";
import { startStubProvider, type StubProvider } from "../../examples/assistant/stub-provider.ts";
import { planSchedules } from "../../src/schedules/plan-schedules.ts";
import { openTestKit, type TestKit } from "../../src/testing.ts";
import { legwork } from "../support/cli.ts";
import { testDatabase } from "../support/database.ts";
import { TASKS } from "../support/job.ts";

const ASSISTANT = resolve(import.meta.dirname, "../../examples/assistant");
const OWN = join(ASSISTANT, "tasks");
const DAY = 86_400_000;
const database = testDatabase();

/** The last whole month: what is due in it is due now, and its end is not long ago. */
const MONTH = new Date(Date.UTC(new Date().getUTCFullYear(), new Date().getUTCMonth() - 1, 1));
const MONTH_END = new Date(Date.UTC(MONTH.getUTCFullYear(), MONTH.getUTCMonth() + 1, 1));
const DAYS = (MONTH_END.getTime() - MONTH.getTime()) / DAY;

let kit: TestKit;
let one: StubProvider;
let two: StubProvider;
let backups: string;
/** What the environment of the worker says; process.env has it while this file runs. */
let environment: Record<string, string>;
const before = { ...process.env };

beforeAll(async () => {
  backups = await mkdtemp(join(tmpdir(), "legwork-assistant-"));
  [one, two] = [await startStubProvider(), await startStubProvider()];
  environment = {
    ASSISTANT_PROVIDERS: JSON.stringify([
      { name: "one", url: one.url, model: "large", key: "sk-secret-one", quota: 1_000_000, period: "day" },
      { name: "two", url: two.url, model: "small", quota: 1_000_000, period: "day" },
    ]),
    ASSISTANT_BACKUPS: backups,
    LEGWORK_ALLOWED_FOLDERS: backups,
    LEGWORK_REPORTS_FOLDER: join(ASSISTANT, "reports"),
  };
  Object.assign(process.env, environment);
  kit = await openTestKit({ databaseUrl: database.url, tasks: [TASKS, OWN] });
});

afterAll(async () => {
  for (const name of Object.keys(environment)) {
    if (before[name] === undefined) delete process.env[name];
    else process.env[name] = before[name];
  }
  await kit.close();
  await one.stop();
  await two.stop();
  await rm(backups, { recursive: true, force: true });
});

/** Everything as in the first minute: an empty past, the sample students, schedules as of the eve of the month. */
beforeEach(async () => {
  await kit.clear();
  await database.pool.query(`
    drop schema if exists assistant cascade;
    select legwork.unschedule(s.name) from legwork.schedules s where s.source = 'database' order by s.requires is null, s.name desc;
    delete from legwork.schedule_occurrences`);
  await startAssistant(database.url, environment, { asOf: new Date(MONTH.getTime() - 60_000) });
  for (const stub of [one, two]) {
    stub.status = 200;
    stub.asked.length = 0;
  }
  for (const name of await readdir(backups)) await rm(join(backups, name), { recursive: true });
});

async function select(text: string, ...values: unknown[]): Promise<Record<string, unknown>[]> {
  return (await database.pool.query(text, values)).rows;
}

/** The clock of the schedules is at that moment: what is due is enqueued and run, until nothing more is. */
async function at(moment: Date): Promise<void> {
  for (;;) {
    const [row] = await select("select fired, more, wants_plan from legwork.fire_schedules($1)", moment);
    const planned = row?.wants_plan === true ? await planSchedules(database.pool, { asOf: moment }) : 0;
    if (row?.fired === 0 && row.more !== true && planned === 0) {
      // What waited for another is enqueued without being counted as fired.
      const ran = await kit.drain();
      if (ran.length === 0) return;
    } else if (row?.fired !== 0) await kit.drain();
  }
}

const on = (day: number, time: string): Date =>
  new Date(`${new Date(MONTH.getTime() + (day - 1) * DAY).toISOString().slice(0, 10)}T${time}Z`);

/** The first of the month's days that is that day of the week (0 is Sunday). */
const first = (weekday: number): number => 1 + ((7 + weekday - MONTH.getUTCDay()) % 7);

/** Runs a job by hand, as `legwork schedule run` does, and resolves to it once it has ended. */
// oxlint-disable-next-line typescript/no-explicit-any -- each task has a result of its own
async function run(name: string): Promise<{ id: string; state: string; attempts: number; result: any; error: string | null }> {
  const [row] = await select("select legwork.run_schedule($1, $2) as id", name, new Date());
  await kit.drain();
  return (await kit.job(String(row?.id))) as never;
}

describe("assistant", () => {
  it("B1 a month of schedules happens in order, each job at its own times", { timeout: 60_000 }, async () => {
    await database.pool.query(
      `insert into assistant.study_chat_memory (profile_id, content, created_at)
       select 1, 'Asks about decimals.', d from generate_series($1::timestamptz, $2::timestamptz - interval '1 day', interval '1 day') d`,
      [MONTH, MONTH_END],
    );
    for (;;) {
      const [next] = await select("select min(next_at) as at from legwork.schedules where cron is not null");
      if ((next?.at as Date) >= MONTH_END) break;
      await at(next?.at as Date);
    }
    await at(new Date(MONTH_END.getTime() - 1));

    const days = Array.from({ length: DAYS }, (_, index) => index + 1);
    const weekly = (weekday: number): number[] => days.filter((day) => day % 7 === first(weekday) % 7);
    const expected: Record<string, Date[]> = {
      "archive-conversations": [on(15, "02:00")],
      backup: days.map((day) => on(day, "03:00")),
      "cache-cleanup": days.flatMap((day) => ["00:00", "06:00", "12:00", "18:00"].map((time) => on(day, time))),
      maintenance: weekly(6).map((day) => on(day, "02:00")),
      "maintenance-analyze": weekly(6).map((day) => on(day, "02:00")),
      "maintenance-reindex": weekly(6).map((day) => on(day, "02:00")),
      "memory-cleanup": days.map((day) => on(day, "00:00")),
      "profile-refresh": days.map((day) => on(day, "04:00")),
      "quota-reset": [on(1, "00:00")],
      "usage-analysis": days.map((day) => on(day, "01:00")),
      "weekly-summaries": weekly(0).map((day) => on(day, "00:00")),
    };
    const runs = await select(
      `select r.schedule, r.due_at, r.state, r.outcome, j.started_at from legwork.schedule_runs r join legwork.jobs j on j.id = r.job_id
       where r.schedule not in ('health-check', 'rate-limit-monitor') order by j.started_at, j.id`,
    );
    const times = (name: string): unknown[] => runs.filter(({ schedule }) => schedule === name).map(({ due_at }) => due_at);
    for (const [name, due] of Object.entries(expected)) expect(times(name), name).toEqual(due);
    expect(new Set(runs.map(({ schedule }) => schedule))).toEqual(new Set(Object.keys(expected)));
    expect(new Set(runs.map(({ state, outcome }) => `${String(state)} ${String(outcome)}`))).toEqual(
      new Set(["enqueued completed"]),
    );
    // In the order in which they started, they were due.
    const order = runs.map(({ due_at }) => (due_at as Date).getTime());
    expect(order).toEqual(order.toSorted((left, right) => left - right));
    // The two that come every few minutes ran at each of these moments, and every one of their times is accounted for.
    const counted = await select(
      `select schedule, sum(occurrences)::int as occurrences from legwork.schedule_runs
       where schedule in ('health-check', 'rate-limit-monitor') and due_at >= $1 group by 1 order by 1`,
      MONTH,
    );
    expect(counted).toEqual([
      { schedule: "health-check", occurrences: DAYS * 288 },
      { schedule: "rate-limit-monitor", occurrences: DAYS * 1440 },
    ]);
    const summaries = await select(
      "select week_ending::text as day from assistant.weekly_summaries where profile_id = 1 order by 1",
    );
    expect(summaries.map(({ day }) => day)).toEqual(
      weekly(0)
        .filter((day) => day > 1)
        .map((day) => on(day, "00:00").toISOString().slice(0, 10)),
    );
  });

  it("B1 memories older than eight months go, and rows and bytes are reported", async () => {
    const job = await run("memory-cleanup");
    expect(job).toMatchObject({ state: "completed", result: { deleted: 2, batches: 1 } });
    expect(job.result.bytes).toBeGreaterThan(50);
    expect(await select("select count(*)::int as left from assistant.study_chat_memory")).toEqual([{ left: 2 }]);
    await run("cache-cleanup");
    expect(await select("select from assistant.response_cache")).toEqual([]);
    await run("archive-conversations");
    expect(await select("select count(*)::int as archived from assistant.archived_conversations")).toEqual([{ archived: 2 }]);
    await database.pool.query("update assistant.profiles set used_tokens = 500");
    await run("quota-reset");
    await database.pool.query("update assistant.profiles set used_tokens = 7");
    // The second time in a month changes nothing.
    expect((await run("quota-reset")).result).toMatchObject({ reset: 0 });
    await run("profile-refresh");
    expect(
      await select("select used_tokens::int, conversations, memories, favourite_subject from assistant.profiles where id = 1"),
    ).toEqual([{ used_tokens: 7, conversations: 1, memories: 1, favourite_subject: "Mathematics" }]);
  });
});
