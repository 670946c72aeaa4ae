import fc from "fast-check";
import { beforeEach, describe, expect, it } from "vitest";
import { testDatabase } from "../support/database.ts";
import { resetLegwork } from "../support/reset-legwork.ts";
import { HandWorker } from "../support/hand-worker.ts";

const database = testDatabase();
// oxlint-disable-next-line typescript/no-explicit-any -- rows of every shape
const run = async (text: string, values: unknown[] = []): Promise<any[]> => (await database.pool.query(text, values)).rows;

beforeEach(async () => {
  await resetLegwork(database.pool);
  await run(`select legwork_private.register_tasks('[{"name": "a"}]')`);
});

const refusal = async (text: string, values: unknown[] = []): Promise<unknown> =>
  await database.pool.query(text, values).then(
    () => "accepted",
    ({ code, message }: { code: string; message: string }) => ({ code, message }),
  );

/** Sets the tenant as it is set on the connection of a running task, and as psql may set it. */
async function inContextOf(tenant: string, text: string): Promise<void> {
  const client = await database.pool.connect();
  try {
    await client.query("begin");
    await client.query("select set_config('legwork.tenant', $1, true)", [tenant]);
    await client.query(text);
    await client.query("commit");
  } catch (error) {
    await client.query("rollback");
    throw error;
  } finally {
    client.release();
  }
}

/** Makes requests that would share a job or a line if the tenants A and B had a common namespace for keys. */
describe.each([
  ["given", async (options: string) => {
    for (const tenant of ["A", "B"]) await run(`select legwork.enqueue('a', jsonb_build_object('of', '${tenant}'), tenant => '${tenant}', ${options})`);
  }],
  ["set for the transaction", async (options: string) => {
    for (const tenant of ["A", "B"]) await inContextOf(tenant, `select legwork.enqueue('a', '{"of": "${tenant}"}', ${options})`);
  }],
] as const)("with the tenant that is %s", (_, enqueue) => {
  it.each([
    "job_key => 'k'",
    "job_key => 'k', job_key_mode => 'preserve_run_at'",
    "job_key => 'k', job_key_mode => 'unsafe_dedupe'",
    "job_key => 'k', debounce => '1 hour'",
    "job_key => 'k', throttle => '1 hour'",
    "job_key => 'k', overlap => 'serial'",
    "unique_for => '1 hour', unique_key => 'k'",
    "rate_limit => 1, rate_per => '1 hour', rate_key => 'k'",
    "rate_limit => 1, rate_per => '1 hour'",
    "serial_key => 'k'",
  ])("two tenants request %s and each gets its own job", async (options) => {
    await enqueue(options);
    expect(await run("select payload ->> 'of' as of, tenant from legwork.jobs order by id")).toEqual([
      { of: "A", tenant: "A" },
      { of: "B", tenant: "B" },
    ]);
    // Neither job waits for the other.
    expect(await new HandWorker("w").fetch(database.pool, 2)).toHaveLength(options.includes("debounce") ? 0 : 2);
  });

  it("each tenant has its own quota, and the error shows the key as the caller wrote it", async () => {
    const options = "rate_limit => 1, rate_per => '1 hour', rate_key => 'k'";
    await enqueue(options);
    await expect(enqueue(options)).rejects.toMatchObject({ code: "LW429", message: expect.stringMatching(/^'k' is limited/) });
  });
});

it("a job without a tenant has its own namespace too, whatever its key looks like", async () => {
  for (const key of ["k", "tenant~A:k", "tenant~%:k", "tenant~"]) {
    await run("select legwork.enqueue('a', job_key => $1, serial_key => $1)", [key]);
    await run("select legwork.enqueue('a', job_key => $1, serial_key => $1, tenant => 'A')", [key]);
  }
  expect(await run("select job_key, serial_key, tenant from legwork.jobs order by id")).toEqual(
    ["k", "tenant~A:k", "tenant~%:k", "tenant~"].flatMap((key) => [
      { job_key: key, serial_key: key, tenant: null },
      { job_key: key, serial_key: key, tenant: "A" },
    ]),
  );
  expect(await run("select key, queue_name from graphile_worker.jobs order by id limit 2")).toEqual([
    { key: "k", queue_name: "k" },
    { key: "tenant~A:k", queue_name: "tenant~A:k" },
  ]);
});

