import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Server, startServer } from "../../src/server/server.ts";
import { testDatabase, testLog } from "../support/database.ts";

const database = testDatabase();
const token = "a token of the test";

let server: Server;
beforeAll(async () => {
  await database.pool.query(
    `select legwork_private.register_tasks('[{"name": "a", "queue": "q"}, {"name": "b"}, {"name": "c"}]')`,
  );
  server = await startServer({ databaseUrl: database.url, host: "127.0.0.1", port: 0, token, log: testLog });
});
afterAll(async () => {
  await server.stop();
});

interface Answer {
  status: number;
  // oxlint-disable-next-line typescript/no-explicit-any -- the result of any query
  data: any;
  errors: { message: string; extensions: { code: string } }[];
}

async function ask(query: string, variables: Record<string, unknown> = {}, as = token): Promise<Answer> {
  const response = await fetch(server.graphqlUrl, {
    method: "POST",
    headers: { "content-type": "application/json", authorization: `Bearer ${as}` },
    body: JSON.stringify({ query, variables }),
  });
  return { status: response.status, errors: [], ...((await response.json()) as Pick<Answer, "data">) };
}

async function sql<Row = Record<string, string>>(text: string, values: unknown[] = []): Promise<Row[]> {
  return (await database.pool.query(text, values)).rows;
}

async function createToken(role: string, tenant: string | null): Promise<string> {
  const [row] = await sql("select legwork.create_token('test', $1, $2) as token", [role, tenant]);
  return row?.token ?? "";
}

async function complete(...ids: (string | undefined)[]): Promise<void> {
  await sql("select graphile_worker.complete_jobs($1::bigint[])", [ids]);
}

describe("relations", () => {
  test("lead from a job to its children and from each of them to its parent, live and finished", async () => {
    const [parent] = await sql("select id from graphile_worker.add_job('a', flags => array['tenant:acme'])");
    const children = await sql(
      "select j.id from generate_series(1, 3) i, lateral graphile_worker.add_job('b', json_build_object('i', i), flags => array['parent:' || $1, 'tenant:acme']) j",
      [parent?.id],
    );
    const ids = children.map(({ id }) => id).toSorted((a, b) => Number(b) - Number(a));
    await complete(ids[1]);
    const query = `query ($id: BigInt!) { job(id: $id) { parent { id } children { nodes { id state parent { id task } } } } }`;
    for (const as of [token, await createToken("viewer", "acme")]) {
      const { data, errors } = await ask(query, { id: parent?.id }, as);
      expect(errors).toEqual([]);
      expect(data.job.parent).toBeNull();
      expect(data.job.children.nodes).toEqual(
        ids.map((id, index) => ({ id, state: index === 1 ? "completed" : "pending", parent: { id: parent?.id, task: "a" } })),
      );
    }
    expect((await ask(query, { id: parent?.id }, await createToken("viewer", "other"))).data.job).toBeNull();
  });

  test("lead from a job to its log lines in order, its task, its queue and its worker", async () => {
    const [job] = await sql("select id from graphile_worker.add_job('a')");
    const [live] = await sql("select id from graphile_worker.add_job('a')");
    await sql(
      `insert into legwork_private.job_logs (job_id, attempt, logged_at, level, message) select $1, 1, now(), 'info', 'line ' || i from generate_series(1, 3) i`,
      [job?.id],
    );
    await sql("select legwork_private.worker_beat('w1', 'host', 1, 4, '{a}', '{}')");
    await sql("update graphile_worker._private_jobs set locked_at = now(), locked_by = 'w1', attempts = 1 where id = $1", [
      job?.id,
    ]);
    const { data, errors } = await ask(
      `query ($id: BigInt!) { job(id: $id) {
        logs { nodes { attempt level message job { id } } }
        taskDetails { name queue queueDetails { name tasks { nodes { name } } } jobs(first: 2) { nodes { id } } }
        queueDetails { name running pending } workerDetails { id host }
      } }`,
      { id: job?.id },
    );
    expect(errors).toEqual([]);
    expect(data.job).toEqual({
      logs: { nodes: [1, 2, 3].map((line) => ({ attempt: 1, level: "info", message: `line ${line}`, job: { id: job?.id } })) },
      taskDetails: {
        name: "a",
        queue: "q",
        queueDetails: { name: "q", tasks: { nodes: [{ name: "a" }] } },
        jobs: { nodes: [{ id: live?.id }, { id: job?.id }] },
      },
      queueDetails: { name: "q", running: "1", pending: expect.any(String) },
      workerDetails: { id: "w1", host: "host" },
    });
    await sql("select legwork_private.worker_stopped('w1')");
    expect((await ask(`query ($id: BigInt!) { job(id: $id) { workerDetails { id } } }`, { id: job?.id })).data.job).toEqual({
      workerDetails: null,
    });
  });

  test("lead from a workflow to its steps and their jobs, and from each job back to it", async () => {
    const [started] = await sql(
      `select legwork.start_workflow('order', '[{"name": "one", "task": "b"}, {"name": "two", "task": "c", "depends_on": ["one"]}]') as id`,
    );
    const { data, errors } = await ask(
      `query ($id: BigInt!) { workflow(id: $id) { name state total parent { id }
        steps { nodes { name state job { id workflow { id } workflowStep { name } } } } } }`,
      { id: started?.id },
    );
    expect(errors).toEqual([]);
    expect(data.workflow).toMatchObject({ name: "order", state: "running", total: 2, parent: null });
    expect(data.workflow.steps.nodes).toMatchObject([
      { name: "one", state: "pending", job: { workflow: { id: started?.id }, workflowStep: { name: "one" } } },
      { name: "two", state: "blocked", job: { workflow: { id: started?.id }, workflowStep: { name: "two" } } },
    ]);
    const [other] = await sql("select id from graphile_worker.add_job('b')");
    expect(
      (await ask(`query ($id: BigInt!) { job(id: $id) { workflow { id } schedule { name } } }`, { id: other?.id })).data,
    ).toEqual({
      job: { workflow: null, schedule: null },
    });
  });

  test("lead from a schedule to its runs, newest first, and their jobs, and from each job back to it", async () => {
    await sql(`select legwork.schedule('often', 'b', every => '1 hour')`);
    const first = await sql("select legwork.run_schedule('often') as id");
    const second = await sql("select legwork.run_schedule('often') as id");
    const { data, errors } = await ask(
      `{ schedule(name: "often") { name task sentence isEnabled taskDetails { name } lastJob { id }
        runs { nodes { state job { id task schedule { name } scheduleRun { state } } } } } }`,
    );
    expect(errors).toEqual([]);
    expect(data.schedule).toMatchObject({ name: "often", task: "b", isEnabled: true, taskDetails: { name: "b" } });
    expect(data.schedule.runs.nodes).toEqual(
      [second, first].map((rows) => ({
        state: "manual",
        job: { id: rows[0]?.id, task: "b", schedule: { name: "often" }, scheduleRun: { state: "manual" } },
      })),
    );
  });

  test("lead from a job to the steps of its task", async () => {
    const [job] = await sql("select id from graphile_worker.add_job('a')");
    await sql(
      `insert into legwork_private.job_steps (job_id, kind, name, state, result, attempt, started_at)
      select $1, 'run', name, 'completed', '{"n": 1}', 1, now() + n * interval '1 s' from (values (2, 'ship'), (1, 'charge')) s (n, name)`,
      [job?.id],
    );
    const { data, errors } = await ask(`query ($id: BigInt!) { job(id: $id) { steps { nodes { name state result } } } }`, {
      id: job?.id,
    });
    expect(errors).toEqual([]);
    expect(data.job.steps.nodes).toEqual(["charge", "ship"].map((name) => ({ name, state: "completed", result: { n: 1 } })));
  });
});

