import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { request } from "node:http";
import { afterAll, beforeAll, describe, expect, inject, test } from "vitest";
import { LegworkError } from "../../src/errors.ts";
import { startServer, type Server, type ServerOptions } from "../../src/server/server.ts";
import { databaseUrl, onServer, testDatabase, testLog } from "../support/database.ts";
import { until } from "../support/until.ts";
import { workerOver } from "../support/worker.ts";

const database = testDatabase();
const empty = testDatabase({ empty: true });
const token = "a token of the test";

let server: Server;
beforeAll(async () => {
  server = await start();
});
afterAll(async () => {
  await server.stop();
});

async function start(options: Partial<ServerOptions> = {}): Promise<Server> {
  return await startServer({ databaseUrl: database.url, host: "127.0.0.1", port: 0, token, log: testLog, ...options });
}

interface Answer {
  status: number;
  // oxlint-disable-next-line typescript/no-explicit-any -- the result of any query
  data: any;
  errors: { message: string; extensions: { code: string; hint?: string } }[];
  text: string;
}

async function ask(query: string, variables: Record<string, unknown> = {}, to = server): Promise<Answer> {
  return await send(JSON.stringify({ query, variables }), to);
}

async function send(body: string, to = server): Promise<Answer> {
  const response = await fetch(to.graphqlUrl, {
    method: "POST",
    headers: { "content-type": "application/json", authorization: `Bearer ${token}` },
    body,
  });
  const text = await response.text();
  return { status: response.status, text, errors: [], ...JSON.parse(text) };
}

async function addJob(
  task: string,
  options: { key?: string; runAt?: string; maxAttempts?: number; payload?: object } = {},
): Promise<string> {
  const { rows } = await database.pool.query(
    "select id from graphile_worker.add_job($1, $2::json, job_key => $3, run_at => $4, max_attempts => $5)",
    [task, JSON.stringify(options.payload ?? {}), options.key, options.runAt, options.maxAttempts],
  );
  return rows[0].id;
}

async function complete(...ids: string[]): Promise<void> {
  await database.pool.query("select graphile_worker.complete_jobs($1::bigint[])", [ids]);
}

async function refused(promise: Promise<unknown>): Promise<LegworkError> {
  const error = await promise.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(LegworkError);
  return error as LegworkError;
}

