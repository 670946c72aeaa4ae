import fc from "fast-check";
import { beforeEach, describe, expect, it } from "vitest";
import { enqueue, enqueueMany } from "../../src/jobs/enqueue.ts";
import { onServer, testDatabase } from "../support/database.ts";
import { until } from "../support/until.ts";

const database = testDatabase();

beforeEach(async () => {
  await database.pool.query("delete from graphile_worker._private_jobs");
  await database.pool.query("delete from legwork_private.finished_jobs");
  await database.pool.query("delete from legwork_private.failed_attempts");
  await database.pool.query("delete from legwork_private.unique_requests");
  await database.pool.query("delete from legwork_private.quota_keys");
  await database.pool.query("delete from legwork_private.paced_keys");
  await database.pool.query("delete from legwork_private.expirations");
  await database.pool.query(`select legwork_private.register_tasks('[{"name": "any"}, {"name": "other"}]')`);
});

// oxlint-disable-next-line typescript/no-explicit-any -- rows of every shape
type Row = Record<string, any>;

async function query(sql: string, values: unknown[] = []): Promise<Row[]> {
  return (await database.pool.query(sql, values)).rows;
}

const live = (): Promise<Row[]> => query("select * from legwork.jobs where finished_at is null order by id");

/** Resolves when this many requests wait for another transaction's lock. */
const untilWaiting = (count: number): Promise<unknown> =>
  until(`${count} requests wait`, async () => {
    const rows = await onServer(database.url, (client) =>
      client.query("select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"),
    );
    return rows.rows.length >= count;
  });

/** Fetches the job as a worker does, and backdates its start by `ago`. */
const take = (id: string, ago = "0 seconds"): Promise<unknown> =>
  query(
    `update graphile_worker._private_jobs set locked_at = clock_timestamp() - $2::interval, locked_by = 'w', attempts = attempts + 1
     where id = $1`,
    [id, ago],
  );
const complete = (id: string): Promise<unknown> => query("delete from graphile_worker._private_jobs where id = $1", [id]);
const fail = (id: string): Promise<unknown> =>
  query(
    `update graphile_worker._private_jobs set locked_at = null, locked_by = null, last_error = 'oops', run_at = now() + interval '1 hour'
     where id = $1`,
    [id],
  );

/** How far ahead of now a job may start, in seconds. */
async function startsIn(id: string): Promise<number> {
  const [row] = await query("select extract(epoch from run_at - clock_timestamp())::float8 as s from graphile_worker._private_jobs where id = $1", [id]);
  return row?.s;
}

describe("unique_for", () => {
  it("creates one job for twenty concurrent requests and returns its id to each", async () => {
    const client = await database.pool.connect();
    await client.query("begin");
    const first = await enqueue(client, "any", { a: 1 }, { uniqueFor: "1h" });
    const others = Array.from({ length: 19 }, () => enqueue(database.pool, "any", { a: 1 }, { uniqueFor: "1h" }));
    await untilWaiting(19);
    await client.query("commit");
    client.release();
    expect(new Set(await Promise.all(others))).toEqual(new Set([first]));
    expect(await live()).toMatchObject([{ id: first }]);
  });

  it("outlasts the job and ends after the given time", async () => {
    const first = await enqueue(database.pool, "any", {}, { uniqueFor: "1h" });
    await take(first);
    await complete(first);
    expect(await enqueue(database.pool, "any", {}, { uniqueFor: "1h" })).toBe(first);
    expect(await live()).toEqual([]);
    await query("update legwork_private.unique_requests set expires_at = clock_timestamp()");
    const second = await enqueue(database.pool, "any", {}, { uniqueFor: "1h" });
    expect(second).not.toBe(first);
    expect(await enqueue(database.pool, "any", {}, { uniqueFor: "1h" })).toBe(second);
  });

  it("distinguishes requests by tenant, task and payload, or by the given key", async () => {
    const ids = await enqueueMany(database.pool, [
      { task: "any", payload: { a: 1, b: 2 }, uniqueFor: "1h" },
      { task: "any", payload: { b: 2, a: 1 }, uniqueFor: "1h" },
      { task: "any", payload: { a: 2 }, uniqueFor: "1h" },
      { task: "other", payload: { a: 1, b: 2 }, uniqueFor: "1h" },
      { task: "any", payload: { a: 1, b: 2 }, uniqueFor: "1h", tenant: "acme" },
      { task: "any", payload: { n: 1 }, uniqueFor: "1h", uniqueKey: "k" },
      { task: "any", payload: { n: 2 }, uniqueFor: "1h", uniqueKey: "k" },
      { task: "any", payload: { n: 2 }, uniqueFor: "1h", uniqueKey: "k", tenant: "acme" },
    ]);
    expect(ids[1]).toBe(ids[0]);
    expect(ids[6]).toBe(ids[5]);
    expect(new Set(ids).size).toBe(6);
  });

  it("lets a waiting request continue when the one before it is rolled back", async () => {
    const client = await database.pool.connect();
    await client.query("begin");
    const lost = await enqueue(client, "any", {}, { uniqueFor: "1h" });
    const waiting = enqueue(database.pool, "any", {}, { uniqueFor: "1h" });
    await untilWaiting(1);
    await client.query("rollback");
    client.release();
    expect(await waiting).not.toBe(lost);
    expect(await live()).toMatchObject([{ id: await waiting }]);
  });
});

