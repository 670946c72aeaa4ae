import { beforeAll, beforeEach, describe, expect, it } from "vitest";
import { getJob } from "../../src/jobs/read-jobs.ts";
import { testDatabase } from "../support/database.ts";
import { empty } from "../support/empty.ts";
import { until } from "../support/until.ts";
import { workerOver } from "../support/worker.ts";

// A worker records many jobs in one statement, and the database rejects that statement because of one job, or every time.

const database = testDatabase();

/** Records each run, so that a job that runs twice is noticed. */
const NOTE = `
  import { defineTask } from "legwork";
  export default defineTask({ retry: { attempts: 3, backoff: "fixed", delay: "10ms" }, async run({ result, error }, { job, sql }) {
    await sql\`insert into runs values (\${job.id})\`;
    if (error !== undefined) throw new Error(error);
    return result;
  } });`;
const TASKS = { "good.ts": NOTE, "bad.ts": NOTE };

beforeAll(async () => {
  await accept();
  await database.pool.query(`create table runs (job_id bigint);
    create trigger odd before insert on legwork_private.finished_jobs for each row execute function refuse_ends();
    create trigger odd before insert on legwork_private.failed_attempts for each row execute function refuse_failures()`);
});

beforeEach(async () => {
  await accept();
  await database.pool.query("delete from graphile_worker._private_jobs");
  await empty(database.pool, "runs, legwork_private.finished_jobs, legwork_private.failed_attempts");
});

/** Makes the history reject some rows, as a user's trigger or constraint might. */
async function refuse(what: "ends" | "failures", condition: string): Promise<void> {
  await database.pool.query(`create or replace function refuse_${what}() returns trigger language plpgsql as
    $$ begin if ${condition} then raise exception 'not in my table' using errcode = '23514'; end if; return new; end $$`);
}

async function accept(): Promise<void> {
  await refuse("ends", "false");
  await refuse("failures", "false");
}

async function add(jobs: readonly { task: string; payload?: unknown; serial?: string }[]): Promise<string[]> {
  const { rows } = await database.pool.query(
    `select id from graphile_worker.add_jobs(array(
       select row(j ->> 'task', coalesce(j -> 'payload', '{}')::json, j ->> 'serial', null, null, null, null, null)::graphile_worker.job_spec
       from jsonb_array_elements($1) j))`,
    [JSON.stringify(jobs)],
  );
  return rows.map((row) => row.id);
}

const neighbors = (count: number): { task: string; payload: unknown; serial?: string }[] =>
  Array.from({ length: count }, (_, n) => ({ task: "good", payload: { result: n }, ...(n % 5 === 0 ? { serial: "s" } : {}) }));

async function allEnded(ids: readonly string[]): Promise<void> {
  await until("all jobs have ended", async () => {
    const { rows } = await database.pool.query(
      "select count(*)::int as jobs from legwork.jobs where id = any($1::bigint[]) and finished_at is not null",
      [ids],
    );
    return rows[0].jobs === ids.length;
  });
}

async function expectOneRunEach(ids: readonly string[]): Promise<void> {
  const { rows } = await database.pool.query(
    "select j.id, j.state, count(r.job_id)::int as runs from legwork.jobs j left join runs r on r.job_id = j.id where j.id = any($1::bigint[]) group by 1, 2",
    [ids],
  );
  expect(rows).toHaveLength(ids.length);
  for (const row of rows) expect(row, `job ${row.id}`).toMatchObject({ state: "completed", runs: 1 });
}

