import { beforeEach, expect, it } from "vitest";
import { testDatabase } from "../support/database.ts";
import { resetLegwork } from "../support/reset-legwork.ts";
import { HandWorker } from "../support/hand-worker.ts";

const database = testDatabase();
const worker = new HandWorker("w");

beforeEach(async () => {
  await resetLegwork(database.pool);
  await database.pool.query(
    `select legwork_private.register_tasks('[{"name": "import"}, {"name": "report"}, {"name": "undo"}]')`,
  );
});

async function one(sql: string, parameters: unknown[] = []): Promise<unknown> {
  const { rows } = await database.pool.query({ text: sql, values: parameters, rowMode: "array" });
  return rows[0]?.[0];
}

async function start(steps: unknown, more = ""): Promise<string> {
  return String(await one(`select legwork.start_workflow('w', $1 ${more})`, [JSON.stringify(steps)]));
}

async function states(id: string): Promise<Record<string, string>> {
  const { rows } = await database.pool.query(
    "select name, state from legwork.workflow_steps where workflow_id = $1 order by position",
    [id],
  );
  return Object.fromEntries(rows.map((row) => [row.name, row.state]));
}

async function workflow(id: string): Promise<Record<string, unknown>> {
  return (
    await database.pool.query(
      "select *, extract(epoch from ended_at - created_at) >= 0 as took from legwork.workflows where id = $1",
      [id],
    )
  ).rows[0];
}

const jobOf = async (id: string, step: string): Promise<string> =>
  String(await one("select job_id from legwork.workflow_steps where workflow_id = $1 and name = $2", [id, step]));

/** Fetches and ends the jobs of the steps that may start. Returns the names of these steps, in no particular order. */
async function turn(failing: readonly string[] = []): Promise<string[]> {
  const jobs = await worker.fetch(database.pool, 100);
  const names: string[] = [];
  for (const { id } of jobs) {
    const flags = Object.keys((await one("select flags from graphile_worker._private_jobs where id = $1", [id])) as object);
    const step = flags.find((flag) => flag.startsWith("step:"))!.slice("step:".length);
    const name = flags.some((flag) => flag.startsWith("compensates:")) ? `undo ${step}` : step;
    names.push(name);
    if (failing.includes(name)) {
      await database.pool.query("update graphile_worker._private_jobs set max_attempts = attempts where id = $1", [id]);
      await worker.fail(database.pool, [id], `${name} broke`);
    } else await worker.complete(database.pool, [id]);
  }
  return names.toSorted();
}

async function contradictions(): Promise<unknown[]> {
  return (await database.pool.query("select problem, job_id from legwork.reconcile()")).rows;
}

const DIAMOND = [
  { name: "a", task: "import", payload: { n: 1 } },
  { name: "d", task: "report", depends_on: ["b", "c"] },
  { name: "b", task: "import", depends_on: "a" },
  { name: "c", task: "import", depends_on: ["a"] },
];

it("steps run after those they depend on, and the workflow completes with the last", async () => {
  const id = await start(DIAMOND);
  expect(await states(id)).toEqual({ a: "pending", b: "blocked", c: "blocked", d: "blocked" });
  expect(await workflow(id)).toMatchObject({
    name: "w",
    state: "running",
    total: 4,
    completed: "0",
    progress: 0,
    ended_at: null,
  });
  expect(await one("select payload from legwork.jobs where id = $1", [await jobOf(id, "a")])).toEqual({ n: 1 });
  expect(await turn()).toEqual(["a"]);
  expect(await workflow(id)).toMatchObject({ completed: "1", progress: 25 });
  expect(await turn()).toEqual(["b", "c"]);
  expect(await contradictions()).toEqual([]);
  expect(await turn()).toEqual(["d"]);
  expect(await workflow(id)).toMatchObject({ state: "completed", completed: "4", progress: 100, reason: null, took: true });
  expect(await one("select count(*)::int from legwork_private.dependencies")).toBe(0);
  expect(await one("select count(*)::int from legwork_private.run_counts")).toBe(0);
  expect(await contradictions()).toEqual([]);
});

