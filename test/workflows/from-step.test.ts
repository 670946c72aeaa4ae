import { beforeEach, expect, it } from "vitest";
import { testDatabase } from "../support/database.ts";
import { HandWorker } from "../support/hand-worker.ts";

const database = testDatabase();
const worker = new HandWorker("by-hand");

beforeEach(async () => {
  await database.pool.query("delete from graphile_worker._private_jobs");
  await database.pool.query(
    `select legwork_private.register_tasks('[{"name": "load"}, {"name": "secret", "redact": ["card"]}]')`,
  );
});

const CHAIN = { a: { task: "load" }, b: { task: "load", depends_on: ["a"] }, c: { task: "load", depends_on: ["b"] } };

async function start(steps: unknown): Promise<string> {
  return (await database.pool.query("select legwork.start_workflow('night', $1) as id", [JSON.stringify(steps)])).rows[0].id;
}

/** Fetches and completes the jobs that may run, and repeats this for the given number of rounds. */
async function runAll(rounds: number): Promise<void> {
  for (let round = 0; round < rounds; round++) {
    const jobs = await worker.fetch(database.pool, 10);
    await worker.complete(
      database.pool,
      jobs.map(({ id }) => id),
    );
  }
}

async function states(id: string): Promise<Record<string, string>> {
  const { rows } = await database.pool.query("select name, state from legwork.workflow_steps where workflow_id = $1", [id]);
  return Object.fromEntries(rows.map(({ name, state }) => [name, state]));
}

const retry = (id: string, step: string) => database.pool.query("select legwork.retry_workflow($1, from_step => $2)", [id, step]);

it("a completed workflow runs again from a given step and keeps the steps before it", async () => {
  const id = await start(CHAIN);
  await runAll(3);
  const before = await database.pool.query("select job_id from legwork.workflow_steps where workflow_id = $1 and name = 'a'", [
    id,
  ]);
  await retry(id, "b");
  expect(await states(id)).toEqual({ a: "completed", b: "pending", c: "blocked" });
  const after = await database.pool.query("select job_id from legwork.workflow_steps where workflow_id = $1 and name = 'a'", [
    id,
  ]);
  expect(after.rows).toEqual(before.rows);
  await runAll(2);
  expect(await states(id)).toEqual({ a: "completed", b: "completed", c: "completed" });
  const { rows } = await database.pool.query("select state, completed::int from legwork.workflows where id = $1", [id]);
  expect(rows).toEqual([{ state: "completed", completed: 3 }]);
});

it("an unknown step raises LW404 with the nearest name, and a running workflow raises LW409", async () => {
  const id = await start(CHAIN);
  await expect(retry(id, "b")).rejects.toMatchObject({ code: "LW409" });
  await runAll(3);
  await expect(retry(id, "bb")).rejects.toMatchObject({ code: "LW404", hint: expect.stringContaining("'b'") });
  await expect(database.pool.query("select legwork.retry_workflow($1)", [id])).rejects.toMatchObject({ code: "LW409" });
  expect(await states(id)).toEqual({ a: "completed", b: "completed", c: "completed" });
});

it("a workflow whose redacted payloads were deleted cannot run again", async () => {
  const id = await start({ a: { task: "secret", payload: { card: 1 } } });
  await runAll(1);
  await expect(retry(id, "a")).rejects.toMatchObject({ code: "LW409", message: expect.stringContaining("were deleted") });
});
