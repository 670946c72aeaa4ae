import { beforeEach, expect, it } from "vitest";
import { enqueueBatch, getBatch } from "../../src/workflows/batches.ts";
import { enqueue } from "../../src/jobs/enqueue.ts";
import { getJob } from "../../src/jobs/read-jobs.ts";
import { defineWorkflow } from "../../src/workflows/define-workflow.ts";
import { getWorkflow, listWorkflows } from "../../src/workflows/read-workflows.ts";
import { startWorkflow } from "../../src/workflows/start-workflow.ts";
import { legwork } from "../support/cli.ts";
import { testDatabase } from "../support/database.ts";
import { until } from "../support/until.ts";
import { workerOver } from "../support/worker.ts";

const database = testDatabase();

const TASKS = {
  "fetch.ts": `
    import { defineTask } from "legwork";
    import { z } from "zod";
    export default defineTask({ payload: z.object({ from: z.number() }), run: ({ from }) => ({ rows: from * 2 }) });`,
  "sum.ts": `
    import { defineTask } from "legwork";
    export default defineTask({ async run(_, { workflow, batchId }) {
      const results = await workflow?.results();
      return { step: workflow?.step ?? null, results: results ?? null, batch: batchId ?? null };
    } });`,
};

const ends = (id: string): Promise<Awaited<ReturnType<typeof getWorkflow>>> =>
  until("the workflow has ended", async () => {
    const workflow = await getWorkflow(database.pool, id);
    return workflow.ended_at !== null && workflow;
  });

beforeEach(async () => {
  await workerOver(database.url, TASKS);
});

it("the compiler checks the names of steps, and a step can read the results of earlier steps", async () => {
  const nightly = defineWorkflow({
    name: "nightly",
    steps: {
      a: { task: "fetch", payload: { from: 1 } },
      more: {
        dependsOn: ["a"],
        steps: { b: { task: "fetch", payload: { from: 2 } }, c: { task: "fetch", payload: { from: 3 }, dependsOn: ["b"] } },
      },
      end: { task: "sum", dependsOn: ["more", "a"], delay: "10ms" },
    },
  });
  defineWorkflow({
    name: "wrong",
    // @ts-expect-error -- there is no step "z"
    steps: { a: { task: "fetch" }, b: { task: "fetch", dependsOn: ["z"] } },
  });
  defineWorkflow({
    name: "wrong",
    // @ts-expect-error -- a step does not depend on itself
    steps: { a: { task: "fetch", dependsOn: ["a"] } },
  });
  defineWorkflow({
    name: "wrong",
    // @ts-expect-error -- "a" is not in the same sub-workflow as "inner"
    steps: { a: { task: "fetch" }, b: { steps: { inner: { task: "fetch", dependsOn: ["a"] } } } },
  });
  const id = await startWorkflow(database.pool, nightly, { tenant: "acme" });
  const workflow = await ends(id);
  expect(workflow).toMatchObject({ name: "nightly", state: "completed", tenant: "acme", completed: "4", progress: 100 });
  expect(workflow.steps.map((step) => step.name)).toEqual(["a", "more/b", "more/c", "end"]);
  expect(workflow.steps.at(-1)?.result).toEqual({
    step: "end",
    results: { a: { rows: 2 }, "more/b": { rows: 4 }, "more/c": { rows: 6 } },
    batch: null,
  });
  expect((await listWorkflows(database.pool, { state: "completed", name: "nightly" })).map((row) => row.id)).toEqual([id]);
  const shown = await legwork(["workflow", "show", id], { DATABASE_URL: database.url });
  expect(shown.stdout).toMatch(/✔ +more\/c +completed +\d+ +more\/b/);
});

it("a payload that does not match is rejected, and the error names the step", async () => {
  const steps = {
    a: { task: "fetch", payload: { from: 1 } },
    inner: { steps: { b: { task: "fetch", payload: { from: "x" } } } },
  };
  await expect(startWorkflow(database.pool, { name: "w", steps })).rejects.toMatchObject({
    code: "LW422",
    message: expect.stringMatching(/^Step 'inner\/b': .*from/),
  });
  await expect(startWorkflow(database.pool, { name: "w", steps: { a: { task: "sum", delay: "soon" } } })).rejects.toMatchObject({
    code: "LW400",
    message: "a.delay is 'soon'; it must be a duration between 0 and 100 years.",
  });
});

it("a batch's callback job receives its id when its jobs have ended", async () => {
  const id = await enqueueBatch(
    database.pool,
    [1, 2, 3].map((from) => ({ task: "fetch", payload: { from } })),
    { description: "three", callback: { task: "sum" } },
  );
  const { callback_job_id: callback } = await until("the batch has ended", async () => {
    const batch = await getBatch(database.pool, id);
    return batch.state === "completed" && batch;
  });
  const job = await until("the callback has run", async () => {
    const row = await getJob(database.pool, callback!);
    return row.finished_at !== null && row;
  });
  expect(job.result).toEqual({ step: null, results: null, batch: id });
  expect(await getBatch(database.pool, id)).toMatchObject({ description: "three", completed: "3", progress: 100 });
});

it("a job that depends on others runs after them", async () => {
  const first = await enqueue(database.pool, "fetch", { from: 1 });
  const second = await enqueue(database.pool, "sum", {}, { dependsOn: [first], onDependencyFailure: "run" });
  const job = await until("the job has run", async () => {
    const row = await getJob(database.pool, second);
    return row.finished_at !== null && row;
  });
  expect(job.state).toBe("completed");
  expect((await getJob(database.pool, first)).finished_at!.getTime()).toBeLessThanOrEqual(job.started_at!.getTime() + 5);
});
