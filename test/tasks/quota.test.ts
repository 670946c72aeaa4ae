import fc from "fast-check";
import { beforeEach, describe, expect, it } from "vitest";
import { judge } from "../../tasks/@lib/judge-quotas.ts";
import { connection } from "../support/connections.ts";
import { testDatabase } from "../support/database.ts";
import { type EndedJob, oneWorker, runJob } from "../support/job.ts";
import { until } from "../support/until.ts";

const database = testDatabase();
oneWorker(database);

async function select(text: string): Promise<Record<string, unknown>[]> {
  return (await database.pool.query(text)).rows;
}

describe("quota/reset", () => {
  beforeEach(async () => {
    await database.pool.query(`
      drop table if exists members;
      create table members (id int, plan text, used int, tokens numeric(12, 2), reset_at timestamptz);
      insert into members values (1, 'free', 10, 1.5, null), (2, 'free', 20, 2.5, now() - interval '40 days'),
        (3, 'paid', 30, 3.5, now() - interval '40 days'), (4, 'free', 40, 4.5, now())`);
  });
  const RESET = { table: "members", counters: ["used", "tokens"], period: "month", where: { plan: "free" } };

  it("resets each row once per period, however often it runs", async () => {
    const job = await runJob(database, "quota/reset", { ...RESET, batchSize: 1 });
    const [month] = await select("select date_trunc('month', now(), 'UTC') as start");
    expect(job).toMatchObject({
      state: "completed",
      result: { reset: 2, periodStart: new Date(String(month?.start)).toISOString() },
    });
    await database.pool.query("update members set used = 7 where id = 1");
    expect((await runJob(database, "quota/reset", RESET)).result.reset).toBe(0);
    expect(await select("select id, used, tokens::float8 from members order by id")).toEqual([
      { id: 1, used: 7, tokens: 0 },
      { id: 2, used: 0, tokens: 0 },
      { id: 3, used: 30, tokens: 3.5 },
      { id: 4, used: 40, tokens: 4.5 },
    ]);
  });

  it("does not reset a row that another run has just reset", async () => {
    const other = await connection(database);
    await other.query("begin; update members set used = 3, reset_at = now() where id = 1");
    const running = runJob(database, "quota/reset", RESET);
    await until(
      "the update waits for the row",
      async () =>
        (
          await select(
            "select from pg_stat_activity where wait_event_type = 'Lock' and query like '%update only%' and datname = current_database()",
          )
        ).length > 0,
    );
    await other.query("commit");
    expect((await running).result.reset).toBe(1);
    expect(await select("select used from members where id = 1")).toEqual([{ used: 3 }]);
  });

  it.each([
    [
      "a counter that is not a number",
      { counters: ["plan"] },
      "'plan' of 'public.members' is of type text, which is not a number",
    ],
    ["an unknown time zone", { timezone: "Mars" }, "unknown time zone 'Mars'"],
    [
      "a resetColumn that is not a timestamptz",
      { resetColumn: "id" },
      "resetColumn: 'id' of 'public.members' is of type integer",
    ],
    ["an unknown period", { period: "moon" }, "period"],
  ])("rejects %s", async (_what, payload, message) => {
    expect((await runJob(database, "quota/reset", { ...RESET, ...payload })).error).toContain(message);
  });
});