describe("rate_limit", () => {
  it("admits exactly the allowed number of thirty concurrent requests", async () => {
    const answers = await Promise.allSettled(
      Array.from({ length: 30 }, (_, n) => enqueue(database.pool, "any", { n }, { rateLimit: 7, ratePer: "1h" })),
    );
    expect(answers.filter((answer) => answer.status === "fulfilled")).toHaveLength(7);
    expect(await live()).toHaveLength(7);
  });

  it("says when to retry, and admits a request at that time", async () => {
    for (const n of [1, 2]) await enqueue(database.pool, "any", { n }, { rateLimit: 2, ratePer: "1m" });
    await query("update legwork_private.quota_requests set requested_at = requested_at - interval '50 seconds' where number = 1");
    const error = await enqueue(database.pool, "any", {}, { rateLimit: 2, ratePer: "1m" }).catch((error: unknown) => error);
    expect(error).toMatchObject({
      code: "LW429",
      status: 429,
      message: expect.stringMatching(/^'any' is limited to 2 jobs per minute; the next one may be enqueued at 2\S+Z\.$/),
    });
    const { retryAt } = error as { retryAt: Date };
    const [oldest] = await query("select min(requested_at) + interval '1 minute' as free from legwork_private.quota_requests");
    expect(retryAt.getTime() - oldest?.free.getTime()).toBeGreaterThanOrEqual(0);
    expect(retryAt.getTime() - oldest?.free.getTime()).toBeLessThan(3);
    await query("update legwork_private.quota_requests set requested_at = requested_at - interval '10 seconds'");
    await enqueue(database.pool, "any", { n: 3 }, { rateLimit: 2, ratePer: "1m" });
    await expect(enqueue(database.pool, "any", {}, { rateLimit: 2, ratePer: "1m" })).rejects.toMatchObject({ code: "LW429" });
  });

  it("counts by key, and does not count what was rolled back", async () => {
    const limit = { rateLimit: 1, ratePer: "1h" };
    const client = await database.pool.connect();
    await client.query("begin");
    await enqueue(client, "any", {}, { ...limit, rateKey: "user:1" });
    await client.query("rollback");
    client.release();
    await enqueue(database.pool, "any", {}, { ...limit, rateKey: "user:1" });
    await enqueue(database.pool, "other", {}, { ...limit, rateKey: "user:2" });
    await expect(enqueue(database.pool, "other", {}, { ...limit, rateKey: "user:1" })).rejects.toMatchObject({ code: "LW429" });
    await enqueue(database.pool, "any", {}, limit);
    await enqueue(database.pool, "other", {}, limit);
  });

  it("holds over every window, whenever requests arrive", async () => {
    // Requests are backdated, so that the test does not have to wait. `ages` are the pauses before each request.
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 4 }),
        fc.array(fc.integer({ min: 0, max: 40 }), { minLength: 1, maxLength: 15 }),
        async (rateLimit, pauses) => {
          await query("delete from legwork_private.quota_keys");
          const letIn: number[] = [];
          let now = 0;
          for (const pause of pauses) {
            now += pause;
            await query("update legwork_private.quota_requests set requested_at = requested_at - make_interval(secs => $1)", [pause]);
            // The half second makes sure that the few milliseconds of the test itself do not matter.
            const expected = letIn.filter((at) => at > now - 50.5).length < rateLimit;
            const answer = await enqueue(database.pool, "any", {}, { rateLimit, ratePer: 50_500 }).then(
              () => true,
              () => false,
            );
            expect(answer).toBe(expected);
            if (answer) letIn.push(now);
          }
        },
      ),
      { numRuns: 25 },
    );
  });
});

