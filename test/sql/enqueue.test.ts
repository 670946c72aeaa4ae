import { beforeEach, describe, expect, it } from "vitest";
import { enqueue, enqueueMany, enqueueOn } from "../../src/jobs/enqueue.ts";
import type { Queryable } from "../../src/db/pool.ts";
import { cancelJobs } from "../../src/jobs/cancel-job.ts";
import { schedule } from "../../src/schedules/schedule.ts";
import { startWorkflow } from "../../src/workflows/start-workflow.ts";
import { testDatabase } from "../support/database.ts";
import { until } from "../support/until.ts";

const database = testDatabase();

beforeEach(async () => {
  await database.pool.query("delete from graphile_worker._private_jobs");
  await database.pool.query(
    `select legwork_private.register_tasks('[{"name": "notify/email", "payload_schema": {"type": "object",
       "properties": {"to": {"type": "string"}, "user": {"type": "object", "properties": {"id": {"type": "integer"}}}}, "required": ["to"]}},
       {"name": "any"}]')`,
  );
});

async function jobs(): Promise<Record<string, unknown>[]> {
  return (await database.pool.query("select * from legwork.jobs where finished_at is null order by id")).rows;
}

it("sends JSON as text, so that a driver that serializes parameters by their type does not serialize it again", async () => {
  const client = await database.pool.connect();
  let statements = 0;
  // A named statement stays prepared, with the types that a driver such as postgres.js would see.
  const prepared: Queryable = { query: (text, values) => client.query({ name: `s${++statements}`, text, values: values ?? [] }) };
  await client.query("begin");
  const job = await enqueue(prepared, "any", { a: 1 }, { jobKey: "k" });
  await enqueueMany(prepared, [{ task: "any", payload: { a: 2 } }]);
  await client.query("create table orders (id bigint)");
  await enqueueOn(prepared, "orders", ["insert"], "any", { payload: { order: "id" } });
  await schedule(prepared, "nightly", "any", { cron: "0 3 * * *", payload: { a: 3 } });
  await startWorkflow(prepared, { name: "w", steps: { one: { task: "any", payload: { a: 4 } } } });
  await cancelJobs(prepared, { task: "any", queue: "default" });
  const { rows } = await client.query(
    "select statement from pg_prepared_statements where parameter_types::text[] && array['json', 'jsonb']",
  );
  await client.query("rollback");
  await client.query("deallocate all");
  client.release();
  expect(job).toMatch(/^\d+$/);
  expect(statements).toBeGreaterThan(5);
  expect(rows).toEqual([]);
});

