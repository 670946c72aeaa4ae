import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { enqueue } from "../../src/jobs/enqueue.ts";
import type { Server } from "../../src/server/server.ts";
import { legwork } from "../support/cli.ts";
import { testDatabase } from "../support/database.ts";
import { empty } from "../support/empty.ts";
import { rest, restToken, startRest } from "../support/rest.ts";
import { until } from "../support/until.ts";
import { workerOver } from "../support/worker.ts";
import { HOSTILE_JSON, meansTheSame } from "./hostile-json.ts";

const database = testDatabase();
let server: Server;

/** The payload of each job as it was enqueued, by the job's id. Every second payload is an ordinary one. */
const payloads = new Map<string, string>();

beforeAll(async () => {
  server = await startRest(database);
  await sql("select legwork_private.register_tasks($1)", [
    JSON.stringify([
      { name: "plain" },
      { name: "keyed", limits: [{ kind: "concurrency", key: ["user"], max: 1 }] },
      { name: "secret", redact: ["user", "*.x"] },
    ]),
  ]);
  for (const json of Object.values(HOSTILE_JSON)) {
    for (const task of ["plain", "keyed", "secret"]) {
      for (const payload of [json, '{"user": "neighbor"}']) {
        const [row] = await sql("select id from graphile_worker.add_job($1, $2::json, max_attempts => 1)", [task, payload]);
        payloads.set(row.id, payload);
      }
    }
  }
});
afterAll(async () => {
  await server.stop();
});

// oxlint-disable-next-line typescript/no-explicit-any -- rows of any statement
async function sql(text: string, values: unknown[] = []): Promise<any[]> {
  return (await database.pool.query(text, values)).rows;
}

const { rawJSON } = JSON as unknown as { rawJSON: (text: string) => unknown };

interface Shown {
  id: string;
  task: string;
  payload: unknown;
}

/** Parses JSON and keeps each number as it was written. */
function exactly(text: string): unknown {
  const parse = JSON.parse as (
    text: string,
    reviver: (key: string, value: unknown, context: { source?: string }) => unknown,
  ) => unknown;
  return parse(text, (_key, value, { source }) => (typeof value === "number" ? rawJSON(source as string) : value));
}

/** How a payload is shown: with the same meaning, as its text under the key `legwork:text`, redacted, or wrongly. */
function wayShown({ id, payload }: Shown): string {
  const given = payloads.get(id) ?? "";
  const shown = JSON.stringify(payload);
  if ((payload as Record<string, unknown> | null)?.["legwork:text"] === given) return "text";
  if (shown === '"[redacted]"') return "hidden";
  if (shown.includes('"[redacted]"')) return "redacted";
  return meansTheSame(shown, given) ? "same" : `${given.slice(0, 80)} is shown as ${shown.slice(0, 80)}`;
}

