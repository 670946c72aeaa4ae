import { AsyncLocalStorage } from "node:async_hooks";
import { type Context, context, ROOT_CONTEXT, SpanKind, SpanStatusCode, trace } from "@opentelemetry/api";
import { BasicTracerProvider, InMemorySpanExporter, type ReadableSpan, SimpleSpanProcessor } from "@opentelemetry/sdk-trace-base";
import { afterEach, beforeEach, expect, it } from "vitest";
import { enqueue, enqueueMany } from "../../src/jobs/enqueue.ts";
import { isTracing } from "../../src/jobs/tracing.ts";
import { testDatabase } from "../support/database.ts";
import { empty } from "../support/empty.ts";
import { until } from "../support/until.ts";
import { workerOver } from "../support/worker.ts";

const database = testDatabase();
const exporter = new InMemorySpanExporter();
const storage = new AsyncLocalStorage<Context>();

function register(): void {
  trace.setGlobalTracerProvider(new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] }));
  context.setGlobalContextManager({
    active: () => storage.getStore() ?? ROOT_CONTEXT,
    with: (active, work, self, ...parameters) => storage.run(active, () => work.apply(self as never, parameters)),
    bind: (_active, target) => target,
    enable() {
      return this;
    },
    disable() {
      return this;
    },
  });
}

beforeEach(async () => {
  exporter.reset();
  await database.pool.query("delete from graphile_worker._private_jobs");
  await empty(database.pool, "legwork_private.finished_jobs, legwork_private.failed_attempts");
});
afterEach(() => {
  trace.disable();
  context.disable();
});

async function spans(count: number): Promise<ReadableSpan[]> {
  return await until(`there are ${count} spans`, () =>
    exporter.getFinishedSpans().length >= count ? exporter.getFinishedSpans() : undefined,
  );
}

const named = (all: readonly ReadableSpan[], name: string): ReadableSpan[] => all.filter((span) => span.name === name);

async function flagsOf(task: string): Promise<string[]> {
  const { rows } = await database.pool.query(
    "select flags from graphile_worker.jobs where task_identifier = $1 order by id desc limit 1",
    [task],
  );
  return Object.keys(rows[0]?.flags ?? {});
}

const TASKS = {
  "parent.ts": `import { defineTask } from "legwork";
    export default defineTask({ async run(_payload, { enqueue, sql }) {
      await enqueue("child");
      await sql\`select graphile_worker.add_job('unrelated')\`;
      await sql\`select legwork.enqueue('grandchild')\`;
    } });`,
  "child.ts": "export default async (_payload, helpers) => { await helpers.addJob('plain', {}); };",
  "grandchild.ts": "export default async () => {};",
  "plain.ts": "export default async () => {};",
  "unrelated.ts": "export default async () => {};",
  "broken.ts": `import { defineTask } from "legwork";
    export default defineTask({ retry: { attempts: 2, backoff: "fixed", delay: "10ms" }, async run() { throw new RangeError("too far"); } });`,
};

it("without an SDK, nothing is traced, and no trace context is stored", async () => {
  expect(isTracing()).toBe(false);
  await database.pool.query(`select legwork_private.register_tasks('[{"name": "a"}]')`);
  await enqueue(database.pool, "a");
  expect(await flagsOf("a")).toEqual([]);
});

it("a trace leads from the caller to every attempt, and on to the jobs that the attempt enqueues in TypeScript, in SQL and in a plain task", async () => {
  register();
  expect(isTracing()).toBe(true);
  await workerOver(database.url, TASKS);
  const request = trace.getTracer("test").startSpan("request");
  const id = await context.with(trace.setSpan(ROOT_CONTEXT, request), () => enqueue(database.pool, "parent"));
  request.end();
  // The spans: request, send and process parent, send and process child, process grandchild, process plain, process unrelated.
  const all = await spans(8);
  const [send] = named(all, "send parent");
  const [process] = named(all, "process parent");
  expect(send).toMatchObject({ kind: SpanKind.PRODUCER, parentSpanContext: { spanId: request.spanContext().spanId } });
  expect(send?.attributes).toMatchObject({
    "messaging.system": "legwork",
    "messaging.destination.name": "parent",
    "messaging.message.id": id,
  });
  expect(process).toMatchObject({ kind: SpanKind.CONSUMER, parentSpanContext: { spanId: send?.spanContext().spanId } });
  expect(process?.attributes).toMatchObject({
    "messaging.message.id": id,
    "legwork.queue": "default",
    "legwork.attempt": 1,
    "legwork.outcome": "completed",
  });
  const parents = Object.fromEntries(all.map((span) => [span.name, span.parentSpanContext?.spanId]));
  const ids = Object.fromEntries(all.map((span) => [span.name, span.spanContext().spanId]));
  expect(parents["send child"]).toBe(ids["process parent"]);
  expect(parents["process child"]).toBe(ids["send child"]);
  expect(parents["process plain"]).toBe(ids["process child"]);
  expect(parents["process grandchild"]).toBe(ids["process parent"]);
  // A plain add_job call carries no trace context.
  expect(parents["process unrelated"]).toBe(undefined);
  const traced = all.filter((span) => span.name !== "process unrelated");
  expect(new Set(traced.map((span) => span.spanContext().traceId)).size).toBe(1);
});