describe("legwork.enqueue", () => {
  it("takes every option and returns the job's id", async () => {
    const { rows } = await database.pool.query(
      `select legwork.enqueue('any', '{"a": 1}', run_at => '2030-01-01Z', priority => -5, job_key => 'k', serial_key => 's',
         max_attempts => 3, tenant => 'acme', correlation_id => 'c') as id`,
    );
    expect(await jobs()).toMatchObject([
      {
        id: rows[0].id, task: "any", payload: { a: 1 }, run_at: new Date("2030-01-01Z"), priority: -5, job_key: "k",
        serial_key: "s", max_attempts: 3, tenant: "acme", correlation_id: "c", state: "scheduled",
      },
    ]);
  });

  it("enqueues nothing when the caller rolls back", async () => {
    const client = await database.pool.connect();
    await client.query("begin");
    await client.query("select legwork.enqueue('any')");
    await client.query("rollback");
    client.release();
    expect(await jobs()).toEqual([]);
  });

  it("rejects an unknown task and suggests the nearest", async () => {
    await expect(database.pool.query("select legwork.enqueue('notify/emial')")).rejects.toMatchObject({
      code: "LW404",
      message: "There is no task named 'notify/emial'.",
      hint: expect.stringContaining("Did you mean 'notify/email'?"),
    });
  });

  it("takes the session's context when none is given", async () => {
    const client = await database.pool.connect();
    await client.query("begin");
    await client.query("select set_config('legwork.correlation_id', 'request-1', true), set_config('legwork.tenant', 'acme', true)");
    await client.query("select legwork.enqueue('any'), legwork.enqueue('any', tenant => 'other')");
    await client.query("commit");
    client.release();
    expect(await jobs()).toMatchObject([
      { correlation_id: "request-1", tenant: "acme" },
      { correlation_id: "request-1", tenant: "other" },
    ]);
  });

  it("replaces the waiting job with the same key", async () => {
    const first = await enqueue(database.pool, "any", { v: 1 }, { jobKey: "k" });
    const second = await enqueue(database.pool, "any", { v: 2 }, { jobKey: "k" });
    expect(second).toBe(first);
    expect(await jobs()).toMatchObject([{ payload: { v: 2 } }]);
  });

  it("never loses a keyed request, whatever a worker does at the same moment", async () => {
    // The workers constantly fetch and delete the job, so that add_job's check and its insert see different states.
    let lost = 0;
    let done = false;
    const worker = async (name: string): Promise<void> => {
      const client = await database.pool.connect();
      while (!done) {
        await client.query("begin");
        await client.query(
          `update graphile_worker._private_jobs set locked_at = now(), locked_by = $1, attempts = attempts + 1
           where id = (select id from graphile_worker._private_jobs where key = 'race' and locked_at is null for update skip locked)`,
          [name],
        );
        await client.query("commit");
        await client.query("delete from graphile_worker._private_jobs where locked_by = $1", [name]);
      }
      client.release();
    };
    const enqueuer = async (): Promise<void> => {
      for (let n = 0; n < 300; n++) {
        const { rows } = await database.pool.query("select legwork.enqueue('any', job_key => 'race') as id");
        if (rows[0].id === null) lost += 1;
      }
    };
    const workers = [worker("w1"), worker("w2")];
    await Promise.all([enqueuer(), enqueuer(), enqueuer()]);
    done = true;
    await Promise.all(workers);
    expect(lost).toBe(0);
  });

  describe("when a worker fetches the keyed job between add_job's check and its insert", () => {
    /** Locks the keyed job's row as a fetching worker does, waits until `request` blocks on it, then commits. */
    async function racing<T>(request: () => Promise<T>): Promise<{ old: string; answer: T }> {
      const old = await enqueue(database.pool, "any", { v: 1 }, { jobKey: "k" });
      const worker = await database.pool.connect();
      await worker.query("begin");
      await worker.query("update graphile_worker._private_jobs set locked_at = now(), locked_by = 'w', attempts = 1 where id = $1", [old]);
      const answer = request();
      await until("the request waits for the worker", async () => {
        const { rows } = await database.pool.query(
          "select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'",
        );
        return rows.length > 0;
      });
      await worker.query("commit");
      worker.release();
      return { old, answer: await answer };
    }

    it("graphile_worker.add_job returns null and the request is lost", async () => {
      const { answer } = await racing(() => database.pool.query("select id from graphile_worker.add_job('any', job_key => 'k')"));
      expect(answer.rows).toEqual([{ id: null }]);
    });

    it("legwork.enqueue inserts a new job", async () => {
      const { old, answer } = await racing(() => enqueue(database.pool, "any", { v: 2 }, { jobKey: "k" }));
      expect(await jobs()).toMatchObject([
        { id: old, state: "running", payload: { v: 1 } },
        { id: answer, state: "pending", payload: { v: 2 } },
      ]);
    });
  });
});

it("registering a task by its name alone keeps its other settings", async () => {
  await database.pool.query(`select legwork_private.register_tasks('[{"name": "kept", "description": "d", "queue": "q", "payload_schema": {}}]')`);
  await database.pool.query(`select legwork_private.register_tasks('[{"name": "kept"}]')`);
  const kept = "select description, queue, payload_schema from legwork.tasks where name = 'kept'";
  expect((await database.pool.query(kept)).rows).toEqual([{ description: "d", queue: "q", payload_schema: {} }]);
  await database.pool.query(`select legwork_private.register_tasks('[{"name": "kept", "description": null, "queue": null, "payload_schema": null}]')`);
  expect((await database.pool.query(kept)).rows).toEqual([{ description: null, queue: "default", payload_schema: null }]);
});

