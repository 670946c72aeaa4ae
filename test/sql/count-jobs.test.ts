import { beforeAll, describe, expect, it } from "vitest";
import { COUNT_FIELDS } from "../../src/contract/jobs.ts";
import { transaction } from "../../src/db/pool.ts";
import { JOB_STATES } from "../../src/contract/states.ts";
import { countJobs, type CountFilter } from "../../src/jobs/count-jobs.ts";
import { listJobs } from "../../src/jobs/read-jobs.ts";
import { testDatabase } from "../support/database.ts";
import { fillEveryState } from "../support/every-state.ts";

const database = testDatabase();
let jobs: Record<string, string | null>[];

beforeAll(async () => {
  await fillEveryState(database.pool);
  jobs = (await database.pool.query("select * from legwork.jobs")).rows;
});

describe("counts of jobs", () => {
  it.for<[string, CountFilter]>([
    ["no condition", {}],
    ["a state", { state: "failed" }],
    ["a computed state", { state: "blocked" }],
    ["several states, unfinished and ended", { state: ["pending", "running", "failed", "completed"] }],
    ["a task", { task: "free" }],
    ["a queue", { queue: "mail" }],
    ["the default queue", { queue: "default", state: ["completed", "blocked"] }],
    ["a tenant", { tenant: "acme" }],
    ["a tenant, a task and states", { tenant: "acme", task: "free", state: ["completed", "cancelled"] }],
    ["a worker", { worker: "w", state: ["running", "failed"] }],
    ["a part of the error", { error: "BOOM", state: "failed" }],
    ["a correlation id", { correlationId: "c", state: "failed" }],
    ["a time", { createdAfter: new Date(Date.now() - 3_600_000), createdBefore: new Date(Date.now() + 3_600_000) }],
    ["an end time", { finishedAfter: new Date(Date.now() - 3_600_000), finishedBefore: new Date(Date.now() + 3_600_000) }],
    ["an end time that no job has", { finishedBefore: new Date(0) }],
    ["a priority", { priority: 0, state: ["failed", "pending"] }],
    ["an unknown task", { task: "unknown" }],
  ])("with %s are those of the rows that a list has", async ([, filter]) => {
    for (const stored of [false, true]) {
      await database.pool.query("delete from legwork_private.live_job_counts");
      if (stored) await storeCounts();
      const found = await countJobs(database.pool, filter, COUNT_FIELDS);
      expect(found.some((row) => row.is_capped)).toBe(false);
      for (const field of COUNT_FIELDS) {
        const { [field]: _own, ...others } = filter;
        const counts = new Map<string, number>();
        for (const job of jobs) {
          if (!matches(job, others) || job[field] === null) continue;
          const value = job[field] ?? "";
          counts.set(value, (counts.get(value) ?? 0) + 1);
        }
        const ofField = Object.fromEntries(found.filter((row) => row.field === field).map((row) => [row.value, row.jobs]));
        expect({ stored, field, counts: ofField }).toEqual({ stored, field, counts: Object.fromEntries(counts) });
      }
    }
    await database.pool.query("delete from legwork_private.live_job_counts");
  });

  it("stop at 10,000 for each value and indicate this, but are complete if an index contains the value", async () => {
    await transaction(database.pool, async (client) => {
      await client.query(`
        insert into legwork_private.finished_jobs (id, task, queue, state, priority, attempts, max_attempts, payload, run_at, created_at, finished_at)
        select 1000000 + n, case when n % 6000 = 0 then 'idle' else 'free' end, 'mail', (case when n <= 3 then 'expired' when n % 100 = 0 then 'failed' else 'completed' end)::legwork.job_state,
          0, 1, 1, '{}', now(), now(), now()
        from generate_series(1, 12000) n`);
      const counts = await countJobs(client, {}, ["state", "task"]);
      const of = (value: string): [number, boolean] | undefined =>
        counts.filter((row) => row.value === value).map((row): [number, boolean] => [row.jobs, row.is_capped])[0];
      expect(of("completed")).toEqual([expect.any(Number), true]);
      // The three oldest jobs are not among the newest 10,000.
      expect(of("expired")).toEqual([5, false]);
      expect(of("failed")).toEqual([120 + jobs.filter(({ state }) => state === "failed").length, false]);
      expect(of("free")).toEqual([10_000, true]);
      expect(of("idle")).toEqual([2 + jobs.filter(({ task }) => task === "idle").length, false]);
      await client.query("rollback and chain");
    });
  });

  it("do not include another tenant's jobs, whether they come from a stored count or from a filter", async () => {
    await storeCounts();
    const of = async (tenant: string, filter: CountFilter): Promise<number> =>
      await transaction(database.pool, async (client) => {
        await client.query("select set_config('legwork.confined_to', $1, true)", [tenant]);
        const counts = await countJobs(client, filter, ["state", "tenant"]);
        expect(counts.filter(({ field, value }) => field === "tenant" && value !== tenant)).toEqual([]);
        return counts.filter(({ field }) => field === "state").reduce((sum, { jobs }) => sum + jobs, 0);
      });
    const { rows } = await database.pool.query("select count(*)::int as own from legwork.jobs where tenant = 'acme'");
    expect(await of("acme", {})).toBe(rows[0].own);
    expect(await of("acme", { tenant: "acme" })).toBe(rows[0].own);
    expect(await of("acme", { tenant: "other" })).toBe(0);
    await database.pool.query("delete from legwork_private.live_job_counts");
  });

  it.for([
    [{ color: "red" }, ["state"], "A filter has no field 'color'."],
    [{ state: ["failed", "dead"] }, ["state"], "'dead' is not a valid state."],
    [{ priority: "high" }, ["state"], "priority is high; it must be a whole number."],
    [{}, ["payload"], "Jobs cannot be counted by 'payload'."],
  ] as const)("of %j by %j are rejected with LW400", async ([filter, by, message]) => {
    await expect(
      database.pool.query("select * from legwork.count_jobs($1, $2)", [JSON.stringify(filter), by]),
    ).rejects.toMatchObject({ code: "LW400", message: expect.stringContaining(message) });
  });
});