describe("debounce", () => {
  const debounce = { jobKey: "k", debounce: "10s" };

  it("runs the last request, once the debounce time after it has passed", async () => {
    const id = await enqueue(database.pool, "any", { v: 1 }, debounce);
    await query("update graphile_worker._private_jobs set run_at = run_at - interval '8 seconds'");
    expect(await enqueue(database.pool, "any", { v: 2 }, debounce)).toBe(id);
    expect(await live()).toMatchObject([{ id, payload: { v: 2 }, state: "scheduled" }]);
    expect(await startsIn(id)).toBeGreaterThan(9);
  });

  it("never moves the start further than debounce_max after the first request", async () => {
    const bounded = { ...debounce, debounceMax: "30s" };
    const id = await enqueue(database.pool, "any", {}, bounded);
    await query("update legwork_private.paced_keys set first_requested_at = first_requested_at - interval '25 seconds'");
    await enqueue(database.pool, "any", {}, bounded);
    expect(await startsIn(id)).toBeLessThanOrEqual(5);
    expect(await startsIn(id)).toBeGreaterThan(3);
    await take(id);
    const next = await enqueue(database.pool, "any", {}, bounded);
    expect(next).not.toBe(id);
    expect(await startsIn(next)).toBeGreaterThan(9);
  });

  it("starts over when the job has run", async () => {
    const id = await enqueue(database.pool, "any", {}, { ...debounce, debounceMax: "20s" });
    await query("update legwork_private.paced_keys set first_requested_at = first_requested_at - interval '1 day'");
    await take(id);
    await fail(id);
    await enqueue(database.pool, "any", {}, { ...debounce, debounceMax: "20s" });
    expect(await startsIn(id)).toBeGreaterThan(9);
  });
});

