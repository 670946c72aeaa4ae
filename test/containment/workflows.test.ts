import { spawn } from "node:child_process";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished } from "vitest";
import type { Server } from "../../src/server/server.ts";
import { makeToken, rest, type RestAnswer, startRest } from "../support/rest.ts";
import { testDatabase } from "../support/database.ts";
import { empty } from "../support/empty.ts";
import { until } from "../support/until.ts";
import { directoryOf, workerOver } from "../support/worker.ts";

// One tenant's workflows and another tenant's jobs. Whatever the workflows contain, and whatever an older version has stored, each job of the other
// tenant runs once, and each workflow ends.

const database = testDatabase();
let server: Server;
let token: string;

beforeAll(async () => {
  await database.pool.query("create table runs (job_id bigint)");
  await database.pool.query(`select legwork_private.register_tasks('[{"name": "ok"}, {"name": "bad"}, {"name": "undo"}]')`);
  server = await startRest(database);
  token = await makeToken(database, "operator", "acme");
});
afterAll(async () => {
  await server.stop();
});
beforeEach(async () => {
  await database.pool.query(
    "drop trigger if exists users_own on graphile_worker._private_jobs; delete from graphile_worker._private_jobs",
  );
  await empty(
    database.pool,
    `runs, legwork_private.failed_attempts, legwork_private.finished_jobs, legwork_private.waiting_jobs, legwork_private.wakeups, legwork_private.dependencies, legwork_private.dependency_checks,
       legwork_private.run_counts, legwork_private.workflow_runs, legwork_private.workflow_run_steps, legwork_private.set_aside, legwork_private.batch_runs`,
  );
});

const acme = (method: string, path: string, body?: unknown): Promise<RestAnswer> =>
  rest(server, method, path, body, { authorization: `Bearer ${token}` });

/** Starts a workflow as the tenant acme, through REST. */
async function start(steps: unknown): Promise<string> {
  const answer = await acme("POST", "/workflows", { name: "hostile", steps });
  expect(answer.body).toMatchObject({ id: expect.any(String) });
  return answer.body.id;
}

async function one(sql: string, parameters: unknown[] = []): Promise<unknown> {
  const { rows } = await database.pool.query({ text: sql, values: parameters, rowMode: "array" });
  return rows[0]?.[0];
}

/** Jobs of another tenant. */
const neighbors = (): Promise<unknown> =>
  one("select count(legwork.enqueue('ok', tenant => 'other'))::int from generate_series(1, 40)");

const TASKS = {
  "ok.ts": `export default (payload, { job, query }) => query("insert into runs values ($1)", [job.id]).then(() => undefined);`,
  "undo.ts": `export default () => {};`,
  "bad.ts": `export default () => { throw new Error("broke"); };`,
};

const PLAIN = `
  import { run } from "${pathToFileURL(createRequire(import.meta.url).resolve("graphile-worker")).href}";
  await run({
    connectionString: process.argv[2], noHandleSignals: true, parsedCronItems: [],
    taskList: {
      ok: (payload, { job, query }) => query("insert into runs values ($1)", [job.id]).then(() => undefined),
      undo: () => {}, bad: () => { throw new Error("broke"); },
    },
    preset: { worker: { concurrentJobs: 4, pollInterval: 200, localQueue: { size: 8 }, completeJobBatchDelay: 5, failJobBatchDelay: 5 } },
  });`;

const workers: Record<string, () => Promise<() => void>> = {
  "Legwork's worker": async () => {
    await workerOver(database.url, TASKS);
    return () => undefined;
  },
  "a plain graphile-worker": async () => {
    const child = spawn(process.execPath, [`${await directoryOf({ "plain.mjs": PLAIN })}/plain.mjs`, database.url], {
      stdio: "ignore",
    });
    onTestFinished(() => void child.kill("SIGKILL"));
    return () => expect(child.exitCode).toBeNull();
  },
};