it("each attempt is a separate span, and the span of a failed attempt has the error", async () => {
  register();
  await workerOver(database.url, TASKS);
  await enqueue(database.pool, "broken");
  const attempts = named(await spans(3), "process broken");
  expect(attempts.map((span) => span.attributes["legwork.attempt"])).toEqual([1, 2]);
  expect(new Set(attempts.map((span) => span.parentSpanContext?.spanId)).size).toBe(1);
  for (const span of attempts) {
    expect(span.status).toEqual({ code: SpanStatusCode.ERROR, message: "too far" });
    expect(span.attributes).toMatchObject({ "error.type": "RangeError", "legwork.outcome": "failed" });
    expect(span.events[0]?.attributes).toMatchObject({ "exception.type": "RangeError", "exception.message": "too far" });
  }
});

it("SQL passes a trace on through a setting, and an invalid value is ignored", async () => {
  await database.pool.query(`select legwork_private.register_tasks('[{"name": "a"}]')`);
  const traceparent = `00-${"a".repeat(32)}-${"b".repeat(16)}-01`;
  const client = await database.pool.connect();
  try {
    await client.query("begin");
    await client.query("select set_config('legwork.traceparent', $1, true)", [traceparent]);
    await client.query("select legwork.enqueue('a')");
    await client.query(`select legwork.enqueue_many('[{"task": "a"}]')`);
    await client.query("set local legwork.traceparent = 'nonsense'");
    await client.query("select legwork.enqueue('a')");
    await client.query("commit");
  } finally {
    client.release();
  }
  const { rows } = await database.pool.query("select flags from graphile_worker.jobs order by id");
  expect(rows).toEqual([
    { flags: { [`trace:${traceparent}`]: true } },
    { flags: { [`trace:${traceparent}`]: true } },
    { flags: null },
  ]);
  register();
  await workerOver(database.url, { "a.ts": "export default async () => {};" });
  const [one, two, three] = await spans(3);
  for (const span of [one, two])
    expect(span?.parentSpanContext).toMatchObject({ traceId: "a".repeat(32), spanId: "b".repeat(16), isRemote: true });
  expect(three?.parentSpanContext).toBe(undefined);
});

it("the caller's transaction settings are restored after enqueueing, and a rejection is recorded as an error of the span", async () => {
  await database.pool.query(`select legwork_private.register_tasks('[{"name": "a"}]')`);
  register();
  const client = await database.pool.connect();
  const setting = async (): Promise<string> =>
    (await client.query("select current_setting('legwork.traceparent', true) as it")).rows[0].it ?? "";
  try {
    await client.query("begin");
    await enqueue(client, "a");
    expect(await setting()).toBe("");
    await client.query("set local legwork.traceparent = 'mine'");
    const ids = await enqueueMany(client, [{ task: "a" }, { task: "a", priority: 3 }]);
    expect(ids).toHaveLength(2);
    expect(await setting()).toBe("mine");
    await expect(enqueue(client, "unknown")).rejects.toMatchObject({ code: "LW404" });
    await client.query("rollback");
  } finally {
    client.release();
  }
  const all = exporter.getFinishedSpans();
  expect(all.map(({ name, status }) => [name, status.code])).toEqual([
    ["send a", SpanStatusCode.UNSET],
    ["send a", SpanStatusCode.UNSET],
    ["send unknown", SpanStatusCode.ERROR],
  ]);
  expect(all[1]?.attributes["messaging.batch.message_count"]).toBe(2);
});
