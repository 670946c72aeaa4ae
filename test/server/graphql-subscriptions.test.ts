import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { type Client, createClient } from "graphql-ws";
import { WebSocket } from "ws";
import { type Server, type ServerOptions, startServer } from "../../src/server/server.ts";
import { testDatabase, testLog } from "../support/database.ts";
import { scaled } from "../support/slowness.ts";
import { until } from "../support/until.ts";
import { workerOver } from "../support/worker.ts";

const database = testDatabase();
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

function socketUrl(to = server): string {
  return to.graphqlUrl.replace(/^http/, "ws");
}

function connect(authorization = `Bearer ${token}`, to = server): Client {
  const client = createClient({
    url: socketUrl(to),
    webSocketImpl: WebSocket,
    connectionParams: { authorization },
    retryAttempts: 0,
    onNonLazyError: () => undefined,
  });
  onTestFinished(() => client.dispose());
  return client;
}

// oxlint-disable-next-line typescript/no-explicit-any -- the result of any query
type Data = any;

interface Watching {
  readonly messages: Data[];
  readonly errors: { message: string; extensions?: { code?: string } }[];
  readonly ended: Promise<unknown>;
  stop(): void;
}

function watch(client: Client, query: string, variables: Record<string, unknown> = {}): Watching {
  const messages: Data[] = [];
  const errors: Watching["errors"] = [];
  const { promise: ended, resolve } = Promise.withResolvers<unknown>();
  const stop = client.subscribe<Data>(
    { query, variables },
    {
      next: ({ data, errors: failed }) => {
        if (failed !== undefined) errors.push(...(failed as unknown as Watching["errors"]));
        else messages.push(data);
      },
      error: (error) => {
        if (Array.isArray(error)) errors.push(...(error as unknown as Watching["errors"]));
        resolve(error);
      },
      complete: () => resolve(undefined),
    },
  );
  return { messages, errors, ended, stop };
}

async function createToken(role: string, tenant: string | null = null, expiresIn: string | null = "1 day"): Promise<string> {
  const { rows } = await database.pool.query("select legwork.create_token('test', $1, $2, $3::interval) as token", [
    role,
    tenant,
    expiresIn,
  ]);
  return rows[0].token;
}

async function enqueue(task: string, tenant: string | null = null): Promise<string> {
  const { rows } = await database.pool.query("select legwork.enqueue($1, tenant => $2) as id", [task, tenant]);
  return rows[0].id;
}

describe("a live list of jobs", () => {
  test("shows a job when it appears, changes and disappears", async () => {
    await database.pool.query(`select legwork_private.register_tasks('[{"name": "seen"}]')`);
    const watching = watch(
      connect(),
      `subscription { jobs(task: "seen", state: [pending, running]) { jobs { id state } changed { id task } gone } }`,
    );
    await until("the first message arrives", () => watching.messages.length === 1);
    expect(watching.messages[0].jobs).toEqual({ jobs: [], changed: [], gone: [] });
    const id = await enqueue("seen");
    await until("the new job arrives", () => watching.messages.length === 2);
    expect(watching.messages[1].jobs).toEqual({ jobs: [{ id, state: "pending" }], changed: [{ id, task: "seen" }], gone: [] });
    await database.pool.query("select graphile_worker.complete_jobs($1::bigint[])", [[id]]);
    await until("the job is gone", () => watching.messages.length === 3);
    expect(watching.messages[2].jobs).toEqual({ jobs: [], changed: [], gone: [id] });
  });

  test("of one job shows its progress", async () => {
    await database.pool.query(`select legwork_private.register_tasks('[{"name": "slowly"}]')`);
    const id = await enqueue("slowly");
    const watching = watch(
      connect(),
      `subscription ($id: BigInt!) { job(id: $id) { id state progress progressMessage finishedAt } }`,
      {
        id,
      },
    );
    await until("the first message arrives", () => watching.messages.length === 1);
    expect(watching.messages[0].job).toMatchObject({ id, state: "pending", progress: null });
    const directory = `
      import { setTimeout } from "node:timers/promises";
      import { defineTask } from ${JSON.stringify(new URL("../../src/index.ts", import.meta.url).href)};
      import { z } from ${JSON.stringify(import.meta.resolve("zod"))};
      export default defineTask({ payload: z.any(), async run(_payload, { progress }) {
        for (const percent of [25, 75]) { progress(percent, "at " + percent); await setTimeout(1500); }
      } });`;
    await workerOver(database.url, { "slowly.ts": directory });
    await until("the job has ended", () => watching.messages.at(-1)?.job.state === "completed");
    const seen = watching.messages.map(({ job }) => job.progressMessage);
    expect(seen).toContain("at 25");
    expect(seen.at(-1)).toBe("at 75");
    expect(watching.messages.at(-1).job.finishedAt).toMatch(/\+00:00$/);
  });

  test("of an unknown job is null", async () => {
    const watching = watch(connect(), `subscription { job(id: "999999999") { id } }`);
    await until("the first message arrives", () => watching.messages.length === 1);
    expect(watching.messages).toEqual([{ job: null }]);
  });
});