describe("throttle", () => {
  const throttled = (v: number): Promise<string> => enqueue(database.pool, "any", { v }, { jobKey: "k", throttle: "10s" });

  it("starts the first request at once and merges the others into one job at the end of the interval", async () => {
    const first = await throttled(1);
    expect(await startsIn(first)).toBeLessThanOrEqual(0);
    await take(first, "4 seconds");
    const second = await throttled(2);
    expect(second).not.toBe(first);
    expect(await throttled(3)).toBe(second);
    const starts = await startsIn(second);
    expect(starts).toBeGreaterThan(4);
    expect(starts).toBeLessThanOrEqual(6);
    expect(await live()).toMatchObject([{ id: first, state: "running" }, { id: second, payload: { v: 3 } }]);
  });

  it("keeps the place of a waiting job in line", async () => {
    const first = await throttled(1);
    await query("update graphile_worker._private_jobs set run_at = run_at - interval '1 hour'");
    expect(await throttled(2)).toBe(first);
    expect(await startsIn(first)).toBeLessThan(-3_500);
    expect(await live()).toMatchObject([{ id: first, payload: { v: 2 } }]);
  });

  it("counts from the actual start of a job that has completed", async () => {
    const first = await throttled(1);
    await query("update graphile_worker._private_jobs set run_at = run_at - interval '1 hour'");
    await take(first, "3 seconds");
    await complete(first);
    const second = await throttled(2);
    expect(await startsIn(second)).toBeGreaterThan(5);
    expect(await startsIn(second)).toBeLessThanOrEqual(7);
    // This applies even if the next job never started.
    await query("select graphile_worker.remove_job('k')");
    expect(await startsIn(await throttled(3))).toBeGreaterThan(5);
  });

  it("counts from the start of a failed attempt, and starts at once after the interval", async () => {
    const first = await throttled(1);
    await take(first);
    await fail(first);
    expect(await throttled(2)).toBe(first);
    expect(await startsIn(first)).toBeGreaterThan(8);
    expect(await startsIn(first)).toBeLessThanOrEqual(10);
    await query("delete from graphile_worker._private_jobs");
    await query("update legwork_private.paced_keys set started_at = started_at - interval '10 seconds'");
    await query("update legwork_private.failed_attempts set started_at = started_at - interval '10 seconds'");
    expect(await startsIn(await throttled(3))).toBeLessThanOrEqual(0);
  });

  it("loses no request and starts at most once per interval, whatever the workers do", async () => {
    // A job must start after the last request, and starts with the same key must be at least an interval apart.
    const interval = 150;
    const ran: { v: number; at: number }[] = [];
    let done = false;
    const worker = async (name: string): Promise<void> => {
      while (!done) {
        const [job] = await query(
          `update graphile_worker._private_jobs set locked_at = clock_timestamp(), locked_by = $1, attempts = attempts + 1
           where id = (select id from graphile_worker._private_jobs where is_available and run_at <= now() limit 1 for update skip locked)
           returning id, payload, extract(epoch from locked_at)::float8 * 1000 as at`,
          [name],
        );
        if (job === undefined) continue;
        ran.push({ v: job.payload.v, at: job.at });
        await complete(job.id);
      }
    };
    let last = 0;
    let asked = 0;
    const enqueuer = async (): Promise<void> => {
      for (let n = 0; n < 60; n++) {
        const [clock] = await query("select extract(epoch from clock_timestamp())::float8 * 1000 as now");
        asked = Math.max(asked, clock?.now);
        await enqueue(database.pool, "any", { v: ++last }, { jobKey: "race", throttle: interval });
      }
    };
    const workers = [worker("w1"), worker("w2")];
    await Promise.all([enqueuer(), enqueuer(), enqueuer()]);
    await until("all requests ran", async () => (await live()).length === 0);
    done = true;
    await Promise.all(workers);
    const starts = ran.map((run) => run.at).toSorted((a, b) => a - b);
    expect(starts.length).toBeGreaterThan(1);
    for (let n = 1; n < starts.length; n++) expect(starts[n]! - starts[n - 1]!).toBeGreaterThanOrEqual(interval - 1);
    expect(starts.at(-1)).toBeGreaterThan(asked);
  });
});

