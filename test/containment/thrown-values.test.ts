import { runInNewContext } from "node:vm";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Discard, RetryAfter, Snooze, toError, verdictOf } from "../../src/errors.ts";
import { getJob } from "../../src/jobs/read-jobs.ts";
import { DescribedError, describeThrown, MESSAGE_LIMIT, STACK_LIMIT } from "../../src/thrown.ts";
import { resultToJson } from "../../src/worker/graphile/outcomes.ts";
import { Redaction } from "../../src/worker/attempt/redaction.ts";
import { testDatabase } from "../support/database.ts";
import { until } from "../support/until.ts";
import { workerOver } from "../support/worker.ts";

const trap = (): never => {
  throw new Error("a trap");
};
const hostile = new Proxy(new Error("inside"), {
  get: trap,
  has: trap,
  getPrototypeOf: trap,
  ownKeys: trap,
  getOwnPropertyDescriptor: trap,
});
const circular: Record<string, unknown> = { n: 1n };
circular.self = circular;
const withCauses = new Error("outer", { cause: new TypeError("inner", { cause: "a reason" }) });
const ring = new Error("ring");
ring.cause = ring;

/** Thrown values, and the messages they must produce. */
const VALUES: { thrown: unknown; message: RegExp; name?: string }[] = [
  { thrown: undefined, message: /undefined$/, name: "NonError" },
  { thrown: null, message: /null$/ },
  { thrown: "just text", message: /^just text$/ },
  { thrown: "", message: /^An empty string was thrown\.$/ },
  { thrown: Symbol("s"), message: /Symbol\(s\)$/ },
  { thrown: 10n, message: /10n$/ },
  { thrown: Number.NaN, message: /NaN$/ },
  { thrown: trap, message: /\[Function: trap\]$/ },
  { thrown: circular, message: /n: 1n/ },
  { thrown: hostile, message: /inside/ },
  { thrown: Proxy.revocable({}, {}).proxy, message: /./ },
  { thrown: Object.create(null), message: /null prototype/ },
  { thrown: Object.assign(new Error("x"), { stack: 42 }), message: /^x$/, name: "Error" },
  { thrown: Object.defineProperty(new Error("x"), "stack", { get: trap }), message: /^x$/ },
  { thrown: Object.defineProperty(new Error("x"), "name", { get: trap }), message: /^x$/ },
  { thrown: Object.defineProperty(new Error("x"), "message", { get: trap }), message: /^Error$/ },
  { thrown: Object.defineProperty(new Error("x"), "cause", { get: trap }), message: /^x$/ },
  { thrown: Object.assign(new Error("x"), { message: 42 }), message: /^42$/ },
  { thrown: Object.assign(new Error("x"), { message: { a: 1 } }), message: /a: 1/ },
  { thrown: Object.assign(new Error("x"), { message: null }), message: /^null$/ },
  { thrown: new Error(), message: /^Error$/ },
  { thrown: Object.freeze(new Error("frozen \0 \ud800")), message: /^frozen \uFFFD \uFFFD$/ },
  { thrown: new DOMException("dom \0 nul", "AbortError"), message: /^dom \uFFFD nul$/, name: "AbortError" },
  { thrown: new AggregateError([new Error("one"), 2], "many"), message: /^many$/, name: "AggregateError" },
  { thrown: withCauses, message: /^outer$/ },
  { thrown: ring, message: /^ring$/ },
  { thrown: runInNewContext("new RangeError('of another realm')"), message: /^of another realm$/, name: "RangeError" },
  { thrown: Object.assign(new Error("e"), { code: "ECONNRESET", status: 502 }), message: /^e$/ },
];

