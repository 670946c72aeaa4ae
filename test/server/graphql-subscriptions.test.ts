import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { type Client, createClient } from "graphql-ws";
import { WebSocket } from "ws";
import { type Server, startServer } from "../../src/server/server.ts";
import { testDatabase, testLog } from "../support/database.ts";
import { until } from "../support/until.ts";
import { workerOver } from "../support/worker.ts";

const database = testDatabase();
const token = "a token of the test";

let server: Server;
beforeAll(async () => {
  server = await startServer({ databaseUrl: database.url, host: "127.0.0.1", port: 0, token, log: testLog });
});
afterAll(async () => {
  await server.stop();
});

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

// oxlint-disable-next-line typescript/no-explicit-any -- whatever was asked for
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

async function enqueue(task: string, tenant: string | null = null): Promise<string> {
  const { rows } = await database.pool.query("select legwork.enqueue($1, tenant => $2) as id", [task, tenant]);
  return rows[0].id;
}

describe("a live list of jobs", () => {
  test("shows a job as it comes, changes and goes", async () => {
    await database.pool.query(`select legwork.register_tasks('[{"name": "seen"}]')`);
    const watching = watch(
      connect(),
      `subscription { jobs(task: "seen", state: [pending, running]) { jobs { id state } changed { id task } gone } }`,
    );
    await until("the first message", () => watching.messages.length === 1);
    expect(watching.messages[0].jobs).toEqual({ jobs: [], changed: [], gone: [] });
    const id = await enqueue("seen");
    await until("the new job", () => watching.messages.length === 2);
    expect(watching.messages[1].jobs).toEqual({ jobs: [{ id, state: "pending" }], changed: [{ id, task: "seen" }], gone: [] });
    await database.pool.query("select graphile_worker.complete_jobs($1::bigint[])", [[id]]);
    await until("that it is gone", () => watching.messages.length === 3);
    expect(watching.messages[2].jobs).toEqual({ jobs: [], changed: [], gone: [id] });
  });

  test("of one job tells its progress", async () => {
    await database.pool.query(`select legwork.register_tasks('[{"name": "slowly"}]')`);
    const id = await enqueue("slowly");
    const watching = watch(
      connect(),
      `subscription ($id: BigInt!) { job(id: $id) { id state progress progressMessage finishedAt } }`,
      {
        id,
      },
    );
    await until("the first message", () => watching.messages.length === 1);
    expect(watching.messages[0].job).toMatchObject({ id, state: "pending", progress: null });
    const directory = `
      import { setTimeout } from "node:timers/promises";
      import { defineTask } from ${JSON.stringify(new URL("../../src/index.ts", import.meta.url).href)};
      import { z } from ${JSON.stringify(import.meta.resolve("zod"))};
      export default defineTask({ payload: z.any(), async run(_payload, { progress }) {
        for (const percent of [25, 75]) { progress(percent, "at " + percent); await setTimeout(1500); }
      } });`;
    await workerOver(database.url, { "slowly.ts": directory });
    await until("its end", () => watching.messages.at(-1)?.job.state === "completed");
    const seen = watching.messages.map(({ job }) => job.progressMessage);
    expect(seen).toContain("at 25");
    expect(seen.at(-1)).toBe("at 75");
    expect(watching.messages.at(-1).job.finishedAt).toMatch(/\+00:00$/);
  });

  test("of a job that is not there is null", async () => {
    const watching = watch(connect(), `subscription { job(id: "999999999") { id } }`);
    await until("the first message", () => watching.messages.length === 1);
    expect(watching.messages).toEqual([{ job: null }]);
  });
});