it("no two pairs of tenant and key are stored as the same key, and each original key can be restored", async () => {
  const text = fc.oneof(fc.string({ unit: fc.constantFrom("a", ":", "%", "3", "A", "~", "2", "5"), maxLength: 6 }), fc.constantFrom("tenant~", "x".repeat(33)));
  const pairs = fc.array(fc.tuple(fc.option(text), text), { minLength: 40, maxLength: 40 });
  await fc.assert(
    fc.asyncProperty(pairs, async (some) => {
      const rows = await run(
        `select count(distinct (t, k))::int as pairs, count(distinct legwork.tenant_key(k, t))::int as kept,
           bool_and(legwork.given_key(legwork.tenant_key(k, t)) = k) as read_back from unnest($1::text[], $2::text[]) as p (t, k)`,
        [some.map(([tenant]) => tenant), some.map(([, key]) => key)],
      );
      expect(rows).toEqual([{ pairs: rows[0].pairs, kept: rows[0].pairs, read_back: true }]);
    }),
    { numRuns: 20 },
  );
  const long = "t".repeat(255);
  expect(await run("select legwork.tenant_key('k', $1) = legwork.tenant_key('k', $2) as same, length(legwork_private.key_prefix($1)) as length", [`${long}1`, `${long}2`])).toEqual([
    { same: false, length: 41 },
  ]);
});

it("a key that is too long together with its tenant is rejected, with the option's name and the allowed length", async () => {
  const enqueue = "select legwork.enqueue('a', job_key => $1, serial_key => $2, tenant => $3)";
  expect(await refusal(enqueue, ["k".repeat(500), "s".repeat(116), "acme"])).toBe("accepted");
  expect(await refusal(enqueue, ["k".repeat(501), null, "acme"])).toEqual({ code: "LW400", message: "job_key has 501 characters; the maximum is 500." });
  expect(await refusal(enqueue, [null, "s".repeat(128), "acme"])).toEqual({ code: "LW400", message: "serial_key has 128 characters; the maximum is 116." });
  expect(await refusal(enqueue, ["k".repeat(471), "s".repeat(87), "t".repeat(256)])).toBe("accepted");
  expect(await refusal(enqueue, ["k".repeat(512), "s".repeat(128), null])).toBe("accepted");
  expect(await refusal(enqueue, ["k".repeat(513), null, null])).toEqual({ code: "LW400", message: "job_key has 513 characters; the maximum is 512." });
  expect(await refusal(enqueue, ["", null, "acme"])).toEqual({ code: "LW400", message: "job_key is empty." });
  expect(await refusal("select legwork.enqueue_many($1)", [JSON.stringify([{ task: "a", serial_key: "s".repeat(128), tenant: "acme" }])])).toMatchObject({ code: "LW400" });
  expect(await refusal("select legwork.start_workflow('w', $1, tenant => 'acme')", [JSON.stringify([{ name: "s", task: "a", serial_key: "s".repeat(128) }])])).toMatchObject({
    code: "LW400",
  });
  // A long job key still gets its own line.
  expect(await refusal("select legwork.enqueue('a', job_key => $1, overlap => 'serial', tenant => $2)", ["k".repeat(470), "t".repeat(256)])).toBe("accepted");
});