describe.each(Object.keys(workers))("next to hostile workflows, with %s,", (kind) => {
  it("each job of another tenant runs once, and each workflow ends as it should", async () => {
    const last = { task: "bad", maxAttempts: 1 };
    const wide = Array.from({ length: 200 }, (_, n) => `n${n}`);
    const ended: Record<string, string> = {
      // Stored by a version that did not validate its input.
      [await start({ a: { task: "ok" }, b: { task: "ok", dependsOn: ["a"], delay: "1s" } })]: "running",
      [await start({
        a: { task: "ok", compensate: { task: "undo" } },
        b: { ...last, dependsOn: ["a"], onFailure: "compensate" },
      })]: "failed",
      // One failing step among many that others wait for.
      [await start({
        ...Object.fromEntries(wide.map((name) => [name, name === "n77" ? last : { task: "ok" }])),
        join: { task: "ok", dependsOn: wide },
        anyway: { task: "ok", dependsOn: ["n77"] },
      })]: "failed",
      // Workflows with hostile names and payloads.
      [await start([
        { name: "__proto__", task: "ok" },
        { name: "' or 1=1 --", task: "ok", dependsOn: ["__proto__"], payload: JSON.parse(`${"[".repeat(90)}${"]".repeat(90)}`) },
        {
          name: "\u202e\u{1f4a3}%s%1$s\\",
          task: "ok",
          dependsOn: ["' or 1=1 --"],
          payload: { big: "x".repeat(30_000), n: 1e300, u: "\\u0000" },
        },
      ])]: "completed",
      // A workflow that is compensated, although the compensation fails too.
      [await start({
        a: { task: "ok", compensate: { task: "bad" }, maxAttempts: 1 },
        b: { ...last, dependsOn: ["a"], onFailure: "compensate" },
      })]: "compensating",
      [await start({ a: { ...last, onFailure: "continue" }, b: { task: "ok", dependsOn: ["a"] } })]: "completed",
    };
    const [delayed, undoable] = Object.keys(ended);
    await database.pool.query("update legwork_private.waiting_jobs set delay = '300000 years' where delay is not null");
    await database.pool.query(
      "update legwork_private.workflow_run_steps set compensate = jsonb_build_object('task', repeat('x', 200)) where workflow_id = $1 and name = 'a'",
      [undoable],
    );
    await neighbors();
    const alive = await workers[kind]!();
    await until("the workflows have ended", async () => {
      const { rows } = await database.pool.query("select id::text, state from legwork.workflows order by id");
      return rows.every(({ id, state }) => state === ended[id]);
    });
    await until(
      "all jobs of the other tenant have run",
      async () => (await one("select count(*)::int from legwork_private.finished_jobs where tenant = 'other'")) === 40,
    );
    expect(await one("select state from legwork.workflow_steps where workflow_id = $1 and name = 'b'", [delayed])).toBe(
      "scheduled",
    );
    expect(await one("select reason from legwork.workflows where id = $1", [undoable])).toMatch(
      /^Step 'b' failed: broke Its compensation could not start: .*violates check constraint/,
    );
    expect((await database.pool.query("select job_id from runs group by job_id having count(*) > 1")).rows).toEqual([]);
    expect(
      await one(
        "select count(*)::int from legwork_private.finished_jobs where tenant = 'other' and state = 'completed' and attempts = 1",
      ),
    ).toBe(40);
    expect((await database.pool.query("select problem, job_id from legwork.reconcile()")).rows).toEqual([]);
    for (const id of Object.keys(ended)) expect((await acme("GET", `/workflows/${id}`)).status).toBe(200);
    expect((await acme("GET", "/workflows")).body.items).toHaveLength(Object.keys(ended).length);
    alive();
  });
});

it("a row that cannot be released is set aside by the worker, and other rows are released", async () => {
  const first = await one("select legwork.enqueue('ok', tenant => 'other')");
  const after = "depends_on => array[$1::bigint], on_dependency_failure => 'run'";
  const bad = await one(`select legwork.enqueue('ok', '{"bad": true}', ${after})`, [first]);
  await one(`select count(legwork.enqueue('ok', tenant => 'other', ${after})) from generate_series(1, 5)`, [first]);
  await database.pool.query(`
    create or replace function public.refuse() returns trigger language plpgsql as $$
    begin
      if new.payload ->> 'bad' is not null and new.run_at <> old.run_at then raise exception 'it is bad'; end if;
      return new;
    end $$;
    create trigger users_own before update on graphile_worker._private_jobs for each row execute function public.refuse()`);
  // A repeatable read transaction leaves the release of the job's dependants to the tick.
  const client = await database.pool.connect();
  await client.query("begin isolation level repeatable read");
  await client.query("delete from graphile_worker._private_jobs where id = $1", [first]);
  await client.query("commit");
  client.release();
  await workers["Legwork's worker"]!();
  await until("the other jobs have run", async () => (await one("select count(*)::int from runs")) === 5);
  expect((await database.pool.query("select what, item from legwork_private.set_aside")).rows).toEqual([
    { what: "job", item: bad },
  ]);
});

it.each([
  [{ delay: "300000 years" }, "Step 'b': delay is 300,000 years; it must be between 0 seconds and 100 years."],
  [
    { runAt: "290000-01-01T00:00:00Z" },
    expect.stringMatching(/^Step 'b': run_at is 290000-01-01.*; it must be between 1970-01-01 and 9999-12-31\.$/),
  ],
  [{ priority: 40_000 }, "Step 'b': priority is 40000; it must be a whole number between -32768 and 32767."],
  [{ maxAttempts: 0 }, "Step 'b': max_attempts is 0; it must be a whole number between 1 and 32767."],
  [{ task: "unknown" }, "Step 'b': there is no task named 'unknown'."],
])("a tenant's token cannot start a workflow whose step has %j", async (field, message) => {
  const steps = { a: { task: "ok" }, b: { task: "ok", dependsOn: ["a"], ...field } };
  const answer = await acme("POST", "/workflows", { name: "w", steps });
  expect([answer.status, answer.body.detail]).toEqual(["task" in field ? 404 : 400, message]);
  expect(await one("select count(*)::int from graphile_worker._private_jobs")).toBe(0);
});
