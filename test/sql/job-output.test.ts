import { beforeEach, expect, it } from "vitest";
import { testDatabase } from "../support/database.ts";
import { empty } from "../support/empty.ts";

const database = testDatabase();

beforeEach(async () => {
  await database.pool.query("update legwork.settings set value = '30 days' where name = 'history_retention'");
  await database.pool.query("delete from graphile_worker._private_jobs");
  await empty(database.pool, "legwork_private.finished_jobs, legwork_private.failed_attempts, legwork_private.job_logs, legwork_private.job_progress");
});

async function record(progress: object[], logs: object[]): Promise<void> {
  await database.pool.query("select legwork_private.record_output($1, $2)", [JSON.stringify(progress), JSON.stringify(logs)]);
}

const AT = Date.parse("2026-03-01T12:00:00Z");

function line(jobId: number | string, message: string, at = AT): object {
  return { job_id: jobId, attempt: 1, at, level: "info", message, fields: { n: 1 }, tenant: "acme" };
}

it("one statement stores the log lines of many jobs, each job's in order", async () => {
  await record([], [line(2, "b"), line(1, "a"), line(2, "a", AT - 1), line(1, "c")]);
  const { rows } = await database.pool.query(
    "select job_id, attempt, logged_at, level, message, fields, tenant from legwork.logs order by job_id, id",
  );
  expect(rows.map(({ job_id: id, message }) => `${id} ${message}`)).toEqual(["1 a", "1 c", "2 b", "2 a"]);
  expect(rows[0]).toEqual({
    job_id: "1",
    attempt: 1,
    logged_at: new Date(AT),
    level: "info",
    message: "a",
    fields: { n: 1 },
    tenant: "acme",
  });
});

it("progress is the latest reported value, and is shown only for the attempt that reported it", async () => {
  const { rows } = await database.pool.query("select id from graphile_worker.add_job('t')");
  const [{ id }] = rows as [{ id: string }];
  const shown = async (): Promise<unknown> =>
    (await database.pool.query("select progress, progress_message as message from legwork.jobs where id = $1", [id])).rows[0];
  await database.pool.query("update graphile_worker._private_jobs set attempts = 1, locked_at = now(), locked_by = 'w' where id = $1", [id]);
  await record([{ job_id: id, attempt: 1, percent: 40, message: "Reading", at: AT }], []);
  expect(await shown()).toEqual({ progress: 40, message: "Reading" });
  await record([{ job_id: id, attempt: 1, percent: 10, message: "late", at: AT - 1 }], []);
  expect(await shown()).toEqual({ progress: 40, message: "Reading" });
  await record([{ job_id: id, attempt: 1, percent: null, message: null, at: AT + 1 }], []);
  expect(await shown()).toEqual({ progress: null, message: null });
  await record([{ job_id: id, attempt: 1, percent: 99, message: null, at: AT + 2 }], []);
  await database.pool.query("update graphile_worker._private_jobs set attempts = 2 where id = $1", [id]);
  expect(await shown()).toEqual({ progress: null, message: null });
});

it.each([
  ["101", 100],
  ["-1", 0],
  ["1e-320", 0],
  ["1e400", 100],
  ["0.1", 0.1],
])("a percentage of %s is stored as %d, and the progress of other jobs is stored too", async (percent, kept) => {
  await database.pool.query("select legwork_private.record_output($1, $2)", [
    `[{"job_id": 1, "attempt": 99999, "percent": ${percent}, "message": null, "at": 1e300}, {"job_id": 2, "attempt": 1, "percent": 50, "message": null, "at": ${AT}}]`,
    JSON.stringify([line(2, "kept")]),
  ]);
  const { rows } = await database.pool.query("select job_id, percent::float8 from legwork_private.job_progress order by job_id");
  expect(rows).toEqual([
    { job_id: "1", percent: expect.closeTo(kept, 4) },
    { job_id: "2", percent: 50 },
  ]);
  expect((await database.pool.query("select message from legwork.logs")).rows).toEqual([{ message: "kept" }]);
});

it("log lines and progress are deleted with the history, except those of a live job", async () => {
  const { rows } = await database.pool.query("select id from graphile_worker.add_job('t', run_at => '2100-01-01')");
  const old = Date.now() - 40 * 86_400_000;
  const progress = { attempt: 1, percent: 1, message: null };
  await record(
    [
      { ...progress, job_id: rows[0].id, at: old },
      { ...progress, job_id: 900_001, at: old },
      { ...progress, job_id: 900_002, at: Date.now() },
    ],
    [line(900_001, "old", old), line(900_002, "young", Date.now())],
  );
  await database.pool.query("create table legwork.job_logs_old partition of legwork_private.job_logs for values from ('2020-01-01Z') to ('2020-02-01Z')");
  await record([], [line(900_001, "older", Date.parse("2020-01-10T00:00:00Z"))]);
  const { rows: steps } = await database.pool.query("select * from legwork.maintain_history()");
  expect(steps).toEqual([{ step: "dropped", relation: "legwork.job_logs_old" }]);
  expect((await database.pool.query("select message from legwork.logs")).rows).toEqual([{ message: "young" }]);
  const { rows: kept } = await database.pool.query("select job_id from legwork_private.job_progress order by job_id");
  expect(kept).toEqual([{ job_id: rows[0].id }, { job_id: "900002" }]);
});

it("log lines that arrived while a partition was missing move into it when it is created", async () => {
  const { rows: made } = await database.pool.query(
    "select partition::text from legwork_private.history_partitions() where parent = 'legwork_private.job_logs'::regclass",
  );
  expect(made.length).toBeGreaterThan(0);
  for (const { partition } of made) await database.pool.query(`drop table ${partition}`);
  await record([], [line(1, "first", Date.now()), line(1, "second", Date.now())]);
  await database.pool.query("select legwork.maintain_history()");
  await record([], [line(1, "third", Date.now())]);
  const { rows } = await database.pool.query("select message, tableoid::regclass::text as partition from legwork_private.job_logs order by id");
  expect(rows.map(({ message }) => message)).toEqual(["first", "second", "third"]);
  expect(new Set(rows.map(({ partition }) => partition)).size).toBe(1);
  expect(rows[0].partition).toMatch(/^legwork_private\.job_logs_\d{8}$/);
});