describe("a list of jobs in several states", () => {
  it("contains the jobs in all of these states in order, page by page", async () => {
    const states = ["failed", "pending", "running", "completed", "blocked"] as const;
    const { rows } = await database.pool.query("select id from legwork.jobs where state = any ($1) order by id desc", [states]);
    const pages: string[] = [];
    for (let before: string | undefined; ;) {
      const page = await listJobs(database.pool, { state: states, limit: 3, ...(before === undefined ? {} : { before }) });
      pages.push(...page.map(({ id }) => id));
      before = page.at(-1)?.id;
      if (page.length < 3) break;
    }
    expect(pages).toEqual(rows.map(({ id }) => id));
    expect((await listJobs(database.pool, { state: states, order: "oldest", limit: 2 })).map(({ id }) => id)).toEqual(
      rows.toReversed().slice(0, 2).map(({ id }) => id),
    );
    const running = await listJobs(database.pool, { state: "running", order: "longest", limit: 50 });
    expect(running.length).toBeGreaterThan(1);
    expect(running).toEqual(running.toSorted((one, other) => Number(one.started_at) - Number(other.started_at)));
    await expect(listJobs(database.pool, { order: "longest", limit: 1 })).rejects.toMatchObject({ code: "LW400" });
    expect((await listJobs(database.pool, { state: JOB_STATES, task: "free", tenant: "acme", limit: 50 })).length).toBeGreaterThan(3);
  });
});

/** Stores counts of the unfinished jobs, as the worker does for queues with many jobs. */
async function storeCounts(): Promise<void> {
  await database.pool.query(`
    insert into legwork_private.live_job_counts
    select x.tenant, l.task, l.queue, l.state, count(*), now() + interval '1 hour'
    from legwork_private.all_live_job_states l cross join lateral (select '' as tenant union all select l.tenant where l.tenant is not null) x
    where l.state <> 'failed' group by 1, 2, 3, 4`);
}

function matches(job: Record<string, unknown>, filter: CountFilter): boolean {
  const { state, error, correlationId, createdAfter, createdBefore, finishedAfter, finishedBefore, ...same } = filter;
  if (state !== undefined && !(typeof state === "string" ? [state] : state).includes(job.state as never)) return false;
  if (error !== undefined && !String(job.error).toLowerCase().includes(error.toLowerCase())) return false;
  if (correlationId !== undefined && job.correlation_id !== correlationId) return false;
  if (createdAfter !== undefined && (job.created_at as Date) < createdAfter) return false;
  if (createdBefore !== undefined && (job.created_at as Date) >= createdBefore) return false;
  const ended = job.finished_at as Date | null;
  if (finishedAfter !== undefined && (ended === null || ended < finishedAfter)) return false;
  if (finishedBefore !== undefined && (ended === null || ended >= finishedBefore)) return false;
  return Object.entries(same).every(([name, value]) => job[name] === value);
}