describe("10,000 jobs", () => {
  test(
    "that are added and completed while they are watched cause few messages, and the last message is correct",
    async () => {
      await database.pool.query(`select legwork_private.register_tasks('[{"name": "burst", "queue": "bursts"}]')`);
      const client = connect();
      const list = watch(client, `subscription { jobs(task: "burst", first: 20) { jobs { id state } changed { id } } }`);
      const queues = watch(client, `subscription { queues { queues { name pending running } } }`);
      const overview = watch(client, `subscription { overview { pending running enqueuedPerSecond endedPerSecond workers } }`);
      await until("the first messages arrive", () => [list, queues, overview].every(({ messages }) => messages.length > 0));
      const begin = performance.now();
      const { rows } = await database.pool.query(
        "select array_agg(id::text) as ids from generate_series(1, 10000) i, lateral graphile_worker.add_job('burst', json_build_object('i', i))",
      );
      const ids: string[] = rows[0].ids;
      // Completes many jobs in one statement, as workers do.
      for (let index = 0; index < ids.length; index += 500) {
        await database.pool.query("select graphile_worker.complete_jobs($1::bigint[])", [ids.slice(index, index + 500)]);
      }
      const newest = ids.toSorted((a, b) => Number(b) - Number(a)).slice(0, 20);
      await until(
        "the last state arrives",
        () => {
          const { jobs } = list.messages.at(-1).jobs;
          return jobs.length === 20 && jobs.every(({ state }: Data) => state === "completed");
        },
        30_000,
      );
      const seconds = (performance.now() - begin) / 1_000;
      expect(list.messages.at(-1).jobs.jobs.map(({ id }: Data) => id)).toEqual(newest);
      await until(
        "the queue is empty",
        () => queues.messages.at(-1).queues.queues.some(({ name, pending }: Data) => name === "bursts" && pending === 0),
        30_000,
      );
      // An idle connection flushes its statistics up to ten seconds later.
      await until("rates are shown", () => overview.messages.some((message) => message.overview.endedPerSecond > 0), 30_000);
      expect(overview.messages.at(-1).overview).toMatchObject({ workers: 0 });
      // After the first message, there are at most two per second.
      expect(list.messages.length).toBeLessThanOrEqual(2 * seconds + 3);
      expect(queues.messages.length).toBeLessThanOrEqual(seconds + 12);
      expect([...list.errors, ...queues.errors, ...overview.errors]).toEqual([]);
    },
    scaled(60_000),
  );

  test("the server runs no queries without a subscriber", async () => {
    const client = connect();
    const watching = watch(client, "subscription { overview { pending } }");
    await until("the first message arrives", () => watching.messages.length > 0);
    watching.stop();
    await watching.ended;
    const reads = async (): Promise<number> => {
      const { rows } = await database.pool.query(
        "select count(*)::int as n from pg_stat_activity where datname = current_database() and application_name = 'legwork server' and query_start > clock_timestamp() - interval '1.5 s'",
      );
      return rows[0].n;
    };
    await until("no queries run", async () => (await reads()) === 0);
  });
});

