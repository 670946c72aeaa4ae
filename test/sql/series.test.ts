import { beforeEach, describe, expect, it } from "vitest";
import { testDatabase } from "../support/database.ts";

const database = testDatabase();

/** Counts this many completed jobs of a task in one minute. Each waited 0.02 s and ran for 2 s. */
async function count(task: string, at: string, completed: number, failed = 0): Promise<void> {
  await database.pool.query(
    `select legwork_private.add_metrics(array[
       row($1, 'completed', date_trunc('minute', $2::timestamptz), 2, 8, $3::bigint, $3 * 0.02, $3 * 2.0, $2::timestamptz)::legwork_private.counted_rows,
       row($1, 'failed', date_trunc('minute', $2::timestamptz), null, null, $4::bigint, 0, 0, $2::timestamptz)::legwork_private.counted_rows])`,
    [task, at, completed, failed],
  );
}

async function series(call: string, parameters: unknown[] = []): Promise<Record<string, string>[]> {
  return (await database.pool.query(`select * from legwork.task_series(${call})`, parameters)).rows;
}

async function at(expression: string): Promise<string> {
  return (await database.pool.query(`select (${expression})::text as at`)).rows[0].at;
}

beforeEach(async () => {
  await database.pool.query("truncate legwork_private.task_minutes, legwork_private.task_hours, legwork_private.task_totals");
  await database.pool.query("update legwork_private.duties set ran_at = clock_timestamp() where duty = 'roll_up'");
});

describe("legwork.task_series", () => {
  it("returns the results of all jobs by the minute, with no rows for empty minutes", async () => {
    await count("a", await at("date_trunc('minute', now()) - interval '3 minutes'"), 4, 1);
    await count("b", await at("date_trunc('minute', now()) - interval '3 minutes'"), 6);
    await count("a", await at("date_trunc('minute', now()) - interval '1 minute'"), 1);
    const steps = await series("");
    expect(steps.slice(0, 3).map(({ completed, failed, seconds, is_whole: isWhole }) => ({ completed, failed, seconds, isWhole }))).toEqual([
      { completed: "10", failed: "1", seconds: 60, isWhole: true },
      { completed: "0", failed: "0", seconds: 60, isWhole: true },
      { completed: "1", failed: "0", seconds: 60, isWhole: true },
    ]);
    expect(Number(steps[0]!.run_p50)).toBeGreaterThan(1);
    expect(Number(steps[0]!.run_p99)).toBeLessThanOrEqual(2.5);
    expect(steps[1]!.run_p50).toBeNull();
    // The current minute has not ended yet.
    expect(steps.at(-1)!.is_whole).toBe(false);
  });

  it("can be limited to one task or one queue", async () => {
    await database.pool.query("insert into legwork_private.task_definitions (name, queue) values ('a', 'mail')");
    const then = await at("date_trunc('minute', now()) - interval '3 minutes'");
    await count("a", then, 4);
    await count("b", then, 6);
    const first = async (call: string) => (await series(call)).map(({ completed }) => completed)[0];
    expect(await first("task => 'a'")).toBe("4");
    expect(await first("queue => 'mail'")).toBe("4");
    expect(await first("queue => 'default'")).toBe("6");
    expect(await first("task => 'unknown'")).toBe("0");
  });

  it("returns no rows for the time before the first count", async () => {
    expect(await series("'1 day'")).toEqual([]);
    await count("a", await at("now() - interval '10 minutes'"), 1);
    expect((await series("'3 hours'")).length).toBeLessThanOrEqual(11);
  });

  it.each(["1 minute", "3 hours", "6 hours", "1 day", "2 days", "7 days", "30 days", "400 days", "90000 days"])(
    "returns %s in a small number of steps of equal length, and counts each job once",
    async (period) => {
      for (const ago of ["0", "1 minute", "50 minutes", "5 hours", "23 hours", "47 hours", "6 days", "29 days", "399 days"]) {
        await count("a", await at(`now() - interval '${ago}'`), 1);
        await count("b", await at(`now() - interval '${ago}'`), 2);
      }
      const steps = await series("$1::interval", [period]);
      expect(steps.length).toBeLessThanOrEqual(402);
      expect(new Set(steps.map(({ seconds }) => seconds)).size).toBe(1);
      const { rows } = await database.pool.query("select coalesce(sum(completed), 0)::text as n from legwork_private.task_hours where hour >= $1", [
        steps[0]!.at,
      ]);
      const sum = steps.reduce((total, { completed }) => total + Number(completed), 0);
      expect(Number(steps[0]!.seconds) < 3_600 || String(sum) === rows[0].n).toBe(true);
      expect(sum % 3).toBe(0);
      expect(await series("$1::interval, task => 'a'", [period])).toHaveLength(steps.length);
    },
  );

  it("ends at the given time, but not in the future", async () => {
    await count("a", await at("now() - interval '30 minutes'"), 1);
    const steps = await series("'1 hour', until => now() - interval '20 minutes'");
    expect(steps.reduce((total, { completed }) => total + Number(completed), 0)).toBe(1);
    const last = await series("'1 hour', until => now() + interval '1 day'");
    expect(new Date(last.at(-1)!.at!).getTime()).toBeLessThanOrEqual(Date.now() + 1_000);
  });

  it("does not depend on the session's time zone", async () => {
    for (const ago of ["5 hours", "6 days"]) await count("a", await at(`now() - interval '${ago}'`), 1);
    const client = await database.pool.connect();
    try {
      await client.query("begin");
      const told: string[] = [];
      for (const zone of ["UTC", "Asia/Kathmandu"]) {
        await client.query(`set local timezone = '${zone}'`);
        told.push(JSON.stringify((await client.query("select * from legwork.task_series('7 days', task => 'a')")).rows));
      }
      expect(told[0]).toBe(told[1]);
    } finally {
      await client.query("rollback");
      client.release();
    }
  });
});