describe("the server", () => {
  test("returns LW401 for a query without a token or with a wrong one", async () => {
    const body = JSON.stringify({ query: "{ jobs { nodes { id } } }" });
    for (const authorization of [undefined, "Bearer wrong", token, `Basic ${token}`, `Bearer ${token}x`]) {
      const headers = { "content-type": "application/json", ...(authorization === undefined ? {} : { authorization }) };
      const response = await fetch(server.graphqlUrl, { method: "POST", headers, body });
      expect(response.status).toBe(401);
      expect(response.headers.get("www-authenticate")).toMatch(/^Bearer/);
      expect(await response.json()).toMatchObject({ code: "LW401", hint: expect.stringContaining("Authorization: Bearer") });
    }
  });

  test("rejects a request for another host name on every path", async () => {
    const { port } = new URL(server.url);
    const status = async (path: string, host: string): Promise<number | undefined> => {
      const outgoing = request({ host: "127.0.0.1", port, path, headers: { host } }).end();
      const [response] = await once(outgoing, "response");
      response.resume();
      return response.statusCode;
    };
    for (const path of ["/", "/health", "/graphql"]) {
      for (const host of ["evil.example", `evil.example:${port}`, "127.0.0.1.evil.example", "localhost.evil.example"]) {
        expect(await status(path, host)).toBe(400);
      }
    }
    for (const host of ["localhost", `localhost:${port}`, "127.0.0.1:1", `[::1]:${port}`]) {
      expect(await status("/health", host)).toBe(200);
    }
  });

  test("allows no other origin to read a response", async () => {
    const response = await fetch(`${server.url}/health`, { headers: { origin: "https://evil.example" } });
    expect(response.headers.get("access-control-allow-origin")).toBeNull();
  });

  test("serves an IDE at /graphql that loads nothing from other hosts, unless introspection is off", async () => {
    const page = await fetch(server.graphqlUrl, { headers: { accept: "text/html" } });
    const html = await page.text();
    expect(page.headers.get("content-security-policy")).toMatch(/^default-src 'none'; script-src 'self' 'sha256-/);
    expect([...html.matchAll(/(?:src|href|from)\s*=?\s*"([^"]+)"/g)].map(([, address]) => address)).toSatisfy(
      (addresses: string[]) => addresses.length > 2 && addresses.every((address) => address.startsWith("/graphql/ide/")),
    );
    const script = await fetch(`${server.url}/graphql/ide/ruru.js`);
    expect([script.status, script.headers.get("content-type")]).toEqual([200, "text/javascript; charset=utf-8"]);
    expect((await fetch(`${server.url}/graphql/ide/none.js`)).status).toBe(404);
    const silent = await start({ graphqlIntrospection: false });
    try {
      expect((await fetch(silent.graphqlUrl, { headers: { accept: "text/html" } })).status).toBe(405);
      expect((await fetch(`${silent.url}/graphql/ide/ruru.js`)).status).toBe(404);
    } finally {
      await silent.stop();
    }
  });

  test("returns 405 for a GET of /graphql by a program", async () => {
    const response = await fetch(server.graphqlUrl, { headers: { authorization: `Bearer ${token}` } });
    expect(response.status).toBe(405);
    expect(response.headers.get("allow")).toBe("POST");
    expect(await response.json()).toMatchObject({ code: "LW400", hint: expect.stringContaining("application/json") });
  });

  test("reads only JSON of a reasonable size", async () => {
    const post = async (type: string, body: string): Promise<unknown> => {
      const headers = { "content-type": type, authorization: `Bearer ${token}` };
      const response = await fetch(server.graphqlUrl, { method: "POST", headers, body });
      return [response.status, ((await response.json()) as { code: string }).code];
    };
    expect(await post("text/plain", "{}")).toEqual([415, "LW400"]);
    expect(await post("application/x-www-form-urlencoded", "query={jobs{nodes{id}}}")).toEqual([415, "LW400"]);
    expect(await post("application/json", "{")).toEqual([400, "LW400"]);
    expect(await post("application/json", JSON.stringify({ query: "#".repeat(100_000) }))).toEqual([413, "LW413"]);
  });
});

describe("the interface", () => {
  test("has an index, health and readiness without a token", async () => {
    const json = async (path: string): Promise<unknown> => await (await fetch(server.url + path)).json();
    expect(await json("/")).toMatchObject({ name: "legwork", graphql: { url: "/graphql" } });
    expect(await json("/health")).toEqual({ status: "ok" });
    expect(await json("/ready")).toEqual({ status: "ready", workers: 0 });
    expect(await json("/nothing")).toMatchObject({ code: "LW404" });
  });

  test("has the views under their names and the live views, but no mutation, `node` or `query`", async () => {
    const { data } = await ask(`{ schema: __schema {
      queryType { fields { name } } mutationType { name } subscriptionType { fields { name } } types { name kind }
    } }`);
    const names = (list: { name: string }[]): string[] => list.map(({ name }) => name).toSorted();
    expect(data.schema.mutationType).toBeNull();
    expect(names(data.schema.subscriptionType.fields)).toEqual(["job", "jobs", "overview", "queues"]);
    expect(names(data.schema.queryType.fields)).toEqual([
      "alert",
      "alerts",
      "attempts",
      "auditLog",
      "bulkAction",
      "bulkActions",
      "job",
      "jobs",
      "queue",
      "queues",
      "schedule",
      "schedules",
      "task",
      "tasks",
      "worker",
      "workers",
      "workflow",
      "workflows",
    ]);
    const objects = data.schema.types.filter(
      (type: { kind: string; name: string }) => type.kind === "OBJECT" && !/^__|Connection$|Edge$/.test(type.name),
    );
    expect(names(objects)).toEqual([
      "Alert",
      "Attempt",
      "AuditLog",
      "BulkAction",
      "Interval",
      "Job",
      "JobsUpdate",
      "LiveJob",
      "LiveQueue",
      "Log",
      "Overview",
      "PageInfo",
      "Query",
      "Queue",
      "QueuesUpdate",
      "Reason",
      "Schedule",
      "ScheduleRun",
      "Step",
      "Subscription",
      "Task",
      "Worker",
      "Workflow",
      "WorkflowStep",
    ]);
  });

  test("has the same job fields and states as SQL", async () => {
    const { data } = await ask(
      `{ job: __type(name: "Job") { fields { name } } state: __type(name: "JobState") { enumValues { name } } }`,
    );
    const { rows } = await database.pool.query(`
      select array(
          -- The number of a task is only for the planner, and GraphQL shows the raw payload as the payload.
          select attname::text from pg_attribute
          where attrelid = 'legwork.jobs'::regclass and attnum > 0 and attname <> all (array['task_number', 'raw_payload'])
        ) as columns,
        enum_range(null::legwork.job_state)::text[] as states`);
    const camel = (name: string): string => name.replaceAll(/_(.)/g, (_, letter: string) => letter.toUpperCase());
    const columns = rows[0].columns.map((name: string) => (name === "attempts" ? "attemptCount" : camel(name)));
    const names = (list: { name: string }[]): string[] => list.map(({ name }) => name);
    const relations =
      "attempts logs steps parent children workflow workflowStep schedule scheduleRun taskDetails queueDetails workerDetails".split(
        " ",
      );
    expect(new Set(names(data.job.fields))).toEqual(new Set([...columns, ...relations, "explanation"]));
    expect(names(data.state.enumValues)).toEqual(rows[0].states);
  });

  test("supports the introspection query that tools send", async () => {
    const { getIntrospectionQuery } = await import("postgraphile/graphql");
    const all = { specifiedByUrl: true, directiveIsRepeatable: true, schemaDescription: true, inputValueDeprecation: true };
    expect((await ask(getIntrospectionQuery(all))).errors).toEqual([]);
  });

  test("rejects a mutation and a subscription", async () => {
    const sent = async (query: string) => {
      const { status, errors } = await ask(query);
      return [status, errors[0]?.message, errors[0]?.extensions.code, errors[0]?.extensions.hint];
    };
    expect(await sent("mutation { jobs { nodes { id } } }")).toEqual([
      400,
      expect.stringContaining("Mutations"),
      "LW400",
      expect.any(String),
    ]);
    expect(await sent("subscription { jobs { jobs { id } } }")).toEqual([
      400,
      expect.stringContaining("Subscriptions"),
      "LW400",
      expect.stringContaining("graphql-transport-ws"),
    ]);
  });

  test("rejects several queries in one request, and requests for an event stream", async () => {
    const post = async (body: unknown, accept: string): Promise<unknown> => {
      const headers = { "content-type": "application/json", accept, authorization: `Bearer ${token}` };
      const response = await fetch(server.graphqlUrl, { method: "POST", headers, body: JSON.stringify(body) });
      return [response.status, await response.text()];
    };
    const query = "{ jobs { nodes { id } } }";
    expect(await post([{ query }, { query }], "application/json")).toEqual([400, expect.stringContaining("LW400")]);
    expect(await post({ query: "subscription { overview { running } }" }, "text/event-stream")).toEqual([
      expect.any(Number),
      expect.stringMatching(/LW400|errors/),
    ]);
  });

  test("shows its schema only if introspection is on", async () => {
    const silent = await start({ graphqlIntrospection: false });
    try {
      for (const query of [
        "{ __schema { queryType { name } } }",
        `{ ...f } fragment f on Query { t: __type(name: "Job") { name } }`,
      ]) {
        const { status, errors } = await ask(query, {}, silent);
        expect({ status, errors }).toMatchObject({ status: 403, errors: [{ extensions: { code: "LW403" } }] });
      }
      expect((await ask("{ __typename jobs { nodes { __typename id } } }", {}, silent)).errors).toEqual([]);
    } finally {
      await silent.stop();
    }
  });
});

describe("jobs", () => {
  test("are found by each of their states", async () => {
    const task = "in-each-state";
    const pending = await addJob(task);
    const scheduled = await addJob(task, { runAt: "2999-01-01" });
    const completed = await addJob(task);
    const failed = await addJob(task);
    const cancelled = await addJob(task, { key: "cancelled" });
    const running = await addJob(task);
    const retrying = await addJob(task, { runAt: "2999-01-01" });
    await complete(completed);
    await database.pool.query("select graphile_worker.permanently_fail_jobs($1::bigint[], 'broken')", [[failed]]);
    await database.pool.query("select graphile_worker.remove_job('cancelled')");
    await database.pool.query(
      "update graphile_worker._private_jobs set locked_at = now(), locked_by = 'w', attempts = 1 where id = $1",
      [running],
    );
    await database.pool.query("update graphile_worker._private_jobs set attempts = 1 where id = $1", [retrying]);

    const expected = {
      pending,
      scheduled,
      completed,
      failed,
      cancelled,
      running,
      retrying,
      blocked: undefined,
      paused: undefined,
      expired: undefined,
    };
    for (const [state, id] of Object.entries(expected)) {
      const { data } = await ask(
        `query ($state: JobState!, $task: String!) { jobs(filter: { state: { equalTo: $state }, task: { equalTo: $task } }) { nodes { id state } } }`,
        { state, task },
      );
      expect(data.jobs.nodes).toEqual(id === undefined ? [] : [{ id, state }]);
    }
    const some = await ask(
      `{ jobs(filter: { task: { equalTo: "${task}" }, state: { in: [failed, pending, completed] } }) { nodes { id } } }`,
    );
    expect(some.data.jobs.nodes.map(({ id }: { id: string }) => id)).toEqual([failed, completed, pending]);
    await database.pool.query("update graphile_worker._private_jobs set locked_at = null, locked_by = null where id = $1", [
      running,
    ]);
  });

  test("are found by tenant, keys and other fields, live and finished", async () => {
    await addJob("carrier");
    const { rows } = await database.pool.query(`
      select legwork.enqueue('carrier', job_key => 'k' || i, serial_key => 's', tenant => 'acme', correlation_id => 'c1', priority => -3) as id
      from generate_series(1, 2) i order by i`);
    const [live, finished] = rows.map(({ id }) => id);
    await complete(finished);
    const both = [finished, live];
    const by: [string, string[]][] = [
      [`tenant: { equalTo: "acme" }`, both],
      [`correlationId: { in: ["c1", "c2"] }`, both],
      [`serialKey: { equalTo: "s" }`, both],
      [`priority: { lessThan: 0 }`, both],
      [`jobKey: { equalTo: "k1" }`, [live]],
      [`jobKey: { equalTo: "k2" }`, [finished]],
      [`id: { equalTo: ${live} }`, [live]],
      [`id: { in: ["${live}", ${finished}] }`, both],
      [`tenant: { equalTo: "acme" }, finishedAt: { isNull: true }`, [live]],
      [`tenant: { equalTo: "acme" }, finishedAt: { greaterThan: "2020-01-01T00:00:00Z" }`, [finished]],
      [`tenant: { equalTo: "acme" }, createdAt: { greaterThan: "2020-01-01T00:00:00Z" }`, both],
      [`tenant: { equalTo: "acme" }, createdAt: { greaterThan: "2999-01-01T00:00:00Z" }`, []],
      [`tenant: { equalTo: "acme" }, createdAt: { lessThanOrEqualTo: "2020-01-01T00:00:00Z" }`, []],
      [`tenant: { equalTo: "acme" }, queue: { equalTo: "default" }`, both],
      [`tenant: { equalTo: "acme" }, queue: { equalTo: "other" }`, []],
    ];
    for (const [filter, ids] of by) {
      const { data, errors } = await ask(`{ jobs(filter: { ${filter} }) { nodes { id } } }`);
      expect(errors).toEqual([]);
      expect({ filter, ids: data.jobs.nodes.map(({ id }: { id: string }) => id) }).toEqual({ filter, ids });
    }
  });

  test("are found by createdAt, however soon after that they ended", async () => {
    const id = await addJob("quick");
    await complete(id);
    const { rows } = await database.pool.query("select to_json(created_at) as created from legwork.jobs where id = $1", [id]);
    const { data } = await ask(
      `query ($at: Datetime!) { jobs(filter: { task: { equalTo: "quick" }, createdAt: { greaterThanOrEqualTo: $at } }) { nodes { id } } }`,
      {
        at: rows[0].created,
      },
    );
    expect(data.jobs.nodes).toEqual([{ id }]);
  });

  test("appear on exactly one page, forwards and backwards, whether they are waiting or have finished", async () => {
    const ids: string[] = [];
    for (let i = 0; i < 60; i++) ids.push(await addJob("paged"));
    await complete(...ids.filter((_, index) => index % 3 !== 0));
    const newestFirst = ids.toReversed();
    const read = async (
      pageArguments: (cursor: string | null) => Record<string, unknown>,
      next: (info: Record<string, unknown>) => string | null,
    ): Promise<string[][]> => {
      const pages: string[][] = [];
      let cursor: string | null = null;
      do {
        const { data, errors } = await ask(
          `query ($first: Int, $last: Int, $after: Cursor, $before: Cursor, $orderBy: [JobOrderBy!]) {
            jobs(first: $first, last: $last, after: $after, before: $before, orderBy: $orderBy, filter: { task: { equalTo: "paged" } }) {
              nodes { id } pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
            }
          }`,
          pageArguments(cursor),
        );
        expect(errors).toEqual([]);
        pages.push(data.jobs.nodes.map(({ id }: { id: string }) => id));
        cursor = next(data.jobs.pageInfo);
      } while (cursor !== null);
      return pages;
    };
    const forwards = (info: Record<string, unknown>): string | null =>
      info.hasNextPage === true ? (info.endCursor as string) : null;
    const backwards = (info: Record<string, unknown>): string | null =>
      info.hasPreviousPage === true ? (info.startCursor as string) : null;

    expect((await read((after) => ({ first: 7, after }), forwards)).flat()).toEqual(newestFirst);
    expect((await read((before) => ({ last: 7, before }), backwards)).toReversed().flat()).toEqual(newestFirst);
    expect((await read((after) => ({ first: 7, after, orderBy: "ID_ASC" }), forwards)).flat()).toEqual(ids);
    // Without a size, a page has 50 rows.
    expect((await read((after) => ({ after }), forwards)).map((page) => page.length)).toEqual([50, 10]);
  });

  test("are limited to 500 rows a page", async () => {
    const large =
      "{ jobs(first: 500) { nodes { children(first: 500) { nodes { attempts(first: 500) { nodes { attempt } } } } } } }";
    for (const [query, variables] of [
      ["{ jobs(first: 501) { nodes { id } } }", {}],
      ["{ jobs(last: 501) { nodes { id } } }", {}],
      ["{ jobs(first: -1) { nodes { id } } }", {}],
      ["{ jobs(first: 10, last: -1) { nodes { id } } }", {}],
      ["{ jobs(first: 99999999999999999999) { nodes { id } } }", {}],
      ["query ($n: Int) { jobs(first: $n) { nodes { id } } }", { n: -2_147_483_648 }],
      ["query ($n: Int = -5) { jobs(last: $n) { nodes { id } } }", {}],
      ["{ jobs { nodes { attempts(first: -1) { nodes { attempt } } } } }", {}],
      [
        "{ ...f } fragment f on Query { jobs { ... on JobConnection { nodes { ...g } } } } fragment g on Job { children(last: -1) { nodes { id } } }",
        {},
      ],
      // A negative page size does not reduce the cost of a query.
      [`{ a: jobs(first: -2147483648) { nodes { id } } b: ${large.slice(1)}`, {}],
    ] as const) {
      const { status, data, errors } = await ask(query, variables);
      expect({ query, status, data }).toEqual({ query, status: 400, data: undefined });
      expect(errors).toHaveLength(1);
      expect(errors[0]).toMatchObject({ message: expect.stringContaining("between 0 and 500"), extensions: { code: "LW400" } });
    }
    expect((await ask(large)).status).toBe(413);
    expect((await ask(`{ jobs(first: 500) { nodes { id } } }`)).errors).toEqual([]);
    expect((await ask(`{ jobs(offset: 1) { nodes { id } } }`)).errors[0]?.message).toContain(`Unknown argument "offset"`);
  });
});

describe("a job and its attempts", () => {
  test("are returned by job(id) with the result of each attempt", async () => {
    const id = await addJob("falls", { maxAttempts: 1, payload: { step: 3 } });
    const well = await addJob("stands", { payload: { step: 4 } });
    await workerOver(database.url, {
      "falls.ts": `export default async () => { throw new RangeError("over the edge"); };`,
      "stands.ts": `export default async () => ({ stood: true });`,
    });
    const query = `query ($id: BigInt!) { job(id: $id) {
      id task state attemptCount maxAttempts payload error finishedAt
      attempts { nodes { attempt state errorName errorMessage errorStack startedAt finishedAt worker job { id task } } }
    } }`;
    const job = await until("the job has failed", async () => {
      const { data } = await ask(query, { id });
      return data.job.state === "failed" && data.job;
    });
    expect(job).toMatchObject({
      id,
      task: "falls",
      attemptCount: 1,
      maxAttempts: 1,
      payload: { step: 3 },
      error: "over the edge",
    });
    expect(Date.parse(job.finishedAt)).toBeGreaterThan(Date.now() - 60_000);
    expect(job.attempts.nodes).toEqual([
      {
        attempt: 1,
        state: "failed",
        errorName: "RangeError",
        errorMessage: "over the edge",
        errorStack: expect.stringContaining("falls.ts"),
        startedAt: expect.any(String),
        finishedAt: expect.any(String),
        worker: expect.any(String),
        job: { id, task: "falls" },
      },
    ]);
    await until("the job has completed", async () => {
      const { data } = await ask(query, { id: well });
      return data.job.state === "completed" && data.job.attempts.nodes[0]?.state === "completed";
    });
    const attempts = await ask(
      `{ attempts(filter: { task: { in: ["falls", "stands"] } }) { nodes { jobId state job { payload } } } }`,
    );
    expect(attempts.data.attempts.nodes).toEqual([
      { jobId: well, state: "completed", job: { payload: { step: 4 } } },
      { jobId: id, state: "failed", job: { payload: { step: 3 } } },
    ]);
  });

  test("have pages of attempts, newest first, and one job's attempts in order", async () => {
    const ids = await Promise.all([addJob("tried"), addJob("tried"), addJob("tried")]);
    ids.sort((a, b) => Number(a) - Number(b));
    await database.pool.query(
      `insert into legwork_private.failed_attempts (job_id, attempt, task, queue, error_message, failed_at)
      select id, attempt, 'tried', 'default', 'no', now() from unnest($1::bigint[]) id, generate_series(1, 3) attempt`,
      [ids],
    );
    const seen: string[] = [];
    for (let after: string | null = null, more = true; more;) {
      const { data }: Answer = await ask(
        `query ($after: Cursor) { attempts(first: 2, after: $after, filter: { task: { equalTo: "tried" } }) {
          nodes { jobId attempt } pageInfo { hasNextPage endCursor } } }`,
        { after },
      );
      seen.push(...data.attempts.nodes.map((node: { jobId: string; attempt: number }) => `${node.jobId}/${node.attempt}`));
      after = data.attempts.pageInfo.endCursor;
      more = data.attempts.pageInfo.hasNextPage;
    }
    expect(seen).toEqual(ids.toReversed().flatMap((id) => [3, 2, 1].map((attempt) => `${id}/${attempt}`)));
    const { data } = await ask(`query ($id: BigInt!) { job(id: $id) { attempts { nodes { attempt } } } }`, { id: ids[0] });
    expect(data.job.attempts.nodes).toEqual([{ attempt: 1 }, { attempt: 2 }, { attempt: 3 }]);
  });

  test("are null for an unknown id", async () => {
    const { data, errors } = await ask(`{ job(id: "999999999") { id } task(name: "none") { name } }`);
    expect({ data, errors }).toEqual({ data: { job: null, task: null }, errors: [] });
  });
});

describe("tasks", () => {
  test("are listed by name and found by name", async () => {
    await addJob("a-task");
    await database.pool.query(
      "insert into legwork_private.task_definitions (name, description, queue) values ('a-task', 'Sends one mail.', 'things')",
    );
    const { data } = await ask(
      `{ task(name: "a-task") { name description queue } tasks(filter: { queue: { equalTo: "things" } }) { nodes { name } } }`,
    );
    expect(data).toEqual({
      task: { name: "a-task", description: "Sends one mail.", queue: "things" },
      tasks: { nodes: [{ name: "a-task" }] },
    });
    expect((await ask(`{ jobs(filter: { queue: { equalTo: "things" } }) { nodes { task } } }`)).data.jobs.nodes).toEqual([
      { task: "a-task" },
    ]);
  });
});

describe("invalid queries", () => {
  test("get an error that names the unknown field, state or filter, with the nearest name", async () => {
    const message = async (query: string): Promise<string | undefined> => {
      const { status, errors } = await ask(query);
      expect(status).toBe(400);
      expect(errors[0]?.extensions.code).toBe("LW400");
      return errors[0]?.message;
    };
    expect(await message("{ jbos { nodes { id } } }")).toContain(`Did you mean "jobs"`);
    expect(await message("{ jobs { nodes { finishedat } } }")).toContain(`Did you mean "finishedAt"`);
    expect(await message("{ jobs(filter: { state: { equalTo: COMPLETED } }) { nodes { id } } }")).toContain(`"completed"`);
    expect(await message("{ jobs(filter: { payload: {} }) { nodes { id } } }")).toContain(`"payload" is not defined`);
    expect(await message(`{ job(id: "12a") { id } }`)).toContain("'12a' is not an id");
    expect(await message("{ jobs { nodes { id ")).toContain("Syntax Error");
  });

  test("with a value that Postgres cannot read get LW400", async () => {
    for (const query of [
      `{ jobs(filter: { createdAt: { greaterThan: "yesterdayish" } }) { nodes { id } } }`,
      `{ job(id: "9999999999999999999") { id } }`,
      `{ jobs(after: "nonsense") { nodes { id } } }`,
      `{ jobs(filter: {}) { nodes { id } } }`,
      `{ jobs(filter: { state: { equalTo: null } }) { nodes { id } } }`,
    ]) {
      const { errors, text } = await ask(query);
      expect({ query, code: errors[0]?.extensions.code }).toEqual({ query, code: "LW400" });
      expect(text).not.toMatch(/select|__jobs__|at .*\.js/i);
    }
  });
});

describe("expensive queries", () => {
  const hostile = {
    "400 aliases in 43 KB": `{ ${Array.from({ length: 400 }, (_, i) => `a${i}: jobs(first: 500) { nodes { id task queue state priority payload result error runAt createdAt startedAt } }`).join("\n")} }`,
    "31 aliases": `{ ${Array.from({ length: 31 }, (_, i) => `a${i}: jobs(first: 1) { nodes { id } }`).join(" ")} }`,
    "deep nesting": `{ ${"jobs { nodes { attempts { nodes { job { ".repeat(3)} id ${"} } } } } ".repeat(3)} }`,
    "30,000 braces": "{a".repeat(30_000),
    "201 fields": `{ jobs { nodes { ${"id ".repeat(201)} } } }`,
    "fragments that double forty times": `{ jobs { ...f0 } } ${Array.from({ length: 40 }, (_, i) => `fragment f${i} on JobConnection { ...f${i + 1} ...f${i + 1} }`).join(" ")} fragment f40 on JobConnection { nodes { id } }`,
    "doubling fragments at the root": `{ ...f0 } ${Array.from({ length: 40 }, (_, i) => `fragment f${i} on Query { ...f${i + 1} ...f${i + 1} }`).join(" ")} fragment f40 on Query { jobs { nodes { id } } }`,
    "51 explanations": "{ jobs(first: 51) { nodes { explanation { detail } } } }",
    "500 times 500 rows": `query ($n: Int = 500) { jobs(first: $n) { nodes { attempts(first: $n) { nodes { attempt } } } } }`,
  };

  for (const [name, query] of Object.entries(hostile)) {
    test(`${name} are rejected in less than 100 ms`, async () => {
      const times: number[] = [];
      for (let round = 0; round < 3; round++) {
        const start = performance.now();
        const { status, errors } = await ask(query);
        times.push(performance.now() - start);
        expect(status).toBe(413);
        expect(errors).toHaveLength(1);
        expect(errors[0]).toMatchObject({ message: expect.stringMatching(/^The query may have/), extensions: { code: "LW413" } });
      }
      expect(Math.min(...times)).toBeLessThan(100);
    });
  }

  test("with many or deep variables are rejected, and only the first errors are listed", async () => {
    const query = "query ($f: JobFilter) { jobs(filter: $f) { nodes { id } } }";
    const nested = (levels: number): string => `${'{"not":'.repeat(levels)}1${"}".repeat(levels)}`;
    for (const f of [
      nested(10_000),
      nested(11),
      JSON.stringify({ id: { in: Array.from({ length: 2_000 }, (_, index) => index) } }),
    ]) {
      const { status, errors, text } = await send(`{"query": ${JSON.stringify(query)}, "variables": {"f": ${f}}}`);
      expect([status, errors[0]?.extensions.code]).toEqual([413, "LW413"]);
      expect(text).not.toContain("call stack");
    }
    expect((await ask(query, { f: { id: { in: Array.from({ length: 1_000 }, (_, index) => String(index)) } } })).errors).toEqual(
      [],
    );
    const { errors, text } = await ask(
      `{ ${Array.from({ length: 60 }, (_, index) => `x${index} `.repeat(3)).join("")} ${"y".repeat(50_000)} }`,
    );
    expect(errors).toHaveLength(21);
    expect(errors.at(-1)?.message).toMatch(/^\d+ more/);
    expect(text.length).toBeLessThan(20_000);
    expect((await ask(`{ ${"y".repeat(50_000)} }`)).text.length).toBeLessThan(2_000);
  });

  test("do not delay other requests", async () => {
    const slowest: number[] = [];
    for (let round = 0; round < 3; round++) {
      const all = Object.values(hostile).map((query) => ask(query));
      const start = performance.now();
      await fetch(`${server.url}/health`);
      slowest.push(performance.now() - start);
      await Promise.all(all);
    }
    expect(Math.min(...slowest)).toBeLessThan(100);
  });

  test("with a fragment inside itself are rejected", async () => {
    for (const query of [
      "{ ...f } fragment f on Query { ...f }",
      "{ jobs { ...f } } fragment f on JobConnection { nodes { id } ...f }",
    ]) {
      expect((await ask(query)).errors[0]?.message).toContain("within itself");
    }
  });
});

describe("a database fault", () => {
  test("stops a query after five seconds, and the error shows no SQL", async () => {
    const client = await database.pool.connect();
    try {
      await client.query("begin");
      // This table has no partitions, so that its lock cannot cause a deadlock with the server's other statements.
      await client.query("lock table legwork_private.waiting_jobs in access exclusive mode");
      const start = performance.now();
      const { data, errors, text } = await ask("{ jobs { nodes { id } } }");
      expect(performance.now() - start).toBeGreaterThan(4_500);
      expect(data).toEqual({ jobs: null });
      expect(errors[0]).toMatchObject({
        message: expect.stringContaining("longer than 5 seconds"),
        extensions: { code: "LW504" },
      });
      expect(text).not.toMatch(/select|__jobs__|finished_jobs|57014/);
    } finally {
      await client.query("rollback");
      client.release();
    }
    expect((await ask("{ jobs { nodes { id } } }")).errors).toEqual([]);
  });

  test("that is caused by a bug is reported as LW500 without details", async () => {
    await database.pool.query("alter view legwork.tasks rename column description to gone");
    try {
      const { errors, text } = await ask("{ tasks { nodes { description } } }");
      expect(errors).toMatchObject([{ message: "Internal error.", extensions: { code: "LW500" } }]);
      expect(text).not.toMatch(/gone|42703|does not exist|__tasks__/);
    } finally {
      await database.pool.query("alter view legwork.tasks rename column gone to description");
    }
  });

  test("leaves the server alive but not ready", async () => {
    const serverUrl = inject("serverUrl");
    const name = `legwork_test_gone_${process.pid}`;
    await onServer(serverUrl, (client) => client.query(`create database ${name} template ${inject("template")}`));
    const orphan = await start({ databaseUrl: databaseUrl(serverUrl, name) });
    try {
      expect((await fetch(`${orphan.url}/ready`)).status).toBe(200);
      await onServer(serverUrl, (client) => client.query(`drop database ${name} with (force)`));
      const ready = await fetch(`${orphan.url}/ready`);
      expect(ready.status).toBe(503);
      expect(await ready.json()).toMatchObject({ code: "LW503", hint: expect.any(String) });
      expect((await fetch(`${orphan.url}/health`)).status).toBe(200);
      const { errors, text } = await ask("{ jobs { nodes { id } } }", {}, orphan);
      expect(errors).toMatchObject([{ extensions: { code: "LW503" } }]);
      expect(text).not.toContain(name);
    } finally {
      await orphan.stop();
    }
  });
});

describe("docs/reference/graphql.md", () => {
  test("has queries that work", async () => {
    await addJob("notify/email");
    const text = await readFile(new URL("../../docs/reference/graphql.md", import.meta.url), "utf8");
    const queries = [...text.matchAll(/```graphql\n([^`]+)```/g)].map(([, query]) => query ?? "");
    expect(queries.length).toBeGreaterThan(2);
    for (const query of queries) expect({ query, errors: (await ask(query)).errors }).toEqual({ query, errors: [] });
  });
});

describe("starting", () => {
  test("on a port in use fails with a hint", async () => {
    const port = Number(new URL(server.url).port);
    const error = await refused(start({ port }));
    expect(error).toMatchObject({
      code: "LW513",
      message: expect.stringContaining(String(port)),
      hint: expect.stringContaining("LEGWORK_PORT"),
    });
  });

  test("on another machine's address is rejected", async () => {
    expect(await refused(start({ host: "203.0.113.1" }))).toMatchObject({
      code: "LW514",
      message: expect.stringContaining("203.0.113.1"),
    });
  });

  test("on a database that is not migrated is rejected", async () => {
    expect(await refused(start({ databaseUrl: empty.url }))).toMatchObject({
      code: "LW511",
      hint: expect.stringContaining("legwork migrate"),
    });
  });

  test("on a database that cannot be reached is rejected", async () => {
    expect(await refused(start({ databaseUrl: "postgres://postgres@127.0.0.1:1/none" }))).toMatchObject({ code: "LW503" });
  });

  test("and stopping leaves no open connection, and the server no longer responds", async () => {
    const stopped = await start();
    expect((await ask("{ jobs { nodes { id } } }", {}, stopped)).errors).toEqual([]);
    const connections = async (): Promise<number> => {
      const { rows } = await database.pool.query(
        "select count(*)::int as n from pg_stat_activity where datname = current_database() and application_name = 'legwork server'",
      );
      return rows[0].n;
    };
    const before = await connections();
    await stopped.stop();
    await stopped.stop();
    await until("the server's connections are closed", async () => (await connections()) < before);
    await expect(fetch(`${stopped.url}/health`)).rejects.toThrow("fetch failed");
  });
});