describe("access to subscriptions", () => {
  test("shows a tenant none of another tenant's jobs, and does not count them", async () => {
    await database.pool.query(`select legwork_private.register_tasks('[{"name": "owned", "queue": "owned"}]')`);
    const [red, blue] = [await createToken("viewer", "red"), await createToken("viewer", "blue")];
    const seen = [red, blue].map((as) => {
      const client = connect(`Bearer ${as}`);
      return {
        jobs: watch(client, `subscription { jobs(task: "owned") { jobs { id tenant } } }`),
        queues: watch(client, "subscription { queues { queues { name pending } } }"),
        overview: watch(client, "subscription { overview { pending enqueuedPerSecond workers } }"),
      };
    });
    await until("the first messages arrive", () =>
      seen.every(({ jobs, queues, overview }) => [jobs, queues, overview].every(({ messages }) => messages.length > 0)),
    );
    const id = await enqueue("owned", "red");
    await until("red sees its job", () => seen[0]?.jobs.messages.at(-1).jobs.jobs.length === 1);
    expect(seen[0]?.jobs.messages.at(-1).jobs.jobs).toEqual([{ id, tenant: "red" }]);
    await until("red's overview counts the job", () => seen[0]?.overview.messages.at(-1).overview.pending === 1);
    const [, other] = seen;
    const one = watch(connect(`Bearer ${blue}`), `subscription ($id: BigInt!) { job(id: $id) { id } }`, { id });
    await until("blue's subscription to the job responds", () => one.messages.length === 1);
    expect(one.messages).toEqual([{ job: null }]);
    expect(other?.jobs.messages).toEqual([{ jobs: { jobs: [] } }]);
    expect(other?.overview.messages).toEqual([{ overview: { pending: 0, enqueuedPerSecond: null, workers: 0 } }]);
    expect(JSON.stringify(other?.queues.messages)).not.toMatch(/"pending":[1-9]/);
  });

  test("is rejected without a valid token or with the role enqueuer, and the connection is closed", async () => {
    const closed = async (authorization: string): Promise<unknown> => {
      const { ended } = watch(connect(authorization), "subscription { overview { pending } }");
      return ((await ended) as { code: number }).code;
    };
    expect(await closed("Bearer wrong")).toBe(4401);
    expect(await closed("")).toBe(4401);
    expect(await closed(`Bearer ${await createToken("enqueuer")}`)).toBe(4403);
  });

  test("ends when the token expires", async () => {
    const { ended, messages } = watch(
      connect(`Bearer ${await createToken("viewer", null, "2 s")}`),
      "subscription { overview { pending } }",
    );
    expect(await ended).toMatchObject({ code: 4403, reason: "The token has expired." });
    expect(messages.length).toBeGreaterThan(0);
  });

  test("is rejected for pages from another origin, under another host name, and on another path", async () => {
    const status = async (path: string, headers: Record<string, string>): Promise<unknown> => {
      const socket = new WebSocket(socketUrl().replace("/graphql", path), "graphql-transport-ws", { headers });
      return await new Promise((resolve) => {
        socket.on("unexpected-response", (_request, response) => {
          resolve(response.statusCode);
          socket.on("error", () => undefined);
          socket.terminate();
        });
        socket.on("open", () => {
          resolve("open");
          socket.terminate();
        });
      });
    };
    expect(await status("/graphql", { origin: "https://evil.example" })).toBe(403);
    expect(await status("/graphql", { host: "evil.example" })).toBe(400);
    expect(await status("/other", {})).toBe(404);
    expect(await status("/graphql", { origin: server.url })).toBe("open");
  });
});

