import { expect, it } from "vitest";
import { operationsOn } from "../../src/api/operations.ts";
import { legwork } from "../support/cli.ts";
import { testDatabase } from "../support/database.ts";
import { rest, startRest } from "../support/rest.ts";

const database = testDatabase();

it("the outcome of a request shows that it was merged with an earlier one, in TypeScript, over REST and on the command line", async () => {
  await database.pool.query(`select legwork_private.register_tasks('[{"name": "t"}]')`);
  const { jobs } = operationsOn(database.pool);
  const first = await jobs.enqueueWithOutcome("t", {}, { uniqueFor: "1h" });
  expect(first).toEqual({ id: expect.any(String), created: true, mergedBy: null });
  const { id } = first;
  expect(await jobs.enqueueWithOutcome("t", {}, { uniqueFor: "1h" })).toEqual({ id, created: false, mergedBy: "uniqueFor" });
  // A request without a key creates a job, even in the same transaction as a merged request.
  const client = await database.pool.connect();
  await client.query("begin");
  const inTransaction = operationsOn(client).jobs;
  expect(await inTransaction.enqueueWithOutcome("t", {}, { uniqueFor: "1h" })).toMatchObject({ created: false });
  expect(await inTransaction.enqueueWithOutcome("t")).toMatchObject({ created: true, mergedBy: null });
  expect(await inTransaction.enqueueWithOutcome("t", {}, { jobKey: "k" })).toMatchObject({ created: true, mergedBy: null });
  expect(await inTransaction.enqueueWithOutcome("t", {}, { jobKey: "k" })).toMatchObject({ created: false, mergedBy: "jobKey" });
  await client.query("rollback");
  client.release();

  const throttled = await jobs.enqueueWithOutcome("t", {}, { jobKey: "s", throttle: "1h" });
  expect(throttled.created).toBe(true);
  const server = await startRest(database);
  try {
    const { body } = await rest(server, "POST", "/jobs", { task: "t", jobKey: "s", throttle: "1h" });
    expect(body).toEqual({ id: throttled.id, created: false, mergedBy: "throttle" });
    expect((await rest(server, "POST", "/jobs", { task: "t" })).body).toMatchObject({ created: true, mergedBy: null });
  } finally {
    await server.stop();
  }

  const environment = { DATABASE_URL: database.url };
  expect(await legwork(["add", "t", "--unique-for", "1h"], environment)).toEqual({
    code: 0,
    stdout: `${id}\n`,
    stderr: `No job was created: an identical request enqueued job ${id} within the last hour.\n`,
  });
  expect(JSON.parse((await legwork(["add", "t", "--unique-for", "1h", "--json"], environment)).stdout)).toEqual({
    id,
    created: false,
    mergedBy: "uniqueFor",
  });
  const debounced = ["add", "t", "--job-key", "d", "--debounce", "1h"];
  const { stdout, stderr } = await legwork(debounced, environment);
  expect(stderr).toMatch(/^It can start in .+, at \d{4}-.+Z: every request postpones it by 1 hour\.\n$/);
  expect((await legwork(debounced, environment)).stderr).toMatch(
    new RegExp(`^No job was created: job ${stdout.trim()} has the same job key and now has this payload\\.\\nIt can start in `),
  );
});