describe("legwork.enqueue_many", () => {
  it("returns the ids in the order of the jobs", async () => {
    const ids = await enqueueMany(
      database.pool,
      Array.from({ length: 50 }, (_, n) => ({ task: n % 2 === 0 ? "any" : "notify/email", payload: { n, to: "x" }, serialKey: `s${n % 3}` })),
    );
    const { rows } = await database.pool.query(
      "select j.payload from unnest($1::bigint[]) with ordinality as i (id, n) join legwork.jobs j using (id) order by i.n",
      [ids],
    );
    expect(rows.map((row) => row.payload.n)).toEqual(Array.from({ length: 50 }, (_, n) => n));
  });

  it("merges keyed jobs one after the other", async () => {
    const ids = await enqueueMany(database.pool, [
      { task: "any", payload: { v: 1 }, jobKey: "k" },
      { task: "any", payload: { v: 2 } },
      { task: "any", payload: { v: 3 }, jobKey: "k" },
    ]);
    expect(ids[0]).toBe(ids[2]);
    expect(await jobs()).toMatchObject([{ payload: { v: 3 } }, { payload: { v: 2 } }]);
  });

  it("enqueues all or nothing", async () => {
    await expect(enqueueMany(database.pool, [{ task: "any" }, { task: "unknown" }])).rejects.toMatchObject({ code: "LW404" });
    expect(await jobs()).toEqual([]);
  });

  it.each([
    ["'{}'", "LW400", "enqueue_many needs a JSON array of jobs; got object."],
    ["null", "LW400", "enqueue_many needs a JSON array of jobs; got null."],
    [`'[{"task": "any", "runAt": "2030-01-01"}]'`, "LW400", "A job has no field 'runAt'."],
    [`'[{"payload": {}}]'`, "LW404", "There is no task named ''."],
  ])("rejects %s", async (input, code, message) => {
    await expect(database.pool.query(`select legwork.enqueue_many(${input})`)).rejects.toMatchObject({ code, message });
  });

  it("enqueues nothing for an empty list", async () => {
    expect(await enqueueMany(database.pool, [])).toEqual([]);
  });
});

describe("a payload", () => {
  it("that does not match is rejected, and the error names the field", async () => {
    await expect(enqueue(database.pool, "notify/email", { to: 7 })).rejects.toMatchObject({
      code: "LW422",
      message: expect.stringContaining("to: Invalid input: expected string"),
    });
    await expect(enqueue(database.pool, "notify/email", { to: "a", user: { id: "x" } })).rejects.toThrow("user.id: ");
    await expect(enqueueMany(database.pool, [{ task: "any" }, { task: "notify/email" }])).rejects.toThrow("Job 2 of 2: ");
    expect(await jobs()).toEqual([]);
  });
});