describe("limits on a connection", () => {
  async function refusal(query: string, variables: Record<string, unknown> = {}): Promise<unknown> {
    const watching = watch(connect(), query, variables);
    await watching.ended;
    expect(watching.messages).toEqual([]);
    return watching.errors[0];
  }

  test("reject a query, a mutation and expensive subscriptions, and name the invalid field", async () => {
    expect(await refusal("{ jobs { nodes { id } } }")).toMatchObject({
      message: expect.stringContaining("subscriptions"),
      extensions: { code: "LW400", hint: expect.stringContaining("POST") },
    });
    expect(await refusal("mutation { a }")).toMatchObject({ extensions: { code: "LW400" } });
    expect(await refusal("subscription { jbos { id } }")).toMatchObject({
      message: expect.stringContaining(`"jbos"`),
      extensions: { code: "LW400" },
    });
    expect(await refusal("subscription { overview { pending } queues { readAt } }")).toMatchObject({
      extensions: { code: "LW400" },
    });
    expect(await refusal("subscription { jobs(first: 101) { readAt } }")).toMatchObject({
      message: expect.stringContaining("first"),
      extensions: { code: "LW400" },
    });
    expect(await refusal("subscription { jobs(first: -1) { readAt } }")).toMatchObject({ extensions: { code: "LW400" } });
    let deep: unknown = 1;
    for (let level = 0; level < 500; level++) deep = [deep];
    expect(await refusal("subscription ($s: [JobState!]) { jobs(state: $s) { readAt } }", { s: deep })).toMatchObject({
      extensions: { code: "LW413" },
    });
    expect(
      await refusal(`subscription { jobs { jobs { ${Array.from({ length: 31 }, (_, index) => `a${index}: id`).join(" ")} } } }`),
    ).toMatchObject({ extensions: { code: "LW413" } });
    expect(await refusal(`subscription { job(id: "9999999999999999999") { id } }`)).toMatchObject({
      extensions: { code: "LW400" },
    });
    expect(await refusal(`subscription { job(id: "x") { id } }`)).toMatchObject({ extensions: { code: "LW400" } });
    expect(JSON.stringify(await refusal(`subscription { __schema { queryType { name } } }`))).not.toMatch(/at .*\.js/);
  });

  test("allow at most 20 subscriptions", async () => {
    const client = connect();
    const all = Array.from({ length: 21 }, () => watch(client, "subscription { overview { pending } }"));
    await until("one subscription is rejected", () => all.some(({ errors }) => errors.length > 0));
    await until("the others receive messages", () => all.filter(({ messages }) => messages.length > 0).length === 20);
    expect(all.flatMap(({ errors }) => errors)).toMatchObject([{ extensions: { code: "LW429" } }]);
  });

  test("end a connection after a message that is too long, or too many messages", async () => {
    const codeAfter = async (send: (socket: WebSocket) => void): Promise<number> => {
      const socket = new WebSocket(socketUrl(), "graphql-transport-ws");
      return await new Promise((resolve) => {
        socket.on("open", () => send(socket));
        socket.on("close", resolve);
        socket.on("error", () => undefined);
      });
    };
    expect(await codeAfter((socket) => socket.send(JSON.stringify({ type: "ping", payload: { x: "x".repeat(70_000) } })))).toBe(
      1009,
    );
    expect(
      await codeAfter((socket) => {
        for (let index = 0; index < 400; index++) socket.send(JSON.stringify({ type: "ping" }));
      }),
    ).toBe(4429);
  });

  test("send only the latest state to a client that does not read, and buffer at most one message for it", async () => {
    await database.pool.query(`select legwork_private.register_tasks('[{"name": "unread"}]')`);
    await database.pool.query(
      "select graphile_worker.add_job('unread', flags => array['correlation:' || repeat('x', 250)]) from generate_series(1, 100)",
    );
    const socket = new WebSocket(socketUrl(), "graphql-transport-ws");
    onTestFinished(() => socket.terminate());
    const query = `subscription { jobs(task: "unread", first: 100) { jobs { id task queue state correlationId createdAt runAt attemptCount } } }`;
    let messages = 0;
    let last: Data;
    socket.on("message", (data) => {
      const message = JSON.parse((data as Buffer).toString());
      if (message.type === "connection_ack") socket.send(JSON.stringify({ id: "1", type: "subscribe", payload: { query } }));
      if (message.type !== "next") return;
      messages++;
      last = message.payload.data.jobs;
    });
    await new Promise((resolve) => socket.on("open", resolve));
    socket.send(JSON.stringify({ type: "connection_init", payload: { authorization: `Bearer ${token}` } }));
    await until("the first message arrives", () => messages === 1);
    const other = watch(connect(), `subscription { jobs(task: "unread", first: 100) { changed { id } } }`);
    await until("the other client's first message arrives", () => other.messages.length === 1);
    socket.pause();
    for (let round = 1; round <= 6; round++) {
      await database.pool.query(
        "update graphile_worker._private_jobs j set priority = $1 where task_id = (select id from graphile_worker._private_tasks where identifier = 'unread')",
        [round],
      );
      await database.pool.query("select graphile_worker.add_job('unread')");
      await until("the other client receives the change", () => other.messages.length >= round + 1);
    }
    socket.resume();
    await until(
      "the latest state arrives",
      () => last.jobs.length === 100 && last.jobs[0].id === other.messages.at(-1).jobs.changed[0].id,
    );
    expect(other.messages.length).toBeGreaterThanOrEqual(7);
  });
});

describe("a database fault", () => {
  test("does not end a subscription: the next message contains the changes that were missed", async () => {
    await database.pool.query(`select legwork_private.register_tasks('[{"name": "survivor"}]')`);
    const watching = watch(connect(), `subscription { jobs(task: "survivor") { jobs { id } } }`);
    await until("the first message arrives", () => watching.messages.length === 1);
    await database.pool.query(
      "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and application_name = 'legwork server'",
    );
    const id = await enqueue("survivor");
    await until("the job arrives", () => watching.messages.at(-1).jobs.jobs[0]?.id === id);
    expect(watching.errors).toEqual([]);
  });
});

describe("a server that stops", () => {
  test("notifies its clients, and does not wait for those that do not read", async () => {
    const stopping = await start();
    const { ended, messages } = watch(connect(undefined, stopping), "subscription { overview { pending } }");
    const deaf = new WebSocket(socketUrl(stopping), "graphql-transport-ws");
    deaf.on("error", () => undefined);
    await new Promise((resolve) => deaf.on("open", resolve));
    deaf.pause();
    await until("the first message arrives", () => messages.length > 0);
    const begin = performance.now();
    await stopping.stop();
    expect(performance.now() - begin).toBeLessThan(scaled(5_000));
    expect(await ended).toMatchObject({ code: 1001 });
    deaf.terminate();
  });
});
