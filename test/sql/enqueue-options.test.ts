import { expect, it } from "vitest";
import { newJobSchema } from "../../src/contract/jobs.ts";
import { optionsToRow } from "../../src/jobs/enqueue.ts";
import { toSnakeCase } from "../../src/snake-case.ts";
import { testDatabase } from "../support/database.ts";

const database = testDatabase();

async function fields(): Promise<string[]> {
  return (await database.pool.query("select legwork_private.job_fields() as names")).rows[0].names;
}

it("legwork.enqueue has the fields of legwork_private.job_spec as its parameters, in the same order", async () => {
  const { rows } = await database.pool.query("select proargnames as names from pg_proc where oid = 'legwork.enqueue'::regproc");
  expect(rows[0].names).toEqual(await fields());
});

it("REST takes the same options as SQL", async () => {
  expect(Object.keys(toSnakeCase(newJobSchema.shape)).toSorted()).toEqual((await fields()).toSorted());
});

it("TypeScript takes the same options as SQL, and drops unknown ones", async () => {
  const names = (await fields()).filter((name) => !["task", "payload"].includes(name));
  const { task: _, payload: __, ...options } = newJobSchema.shape;
  const ones = Object.fromEntries(Object.keys(options).map((name) => [name, 1]));
  expect(Object.keys(optionsToRow({ ...ones, color: 1 } as never)).toSorted()).toEqual(names.toSorted());
});

it("a workflow step takes only options of legwork.enqueue", async () => {
  const { rows } = await database.pool.query("select legwork_private.workflow_step_options() as names");
  expect(await fields()).toEqual(expect.arrayContaining(rows[0].names));
});

it("renaming fields does not change their values", () => {
  const payload = { someKey: { inner_key: 1 } };
  expect(toSnakeCase({ jobKey: "k", payload })).toEqual({ job_key: "k", payload });
});
