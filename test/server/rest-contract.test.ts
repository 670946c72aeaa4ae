import { afterAll, beforeAll, expect, it } from "vitest";
import type { Server } from "../../src/server/server.ts";
import { testDatabase } from "../support/database.ts";
import { type OpenApi } from "../support/openapi.ts";
import { rest, startRest } from "../support/rest.ts";

const database = testDatabase();
let server: Server;
let jobs: string[];

beforeAll(async () => {
  await database.pool.query(`select legwork_private.register_tasks('[{"name": "a"}, {"name": "b"}, {"name": "c"}]')`);
  const { rows } = await database.pool.query("select legwork.enqueue('a')::text as id from generate_series(1, 5)");
  jobs = rows.map(({ id }) => id);
  server = await startRest(database);
});
afterAll(async () => {
  await server.stop();
});

const items = async (path: string): Promise<Record<string, string>[]> => (await rest(server, "GET", path)).body.items;
const ids = async (path: string): Promise<unknown[]> => (await items(path)).map(({ id }) => id);

it("every field and parameter of the OpenAPI document is in camelCase", async () => {
  const document = (await (await fetch(`${server.url}/docs/json`)).json()) as OpenApi;
  const names = new Set<string>();
  const collect = (part: unknown): void => {
    if (Array.isArray(part)) for (const inner of part) collect(inner);
    else if (typeof part === "object" && part !== null) {
      const { properties, parameters } = part as { properties?: object; parameters?: { name: string }[] };
      for (const name of Object.keys(properties ?? {})) names.add(name);
      for (const { name } of Array.isArray(parameters) ? parameters : []) names.add(name);
      for (const [key, inner] of Object.entries(part)) if (key !== "examples") collect(inner);
    }
  };
  collect(document);
  expect(names.size).toBeGreaterThan(100);
  expect([...names].filter((name) => name.includes("_"))).toEqual([]);
});

it("before and after with a job id return the next pages", async () => {
  const [first, second, third, fourth, fifth] = jobs;
  expect(await ids(`/jobs?before=${fourth}&limit=2`)).toEqual([third, second]);
  expect(await ids(`/jobs?before=${first}`)).toEqual([]);
  expect(await ids(`/jobs?after=${third}&order=oldest`)).toEqual([fourth, fifth]);
  expect(await ids(`/jobs?after=${first}&before=${fourth}`)).toEqual([third, second]);
  const { status, body } = await rest(server, "GET", "/jobs?before=x");
  expect([status, body.errors[0]]).toMatchObject([400, { in: "query", field: "before" }]);
});

it("after with a log line's id returns the lines that were logged since", async () => {
  const [id] = jobs;
  const lines = [1, 2, 3].map((n) => ({
    job_id: id,
    attempt: 1,
    at: Date.now(),
    level: "info",
    message: `line ${n}`,
    fields: null,
  }));
  await database.pool.query("select legwork_private.record_output('[]', $1)", [JSON.stringify(lines)]);
  const all = await items(`/jobs/${id}/logs`);
  expect(all.map(({ message }) => message)).toEqual(["line 1", "line 2", "line 3"]);
  expect(await items(`/jobs/${id}/logs?after=${all[0]?.id}`)).toEqual(all.slice(1));
});

it("workflows, batches, tasks, schedule runs and the audit log continue where the last page ended", async () => {
  const made: Record<string, string[]> = { workflows: [], batches: [] };
  for (const _ of [1, 2]) {
    made.workflows?.push((await rest(server, "POST", "/workflows", { name: "w", steps: [{ name: "s", task: "a" }] })).body.id);
    made.batches?.push((await rest(server, "POST", "/batches", { jobs: [{ task: "a" }] })).body.id);
  }
  for (const [kind, [older, newer]] of Object.entries(made)) {
    expect(await ids(`/${kind}`)).toEqual([newer, older]);
    expect(await ids(`/${kind}?before=${newer}`)).toEqual([older]);
  }
  expect((await items("/tasks?after=a&limit=1")).map(({ name }) => name)).toEqual(["b"]);
  await rest(server, "PUT", "/schedules/s", { task: "a", every: "1d" });
  await rest(server, "POST", "/schedules/s/run");
  const [run] = await items("/schedules/s/runs");
  expect(await items(`/schedules/s/runs?before=${run?.dueAt}`)).toEqual([]);
  const [line, ...older] = await ids("/audit-log");
  expect(await ids(`/audit-log?before=${String(line)}`)).toEqual(older);
});