describe("an explanation", () => {
  test("is the same as from explain, for a job, queue, schedule, workflow and worker, with requests for the actions that the client may take", async () => {
    await sql(
      "select legwork.pause_queue('q', 'provider is down'), legwork_private.worker_beat('w2', 'host', 1, 4, '{a}', '{}')",
    );
    const [job] = await sql("select legwork.enqueue('a', tenant => 'acme') as id");
    const [workflow] = await sql(`select legwork.start_workflow('paused', '[{"name": "one", "task": "a"}]') as id`);
    await sql(`select legwork.schedule('nightly', 'a', every => '1 day')`);
    const query = `query ($job: BigInt!, $workflow: BigInt!) {
      job(id: $job) { explanation { position reason detail fix actions } }
      queue(name: "q") { explanation { reason fix } }
      schedule(name: "nightly") { explanation { reason } }
      workflow(id: $workflow) { explanation { reason } }
      worker(id: "w2") { explanation { reason } }
      jobs(first: 2) { nodes { explanation { reason } } }
    }`;
    const { data, errors } = await ask(query, { job: job?.id, workflow: workflow?.id });
    expect(errors).toEqual([]);
    const paused = { reason: "queue_paused", fix: "Resume the queue: `POST /api/v1/queues/q/resume`" };
    expect(data.job.explanation[0]).toEqual({
      position: 1,
      ...paused,
      detail: expect.stringMatching(/^Queue 'q' was paused by .+: provider is down\.$/),
      actions: [{ do: "resume_queue", name: "q" }],
    });
    expect(data.queue.explanation[0]).toEqual(paused);
    expect(data.workflow.explanation[0]).toEqual({ reason: "workflow_running" });
    for (const { explanation } of [data.schedule, data.worker, ...data.jobs.nodes]) expect(explanation.length).toBeGreaterThan(0);
    const confined = await ask(
      "query ($job: BigInt!) { job(id: $job) { explanation { fix actions } } }",
      { job: job?.id },
      await createToken("operator", "acme"),
    );
    expect(confined.data.job.explanation[0]).toEqual({
      fix: "Ask an operator of the whole system to resume the queue.",
      actions: [],
    });
    await sql("select legwork.resume_queue('q')");
  });
});

