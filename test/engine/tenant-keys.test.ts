import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { enqueue, enqueueMany } from "../../src/jobs/enqueue.ts";
import { listJobs } from "../../src/jobs/read-jobs.ts";
import type { Server } from "../../src/server/server.ts";
import { testDatabase } from "../support/database.ts";
import { makeToken, rest, startRest } from "../support/rest.ts";
import { until } from "../support/until.ts";
import { workerOver } from "../support/worker.ts";

const database = testDatabase();
const TENANTS = ["A", "B"] as const;
let server: Server;
const tokens: Record<string, string> = {};

beforeAll(async () => {
  await database.pool.query(`select legwork_private.register_tasks('[{"name": "noop"}, {"name": "fan"}]')`);
  server = await startRest(database);
  for (const tenant of TENANTS) tokens[tenant] = await makeToken(database, "operator", tenant);
});
afterAll(async () => {
  await server.stop();
});

const at = new Date(Date.now() + 3_600_000);
const of = (tenant: string): { payload: { of: string } } => ({ payload: { of: tenant } });

/** The ways to enqueue. Each enqueues a job of "noop" for one tenant with the job key and the serial key "daily", and returns its id. */
const ways: Record<string, (tenant: string) => Promise<string>> = {
  SQL: async (tenant) => {
    const { rows } = await database.pool.query(
      "select legwork.enqueue('noop', $1, run_at => $2, job_key => 'daily', serial_key => 'daily', tenant => $3) as id",
      [JSON.stringify({ of: tenant }), at, tenant],
    );
    return rows[0].id;
  },
  TypeScript: async (tenant) =>
    await enqueue(database.pool, "noop", { of: tenant }, { jobKey: "daily", serialKey: "daily", runAt: at, tenant }),
  "TypeScript, many at once": async (tenant) => {
    const [id] = await enqueueMany(database.pool, [
      { task: "noop", ...of(tenant), jobKey: "daily", serialKey: "daily", runAt: at, tenant },
    ]);
    return id ?? "";
  },
  "REST with a token for all tenants": async (tenant) => {
    const { body } = await rest(server, "POST", "/jobs", {
      task: "noop",
      ...of(tenant),
      jobKey: "daily",
      serialKey: "daily",
      runAt: at,
      tenant,
    });
    return body.id;
  },
  "REST with the tenant's token": async (tenant) => {
    const { body } = await rest(
      server,
      "POST",
      "/jobs",
      { task: "noop", ...of(tenant), jobKey: "daily", serialKey: "daily", runAt: at },
      { authorization: `Bearer ${tokens[tenant]}` },
    );
    return body.id;
  },
  "a running task of the tenant's job": (tenant) => fromTask(tenant, "context"),
  "SQL in a running task": (tenant) => fromTask(tenant, "sql"),
};

async function fromTask(tenant: string, way: string): Promise<string> {
  const id = await enqueue(database.pool, "fan", { way }, { tenant });
  const ended = await until("the task has enqueued the job", async () => {
    const { rows } = await database.pool.query("select result from legwork.jobs where id = $1 and state = 'completed'", [id]);
    return rows[0];
  });
  return ended.result.id;
}

const FAN = `
  import { defineTask } from "legwork";
  export default defineTask({ run: async ({ way }, { enqueue, sql, job }) => {
    const payload = { of: job.tenant };
    const runAt = new Date(${at.getTime()});
    if (way === "context") return { id: await enqueue("noop", payload, { jobKey: "daily", serialKey: "daily", runAt }) };
    const [{ id }] = await sql\`select legwork.enqueue('noop', \${JSON.stringify(payload)}, run_at => \${runAt}, job_key => 'daily', serial_key => 'daily') as id\`;
    return { id };
  } });`;

describe("two tenants that use the same key", () => {
  it("have one job each, whichever way they enqueue it, and see it under that key", async () => {
    await workerOver(database.url, { "fan.ts": FAN });
    const jobs: Record<string, Set<string>> = { A: new Set(), B: new Set() };
    for (const [name, enqueueFor] of Object.entries(ways)) {
      for (const tenant of TENANTS) {
        const id = await enqueueFor(tenant);
        expect([name, id]).toEqual([name, expect.stringMatching(/^\d+$/)]);
        jobs[tenant]?.add(id);
        const { body } = await rest(server, "GET", `/jobs/${id}`);
        expect([name, body]).toEqual([
          name,
          expect.objectContaining({ jobKey: "daily", serialKey: "daily", tenant, payload: { of: tenant } }),
        ]);
      }
    }
    // A request is merged with other requests from the same tenant, through any interface, but never with another tenant's requests.
    expect([jobs.A?.size, jobs.B?.size]).toEqual([1, 1]);
    const both = [...(jobs.A ?? []), ...(jobs.B ?? [])].toSorted();
    expect(
      (await listJobs(database.pool, { jobKey: "daily", state: "scheduled", limit: 10 })).map(({ id }) => id).toSorted(),
    ).toEqual(both);
    const seen = await rest(server, "GET", "/jobs?jobKey=daily", undefined, { authorization: `Bearer ${tokens.A}` });
    expect(seen.body.items.map(({ id }: { id: string }) => id)).toEqual([...(jobs.A ?? [])]);
    const answer = await fetch(server.graphqlUrl, {
      method: "POST",
      headers: { authorization: `Bearer ${tokens.B}`, "content-type": "application/json" },
      body: JSON.stringify({
        query: `{ jobs(first: 5, filter: { jobKey: { equalTo: "daily" } }) { nodes { id jobKey serialKey } } }`,
      }),
    });
    expect(await answer.json()).toEqual({
      data: { jobs: { nodes: [{ id: [...(jobs.B ?? [])][0], jobKey: "daily", serialKey: "daily" }] } },
    });
    const { rows } = await database.pool.query(
      "select count(distinct job_queue_id)::int as lines from graphile_worker._private_jobs where job_queue_id is not null",
    );
    expect(rows).toEqual([{ lines: 2 }]);
  });

  it("get an error that names the option when a key is too long, on every surface", async () => {
    const tooLong = "k".repeat(512);
    const message = "job_key has 512 characters; the maximum is 503.";
    await expect(enqueue(database.pool, "noop", {}, { jobKey: tooLong, tenant: "A" })).rejects.toMatchObject({
      code: "LW400",
      message,
    });
    const { body } = await rest(
      server,
      "POST",
      "/jobs",
      { task: "noop", jobKey: tooLong },
      { authorization: `Bearer ${tokens.A}` },
    );
    expect(body).toMatchObject({ status: 400, code: "LW400", detail: message });
  });
});

it("a task sees its job's key as the caller wrote it", async () => {
  await workerOver(database.url, {
    "tell.ts": `
      import { defineTask } from "legwork";
      export default defineTask({ run: async (_payload, { job }) => ({ key: job.jobKey }) });`,
  });
  const id = await enqueue(database.pool, "tell", {}, { jobKey: "daily", tenant: "t".repeat(100) });
  const ended = await until("the job has ended", async () => {
    const { rows } = await database.pool.query("select result from legwork.jobs where id = $1 and state = 'completed'", [id]);
    return rows[0];
  });
  expect(ended.result).toEqual({ key: "daily" });
});