it("start_workflow takes steps as an object by name, and options for their jobs", async () => {
  const id = await start(
    {
      a: { task: "import", priority: -5, max_attempts: 3, serial_key: "s" },
      b: { task: "report", depends_on: ["a"], delay: "1 hour" },
    },
    ", tenant => 'acme', correlation_id => 'c1'",
  );
  expect(
    await one(
      "select jsonb_build_array(priority, max_attempts, serial_key, tenant, correlation_id) from legwork.jobs where id = $1",
      [await jobOf(id, "a")],
    ),
  ).toEqual([-5, 3, "s", "acme", "c1"]);
  await turn();
  expect(await states(id)).toEqual({ a: "completed", b: "scheduled" });
  expect(await one("select run_at > now() + interval '59 minutes' from legwork.jobs where id = $1", [await jobOf(id, "b")])).toBe(
    true,
  );
});

it("stop: steps that depend on a failed one are cancelled, the others run, and the workflow fails", async () => {
  const id = await start([...DIAMOND, { name: "e", task: "import", depends_on: ["c"] }]);
  await turn();
  await turn(["b"]);
  expect(await states(id)).toEqual({ a: "completed", b: "failed", c: "completed", d: "cancelled", e: "pending" });
  expect((await workflow(id)).state).toBe("running");
  await turn();
  expect(await workflow(id)).toMatchObject({
    state: "failed",
    reason: "Step 'b' failed: b broke",
    completed: "3",
    failed: "1",
    cancelled: "1",
    progress: 100,
  });
  expect(await contradictions()).toEqual([]);
});

it("continue: a step that depends on a failed one runs, unless its dependency was cancelled because of another failure", async () => {
  const id = await start([
    { name: "a", task: "import", on_failure: "continue" },
    { name: "b", task: "import", depends_on: ["a"] },
  ]);
  await turn(["a"]);
  expect(await turn()).toEqual(["b"]);
  expect(await workflow(id)).toMatchObject({ state: "completed", completed: "1", failed: "1" });

  const other = await start([
    { name: "a", task: "import" },
    { name: "b", task: "import", depends_on: ["a"], on_failure: "continue" },
    { name: "c", task: "import", depends_on: ["b"] },
  ]);
  await turn(["a"]);
  expect(await states(other)).toEqual({ a: "failed", b: "cancelled", c: "cancelled" });
  expect((await workflow(other)).state).toBe("failed");
});

it("compensate: completed steps are undone one by one, the last one first, and then the workflow fails", async () => {
  const undo = (n: number): unknown => ({ task: "undo", payload: { n } });
  const id = await start([
    { name: "a", task: "import", compensate: undo(1) },
    { name: "b", task: "import", depends_on: ["a"], compensate: undo(2) },
    { name: "c", task: "import", depends_on: ["b"], on_failure: "compensate", compensate: undo(3) },
    { name: "d", task: "import", depends_on: ["c"] },
  ]);
  await turn();
  await turn();
  expect(await turn(["c"])).toEqual(["c"]);
  expect(await workflow(id)).toMatchObject({
    state: "compensating",
    completed: "2",
    failed: "1",
    cancelled: "1",
    ended_at: null,
  });
  expect(await contradictions()).toEqual([]);
  expect(await turn(["undo b"])).toEqual(["undo b"]);
  expect(await turn()).toEqual(["undo a"]);
  expect(await workflow(id)).toMatchObject({ state: "failed", reason: "Step 'c' failed: c broke", completed: "2" });
  expect(
    await one("select jsonb_object_agg(name, compensation_state) from legwork.workflow_steps where workflow_id = $1", [id]),
  ).toEqual({ a: "completed", b: "failed", c: null, d: null });
  // Every step that was undone runs again.
  await one("select legwork.retry_workflow($1)", [id]);
  for (const step of ["a", "b", "c", "d"]) expect(await turn()).toEqual([step]);
  expect((await workflow(id)).state).toBe("completed");
  expect(await contradictions()).toEqual([]);
});

it("a sub-workflow is a step: it waits as a whole, and steps that depend on it wait for all of its steps", async () => {
  const id = await start([
    { name: "a", task: "import" },
    {
      name: "sub",
      depends_on: ["a"],
      steps: [
        { name: "x", task: "import" },
        { name: "y", task: "import", depends_on: ["x"] },
        { name: "deep", depends_on: ["x"], steps: { z: { task: "import" } } },
      ],
    },
    { name: "b", task: "report", depends_on: ["sub"] },
  ]);
  expect(await states(id)).toEqual({
    a: "pending",
    "sub/x": "blocked",
    "sub/y": "blocked",
    "sub/deep/z": "blocked",
    b: "blocked",
  });
  for (const steps of [["a"], ["sub/x"], ["sub/deep/z", "sub/y"], ["b"]]) expect(await turn()).toEqual(steps);
  expect(await workflow(id)).toMatchObject({ state: "completed", total: 5 });
});