describe("describing a thrown value", () => {
  it.for(Array.from(VALUES.entries()))("works for value %#", ([, { thrown, message, name }]) => {
    const description = describeThrown(thrown);
    expect(description.message).toMatch(message);
    expect(description.name).toBe(name ?? description.name);
    expect(toError(thrown)).toBeInstanceOf(Error);
    expect(typeof toError(thrown).message).toBe("string");
  });

  it("shows a part of a wide or deep value, and its class, without traversing all of it", () => {
    class Answer {
      readonly status = 502;
      readonly headers = Object.fromEntries(Array.from({ length: 50_000 }, (_, index) => [`header-${index}`, "x".repeat(50)]));
    }
    let getters = 0;
    const body = Object.defineProperty({}, "read", { enumerable: true, get: () => (getters += 1) });
    const { stack, message } = describeThrown(Object.assign(new Error("m".repeat(5_000_000)), { answer: new Answer(), body }));
    expect(stack).toContain("answer: Answer {");
    expect(stack).toContain("header-0");
    expect(stack?.length).toBeLessThanOrEqual(STACK_LIMIT);
    expect(message).toMatch(/^m+… cut, 5,000,000 characters$/);
    expect(getters).toBe(0);
  });

  it("never throws, and returns text within the size limits that Postgres can store, whatever is thrown", () => {
    const anything = fc.anything({
      withBigInt: true,
      withDate: true,
      withMap: true,
      withSet: true,
      withNullPrototype: true,
      withTypedArray: true,
    });
    const odd = fc
      .record(
        {
          message: anything,
          stack: anything,
          name: anything,
          code: anything,
          cause: anything,
          errors: anything,
          extra: anything,
        },
        { requiredKeys: [] },
      )
      .map((fields) => {
        const error = new Error("x");
        for (const [key, value] of Object.entries(fields)) Object.defineProperty(error, key, { value, enumerable: true });
        return error;
      });
    fc.assert(
      fc.property(fc.oneof(anything, odd), (thrown) => {
        const { name, message, stack, code, labels } = describeThrown(thrown);
        for (const text of [name, message, stack ?? "-", code ?? "-", ...labels]) {
          expect(text).not.toBe("");
          expect(text.isWellFormed() && !text.includes("\0")).toBe(true);
        }
        expect(message.length).toBeLessThanOrEqual(MESSAGE_LIMIT);
        expect((stack ?? "").length).toBeLessThanOrEqual(STACK_LIMIT);
        expect(new DescribedError(describeThrown(thrown), thrown).message).toBe(message);
        expect(verdictOf(thrown)).toEqual({ discard: false, snooze: false, retryAt: undefined });
      }),
    );
  });

  it("includes causes, the errors of an AggregateError and own properties", () => {
    expect(describeThrown(withCauses).stack).toMatch(/Caused by: TypeError: inner[\s\S]*Caused by: 'a reason'/);
    expect(describeThrown(ring).stack).toMatch(/Caused by: one of the errors above/);
    expect(describeThrown(new AggregateError([new Error("one"), 2], "many")).stack).toMatch(
      /Error 1 of 2: Error: one[\s\S]*Error 2 of 2: 2/,
    );
    const { stack, labels } = describeThrown(
      Object.assign(new Error("e"), { code: "ECONNRESET", status: 502, cause: new TypeError("t") }),
    );
    expect(stack).toMatch(/status: 502/);
    expect(labels).toEqual(["Error", "ECONNRESET", "TypeError"]);
  });

  it("cuts a long value, with a mark that shows its full length", () => {
    const { message, stack } = describeThrown(Object.assign(new Error("é".repeat(5_000_000)), { big: "z".repeat(5_000) }));
    expect(message).toHaveLength(MESSAGE_LIMIT);
    expect(message).toMatch(/… cut, 5,000,000 characters$/);
    expect(stack!.length).toBeLessThan(4_000);
    expect(stack).toMatch(/at /);
  });

  it("hides redacted values, in the value itself and wherever their text occurs", () => {
    const redaction = new Redaction(["card.number"], { card: { number: "4242-4242" } });
    const thrown = Object.assign(new Error("declined 4242-4242"), {
      request: { card: { number: "other" } },
      cause: { n: "4242-4242" },
    });
    const text = JSON.stringify(describeThrown(thrown, redaction));
    expect(text).not.toMatch(/4242|other/);
    expect(text).toMatch(/declined \[redacted\]/);
    expect(JSON.stringify(describeThrown({ card: { number: "other" }, to: "4242-4242" }, redaction))).not.toMatch(/4242|other/);
    expect(JSON.stringify(describeThrown(`${"x".repeat(MESSAGE_LIMIT - 20)}4242-4242${"y".repeat(100)}`, redaction))).not.toMatch(
      /4242/,
    );
  });

  it.for([
    { kind: "Discard", make: () => new Discard("no"), verdict: { discard: true } },
    { kind: "RetryAfter", make: () => new RetryAfter("10m", "later"), verdict: { retryAt: { after: 600_000 } } },
    { kind: "Snooze", make: () => new Snooze(5_000), verdict: { snooze: true, retryAt: { after: 5_000 } } },
  ])("a $kind whose properties cannot be read keeps its effect", ({ make, verdict }) => {
    const thrown = make();
    for (const key of ["message", "stack", "name", "cause"]) Object.defineProperty(thrown, key, { get: trap });
    expect(verdictOf(Object.freeze(thrown))).toMatchObject(verdict);
    expect(describeThrown(thrown).message).not.toBe("");
  });
});

const database = testDatabase();