describe("the totals", () => {
  it("follow every change of the tasks' minutes and hours", async () => {
    await count("a", "2026-01-01 10:05+00", 3);
    await count("b", "2026-01-01 10:05+00", 4);
    await count("a", "2026-01-01 10:05+00", 3);
    const sums = async () =>
      (await database.pool.query("select minute, completed::int, runs[9]::int as runs from legwork_private.minute_totals order by minute")).rows;
    expect(await sums()).toEqual([{ minute: new Date("2026-01-01T10:05:00Z"), completed: 10, runs: 10 }]);
    await database.pool.query("update legwork_private.task_minutes set minute = minute + interval '1 minute' where task = 'a'");
    expect((await sums()).map(({ completed }) => completed)).toEqual([4, 6]);
    await database.pool.query("delete from legwork_private.task_minutes where task = 'b'");
    expect((await sums()).map(({ completed }) => completed)).toEqual([6]);
    expect((await database.pool.query("select completed::int from legwork_private.hour_totals")).rows).toEqual([{ completed: 10 }]);
    await database.pool.query("delete from legwork_private.task_hours");
    expect((await database.pool.query("select from legwork_private.hour_totals")).rowCount).toBe(0);
  });
});

describe("worker starts", () => {
  it("are kept after the worker has ended, one for each worker, and are grouped by minute", async () => {
    const beat = (id: string) => database.pool.query("select legwork_private.worker_beat($1, 'one', 1, 10, array['a', 'b'], '{}')", [id]);
    await beat("w1");
    await beat("w1");
    await beat("w2");
    await database.pool.query("select legwork_private.worker_stopped('w1')");
    await beat("w1");
    // All starts are within one minute, whenever the test runs.
    await database.pool.query("update legwork_private.worker_starts set started_at = date_trunc('minute', now())");
    const { rows } = await database.pool.query(
      "select host, workers from legwork.worker_starts_between(now() - interval '1 hour', now() + interval '1 minute')",
    );
    expect(rows).toEqual([{ host: "one", workers: "2" }]);
    const none = await database.pool.query("select from legwork.worker_starts_between(now() - interval '2 hours', now() - interval '1 hour')");
    expect(none.rowCount).toBe(0);
  });
});