it("a sub-workflow that may fail does not hold back other steps, unless it never ran", async () => {
  const steps = [
    { name: "a", task: "import" },
    {
      name: "sub",
      depends_on: ["a"],
      on_failure: "continue",
      steps: [
        { name: "x", task: "import" },
        { name: "y", task: "import", depends_on: ["x"] },
      ],
    },
    { name: "b", task: "report", depends_on: ["sub"] },
  ];
  const id = await start(steps);
  await turn();
  await turn(["sub/x"]);
  expect(await states(id)).toEqual({ a: "completed", "sub/x": "failed", "sub/y": "cancelled", b: "pending" });
  await turn();
  expect((await workflow(id)).state).toBe("completed");
  const other = await start(steps);
  await turn(["a"]);
  expect(await states(other)).toEqual({ a: "failed", "sub/x": "cancelled", "sub/y": "cancelled", b: "cancelled" });
  expect((await workflow(other)).state).toBe("failed");
});

it("later steps can read the results of completed steps", async () => {
  const id = await start(DIAMOND);
  const [job] = await worker.fetch(database.pool);
  await database.pool.query("update graphile_worker._private_jobs set locked_by = 'x' where id = $1", [job!.id]);
  const client = await database.pool.connect();
  try {
    await client.query("begin");
    await client.query(
      `select set_config('legwork.completed_ids', '{${job!.id}}', true), set_config('legwork.completed_starts', '{1}', true),
         set_config('legwork.completed_ends', '{' || (extract(epoch from clock_timestamp()) * 1000000)::bigint || '}', true), set_config('legwork.completed_results', '{"rows": 7}', true)`,
    );
    await worker.complete(client, [job!.id]);
    await client.query("commit");
  } finally {
    client.release();
  }
  expect(await one("select legwork.step_results($1)", [id])).toEqual({ a: { rows: 7 } });
});

it("cancelling a workflow ends waiting jobs at once and running jobs when they have stopped", async () => {
  const id = await start([...DIAMOND, { name: "e", task: "import" }]);
  const running = await worker.fetch(database.pool, 1);
  const [first] = running;
  expect(await one("select legwork.cancel_workflow($1, 'wrong file')", [id])).toBe("cancelling");
  await expect(one("select legwork.retry_workflow($1)", [id])).rejects.toMatchObject({ code: "LW409" });
  expect(Object.values(await states(id)).toSorted()).toEqual(["cancelled", "cancelled", "cancelled", "cancelled", "running"]);
  await worker.fail(database.pool, [first!.id]);
  expect(await workflow(id)).toMatchObject({ state: "cancelled", reason: "Cancelled by postgres: wrong file", cancelled: "5" });
  expect(await one("select error from legwork.jobs where id = $1", [first!.id])).toBe(
    `Workflow ${id}: Cancelled by postgres: wrong file`,
  );
  expect(await one("select legwork.cancel_workflow($1)", [id])).toBe("cancelled");
  const other = await start(DIAMOND);
  expect(await one("select legwork.cancel_workflow($1)", [other])).toBe("cancelled");
  await expect(one("select legwork.cancel_workflow(99999)")).rejects.toMatchObject({ code: "LW404" });
  expect(await contradictions()).toEqual([]);
});

it("retrying a workflow continues from the failed step and keeps completed steps", async () => {
  const id = await start(DIAMOND);
  await turn();
  await turn(["b"]);
  const before = [await jobOf(id, "a"), await jobOf(id, "b"), await jobOf(id, "d")];
  expect((await workflow(id)).state).toBe("failed");
  expect(await one("select legwork.retry_workflow($1)", [id])).toBe("running");
  expect(await states(id)).toEqual({ a: "completed", b: "pending", c: "completed", d: "blocked" });
  expect(await workflow(id)).toMatchObject({ state: "running", completed: "2", failed: "0", cancelled: "0", reason: null });
  expect([await jobOf(id, "a"), await jobOf(id, "b")]).toEqual(before.slice(0, 2));
  expect(await jobOf(id, "d")).not.toBe(before[2]);
  await turn(["b"]);
  expect(await workflow(id)).toMatchObject({ state: "failed", failed: "1", cancelled: "1" });
  await one("select legwork.retry_workflow($1)", [id]);
  await turn();
  await turn();
  expect(await workflow(id)).toMatchObject({ state: "completed", completed: "4" });
  await expect(one("select legwork.retry_workflow($1)", [id])).rejects.toMatchObject({ code: "LW409" });
  expect(await contradictions()).toEqual([]);
});