describe("expires_at", () => {
  const soon = (): Date => new Date(Date.now() + 3_600_000);
  /** Moves the time at which a job expires into the past. */
  const elapse = async (id: string): Promise<void> => {
    await query(
      `update graphile_worker._private_jobs set flags = (
         select jsonb_object_agg(regexp_replace(flag, '^expires:.*', 'expires:1000'), true) from jsonb_object_keys(flags) flag)
       where id = $1`,
      [id],
    );
    await query("update legwork_private.expirations set expires_at = to_timestamp(1) where job_id = $1", [id]);
  };
  const expire = async (): Promise<number> => (await query("select legwork_private.expire_jobs() as n"))[0]?.n;

  it("ends a job that has waited too long, and no other", async () => {
    const late = await enqueue(database.pool, "any", {}, { expiresAt: soon(), tenant: "acme" });
    const other = await enqueue(database.pool, "any", {}, { expiresAt: soon() });
    await elapse(late);
    expect(await expire()).toBe(1);
    expect(await expire()).toBe(0);
    expect(await query("select id, state, error, started_at, tenant from legwork_private.finished_jobs")).toEqual([
      { id: late, state: "expired", error: "It had not started by 1970-01-01 00:00:01 UTC.", started_at: null, tenant: "acme" },
    ]);
    expect(await live()).toMatchObject([{ id: other }]);
    expect(await query("select job_id from legwork_private.expirations")).toEqual([{ job_id: other }]);
  });

  it("leaves a running job alone, but ends it instead of retrying it", async () => {
    const id = await enqueue(database.pool, "any", {}, { expiresAt: soon() });
    await elapse(id);
    await take(id);
    expect(await expire()).toBe(0);
    await fail(id);
    expect(await expire()).toBe(1);
    expect(await query("select state, attempts from legwork_private.finished_jobs")).toEqual([{ state: "expired", attempts: 1 }]);
  });

  it("leaves a failed job as failed", async () => {
    const id = await enqueue(database.pool, "any", {}, { expiresAt: soon(), maxAttempts: 1 });
    await elapse(id);
    await take(id);
    await fail(id);
    expect(await expire()).toBe(0);
    expect(await query("select state from legwork_private.finished_jobs")).toEqual([{ state: "failed" }]);
    expect(await query("select from legwork_private.expirations")).toEqual([]);
  });

  it("is removed when a request without expires_at replaces the job, and is updated by a request that has it", async () => {
    const id = await enqueue(database.pool, "any", {}, { jobKey: "k", expiresAt: soon() });
    await elapse(id);
    await enqueue(database.pool, "any", {}, { jobKey: "k", expiresAt: soon() });
    expect(await expire()).toBe(0);
    await query("update legwork_private.expirations set expires_at = to_timestamp(1)");
    await enqueue(database.pool, "any", {}, { jobKey: "k" });
    expect(await expire()).toBe(0);
    expect(await live()).toMatchObject([{ id }]);
    expect(await query("select from legwork_private.expirations")).toEqual([]);
  });

  it("stays unchanged when the request keeps the waiting job", async () => {
    const early = soon();
    await enqueue(database.pool, "any", {}, { jobKey: "k", expiresAt: early });
    const dedupe = { jobKeyMode: "unsafe_dedupe" as const, expiresAt: new Date(early.getTime() + 1_000) };
    await enqueue(database.pool, "any", {}, { jobKey: "k", ...dedupe });
    await enqueue(database.pool, "any", {}, { jobKey: "none" });
    await enqueue(database.pool, "any", {}, { jobKey: "none", ...dedupe });
    expect(await query("select expires_at from legwork_private.expirations")).toEqual([{ expires_at: early }]);
  });

  it("does not affect a job that is removed later in the same transaction: it is recorded as cancelled", async () => {
    const late = await enqueue(database.pool, "any", {}, { expiresAt: soon() });
    await enqueue(database.pool, "any", {}, { jobKey: "k" });
    await elapse(late);
    await query("do $$ begin perform legwork_private.expire_jobs(); perform graphile_worker.remove_job('k'); end $$");
    expect(await query("select state from legwork_private.finished_jobs order by id")).toEqual([{ state: "expired" }, { state: "cancelled" }]);
  });

  it("ends each of many jobs once, however many sessions expire jobs at the same time", async () => {
    await query("select legwork.enqueue('any', jsonb_build_object('n', n), expires_at => now() + interval '1 hour') from generate_series(1, 200) n");
    await query(`update graphile_worker._private_jobs set flags = '{"expires:1000": true}'`);
    await query("update legwork_private.expirations set expires_at = to_timestamp(1)");
    const counts = await Promise.all(Array.from({ length: 10 }, async () => (await query("select legwork_private.expire_jobs(30) as n"))[0]?.n));
    const rest = await expire();
    expect(counts.reduce((sum, n) => sum + n, rest)).toBe(200);
    expect(await query("select count(*)::int as n from legwork_private.finished_jobs where state = 'expired'")).toEqual([{ n: 200 }]);
  });
});

describe("overlap serial", () => {
  it("makes a job that is enqueued while a job with its key runs wait for that job", async () => {
    const first = await enqueue(database.pool, "any", {}, { jobKey: "k", overlap: "serial" });
    await take(first);
    const second = await enqueue(database.pool, "any", {}, { jobKey: "k", overlap: "serial" });
    expect(await live()).toMatchObject([
      { id: first, state: "running", serial_key: "job_key:k" },
      { id: second, state: "pending", serial_key: "job_key:k" },
    ]);
  });

  it("keeps a serial key that was given, and derives one even from the longest job key", async () => {
    await enqueue(database.pool, "any", {}, { jobKey: "k", serialKey: "mine", overlap: "serial" });
    await enqueue(database.pool, "any", {}, { jobKey: "k".repeat(512), overlap: "serial" });
    expect(await live()).toMatchObject([{ serial_key: "mine" }, { serial_key: expect.stringMatching(/^job_key:\w{32}$/) }]);
  });
});

