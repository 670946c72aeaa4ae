import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Server } from "../../src/server/server.ts";
import { legwork } from "../support/cli.ts";
import { testDatabase } from "../support/database.ts";
import { rest, type RestAnswer, restToken, startRest } from "../support/rest.ts";
import { scaled } from "../support/slowness.ts";

const database = testDatabase();
let server: Server;

beforeAll(async () => {
  server = await startRest(database);
  await database.pool.query(`select legwork_private.register_tasks('[
    {"name": "any"},
    {"name": "strict", "payload_schema": {"type": "object", "properties": {"to": {"type": "string"}}, "additionalProperties": false}},
    {"name": "numbers", "payload_schema": {"type": "array", "items": {"type": "string"}}}]')`);
});
afterAll(async () => {
  await server.stop();
});

const list = (count: number, element = "1"): string => `[${Array.from({ length: count }).fill(element).join(",")}]`;
const fields = (count: number): string => `{${Array.from({ length: count }, (_, index) => `"f${index}":1`).join(",")}}`;
const batch = (payload: string, task = "any"): string => `{"jobs": [{"task": "${task}", "payload": ${payload}}]}`;

/** The longest time that the server takes for a health check during another request (ms). */
async function meanwhile(work: () => Promise<RestAnswer>): Promise<{ answer: RestAnswer; health: number }> {
  let health = 0;
  let isDone = false;
  const answer = work().finally(() => (isDone = true));
  while (!isDone) {
    const start = performance.now();
    await (await fetch(`${server.url}/health`)).text();
    health = Math.max(health, performance.now() - start);
  }
  return { answer: await answer, health };
}

