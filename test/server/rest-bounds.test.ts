import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Server } from "../../src/server/server.ts";
import { testDatabase } from "../support/database.ts";
import { rest, type RestAnswer, startRest } from "../support/rest.ts";
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

/** How long the server needs at least to answer that it is there, while it is asked something else (ms). */
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

describe("a body that would cost much", () => {
  const hostile: Record<string, [body: string, status: number, code: string]> = {
    "2,400,001 numbers in 4.8 MB": [batch(list(2_400_001)), 413, "LW413"],
    "100,001 lists in each other": [batch(`${"[".repeat(100_001)}${"]".repeat(100_001)}`), 413, "LW413"],
    "99,000 lists in each other": [batch(`${"[".repeat(99_000)}${"]".repeat(99_000)}`), 400, "LW400"],
    "99,000 numbers where jobs belong": [`{"jobs": ${list(99_000)}}`, 413, "LW413"],
    "10,000 numbers where jobs belong": [`{"jobs": ${list(10_000)}}`, 400, "LW400"],
    "60,000 fields that no task takes": [batch(fields(60_000), "strict"), 422, "LW422"],
    "99,000 elements of another type": [batch(list(99_000), "numbers"), 422, "LW422"],
    "4.9 MB in one text": [batch(`"${"x".repeat(4_900_000)}"`), 413, "LW413"],
    "4.9 MB in one number": [batch("1".repeat(4_900_000)), 400, "LW400"],
    "4.9 MB of escapes": [batch(`"${"\\\\".repeat(2_450_000)}"`), 413, "LW413"],
    "4.9 MB of quotes that are escaped": [batch(`"${String.raw`\"`.repeat(2_450_000)}"`), 413, "LW413"],
    "a text without an end": [`{"jobs": "${"x".repeat(4_900_000)}`, 400, "LW400"],
  };
  for (const [name, [body, status, code]] of Object.entries(hostile)) {
    it(`is refused at once, and others are answered meanwhile: ${name}`, async () => {
      const { answer, health } = await meanwhile(() => rest(server, "POST", "/jobs/batch", body));
      expect(answer).toMatchObject({ status, body: { code } });
      expect(answer.text.length).toBeLessThan(20_000);
      // Some milliseconds; one that is checked value by value before it is counted takes eight seconds.
      expect(health).toBeLessThan(scaled(1_500));
    });
  }
});

it("names the first 20 fields at fault, each shortened, and says how many more there are", async () => {
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

it("takes a payload of 1,000,000 bytes and 100 levels, with many values", async () => {
  const deep = `${"[".repeat(100)}${"]".repeat(100)}`;
  for (const payload of [`"${"x".repeat(999_990)}"`, deep, list(99_900), fields(9_999)]) {
    expect((await rest(server, "POST", "/jobs/batch", batch(payload))).status).toBe(201);
  }
  expect((await rest(server, "POST", "/jobs/batch", batch(`[${deep}]`))).body).toMatchObject({
    code: "LW400",
    errors: [{ field: "jobs.0.payload.0.0.0", message: "it is nested deeper than 100 levels" }],
  });
});