describe("invalid options are rejected:", () => {
  it.each([
    ["unique_for => '-5 seconds'", "unique_for is -5 seconds; it must be between 1 ms and 100 years."],
    ["job_key => 'k', throttle => '0'", "throttle is 0 seconds; it must be between 1 ms and 100 years."],
    ["job_key => 'k', debounce => '0'", "debounce is 0 seconds; it must be between 1 ms and 100 years."],
    ["debounce => '1s'", "debounce and throttle need a job_key."],
    ["throttle => '1s'", "debounce and throttle need a job_key."],
    ["job_key => 'k', debounce => '1s', throttle => '1s'", "unique_for, debounce and throttle cannot be combined."],
    ["job_key => 'k', unique_for => '1s', throttle => '1s'", "unique_for, debounce and throttle cannot be combined."],
    ["job_key => 'k', debounce => '1s', run_at => now()", "run_at cannot be combined with debounce or throttle."],
    ["job_key => 'k', debounce => '1s', job_key_mode => 'preserve_run_at'", "job_key_mode cannot be combined with debounce or throttle."],
    ["job_key => 'k', debounce => '2s', debounce_max => '1s'", "debounce_max (1 second) is shorter than debounce (2 seconds)."],
    ["debounce_max => '1s'", "debounce_max needs debounce."],
    ["unique_key => 'k'", "unique_key needs unique_for."],
    ["rate_limit => 1", "rate_limit and rate_per must be given together."],
    ["rate_per => '1s'", "rate_limit and rate_per must be given together."],
    ["rate_limit => 0, rate_per => '1s'", "rate_limit is 0; it must be between 1 and 2147483647."],
    ["rate_key => 'k'", "rate_key needs rate_limit."],
    ["overlap => 'sometimes'", "'sometimes' is not a valid overlap."],
    ["overlap => 'serial'", "overlap serial needs a job_key."],
    ["expires_at => '2020-01-01Z'", expect.stringMatching(/^expires_at 2020-01-01 .* is in the past\.$/)],
    ["expires_at => now() + interval '1 hour', run_at => now() + interval '2 hours'", expect.stringMatching(/^The job would expire at /)],
  ])("%s", async (options, message) => {
    await expect(database.pool.query(`select legwork.enqueue('any', ${options})`)).rejects.toMatchObject({ code: "LW400", message });
    expect(await live()).toEqual([]);
  });

  it("an invalid duration", async () => {
    await expect(enqueue(database.pool, "any", {}, { uniqueFor: "soon" })).rejects.toMatchObject({
      code: "LW400",
      message: "uniqueFor is 'soon'; it must be a duration between 1 ms and 100 years.",
    });
  });
});

it("state that the limits keep is deleted when it is no longer needed, and not before", async () => {
  const options = { expiresAt: new Date(Date.now() + 3_600_000) };
  const ids = await enqueueMany(database.pool, [
    { task: "any", uniqueFor: "1h", ...options },
    { task: "any", rateLimit: 1, ratePer: "1h", ...options },
    { task: "any", jobKey: "t", throttle: "1h", ...options },
    { task: "any", jobKey: "d", debounce: "1m", ...options },
  ]);
  const remembered = (): Promise<Record<string, number>[]> =>
    query(`select (select count(*)::int from legwork_private.unique_requests) as u, (select count(*)::int from legwork_private.quota_keys) as k,
      (select count(*)::int from legwork_private.quota_requests) as r, (select count(*)::int from legwork_private.paced_keys) as p,
      (select count(*)::int from legwork_private.expirations) as e`);
  await query("update legwork_private.paced_keys set requested_at = requested_at - interval '1 hour'");
  await query("select legwork.maintain_history()");
  expect(await remembered()).toEqual([{ u: 1, k: 1, r: 1, p: 2, e: 4 }]);

  for (const id of ids) await take(id);
  await query("delete from graphile_worker._private_jobs");
  await query("select legwork.maintain_history()");
  // The throttled key's last start is still needed.
  expect(await remembered()).toEqual([{ u: 1, k: 1, r: 1, p: 1, e: 0 }]);

  await query("update legwork_private.unique_requests set expires_at = now()");
  await query("update legwork_private.quota_keys set expires_at = now()");
  await query("update legwork_private.finished_jobs set started_at = started_at - interval '1 hour'");
  await query("select legwork.maintain_history()");
  expect(await remembered()).toEqual([{ u: 0, k: 0, r: 0, p: 0, e: 0 }]);
});