describe("the audit log", () => {
  test("is visible only to admins, and a tenant's admin sees only that tenant's entries", async () => {
    await sql("begin; set local legwork.confined_to = 'acme'; select legwork_private.audit('test', 'job', '1'); commit");
    await sql("begin; select legwork_private.audit('test', 'job', '2'); commit");
    const query = `{ auditLog(filter: { targetType: { equalTo: "job" } }) { nodes { operation target tenant } } }`;
    const targets = async (as: string): Promise<unknown> =>
      (await ask(query, {}, as)).data.auditLog?.nodes.map(({ target }: { target: string }) => target);
    expect(await targets(token)).toEqual(["2", "1"]);
    expect(await targets(await createToken("admin", "acme"))).toEqual(["1"]);
    expect(await targets(await createToken("admin", "other"))).toEqual([]);
    for (const role of ["viewer", "operator"]) {
      const { data, errors } = await ask(query, {}, await createToken(role, "acme"));
      expect({ data, errors }).toMatchObject({ data: { auditLog: null }, errors: [{ extensions: { code: "LW403" } }] });
    }
  });
});

describe("alerts", () => {
  test("are visible only to tokens without a tenant", async () => {
    await sql(`
      insert into legwork_private.alert_records (rule, kind, target, severity, value, threshold, message, raised_at)
      values ('r', 'failed_jobs', 'a', 'warning', 2, 1, 'too many', now())`);
    const query = "{ alerts(filter: { resolvedAt: { isNull: true } }) { nodes { rule severity state message } } }";
    // The server raises an alert about the Postgres server of this test.
    expect((await ask(query)).data.alerts.nodes.filter(({ rule }: { rule: string }) => rule === "r")).toEqual([
      { rule: "r", severity: "warning", state: "open", message: "too many" },
    ]);
    expect((await ask(query, {}, await createToken("admin", "acme"))).data.alerts.nodes).toEqual([]);
  });
});

describe("two tenants", () => {
  test("see nothing of each other through any relation", async () => {
    const of = async (tenant: string): Promise<string[]> => {
      const [job] = await sql("select legwork.enqueue('b', tenant => $1) as id", [tenant]);
      const [child] = await sql("select id from graphile_worker.add_job('b', flags => array['tenant:' || $1, 'parent:' || $2])", [
        tenant,
        job?.id,
      ]);
      const [workflow] = await sql(`select legwork.start_workflow('w', '[{"name": "one", "task": "b"}]', tenant => $1) as id`, [
        tenant,
      ]);
      await sql(`select legwork.schedule('of-' || $1, 'b', every => '1 hour', tenant => $1)`, [tenant]);
      const [run] = await sql(`select legwork.run_schedule('of-' || $1) as id`, [tenant]);
      await complete(child?.id);
      return [job?.id ?? "", child?.id ?? "", workflow?.id ?? "", run?.id ?? ""];
    };
    const [red, blue] = [await of("red"), await of("blue")];
    const as = await createToken("viewer", "red");
    const query = `query ($job: BigInt!, $child: BigInt!, $workflow: BigInt!, $run: BigInt!, $schedule: String!) {
      job(id: $job) { id tenant children { nodes { id } } }
      child: job(id: $child) { id parent { id } attempts { nodes { attempt } } }
      run: job(id: $run) { id schedule { name } }
      workflow(id: $workflow) { id steps { nodes { job { id tenant } } } }
      schedule(name: $schedule) { name runs { nodes { job { id } } } }
    }`;
    const variables = ([job, child, workflow, run]: string[], tenant: string): Record<string, unknown> => ({
      job,
      child,
      workflow,
      run,
      schedule: `of-${tenant}`,
    });
    expect(await ask(query, variables(blue, "blue"), as)).toMatchObject({
      errors: [],
      data: { job: null, child: null, run: null, workflow: null, schedule: null },
    });
    expect(await ask(query, variables(red, "red"), as)).toMatchObject({
      errors: [],
      data: {
        job: { id: red[0], children: { nodes: [{ id: red[1] }] } },
        child: { parent: { id: red[0] } },
        run: { schedule: { name: "of-red" } },
        workflow: { steps: { nodes: [{ job: { tenant: "red" } }] } },
        schedule: { runs: { nodes: [{ job: { id: red[3] } }] } },
      },
    });
    const lists = await ask(
      `{ jobs { nodes { tenant } } workflows { nodes { tenant } } schedules { nodes { tenant } } workers { nodes { id } }
        tasks(filter: { name: { equalTo: "b" } }) { nodes { jobs { nodes { tenant } } } } }`,
      {},
      as,
    );
    expect(lists.errors).toEqual([]);
    const seen = [...JSON.stringify(lists.data).matchAll(/"tenant":"?(\w+)/g)].map(([, tenant]) => tenant);
    expect(new Set(seen)).toEqual(new Set(["red"]));
  });
});