/** A result as it is stored, or undefined if there is no result or JSON cannot represent it. In the latter case, the job must be discarded. */
function resultOrDiscard(returned: unknown): string | undefined {
  try {
    return resultToJson(returned);
  } catch (error) {
    if (!verdictOf(error).discard) throw error;
    return undefined;
  }
}

it("any return value counts as no result, is rejected because it is not JSON, or is JSON that the database stores", async () => {
  const anything = fc.anything({
    withBigInt: true,
    withDate: true,
    withMap: true,
    withNullPrototype: true,
    withSparseArray: true,
  });
  await fc.assert(
    fc.asyncProperty(
      fc.oneof(
        anything,
        fc.json().map((json) => JSON.parse(json) as unknown),
      ),
      async (returned) => {
        const json = resultOrDiscard(returned);
        const { rows } = await database.pool.query("select ($1::text)::jsonb is null as is_null", [json ?? null]);
        expect(rows).toEqual([{ is_null: json === undefined }]);
        expect(json ?? "").not.toContain("\n");
      },
    ),
  );
});

it("a task may throw anything: its attempt fails with the thrown value, other jobs run once, and the worker continues", async () => {
  const { pool } = database;
  await pool.query("create table runs (job_id bigint)");
  const odd = [
    "undefined",
    "Symbol('s')",
    "10n",
    "{ n: 10n }",
    "(() => { const o = {}; o.o = o; return o; })()",
    "null",
    "() => 1",
    "Object.assign(new Error('x'), { stack: 42 })",
    "Object.assign(new Error('x'), { stack: {} })",
    "Object.defineProperty(new Error('x'), 'stack', { get() { throw new Error('no'); } })",
    "Object.defineProperty(new Error('x'), 'name', { get() { throw new Error('no'); } })",
    "Object.defineProperty(new Error('x'), 'cause', { get() { throw new Error('no'); } })",
    "Object.assign(new Error('x'), { message: 42 })",
    "Object.assign(new Error('x'), { message: null })",
    "new DOMException('dom \\0 nul', 'AbortError')",
    "Object.freeze(new Error('frozen \\0'))",
    "new Proxy(new Error('x'), { get() { throw new Error('no'); }, getPrototypeOf() { throw new Error('no'); } })",
    "Object.defineProperty(new Discard('no'), 'message', { get() { throw new Error('no'); } })",
    "Object.assign(new Error('é'.repeat(5000000)), { code: { a: 1 } })",
    "Object.assign(new Error('x'), { name: 'n'.repeat(100000), code: 'c'.repeat(100000) })",
  ];
  const tasks = {
    "odd.ts": `import { defineTask, Discard } from "legwork";
      export default defineTask({ async run({ n }, { step }) { await step.run("one", () => 1); throw [${odd.join(", ")}][n]; } });`,
    "plain.mjs": `import { Discard } from "legwork"; export default async ({ n }) => { throw [${odd.join(", ")}][n]; };`,
    "entries.mjs": `import { Discard } from "legwork"; export default async (entries) => entries.map(async (n) => { throw [${odd.join(", ")}][n]; });`,
    "good.ts": `import { defineTask } from "legwork";
      export default defineTask({ async run(_, { job, sql }) { await sql\`insert into runs values (\${job.id})\`; } });`,
  };
  const { rows } = await pool.query(
    `select (graphile_worker.add_job(t, case t when 'entries' then json_build_array(n) else json_build_object('n', n) end, max_attempts => 1)).id, t as task
     from generate_series(0, $1 - 1) n, unnest(array['odd', 'plain', 'entries', 'good']) t`,
    [odd.length],
  );
  await workerOver(database.url, tasks, { concurrency: 8, localQueueSize: 30 });
  await until(
    "all jobs have ended",
    async () => (await pool.query("select from legwork.jobs where finished_at is null limit 1")).rows.length === 0,
    20_000,
  );
  for (const { id, task } of rows) {
    const job = await getJob(pool, id);
    expect(job, `job ${id} of ${task}`).toMatchObject({ state: task === "good" ? "completed" : "failed", attempts: 1 });
    if (task === "good") continue;
    expect(job.error, `job ${id} of ${task}`).toMatch(/\S/);
    expect(job.error!.length).toBeLessThanOrEqual(MESSAGE_LIMIT + 100);
  }
  const runs = await pool.query("select count(*)::int as runs, count(distinct job_id)::int as jobs from runs");
  expect(runs.rows).toEqual([{ runs: odd.length, jobs: odd.length }]);
  expect((await pool.query("select count(*)::int as workers from legwork.workers")).rows).toEqual([{ workers: 1 }]);
});