it("enqueue_many, triggers, workflows and batches separate tenants' keys as enqueue does", async () => {
  await run("create table if not exists orders (id integer, customer text)");
  await run("select legwork.enqueue_on('orders', 'insert', 'a', job_key => 'order', serial_key => 'order', tenant_column => 'customer')");
  for (const tenant of ["A", "B"]) {
    await run("select legwork.enqueue_many($1)", [JSON.stringify([{ task: "a", serial_key: "k", tenant }])]);
    await run("select legwork.enqueue_many($1)", [JSON.stringify([{ task: "a", serial_key: "k", job_key: "k", tenant }])]);
    await run("insert into orders values (1, $1)", [tenant]);
    await run(`select legwork.start_workflow('w', '[{"name": "s", "task": "a", "serial_key": "k"}]', tenant => $1)`, [tenant]);
    await run(`select legwork.enqueue_batch('[{"task": "a", "serial_key": "k"}]', tenant => $1)`, [tenant]);
  }
  const line = await run(
    `select j.tenant, j.serial_key, count(*)::int as jobs, count(distinct p.job_queue_id)::int as lines
     from legwork.jobs j join graphile_worker._private_jobs p using (id) group by j.tenant, j.serial_key order by 1, 2`,
  );
  expect(line).toEqual(["A", "B"].flatMap((tenant) => [{ tenant, serial_key: "k", jobs: 4, lines: 1 }, { tenant, serial_key: "order:1", jobs: 1, lines: 1 }]));
  expect(await run("select count(distinct job_queue_id)::int as lines from graphile_worker._private_jobs")).toEqual([{ lines: 4 }]);
});

it("graphile_worker functions keep the keys they are given, and address a tenant's job through legwork.tenant_key", async () => {
  await run("select graphile_worker.add_job('a', queue_name => 'q', job_key => 'k', flags => array['tenant:A'])");
  await run("select legwork.enqueue('a', job_key => 'k', serial_key => 'q', tenant => 'A')");
  expect(await run("select job_key, serial_key, tenant from legwork.jobs")).toEqual([1, 2].map(() => ({ job_key: "k", serial_key: "q", tenant: "A" })));
  await run("select graphile_worker.remove_job('k')");
  expect(await run("select key from graphile_worker.jobs")).toEqual([{ key: "tenant~A:k" }]);
  await run("select graphile_worker.remove_job(legwork.tenant_key('k', 'A'))");
  expect(await run("select key from graphile_worker.jobs")).toEqual([]);
});

it("history and explanations show the key as the caller wrote it, a rerun keeps its serial key, and both tables have an index for it", async () => {
  const worker = new HandWorker("w");
  const [{ id }] = await run("select legwork.enqueue('a', job_key => 'k', serial_key => 'q', tenant => 'A') as id");
  await worker.fetch(database.pool);
  const [second] = await run("select legwork.enqueue('a', job_key => 'other', serial_key => 'q', tenant => 'A') as id");
  const [taken] = await run("select detail from legwork.explain_job($1)", [second.id]);
  expect(taken.detail).toBe(`Jobs with the serial key 'q' run one at a time, and job ${id} is running now.`);
  await worker.complete(database.pool, [id]);
  expect(await run("select state, job_key, serial_key, tenant from legwork.jobs where job_key = 'k'")).toEqual([
    { state: "completed", job_key: "k", serial_key: "q", tenant: "A" },
  ]);
  const [again] = await run("select legwork.rerun_job($1) as id", [id]);
  expect(await run("select serial_key from legwork.jobs where id = $1", [again.id])).toEqual([{ serial_key: "q" }]);
  expect(await run("select count(distinct job_queue_id)::int as lines from graphile_worker._private_jobs")).toEqual([{ lines: 1 }]);
  // A failed job is recorded as soon as it fails, by a different trigger.
  const [failing] = await run("select legwork.enqueue('a', job_key => 'f', max_attempts => 1, priority => -1, tenant => 'A') as id");
  await worker.fetch(database.pool);
  await worker.fail(database.pool, [failing.id]);
  expect(await run("select state from legwork.jobs where job_key = 'f'")).toEqual([{ state: "failed" }]);
  // There must be enough jobs for a sequential scan to be noticed.
  await run("select legwork.enqueue('a', job_key => 'job ' || n, tenant => 'A') from generate_series(1, 500) n");
  await run("analyze graphile_worker._private_jobs");
  const plan = await run("explain select id from legwork.jobs where job_key = 'job 7'");
  const text = plan.map((row) => row["QUERY PLAN"]).join("\n");
  expect(text).toContain("_legwork_key");
  expect(text).toContain("job_key_id");
  expect(text).not.toContain("Seq Scan on _private_jobs");
});