describe("quota/watch", () => {
  beforeEach(async () => {
    await database.pool.query(`
      drop table if exists calls, providers, failovers;
      create table calls (provider text, used_at timestamptz default now(), tokens int);
      create table providers (
        service text not null, provider text primary key, priority int not null, quota bigint not null, period text not null,
        used numeric, percent numeric, state text, active boolean, resets_at timestamptz, checked_at timestamptz, reset_at timestamptz);
      create table failovers (service text, provider text, replaced_by text, started_at timestamptz, ended_at timestamptz);
      insert into providers (service, provider, priority, quota, period) values
        ('ai', 'first', 1, 1000, 'hour'), ('ai', 'second', 2, 1000, 'hour'), ('mail', 'post', 1, 10, 'day')`);
  });
  const watch = async (): Promise<EndedJob> =>
    await runJob(database, "quota/watch", {
      usage: { table: "calls", amount: "tokens" },
      providers: "providers",
      failovers: "failovers",
    });
  const use = async (provider: string, tokens: number): Promise<unknown> =>
    await database.pool.query("insert into calls (provider, tokens) values ($1, $2)", [provider, tokens]);
  const states = async (): Promise<Record<string, unknown>[]> =>
    await select("select provider, state, active from providers where service = 'ai' order by priority");

  it("warns at 80 %, fails over at 95 %, blocks at 100 %, and switches back when the window resets", async () => {
    await use("first", 790);
    expect((await watch()).result.blocked).toEqual([]);
    expect(await states()).toMatchObject([
      { state: "ok", active: true },
      { state: "ok", active: false },
    ]);
    await use("first", 20);
    const warned = await watch();
    expect(warned.result.changes).toEqual(["ai: first is at 81%. Its state changed from ok to warning."]);
    await use("first", 140);
    await watch();
    expect(await states()).toMatchObject([
      { state: "switched", active: false },
      { state: "ok", active: true },
    ]);
    expect(await select("select provider, replaced_by, ended_at from failovers")).toEqual([
      { provider: "first", replaced_by: "second", ended_at: null },
    ]);
    await use("first", 50);
    await use("second", 960);
    await watch();
    expect(await states()).toMatchObject([
      { state: "blocked", active: false },
      { state: "switched", active: true },
    ]);
    await use("second", 40);
    const none = await watch();
    expect(none.result.blocked).toEqual(["ai"]);
    expect(await states()).toMatchObject([
      { state: "blocked", active: false },
      { state: "blocked", active: false },
    ]);
    expect((await watch()).result.changes).toEqual([]);
    // The window has passed, so earlier usage no longer counts.
    await database.pool.query("update calls set used_at = used_at - interval '1 hour'");
    const back = await watch();
    expect(await states()).toMatchObject([
      { state: "ok", active: true },
      { state: "ok", active: false },
    ]);
    expect(back.result.providers[0]).toMatchObject({ used: 0, percent: 0 });
    expect(await select("select count(*)::int as count from failovers where ended_at is null")).toEqual([{ count: 0 }]);
  });

  it("counts from a manual reset, and names missing columns", async () => {
    await use("first", 2_000);
    await database.pool.query("update calls set used_at = now() - interval '1 second'; update providers set reset_at = now()");
    expect((await watch()).result.providers[0]).toMatchObject({ used: 0, state: "ok" });
    await database.pool.query("alter table providers drop column percent, drop column active");
    expect((await watch()).error).toBe("providers: table 'public.providers' lacks columns: percent, active.");
  });

  it("activates the first provider that has quota left, whatever has been used", () => {
    const quotas = fc.array(fc.record({ used: fc.nat(200), quota: fc.constantFrom(0, 100) }), { minLength: 1, maxLength: 6 });
    fc.assert(
      fc.property(quotas, (entries) => {
        const judged = judge(
          entries.map((entry, index) => ({
            ...entry,
            service: "s",
            provider: `p${index}`,
            resetsAt: new Date(),
            stateBefore: null,
            activeBefore: null,
          })),
          { warnAt: 80, switchAt: 95, blockAt: 100 },
        );
        const active = judged.filter((entry) => entry.active);
        expect(active.length).toBe(judged.some(({ state }) => state !== "blocked") ? 1 : 0);
        const [chosen] = active;
        if (chosen === undefined) return;
        const before = judged.slice(0, judged.indexOf(chosen));
        expect(before.every(({ state }) => state === "blocked" || (state === "switched" && chosen.state !== "switched"))).toBe(
          true,
        );
      }),
    );
  });
});