describe("an expensive body", () => {
  const hostile: Record<string, [body: string, status: number, code: string]> = {
    "2,400,001 numbers in 4.8 MB": [batch(list(2_400_001)), 413, "LW413"],
    "50,001 nested lists": [batch(`${"[".repeat(50_001)}${"]".repeat(50_001)}`), 413, "LW413"],
    "49,000 nested lists": [batch(`${"[".repeat(49_000)}${"]".repeat(49_000)}`), 400, "LW400"],
    "49,000 nested objects": [batch(`${'{"a":'.repeat(49_000)}1${"}".repeat(49_000)}`), 400, "LW400"],
    "49,000 numbers instead of jobs": [`{"jobs": ${list(49_000)}}`, 413, "LW413"],
    "10,000 numbers instead of jobs": [`{"jobs": ${list(10_000)}}`, 400, "LW400"],
    "10,001 fields of a payload": [batch(`[1, ${fields(10_001)}]`, "strict"), 413, "LW413"],
    "10,000 unknown fields": [batch(fields(10_000), "strict"), 422, "LW422"],
    "49,000 elements of another type": [batch(list(49_000), "numbers"), 422, "LW422"],
    "49,000 numbers with 19 digits": [batch(list(49_000, "1970670598291982290"), "none"), 404, "LW404"],
    "90 jobs with 500 dependencies each": [
      `{"jobs": ${list(90, `{"task": "any", "dependsOn": ${list(500, '"900000000"')}}`)}}`,
      404,
      "LW404",
    ],
    "4.9 MB in one string": [batch(`"${"x".repeat(4_900_000)}"`), 413, "LW413"],
    "4.9 MB in one number": [batch("1".repeat(4_900_000)), 400, "LW400"],
    "4.9 MB of escapes": [batch(`"${"\\\\".repeat(2_450_000)}"`), 413, "LW413"],
    "4.9 MB of escaped quotes": [batch(`"${String.raw`\"`.repeat(2_450_000)}"`), 413, "LW413"],
    "an unterminated string": [`{"jobs": "${"x".repeat(4_900_000)}`, 413, "LW413"],
  };
  for (const [name, [body, status, code]] of Object.entries(hostile)) {
    it(`is rejected at once, without delaying other requests: ${name}`, async () => {
      const { answer, health } = await meanwhile(() => rest(server, "POST", "/jobs/batch", body));
      expect(answer).toMatchObject({ status, body: { code } });
      expect(answer.text.length).toBeLessThan(20_000);
      // The rejection takes a few milliseconds. Checking each value before counting the values would take eight seconds.
      expect(health).toBeLessThan(scaled(1_500));
    });
  }
});

it("the first 20 invalid fields are named, each shortened, with the number of further ones", async () => {
  const query = Array.from({ length: 1_000 }, (_, index) => `f${index}=1`).join("&");
  const faults = [
    await rest(server, "POST", "/jobs", `{"task": "any", ${fields(1_000).slice(1)}`),
    await rest(server, "POST", "/jobs", `{"task": "numbers", "payload": ${list(1_000)}}`),
    await rest(server, "GET", `/jobs?${query}`),
  ];
  for (const { status, body } of faults) {
    expect([body.code, body.errors.length, body.moreErrors]).toEqual([`LW${status}`, 20, 980]);
    expect(body.detail.length).toBeLessThanOrEqual(1_000);
  }
  const long = await rest(server, "POST", "/jobs", { task: "any", ["x".repeat(50_000)]: 1 });
  expect(long.body.errors[0].field).toMatch(/^x+… cut, 50,000 characters$/);
  expect(long.text.length).toBeLessThan(3_000);
});

it("a payload of 1,000,000 bytes and 100 levels, with many values, is accepted", async () => {
  const deep = `${"[".repeat(100)}${"]".repeat(100)}`;
  for (const payload of [`"${"x".repeat(999_990)}"`, deep, list(49_900), fields(9_999)]) {
    expect((await rest(server, "POST", "/jobs/batch", batch(payload))).status).toBe(201);
  }
  expect((await rest(server, "POST", "/jobs/batch", batch(`[${deep}]`))).body).toMatchObject({
    code: "LW400",
    errors: [{ field: "jobs.0.payload.0.0.0", message: "it has more than 100 levels of nesting" }],
  });
});

describe("a rejected body costs no more than an accepted one:", () => {
  /** The shortest of five response times (ms), and the last response. */
  async function time(body: string): Promise<{ took: number; answer: RestAnswer }> {
    let took = Number.POSITIVE_INFINITY;
    let answer: RestAnswer | undefined;
    for (let round = 0; round < 5; round++) {
      const start = performance.now();
      answer = await rest(server, "POST", "/jobs/batch", body);
      took = Math.min(took, performance.now() - start);
    }
    return { took, answer: answer! };
  }

  it("49,000 elements of a type that the task does not accept", async () => {
    const taken = await time(batch(list(49_000, '"1"'), "numbers"));
    expect(taken.answer.status).toBe(201);
    const refused = await time(batch(list(49_000), "numbers"));
    expect(refused.answer).toMatchObject({ status: 422, body: { errors: [{ field: "jobs.payload.0" }] } });
    expect(refused.took).toBeLessThan(2 * taken.took);
  });

  it("9,000 jobs where 1,000 are allowed, because they are counted first", async () => {
    const job = '{"task": "any", "payload": {"a": 1}, "runAt": "2099-01-01T00:00:00Z"}';
    const taken = await time(`{"jobs": ${list(1_000, job)}}`);
    expect(taken.answer.status).toBe(201);
    const refused = await time(`{"jobs": ${list(9_000, job)}}`);
    expect(refused.answer).toMatchObject({ status: 400, body: { errors: [{ field: "jobs" }] } });
    // There is nine times as much JSON to parse, but no other work.
    expect(refused.took).toBeLessThan(2 * taken.took);
  });
});

it("a small body gets all its errors, and a large one only the first", async () => {
  const wrong = (count: number): string => `{"jobs": ${list(count, '{"task": 1}')}}`;
  expect((await rest(server, "POST", "/jobs/batch", wrong(3))).body.errors).toHaveLength(3);
  expect((await rest(server, "POST", "/jobs/batch", wrong(1_000))).body.errors).toHaveLength(1);
});

describe("responses", () => {
  it("that contain large jobs end after about 5 MB, and their cursor leads to the rest", async () => {
    const { rows } = await database.pool.query(
      `select legwork.enqueue('any', to_jsonb(repeat('x', 990000)), correlation_id => 'large')::text as id from generate_series(1, 30)`,
    );
    const small = await rest(server, "GET", "/jobs?limit=30&correlationId=large&brief=true");
    expect(small.body).toMatchObject({ items: { length: 30 }, nextCursor: null });
    const seen: string[] = [];
    for (let cursor = ""; ;) {
      const { text, body } = await rest(server, "GET", `/jobs?limit=30&order=oldest&correlationId=large${cursor}`);
      expect(text.length).toBeLessThan(6_500_000);
      seen.push(...body.items.map(({ id }: { id: string }) => id));
      if (body.nextCursor === null) break;
      cursor = `&cursor=${body.nextCursor}`;
    }
    expect(seen).toEqual(rows.map(({ id }) => id));
  });

  it("are rejected if they would exceed 20 MB, and show only the first characters of huge payloads", async () => {
    const ask = async (query: string): Promise<{ status: number; text: string }> => {
      const response = await fetch(server.graphqlUrl, {
        method: "POST",
        headers: { "content-type": "application/json", authorization: `Bearer ${restToken}` },
        body: JSON.stringify({ query }),
      });
      return { status: response.status, text: await response.text() };
    };
    const filter = 'filter: { correlationId: { equalTo: "large" } }';
    expect((await ask(`{ jobs(first: 15, ${filter}) { nodes { payload } } }`)).status).toBe(200);
    const tooLarge = await ask(
      `{ a: jobs(first: 15, ${filter}) { nodes { payload } } b: jobs(last: 15, ${filter}) { nodes { payload } } }`,
    );
    expect([tooLarge.status, tooLarge.text]).toEqual([413, expect.stringContaining("more than 20,000,000 bytes")]);
    const aliases = Array.from({ length: 29 }, (_, index) => `p${index}: payload`).join(" ");
    const repeated = await ask(`{ jobs(first: 2, ${filter}) { nodes { ${aliases} } } }`);
    expect([repeated.status, repeated.text]).toEqual([413, expect.stringContaining("more than 30,000,000 characters")]);

    const { rows } = await database.pool.query(
      "select (graphile_worker.add_job('huge', json_build_object('x', repeat('x', 6000000)), run_at => now() + interval '1 day')).id from generate_series(1, 3)",
    );
    const mark = { "legwork:text": `{"x" : "${"x".repeat(992)}… cut, 6,000,010 bytes` };
    const one = await rest(server, "GET", `/jobs/${rows[0].id}`);
    expect(one.body.payload).toEqual(mark);
    const all = await rest(server, "GET", "/jobs?task=huge");
    expect(all.body.items.map(({ payload }: { payload: unknown }) => payload)).toEqual([mark, mark, mark]);
    const shown = await ask('{ jobs(filter: { task: { equalTo: "huge" } }) { nodes { payload } } }');
    expect(JSON.parse(shown.text).data.jobs.nodes).toEqual([{ payload: mark }, { payload: mark }, { payload: mark }]);

    const ids = all.body.items.map(({ id }: { id: string }) => id);
    const long = "e".repeat(3_000_000);
    await database.pool.query("update graphile_worker._private_jobs set last_error = $2 where id = any ($1)", [ids, long]);
    const error = `${"e".repeat(4_000)}… cut, 3,000,000 characters`;
    expect((await rest(server, "GET", "/jobs?task=huge")).body.items[0].error).toBe(error);
    await database.pool.query("select graphile_worker.permanently_fail_jobs($1::bigint[], $2)", [ids, long]);
    expect((await rest(server, "GET", "/jobs?task=huge&brief=true")).body.items[0]).toMatchObject({ state: "failed", error });
  });

  it("for a job with many attempts contain the last hundred, and all attempts can be read in pages", async () => {
    const { rows } = await database.pool.query("select legwork.enqueue('any', '{}')::text as id");
    const id: string = rows[0].id;
    await database.pool.query(
      `insert into legwork_private.failed_attempts (job_id, attempt, task, queue, started_at, failed_at, retry_at)
       select $1, n, 'any', 'any', now() - make_interval(secs => 1000 - n), now() - make_interval(secs => 1000 - n), now() from generate_series(1, 250) n`,
      [id],
    );
    const numbers = (attempts: { attempt: number }[]): number[] => attempts.map(({ attempt }) => attempt);
    const range = (from: number, to: number): number[] => Array.from({ length: to - from + 1 }, (_, index) => from + index);
    const job = await rest(server, "GET", `/jobs/${id}`);
    expect(numbers(job.body.attemptList)).toEqual(range(151, 250));
    const first = await rest(server, "GET", `/jobs/${id}/attempts?limit=200`);
    expect(numbers(first.body.items)).toEqual(range(1, 200));
    const second = await rest(server, "GET", `/jobs/${id}/attempts?limit=200&cursor=${first.body.nextCursor}`);
    expect(numbers(second.body.items)).toEqual(range(201, 250));
    expect(second.body.nextCursor).toBeNull();
    expect((await rest(server, "GET", "/jobs/4711000/attempts")).status).toBe(404);
  });

  it("that list schedules come in pages, which the command line follows", async () => {
    await database.pool.query(
      `select legwork.schedule('s' || to_char(n, 'FM000'), 'any', payload => jsonb_build_object('x', repeat('x', 90000)), every => '1 day') from generate_series(1, 130) n`,
    );
    const names: string[] = [];
    const lengths: number[] = [];
    for (let cursor = ""; ;) {
      const { status, body } = await rest(server, "GET", `/schedules?limit=60${cursor}`);
      expect(status).toBe(200);
      lengths.push(body.items.length);
      names.push(...body.items.map(({ name }: { name: string }) => name));
      if (body.nextCursor === null) break;
      cursor = `&cursor=${body.nextCursor}`;
    }
    expect(names).toEqual(Array.from({ length: 130 }, (_, index) => `s${String(index + 1).padStart(3, "0")}`));
    // A page of 5 MB holds 56 of these schedules.
    expect(Math.max(...lengths)).toBeLessThan(60);
    expect((await rest(server, "GET", "/schedules?cursor=x")).body).toMatchObject({
      code: "LW400",
      errors: [{ field: "cursor" }],
    });
    const listed = await legwork(["schedule", "list", "--json"], { LEGWORK_URL: server.url, LEGWORK_TOKEN: restToken });
    expect(JSON.parse(listed.stdout)).toHaveLength(130);
  });

  it("that contain large step results come in pages", async () => {
    const { rows } = await database.pool.query("select legwork.enqueue('any', '{}')::text as id");
    await database.pool.query(
      `insert into legwork_private.job_steps (job_id, kind, name, state, result, attempt, started_at)
       select $1, 'run', 'step ' || n, 'completed', to_jsonb(repeat('x', 900000)), 1, now() + make_interval(secs => n) from generate_series(1, 14) n`,
      [rows[0].id],
    );
    const names: string[] = [];
    for (let cursor = ""; ;) {
      const { text, body } = await rest(server, "GET", `/jobs/${rows[0].id}/steps?${cursor}`);
      expect(text.length).toBeLessThan(6_500_000);
      names.push(...body.items.map(({ name }: { name: string }) => name));
      if (body.nextCursor === null) break;
      cursor = `cursor=${body.nextCursor}`;
    }
    expect(names).toEqual(Array.from({ length: 14 }, (_, index) => `step ${index + 1}`));
  });
});