describe("a row that the database rejects", () => {
  it.for([
    { kind: "alone", around: 0 },
    { kind: "in a batch", around: 40 },
  ])(
    "because of its result ($kind) is recorded without the result, and the other rows are recorded as usual",
    async ({ around }) => {
      await refuse("ends", `new.result = '"bad"'`);
      const others = await add(neighbors(around));
      const [bad] = await add([{ task: "bad", payload: { result: "bad" } }]);
      await workerOver(database.url, TASKS, { concurrency: 10, localQueueSize: 50 });
      await allEnded([bad!, ...others]);
      await expectOneRunEach([bad!, ...others]);
      const job = await getJob(database.pool, bad!);
      expect(job).toMatchObject({ attempts: 1, error: null });
      expect(job.result).toEqual({ "legwork:refused": "not in my table" });
      for (const [n, id] of others.entries()) expect((await getJob(database.pool, id)).result).toBe(n);
    },
  );

  it("because its job completed is recorded as failed, with the rejection as its error and its attempt counted", async () => {
    await refuse("ends", "new.task = 'bad' and new.state = 'completed'");
    const others = await add(neighbors(20));
    const [bad, serial] = await add([{ task: "bad" }, { task: "bad", serial: "s" }]);
    await workerOver(database.url, TASKS, { concurrency: 10, localQueueSize: 50 });
    await allEnded([bad!, serial!, ...others]);
    await expectOneRunEach(others);
    for (const id of [bad!, serial!]) {
      const job = await getJob(database.pool, id);
      expect(job).toMatchObject({ state: "failed", attempts: 1 });
      expect(job.error).toBe("The task completed, but the database rejected the record of it: not in my table");
    }
  });

  it("because of its error text is recorded with a replacement text, and its job is retried as usual", async () => {
    await refuse("failures", "new.error_message = 'bad'");
    const others = await add(neighbors(20));
    const [bad, fine] = await add([
      { task: "bad", payload: { error: "bad" } },
      { task: "bad", payload: { error: "fine" } },
    ]);
    await workerOver(database.url, TASKS, { concurrency: 10, localQueueSize: 50 });
    await allEnded([bad!, fine!, ...others]);
    await expectOneRunEach(others);
    expect(await getJob(database.pool, fine!)).toMatchObject({ state: "failed", attempts: 3, error: "fine" });
    const job = await getJob(database.pool, bad!);
    expect(job).toMatchObject({ state: "failed", attempts: 3 });
    expect(job.error).toBe("The error could not be recorded: not in my table");
  });

  it("in any form waits without blocking other rows, and is recorded once the database accepts it", async () => {
    // The row is never accepted without its result: otherwise, a reduced form could be recorded before the database accepts the whole row.
    await database.pool.query("create table mended (at timestamptz)");
    await refuse("ends", "new.task = 'bad' and (new.result is distinct from '7' or not exists (select from public.mended))");
    const [bad] = await add([{ task: "bad", payload: { result: 7 } }]);
    await workerOver(database.url, TASKS, { concurrency: 4, localQueueSize: 4 });
    await until("the bad job has run", async () => (await database.pool.query("select from runs")).rows.length === 1);
    for (let round = 0; round < 3; round++) {
      const others = await add(neighbors(10));
      await allEnded(others);
      await expectOneRunEach(others);
    }
    expect((await getJob(database.pool, bad!)).state).toBe("running");
    await database.pool.query("insert into mended values (now())");
    await allEnded([bad!]);
    await expectOneRunEach([bad!]);
    expect((await getJob(database.pool, bad!)).result).toBe(7);
  });
});

describe("a system fault", () => {
  it.for([
    {
      fault: "the same error from every row",
      break: () => refuse("ends", "true"),
      mend: accept,
    },
    {
      fault: "a missing column",
      break: () => database.pool.query("alter table legwork_private.finished_jobs rename column serial_key to serial_key_gone"),
      mend: () => database.pool.query("alter table legwork_private.finished_jobs rename column serial_key_gone to serial_key"),
    },
  ])(
    "($fault) does not end any job: no more jobs are fetched, and work resumes automatically",
    async ({ break: breakIt, mend }) => {
      const ids = await add(neighbors(60));
      await breakIt();
      await workerOver(database.url, TASKS, { concurrency: 5, localQueueSize: 10 });
      const { pool } = database;
      const runs = async (): Promise<number> => (await pool.query("select from runs")).rows.length;
      let last = { seen: new Date(0), runs: 0 };
      await until(
        "two heartbeats have passed without another run",
        async () => {
          const { rows } = await pool.query("select max(seen_at) as seen from legwork.workers");
          const seen: Date | null = rows[0].seen;
          if (seen === null || seen.getTime() < last.seen.getTime() + 2_000) return false;
          const isQuiet = last.runs > 0 && (await runs()) === last.runs;
          last = { seen, runs: await runs() };
          return isQuiet;
        },
        20_000,
      );
      expect(await runs()).toBeLessThan(ids.length / 2);
      expect(
        (await pool.query("select from graphile_worker._private_jobs where attempts > 1 or last_error is not null")).rows,
      ).toEqual([]);
      await mend();
      await allEnded(ids);
      await expectOneRunEach(ids);
    },
  );
});