describe("a change to alert rules or silences", () => {
  it("is audited, without the addresses of the channels", async () => {
    await database.pool.query(
      `select legwork.set_alert_rule('own', 'failed_jobs', warning => 1, channels => '[{"webhook": "https://secret.example"}]')`,
    );
    await database.pool.query("select legwork.set_alert_rule('own', enabled => false)");
    // A call that changes nothing adds no entry.
    await database.pool.query("select legwork.set_alert_rule('own', enabled => false)");
    await database.pool.query("select legwork.drop_alert_rule('own')");
    await database.pool.query("select legwork.end_silence(legwork.silence_alerts('1 hour', reason => 'planned'))");
    const { rows } = await database.pool.query(
      `select operation, target_type, before ->> 'is_enabled' as before, after ->> 'is_enabled' as after, before::text || after::text as all
       from legwork.audit_log where target_type in ('alert_rule', 'silence') order by id`,
    );
    expect(rows.map(({ operation, before, after }) => [operation, before, after])).toEqual([
      ["set_alert_rule", null, "true"],
      ["set_alert_rule", "true", "false"],
      ["drop_alert_rule", "false", null],
      ["silence_alerts", null, null],
      ["end_silence", null, null],
    ]);
    expect(JSON.stringify(rows)).not.toContain("secret.example");
  });
});

describe("the backlog", () => {
  const backlog = async (call = "") =>
    (await series(call)).map(({ pending, held, running, oldest_seconds: oldest }) => ({ pending, held, running, oldest }));
  const NOTHING = { pending: null, held: null, running: null, oldest: null };

  beforeEach(async () => {
    await database.pool.query("truncate legwork_private.backlog_minutes, legwork_private.backlog_hours");
    await database.pool.query("delete from graphile_worker._private_jobs");
  });

  it("of each queue and of all queues is sampled, and the largest sample of each minute is kept", async () => {
    await count("a", await at("date_trunc('minute', now()) - interval '2 minutes'"), 1);
    await database.pool.query("insert into legwork_private.task_definitions (name, queue) values ('m', 'mail'), ('a', 'default') on conflict (name) do update set queue = excluded.queue");
    await database.pool.query("select legwork.enqueue('m', run_at => now() - interval '90 seconds')");
    await database.pool.query("select legwork.enqueue('a') from generate_series(1, 3)");
    await database.pool.query("select legwork.enqueue('a', run_at => now() + interval '1 day')");
    // Two samples in one transaction, so that they are in the same minute.
    await database.pool.query(
      "begin; select legwork_private.sample_queues(); delete from graphile_worker._private_jobs; select legwork_private.sample_queues(); commit",
    );
    const { rows } = await database.pool.query("select queue, pending::int, oldest_seconds from legwork_private.backlog_minutes order by queue");
    expect(rows.map(({ queue, pending }) => [queue, pending])).toEqual([["", 4], ["default", 3], ["mail", 1]]);
    const all = (await backlog()).at(-1)!;
    expect(all).toMatchObject({ pending: "4", held: "0", running: "0" });
    expect(Number(all.oldest)).toBeGreaterThan(89);
    expect((await backlog("queue => 'mail'")).at(-1)).toMatchObject({ pending: "1" });
    expect((await backlog("queue => 'other'")).at(-1)).toEqual({ pending: "0", held: "0", running: "0", oldest: 0 });
    expect((await backlog("task => 'a'")).at(-1)).toEqual(NOTHING);
    expect((await backlog())[0], "no worker counted then").toEqual(NOTHING);
    expect((await backlog("'30 days'")).at(-1), "by the hour").toMatchObject({ pending: "4" });
  });

  it("is deleted when its minutes and hours are no longer kept", async () => {
    await database.pool.query(`
      insert into legwork_private.backlog_minutes select now() - ago, '', 1, 0, 0, 0 from unnest(array['1 day', '3 days']::interval[]) ago;
      insert into legwork_private.backlog_hours select now() - ago, '', 1, 0, 0, 0 from unnest(array['3 days', '500 days']::interval[]) ago;
      select legwork_private.forget_metrics();
    `);
    const { rows } = await database.pool.query(
      "select (select count(*)::int from legwork_private.backlog_minutes) as minutes, (select count(*)::int from legwork_private.backlog_hours) as hours",
    );
    expect(rows[0]).toEqual({ minutes: 1, hours: 1 });
  });
});