it("a cancelled workflow can be retried as a whole, including a failed step that follows a tolerated failure", async () => {
  const id = await start([
    { name: "a", task: "import", on_failure: "continue" },
    { name: "b", task: "import", depends_on: ["a"] },
    { name: "c", task: "import", depends_on: ["b"] },
  ]);
  await one("select legwork.cancel_job($1)", [await jobOf(id, "a")]);
  await turn(["b"]);
  expect(await states(id)).toEqual({ a: "cancelled", b: "failed", c: "cancelled" });
  await one("select legwork.retry_workflow($1)", [id]);
  expect(await states(id)).toEqual({ a: "pending", b: "blocked", c: "blocked" });
  await turn(["a"]);
  await turn(["b"]);
  await one("select legwork.retry_workflow($1)", [id]);
  expect(await states(id)).toEqual({ a: "pending", b: "blocked", c: "blocked" });
  for (const step of ["a", "b", "c"]) expect(await turn()).toEqual([step]);
  expect((await workflow(id)).state).toBe("completed");
  expect(await contradictions()).toEqual([]);
});

it("steps that have not ended when the deadline passes are cancelled, and the workflow expires", async () => {
  const id = await start(DIAMOND, ", deadline => clock_timestamp() + interval '100 milliseconds'");
  await turn();
  const running = await worker.fetch(database.pool, 1);
  await one("select pg_sleep(0.1)");
  await one("select legwork.tick()");
  expect((await workflow(id)).state).toBe("cancelling");
  await worker.fail(database.pool, [running[0]!.id]);
  expect(await workflow(id)).toMatchObject({ state: "expired", completed: "1", cancelled: "3" });
  await one("select legwork.retry_workflow($1)", [id]);
  expect(await workflow(id)).toMatchObject({ state: "running", deadline: null });
  expect(await contradictions()).toEqual([]);
});

it.each([
  ["no steps", [], "LW400", "A workflow needs at least one step."],
  ["steps as a text", "x", "LW400", "The steps of a workflow must be a JSON array or object; got string."],
  [
    "a cycle",
    [
      { name: "a", task: "import", depends_on: ["c"] },
      { name: "b", task: "import", depends_on: ["a"] },
      { name: "c", task: "import", depends_on: ["b"] },
      { name: "d", task: "import", depends_on: ["a"] },
    ],
    "LW400",
    "The steps depend on each other: a → b → c → a.",
  ],
  [
    "a step that depends on itself",
    [{ name: "a", task: "import", depends_on: ["a"] }],
    "LW400",
    "The steps depend on each other: a → a.",
  ],
  [
    "a long cycle, of which twenty steps are named",
    Array.from({ length: 1_000 }, (_, index) => ({
      name: `s${index}`,
      task: "import",
      depends_on: [`s${(index + 999) % 1_000}`],
    })),
    "LW400",
    `The steps depend on each other: ${Array.from({ length: 20 }, (_, index) => `s${index}`).join(" → ")} → … (1,000 steps).`,
  ],
  [
    "a cycle through a sub-workflow",
    [
      { name: "s", depends_on: ["b"], steps: { x: { task: "import" } } },
      { name: "b", task: "import", depends_on: ["s"] },
    ],
    "LW400",
    "The steps depend on each other: s/x → b → s/x.",
  ],
  [
    "an unknown step",
    [
      { name: "fetch", task: "import" },
      { name: "b", task: "import", depends_on: ["fetsch"] },
    ],
    "LW404",
    "Step 'b' depends on 'fetsch', which is not a step at the same level.",
  ],
  [
    "a step of another level",
    [
      { name: "s", steps: [{ name: "x", task: "import" }] },
      { name: "b", task: "import", depends_on: ["x"] },
    ],
    "LW404",
    "Step 'b' depends on 'x', which is not a step at the same level.",
  ],
  [
    "a duplicate name",
    [
      { name: "a", task: "import" },
      { name: "a", task: "import" },
    ],
    "LW400",
    "Two steps have the name 'a'.",
  ],
  ["an unknown task", [{ name: "a", task: "improt" }], "LW404", "Step 'a': there is no task named 'improt'."],
  [
    "an unknown compensation",
    [{ name: "a", task: "import", compensate: { task: "undoo" } }],
    "LW404",
    "Step 'a': there is no task named 'undoo'.",
  ],
  ["a step without a name", [{ task: "import" }], "LW400", "Step 'number 1' has no name."],
  ["a step that is a number", [7], "LW400", "Step 'number 1' is not an object."],
  ["an unknown field", [{ name: "a", task: "import", retries: 3 }], "LW400", "Step 'a' has an unknown field: retries."],
  ["a step with neither task nor steps", [{ name: "a" }], "LW400", "Step 'a' needs either a task or steps of its own."],
  ["an empty sub-workflow", [{ name: "a", steps: [] }], "LW400", "Step 'a' is a sub-workflow without steps."],
  [
    "an unknown policy",
    [{ name: "a", task: "import", on_failure: "ignore" }],
    "LW400",
    "Step 'a' has an invalid on_failure 'ignore'.",
  ],
  ["a name with a slash", [{ name: "a/b", task: "import" }], "LW400", "Step 'a/b' has a slash in its name."],
  [
    "dependencies that are not names",
    [{ name: "a", task: "import", depends_on: [1] }],
    "LW400",
    "Step 'a' has a depends_on that is not a list of step names.",
  ],
  [
    "a priority that is not a number",
    [{ name: "a", task: "import", priority: "high" }],
    "LW400",
    "Step 'a': priority is high; it must be a whole number between -32768 and 32767.",
  ],
])("%s is rejected, and nothing is started", async (_, steps, code, message) => {
  await expect(start(steps)).rejects.toMatchObject({ code, message });
  expect(await one("select count(*)::int from graphile_worker._private_jobs")).toBe(0);
  expect(await one("select count(*)::int from legwork.workflows")).toBe(0);
});