/** Each payload must be shown with its original meaning, or as its text if it is nested too deeply. Redacted values must not be shown. */
function expectShown(rows: readonly Shown[], ids: readonly string[]): void {
  expect(rows.map(({ id }) => id).toSorted((a, b) => Number(a) - Number(b))).toEqual(
    ids.toSorted((a, b) => Number(a) - Number(b)),
  );
  const wrong = rows.filter((row) => {
    const given = payloads.get(row.id) ?? "";
    const isDeep = given.length > 9_000 && /^[[{](?:"user":)?[[{]/.test(given);
    const hasUser = given.includes("user") && given !== '"user"';
    if (row.task === "secret" && (isDeep || hasUser)) return wayShown(row) !== (isDeep ? "hidden" : "redacted");
    return wayShown(row) !== (isDeep ? "text" : "same");
  });
  expect(wrong.map((row) => `${row.task}: ${wayShown(row)}`)).toEqual([]);
}

async function restRows(path: string): Promise<Shown[]> {
  const { status, text } = await rest(server, "GET", path);
  expect(status).toBe(200);
  return (exactly(text) as { items: Shown[] }).items;
}

async function graphqlRows(): Promise<Shown[]> {
  const response = await fetch(server.graphqlUrl, {
    method: "POST",
    headers: { "content-type": "application/json", authorization: `Bearer ${restToken}` },
    body: JSON.stringify({ query: "{ jobs(first: 500) { nodes { id task payload result attempts { nodes { attempt } } } } }" }),
  });
  const { data, errors } = exactly(await response.text()) as { data: { jobs: { nodes: Shown[] } }; errors?: unknown };
  expect(errors).toBeUndefined();
  return data.jobs.nodes;
}

async function everySurface(): Promise<void> {
  const ids = [...payloads.keys()];
  // Conditions on payloads do not fail for any row, whether they use text, a path or jsonb.
  await sql("select payload ->> 'user', payload #>> '{user,0}', payload::jsonb -> 'user', error from legwork.jobs");
  await sql("select * from legwork.jobs j, legwork.explain_job(j.id)");
  await sql("select * from legwork.failed_groups, legwork.reconcile()");
  // Only the jobs of two of the three tasks are found: the third task redacts this value.
  expect(await sql("select from legwork.jobs where payload ->> 'user' = 'neighbor'")).toHaveLength(ids.length / 3);
  expectShown(await restRows("/jobs?limit=500"), ids);
  expectShown(await graphqlRows(), ids);
  expect((await rest(server, "GET", "/jobs?payload=user:neighbor&limit=500")).body.items).not.toHaveLength(0);
}

describe("any JSON that Postgres accepts", () => {
  it("waits next to ordinary payloads, and every surface shows it", async () => {
    await everySurface();
    for (const [id, payload] of payloads) {
      if (payload.includes("neighbor")) continue;
      const { status, text } = await rest(server, "GET", `/jobs/${id}`);
      expect(status).toBe(200);
      expectShown([exactly(text) as Shown], [id]);
    }
  });

  it("has its own gate, and limits can be created and removed", async () => {
    const gates = await sql("select distinct w.gates from legwork_private.waiting_jobs w");
    expect(gates.length).toBeLessThan(Object.keys(HOSTILE_JSON).length);
    await sql("select legwork.limit_rate(100, '1 hour', task => 'plain', key => 'user')");
    await sql("select legwork.drop_limit('rate', task => 'plain', key => 'user')");
    await sql("select legwork_private.register_tasks($1)", [JSON.stringify([{ name: "plain", redact: ["user.0"] }])]);
    await restRows("/jobs?limit=500");
    await sql("select legwork_private.register_tasks($1)", [JSON.stringify([{ name: "plain", redact: null }])]);
  });

  it("is printed by the command line without controlling the terminal", async () => {
    const environment = { DATABASE_URL: database.url };
    const [json, people, one, why] = await Promise.all([
      legwork(["jobs", "--json", "--limit", "500"], environment),
      legwork(["jobs", "--limit", "500"], environment),
      legwork(["job", idOf("control characters")], environment),
      legwork(["explain", idOf("5,000 levels of arrays")], environment),
    ]);
    for (const { code, stderr } of [json, people, one, why]) expect(stderr + String(code)).toBe("0");
    expectShown(exactly(json.stdout) as Shown[], [...payloads.keys()]);
    // oxlint-disable-next-line no-control-regex -- the characters that must not be printed
    expect(json.stdout + people.stdout + one.stdout).not.toMatch(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202e]/);
    expect(one.stdout).toContain(String.raw`{"user":"\u001b[31m\u009b\u202e"}`);
  });

  it("is run once, next to ordinary payloads, by a worker whose task limits by one of its keys", async () => {
    const task = "export default async () => 1;";
    const keyed =
      'import { defineTask } from "legwork"; export default defineTask({ concurrency: { limit: 1, key: "user" }, run: () => 1 });';
    const secret = 'import { defineTask } from "legwork"; export default defineTask({ redact: ["user", "*.x"], run: () => 1 });';
    await workerOver(database.url, { "plain.ts": task, "keyed.ts": keyed, "secret.ts": secret }, { concurrency: 8 });
    const ended = await until(
      "all jobs have ended",
      async () => {
        const rows = await sql("select id, task, state, attempts, error from legwork.jobs where finished_at is not null");
        return rows.length === payloads.size ? rows : undefined;
      },
      20_000,
    );
    expect(ended.filter(({ state, attempts }) => state !== "completed" || attempts !== 1)).toEqual([]);
    await everySurface();
  });

  it("is rerun unchanged from the history", async () => {
    for (const [name, given] of Object.entries(HOSTILE_JSON)) {
      const [row] = await sql("select legwork.rerun_job($1) as id", [idOf(name)]);
      const [kept] = await sql("select payload::text as text from graphile_worker._private_jobs where id = $1", [row.id]);
      expect(kept.text).toBe(given);
      await sql("select legwork.cancel_job($1)", [row.id]);
      await sql("delete from legwork_private.finished_jobs where id = $1", [row.id]);
    }
  });
});

/** The job of the task plain that has this payload. */
function idOf(name: string): string {
  const [id] = [...payloads].find(([, payload]) => payload === HOSTILE_JSON[name]) ?? [];
  return id as string;
}

describe("numbers keep their digits", () => {
  const digits = '{"n":1e400,"id":1970670598291982290,"price":0.10,"list":[-0.0,12345678901234567890.5]}';

  async function payloadOf(id: string): Promise<string> {
    const [row] = await sql("select payload::text as text from graphile_worker._private_jobs where id = $1", [id]);
    return row.text;
  }

  it("from the command line, directly and through a server", async () => {
    const environments: Record<string, string>[] = [
      { DATABASE_URL: database.url },
      { LEGWORK_URL: server.url, LEGWORK_TOKEN: restToken },
    ];
    for (const environment of environments) {
      const added = await legwork(["add", "plain", digits], environment);
      expect(added.stderr).toBe("");
      const id = added.stdout.trim();
      expect(meansTheSame(await payloadOf(id), digits)).toBe(true);
      const shown = await legwork(["job", id], environment);
      expect(shown.stdout).toContain('"id":1970670598291982290');
    }
  });

  it.each([
    ["POST /jobs", "/jobs", (payload: string) => `{"task":"plain","priority":1.0,"payload":${payload}}`],
    ["POST /jobs/batch", "/jobs/batch", (payload: string) => `{"jobs":[{"task":"plain","payload":${payload}}]}`],
    ["POST /tasks/:name/run", "/tasks/plain/run", (payload: string) => `{"payload":${payload}}`],
    [
      "POST /workflows",
      "/workflows",
      (payload: string) => `{"name":"w","steps":{"a":{"task":"plain","maxAttempts":2.0,"payload":${payload}}}}`,
    ],
    ["POST /batches", "/batches", (payload: string) => `{"jobs":[{"task":"plain","payload":${payload}}]}`],
  ])("through %s", async (_name, path, bodyOf) => {
    const { status } = await rest(server, "POST", path, bodyOf(digits));
    expect(status).toBe(201);
    const [row] = await sql("select max(id)::text as id from graphile_worker._private_jobs");
    expect(meansTheSame(await payloadOf(row.id), digits)).toBe(true);
  });

  it("through schedules and signals", async () => {
    const put = await rest(server, "PUT", "/schedules/exact", `{"task":"plain","every":"1h","payload":${digits}}`);
    expect(put.status).toBe(200);
    expect(put.text).toContain('"id":1970670598291982290');
    const [{ id }] = await sql("select legwork.enqueue('plain') as id");
    await rest(server, "POST", `/jobs/${id}/signals/go`, `{"payload":${digits}}`);
    const [signal] = await sql("select payload::text as text from legwork_private.job_signals where job_id = $1", [id]);
    expect(meansTheSame(signal.text, digits)).toBe(true);
  });

  it("through TypeScript, as JSON.rawJSON, and a value that JSON cannot represent is rejected with its path", async () => {
    const id = await enqueue(database.pool, "plain", { n: rawJSON("1970670598291982290") });
    expect(await payloadOf(id)).toBe('{"n": 1970670598291982290}');
    const circle: Record<string, unknown> = {};
    circle.self = circle;
    const refused: [unknown, string][] = [
      [{ a: [1n] }, "payload.a.0 is a bigint"],
      [{ a: { b: () => 1 } }, "payload.a.b is a function"],
      [Symbol("s"), "payload is a symbol"],
      [() => 1, "payload is a function"],
      [{ a: Number.NaN }, "payload.a is NaN"],
      [{ a: "x\u0000" }, "payload.a contains a NUL character"],
      [{ a: { "b\ud800": 1 } }, "payload.a.b\ud800 contains a NUL character or a lone surrogate"],
      [{ a: rawJSON("1e200000") }, "payload.a is a number with more digits"],
      [circle, "payload contains a circular reference"],
    ];
    for (const [payload, message] of refused) {
      await expect(enqueue(database.pool, "plain", payload)).rejects.toMatchObject({
        code: "LW400",
        message: expect.stringContaining(message) as string,
      });
    }
    for (const options of [{ jobKey: "z\ud800" }, { tenant: "a\ud800" }, { uniqueKey: "\u0000", uniqueFor: "1h" }]) {
      await expect(enqueue(database.pool, "plain", {}, options)).rejects.toMatchObject({ code: "LW400" });
    }
  });

  it("in any JSON that is enqueued through SQL and read through REST and GraphQL", async () => {
    const number = fc
      .tuple(
        fc.bigInt({ min: -(10n ** 40n), max: 10n ** 40n }),
        fc.option(fc.integer({ min: 0, max: 999 })),
        fc.option(fc.integer({ min: -300, max: 500 })),
      )
      .map(
        ([whole, fraction, exponent]) =>
          `${whole}${fraction === null ? "" : `.${fraction}`}${exponent === null ? "" : `e${exponent}`}`,
      );
    const text = fc
      .array(fc.oneof(fc.string(), fc.constantFrom("\\u0000", "\\ud800", "\\udc00", "\\\\", "\\n", "\\ud83d\\ude00", '\\"')), {
        maxLength: 5,
      })
      .map((parts) => `"${parts.map((part) => (part.startsWith("\\") ? part : JSON.stringify(part).slice(1, -1))).join("")}"`)
      .filter((json) => {
        try {
          return typeof JSON.parse(json) === "string";
        } catch {
          return false;
        }
      });
    // In Node 24, JSON.parse sometimes reads the key `"` as `\` after it has seen that key, and sometimes keeps the first of two values with one key.
    const key = text.filter((json) => !json.includes("\\\\") && !json.includes('\\"'));
    const { json } = fc.letrec<{ json: string }>((tie) => ({
      json: fc.oneof(
        { depthSize: "medium" },
        number,
        text,
        fc.constantFrom("null", "true", "[]", "{}"),
        fc.array(tie("json"), { maxLength: 4 }).map((items) => `[${items.join(", ")}]`),
        fc
          .uniqueArray(fc.tuple(key, tie("json")), { maxLength: 4, selector: ([name]) => JSON.parse(name) as string })
          .map((fields) => `{${fields.map(([key, value]) => `${key}: ${value}`).join(",")}}`),
        fc
          .tuple(fc.integer({ min: 1, max: 900 }), tie("json"))
          .map(([levels, inner]) => `${"[".repeat(levels)}${inner}${"]".repeat(levels)}`),
      ),
    }));
    await fc.assert(
      fc.asyncProperty(fc.array(json, { minLength: 20, maxLength: 40 }), async (texts) => {
        await sql("delete from graphile_worker._private_jobs");
        await empty(database.pool, "legwork_private.finished_jobs");
        payloads.clear();
        for (const payload of texts) {
          const [row] = await sql("select id from graphile_worker.add_job('plain', $1::json)", [payload]);
          payloads.set(row.id, payload);
        }
        await sql("select payload ->> 'a', payload::jsonb from legwork.jobs");
        for (const rows of [await restRows("/jobs?limit=500"), await graphqlRows()]) {
          expect(rows.map(wayShown).filter((way) => way !== "same" && way !== "text")).toEqual([]);
        }
      }),
      { numRuns: 8, endOnFailure: true },
    );
  });
});