describe("legwork.enqueue_on", () => {
  beforeEach(async () => {
    await database.pool.query("drop table if exists people");
    await database.pool.query("create table people (id int primary key, name text, email text, org text)");
  });

  it("enqueues a job per inserted row, in the transaction of the insert", async () => {
    await enqueueOn(database.pool, "people", ["insert"], "any", { payload: { userId: "id", address: "email" }, tenantColumn: "org" });
    await database.pool.query("insert into people values (1, 'A', 'a@x', 'acme'), (2, 'B', null, null)");
    expect(await jobs()).toMatchObject([
      { payload: { userId: 1, address: "a@x" }, tenant: "acme" },
      { payload: { userId: 2, address: null }, tenant: null },
    ]);
  });

  it("enqueues for an update only if a named column changed", async () => {
    await enqueueOn(database.pool, "people", ["update"], "any", { columns: ["email"] });
    await database.pool.query("insert into people values (1, 'A', 'a@x')");
    await database.pool.query("update people set name = 'Z'");
    await database.pool.query("update people set email = 'a@x'");
    expect(await jobs()).toEqual([]);
    await database.pool.query("update people set email = 'b@x'");
    expect(await jobs()).toMatchObject([
      { payload: { event: "update", table: "public.people", row: { id: 1, email: "b@x" }, old: { email: "a@x" } } },
    ]);
  });

  it("enqueues for a delete, and merges requests by key", async () => {
    await database.pool.query("select legwork.enqueue_on('people', 'insert or delete', 'any', job_key => 'person')");
    await database.pool.query("insert into people values (1, 'A')");
    await database.pool.query("delete from people");
    expect(await jobs()).toMatchObject([{ job_key: "person:1", payload: { event: "delete", row: { id: 1 } } }]);
  });

  it("works on a table with columns that cannot be compared", async () => {
    await database.pool.query("alter table people add column document json, add column place point");
    await enqueueOn(database.pool, "people", ["update"], "any");
    await database.pool.query(`insert into people values (1, 'A', null, null, '{"a": 1}', '(1,2)')`);
    await database.pool.query("update people set name = name");
    await database.pool.query(`update people set document = '{"a": 2}'`);
    expect(await jobs()).toHaveLength(1);
  });

  it("enqueues one job per row of a large statement", async () => {
    await enqueueOn(database.pool, "people", ["insert"], "any", { payload: { userId: "id" } });
    await database.pool.query("insert into people select n from generate_series(1, 1001) n");
    const { rows } = await database.pool.query("select count(distinct payload ->> 'userId')::int as users, count(*)::int as jobs from legwork.jobs where finished_at is null");
    expect(rows).toEqual([{ users: 1001, jobs: 1001 }]);
  });

  it("works for a user who may only write to the table", async () => {
    await enqueueOn(database.pool, "people", ["insert"], "any");
    await database.pool.query("drop role if exists legwork_test_writer");
    await database.pool.query("create role legwork_test_writer");
    await database.pool.query("grant insert on people to legwork_test_writer");
    const client = await database.pool.connect();
    await client.query("set role legwork_test_writer");
    await client.query("insert into people values (1, 'A')");
    await expect(client.query("select * from legwork_private.finished_jobs")).rejects.toMatchObject({ code: "42501" });
    client.release(true);
    await database.pool.query("drop owned by legwork_test_writer");
    await database.pool.query("drop role legwork_test_writer");
    expect(await jobs()).toHaveLength(1);
  });

  it("replaces its trigger when called again, and stop_enqueue_on removes it", async () => {
    await enqueueOn(database.pool, "people", ["insert"], "any");
    await enqueueOn(database.pool, "people", ["insert"], "any", { payload: { userId: "id" } });
    await database.pool.query("insert into people values (1)");
    expect(await jobs()).toMatchObject([{ payload: { userId: 1 } }]);
    const { rows } = await database.pool.query("select legwork.stop_enqueue_on('people', 'any') as triggers");
    expect(rows).toEqual([{ triggers: 1 }]);
    await database.pool.query("insert into people values (2)");
    expect(await jobs()).toHaveLength(1);
  });

  it.each([
    ["'people', 'truncate', 'any'", "LW400", "'truncate' is not a valid event."],
    ["'people', 'insert', 'nay'", "LW404", "There is no task named 'nay'."],
    [`'people', 'insert', 'any', payload => '{"x": "emial"}'`, "LW400", "Table public.people has no column 'emial'."],
    [`'people', 'insert', 'any', payload => '[]'`, "LW400", "payload maps fields to columns and must be a JSON object; got array."],
    ["'people', 'insert', 'any', job_key => 'p', key_column => 'uuid'", "LW400", "Table public.people has no column 'uuid'."],
  ])("rejects %s", async (parameters, code, message) => {
    await expect(database.pool.query(`select legwork.enqueue_on(${parameters})`)).rejects.toMatchObject({ code, message });
  });
});