it("an error for an unknown step or task names the nearest one", async () => {
  await expect(
    start([
      { name: "fetch", task: "import" },
      { name: "b", task: "import", depends_on: ["fetsch"] },
    ]),
  ).rejects.toMatchObject({ hint: expect.stringContaining("'fetch'") });
  await expect(start([{ name: "a", task: "improt" }])).rejects.toMatchObject({ hint: expect.stringContaining("'import'") });
});

it("a batch has progress, and its callback runs when all of its jobs have ended, in whatever state", async () => {
  const id = String(
    await one("select legwork.enqueue_batch($1, 'mails', callback => '{\"task\": \"report\"}')", [
      JSON.stringify([1, 2, 3].map((n) => ({ task: "import", payload: { n } }))),
    ]),
  );
  const batch = async (): Promise<Record<string, unknown>> =>
    (await database.pool.query("select * from legwork.batches where id = $1", [id])).rows[0];
  const { callback_job_id: callback } = await batch();
  const jobs = await worker.fetch(database.pool, 10);
  expect(jobs).toHaveLength(3);
  await worker.complete(database.pool, [jobs[0]!.id]);
  expect(await batch()).toMatchObject({ description: "mails", state: "running", total: 3, completed: "1", progress: 33.3 });
  await database.pool.query("update graphile_worker._private_jobs set max_attempts = attempts where id = $1", [jobs[1]!.id]);
  await worker.fail(database.pool, [jobs[1]!.id]);
  expect(await worker.fetch(database.pool, 10)).toEqual([]);
  expect(await contradictions()).toEqual([]);
  await worker.complete(database.pool, [jobs[2]!.id]);
  expect(await batch()).toMatchObject({ state: "failed", completed: "2", failed: "1", progress: 100 });
  expect(await worker.fetch(database.pool, 10)).toEqual([{ id: callback, task: "report" }]);
  expect(await one("select count(*)::int from legwork.jobs where correlation_id = 'batch:' || $1", [id])).toBe(4);
  await expect(one("select legwork.enqueue_batch('[]')")).rejects.toMatchObject({ code: "LW400" });
  await expect(one('select legwork.enqueue_batch(\'[{"task": "import", "job_key": "k"}]\')')).rejects.toMatchObject({
    code: "LW400",
  });
  expect(await contradictions()).toEqual([]);
});

it("many counter rows of a batch are merged into one", async () => {
  const id = await one(
    'select legwork.enqueue_batch((select jsonb_agg(\'{"task": "import"}\'::jsonb) from generate_series(1, 600)))',
  );
  const jobs = await worker.fetch(database.pool, 600);
  for (const job of jobs.slice(0, 520)) await worker.complete(database.pool, [job.id]);
  await one("select legwork.tick()");
  expect(await one("select count(*)::int from legwork_private.run_counts")).toBe(1);
  expect(await one("select completed::int from legwork.batches where id = $1", [id])).toBe(520);
});
