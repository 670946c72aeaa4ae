import { randomUUID } from "node:crypto";
import { mkdtemp, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Writable } from "node:stream";
import pino from "pino";
import { afterAll, beforeAll, expect, it } from "vitest";
import { enqueue } from "../../src/jobs/enqueue.ts";
import { sendSignal } from "../../src/jobs/send-signal.ts";
import type { Server } from "../../src/server/server.ts";
import { startWorker, type Worker } from "../../src/worker/worker.ts";
import { legwork } from "../support/cli.ts";
import { testDatabase } from "../support/database.ts";
import { IS_LONG, sampled, SEED } from "../support/long.ts";
import { rest, restToken, startRest } from "../support/rest.ts";
import { scaled } from "../support/slowness.ts";
import { until } from "../support/until.ts";

// Hostile values, in every place that can hold one, through every interface. Each is rejected with a 4xx or its job ends as it should, next to an
// ordinary job that runs once. No worker restarts, and every list, page, explanation and command still works.

const database = testDatabase();

/** JavaScript expressions, because tasks receive them as source code. */
const VALUES: Record<string, string> = {
  NUL: String.raw`"a\0b"`,
  "half a surrogate pair": String.raw`"a\ud800b"`,
  "a control sequence": String.raw`"\u001b[31mred\u0007"`,
  "a quarter of a megabyte": `"é".repeat(250_000)`,
  "3,000 levels": `(() => { let deep = 1; for (let n = 0; n < 3_000; n++) deep = [deep]; return deep; })()`,
  "a number beyond a double": `JSON.rawJSON("1e400")`,
  "a number beyond numeric": `JSON.rawJSON("1e200000")`,
  "nineteen digits": `JSON.rawJSON("1970670598291982290")`,
  "a bigint": `10n`,
  "a circle": `(() => { const circle = {}; circle.self = circle; return circle; })()`,
  "a getter that throws": `({ get trap() { throw new Error("a trap"); } })`,
  "a function": `() => 1`,
  "an invalid date": `new Date(Number.NaN)`,
  "a far date": `new Date(8.64e15)`,
  __proto__: `JSON.parse('{"__proto__": {"polluted": true}, "constructor": 1}')`,
  undefined: `undefined`,
};

/** What a task does with the value. */
const CARRIERS: Record<string, string> = {
  result: `return value;`,
  "thrown value": `throw value;`,
  "error message": `throw Object.assign(new Error("x"), { message: value });`,
  "error fields": `throw Object.assign(new Error("x"), { stack: value, code: value, name: value, extra: value });`,
  cause: `throw new Error("x", { cause: value });`,
  "log line": `log.info(value); log.info("text %s", value); return 1;`,
  "log fields": `log.info({ value, err: value }, "fields"); return 1;`,
  progress: `try { progress(value); } catch {} try { progress(1, value); } catch {} try { progress({ percent: 1e-320, message: "m" }); } catch {} return 1;`,
  "step result": `await step.run("one", () => value); return 1;`,
  "step name": `await step.run(value, () => 1); return 1;`,
  "step sleep": `await step.sleep("nap", value); return 1;`,
  "payload from a task": `await enqueue("note", { value }); return 1;`,
  "job key from a task": `await enqueue("note", {}, { jobKey: value }); return 1;`,
  "serial key from a task": `await enqueue("note", {}, { serialKey: value }); return 1;`,
  "time from a task": `await enqueue("note", {}, { runAt: value, expiresAt: value }); return 1;`,
  "priority from a task": `await enqueue("note", {}, { priority: value, maxAttempts: value }); return 1;`,
  "retry at": `throw new RetryAfter(value);`,
  snooze: `throw new Snooze(value);`,
  "SQL parameter": "await sql`select ${value}::text`; return 1;",
};

const NOTE = `
  import { defineTask } from "legwork";
  export default defineTask({ retry: { attempts: 1 }, async run(_payload, { job, sql }) { await sql\`insert into runs values (\${job.id})\`; } });`;

const ODD = `
  import { defineTask, Discard, RetryAfter, Snooze } from "legwork";
  const values = { ${Object.entries(VALUES)
    .map(([name, source]) => `${JSON.stringify(name)}: () => ${source.startsWith("{") ? `(${source})` : source}`)
    .join(",\n")} };
  const carriers = { ${Object.entries(CARRIERS)
    .map(([name, source]) => `${JSON.stringify(name)}: async (value, { log, progress, step, enqueue, sql }) => { ${source} }`)
    .join(",\n")} };
  export default defineTask({ retry: { attempts: 1 }, timeout: "20s", async run({ value, carrier }, context) {
    return await carriers[carrier](values[value](), context);
  } });`;

const WAITING = `
  import { defineTask } from "legwork";
  export default defineTask({ retry: { attempts: 1 }, async run(_payload, { step }) { return await step.waitFor("go", { timeout: "1m" }); } });`;

let server: Server;
let worker: Worker;
const logged: string[] = [];

beforeAll(async () => {
  await database.pool.query("create table runs (job_id bigint)");
  server = await startRest(database);
  const log = pino({ level: "warn" }, new Writable({ write: (chunk, _encoding, done) => (logged.push(String(chunk)), done()) }));
  const tasks = [await directoryOfAll()];
  worker = await startWorker({
    databaseUrl: database.url,
    log,
    tasks,
    concurrency: 8,
    localQueueSize: 50,
    shutdownTimeout: 2_000,
  });
}, scaled(60_000));

afterAll(async () => {
  await worker?.stop();
  await server?.stop();
});

async function directoryOfAll(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), "legwork-matrix-"));
  for (const [file, text] of Object.entries({ "note.ts": NOTE, "odd.ts": ODD, "waiting.ts": WAITING })) {
    await writeFile(join(directory, file), text);
  }
  return directory;
}

async function neighbor(): Promise<string> {
  return await enqueue(database.pool, "note", {});
}

async function allEnded(timeout = 60_000): Promise<void> {
  await until(
    "every job has ended",
    async () =>
      (
        await database.pool.query(
          "select from legwork.jobs where finished_at is null and run_at < now() + interval '1 hour' limit 1",
        )
      ).rows.length === 0,
    timeout,
  );
}

/** Checks that each of these jobs ran once, in this worker, and that the worker has not restarted. */
async function expectUnharmed(neighbors: readonly string[]): Promise<void> {
  const { rows } = await database.pool.query(
    `select j.id, j.state, j.attempts, count(r.job_id)::int as runs from legwork.jobs j left join runs r on r.job_id = j.id
     where j.id = any($1::bigint[]) group by 1, 2, 3`,
    [neighbors],
  );
  expect(rows).toHaveLength(neighbors.length);
  for (const row of rows) expect(row).toMatchObject({ state: "completed", attempts: 1, runs: 1 });
  const { rows: restarts } = await database.pool.query("select is_called from legwork_private.worker_restarts");
  expect(restarts).toEqual([{ is_called: false }]);
  expect(
    logged.filter((line) => /worker_restarting|recording_failed|worker_lost|could not be kept|is not kept/.test(line)),
  ).toEqual([]);
}

/** Checks that every surface can show these jobs. */
async function expectAnswers(ids: readonly string[]): Promise<void> {
  const { pool } = database;
  for (const path of [
    "/jobs?limit=200",
    "/jobs?limit=200&state=failed",
    "/jobs?limit=200&brief=true",
    "/failed-groups",
    "/queues",
    "/tasks",
    "/schedules",
    "/workflows",
    "/overview",
  ]) {
    expect((await rest(server, "GET", path)).status, path).toBe(200);
  }
  const query = `{ jobs(first: 100) { nodes { id state payload result error runAt createdAt startedAt finishedAt jobKey tenant attempts(first: 5) { nodes { attempt errorMessage } } } } }`;
  const answer = await fetch(server.graphqlUrl, {
    method: "POST",
    headers: { authorization: `Bearer ${restToken}`, "content-type": "application/json" },
    body: JSON.stringify({ query }),
  });
  const { data, errors } = (await answer.json()) as { data: unknown; errors?: unknown };
  expect(errors ?? []).toEqual([]);
  expect(data).toBeTruthy();
  for (const id of ids) {
    expect((await rest(server, "GET", `/jobs/${id}`)).status, `job ${id}`).toBe(200);
    expect((await rest(server, "GET", `/jobs/${id}/logs`)).status, `logs of ${id}`).toBe(200);
    expect((await rest(server, "GET", `/jobs/${id}/explain`)).status, `explanation of ${id}`).toBe(200);
    await pool.query("select * from legwork.explain_job($1)", [id]);
  }
  for (const view of ["jobs", "attempts", "logs", "queues", "tasks", "schedules", "workers", "workflows", "alerts"]) {
    await pool.query(`select * from legwork.${view}`);
  }
  await pool.query("select legwork.tick(), legwork.maintain_history(), legwork.evaluate_alerts()");
  await pool.query("select * from legwork.doctor()");
}

it(
  `a task may emit any value in any place without harming other jobs (${IS_LONG ? "all" : `seed ${SEED}`})`,
  { timeout: scaled(180_000) },
  async () => {
    const neighbors: string[] = [];
    const odd: string[] = [];
    const pairs = Object.keys(CARRIERS).flatMap((carrier) => Object.keys(VALUES).map((value) => ({ value, carrier })));
    for (const pair of sampled(pairs, 100)) {
      odd.push(await enqueue(database.pool, "odd", pair));
      neighbors.push(await neighbor());
    }
    await allEnded(120_000);
    const { rows } = await database.pool.query(
      "select id, state, attempts, payload, error from legwork.jobs where id = any($1::bigint[])",
      [odd],
    );
    for (const row of rows) {
      // Each job has ended, unless it was rescheduled for much later.
      expect(["completed", "failed", "scheduled"], JSON.stringify(row)).toContain(row.state);
      expect(row.error ?? row.state, JSON.stringify(row.payload)).toMatch(/\S/);
    }
    await expectUnharmed(neighbors);
    await expectAnswers(odd.filter((_, n) => n % 12 === 0));
    for (const command of [
      ["jobs"],
      ["jobs", "--json"],
      ["job", odd[0]!],
      ["job", odd[3]!, "--json"],
      ["explain", odd[1]!],
      ["doctor"],
      ["queues"],
      ["stats"],
    ]) {
      const { code, stderr } = await legwork(command, { DATABASE_URL: database.url });
      expect(stderr, command.join(" ")).not.toMatch(/bug in Legwork/);
      expect(code, `${command.join(" ")}: ${stderr}`).toBeLessThan(2);
    }
  },
);

/** JSON texts. Every document that Postgres's `json` accepts must be accepted. */
const DOCUMENTS: Record<string, string> = {
  NUL: String.raw`{"note":"a\u0000b","user":5}`,
  "half a surrogate pair": String.raw`{"user":"\ud800"}`,
  "5,000 levels": "[".repeat(5_000) + "]".repeat(5_000),
  "1e400": `{"n":1e400}`,
  "nineteen digits": `{"id":1970670598291982290}`,
  "the same key twice": `{"a":1,"a":2}`,
  "an empty key": `{"":1}`,
  "a million characters": JSON.stringify({ text: "x".repeat(1_000_000) }),
  "a bare number": "1e-300",
};

it(
  "any document may be a payload, through every interface, without harming other jobs",
  { timeout: scaled(120_000) },
  async () => {
    const { pool } = database;
    await pool.query("select legwork.limit_concurrency(50, task => 'note', key => 'user')");
    const neighbors: string[] = [];
    const odd: string[] = [];
    const refused = (error: Error & { code?: string }): undefined => {
      expect(error.code).toMatch(/^(LW4..|22...)$/);
      return undefined;
    };
    for (const text of Object.values(DOCUMENTS)) {
      const ways: Promise<string | undefined>[] = [
        pool.query("select id from graphile_worker.add_job('note', $1::json)", [text]).then(({ rows }) => rows[0].id),
        pool.query("select legwork.enqueue('note', $1::text::jsonb) as id", [text]).then(({ rows }) => rows[0].id, refused),
        pool
          .query("select legwork.schedule('odd', 'note', every => '1 year', payload => $1::text::jsonb)", [text])
          .then(() => undefined, refused),
        enqueue(pool, "note", JSON.parse(text)).then((id) => id, refused),
        rest(server, "POST", "/jobs", `{"task":"note","payload":${text}}`).then(({ status, body }) => {
          expect([200, 201, 400, 413, 422]).toContain(status);
          return body?.id as string | undefined;
        }),
      ];
      odd.push(...(await Promise.all(ways)).filter((id) => id !== undefined));
      neighbors.push(await neighbor());
    }
    for (const text of [DOCUMENTS.NUL!, DOCUMENTS["nineteen digits"]!]) {
      const { code, stderr } = await legwork(["add", "note", text], { DATABASE_URL: database.url });
      expect(stderr).not.toMatch(/bug in Legwork/);
      expect(code).toBeLessThanOrEqual(2);
    }
    await allEnded();
    await expectUnharmed(neighbors);
    await expectAnswers(odd);
  },
);

const TEXTS = [
  "",
  " ",
  ".",
  "..",
  "a/b",
  "a\0b",
  "a\ud800b",
  "\u001b[31m",
  "'; drop table x; --",
  "é".repeat(600),
  "%s%n",
  "<script>",
  "ключ",
];

it(
  "any text may be a name, a key, a tenant or a signal, through every interface, without harming other jobs",
  { timeout: scaled(120_000) },
  async () => {
    const { pool } = database;
    const neighbors: string[] = [];
    const ids: string[] = [];
    const refused = (error: Error & { code?: string }): undefined => {
      expect(error.code, error.message).toMatch(/^(LW4..|22...|23...)$/);
      return undefined;
    };
    const waiting = await enqueue(pool, "waiting", {});
    for (const text of TEXTS) {
      const sql = async (statement: string): Promise<void> => {
        const result = await pool.query(statement, [text]).catch(refused);
        if (result?.rows[0]?.id !== undefined) ids.push(String(result.rows[0].id));
      };
      await sql("select legwork.enqueue('note', '{}', job_key => $1) as id");
      await sql("select legwork.enqueue('note', '{}', serial_key => $1) as id");
      await sql("select legwork.enqueue('note', '{}', tenant => $1) as id");
      await sql("select legwork.enqueue('note', '{}', correlation_id => $1) as id");
      await sql("select (graphile_worker.add_job('note', '{}', flags => array['tenant:' || $1::text, $1::text])).id");
      await sql(
        "select (graphile_worker.add_job('note', '{}', job_key => nullif($1::text, '') || 'k', queue_name => nullif($1::text, ''))).id",
      );
      await sql("select legwork.schedule($1, 'note', every => '1 year')");
      await sql("select legwork.pause_queue($1), legwork.resume_queue($1)");
      await sql("select legwork.limit_concurrency(1, queue => $1)");
      await sql('select legwork.start_workflow($1, \'{"a": {"task": "note"}}\') as workflow');
      await sql(
        "select legwork.start_workflow('w', jsonb_build_object($1::text, jsonb_build_object('task', 'note'))) as workflow",
      );
      await sendSignal(pool, waiting, text, { text }).catch(refused);
      for (const option of ["jobKey", "serialKey", "correlationId", "tenant"]) {
        const id = await enqueue(pool, "note", {}, { [option]: text }).catch(refused);
        if (id !== undefined) ids.push(id);
        const { status, body } = await rest(server, "POST", "/jobs", { task: "note", [option]: text });
        expect([200, 201, 400, 403, 404, 409, 422]).toContain(status);
        if (body?.id !== undefined) ids.push(body.id);
      }
      neighbors.push(await neighbor());
    }
    await sendSignal(pool, waiting, "go", { done: true });
    await allEnded();
    await expectUnharmed(neighbors);
    await expectAnswers([...new Set(ids)].filter((_, n) => n % 5 === 0));
  },
);

const TIMES = ["infinity", "-infinity", "290000-01-01Z", "294276-12-31 23:59:59Z", "0001-01-01Z", "4713-01-01 BC"];
const SPANS = ["300000 years", "-1 day", "0", "178000000 years", "1e9 days", "9999999 hours"];
const NUMBERS = ["40000", "-40000", "2147483647", "0", "-1"];

it(
  "any time, duration or number may be given, through every interface, without harming other jobs",
  { timeout: scaled(120_000) },
  async () => {
    const { pool } = database;
    const neighbors: string[] = [];
    const refused = (error: Error & { code?: string }): undefined => {
      expect(error.code, error.message).toMatch(/^(LW4..|22...|23...)$/);
      return undefined;
    };
    const attempt = async (statement: string, value: string): Promise<void> =>
      void (await pool.query(statement, [value]).catch(refused));
    await pool.query("select legwork.schedule('good', 'note', every => '1 second')");
    for (const time of TIMES) {
      await attempt("select graphile_worker.add_job('note', '{}', run_at => $1::timestamptz)", time);
      await attempt("select legwork.enqueue('note', '{}', run_at => $1::timestamptz)", time);
      await attempt("select legwork.enqueue('note', '{}', expires_at => $1::timestamptz)", time);
      for (const what of ["starts_at", "ends_at"]) {
        await attempt(
          `select legwork.schedule('${what} ' || $1::text, 'note', cron => '@daily', ${what} => $1::timestamptz)`,
          time,
        );
        await attempt(
          `select legwork.schedule('every ${what} ' || $1::text, 'note', every => '1 day', ${what} => $1::timestamptz)`,
          time,
        );
      }
      await attempt(
        "select legwork.start_workflow('w', jsonb_build_object('a', jsonb_build_object('task', 'note', 'run_at', $1::text)))",
        time,
      );
      const { status } = await rest(server, "POST", "/jobs", { task: "note", runAt: time });
      expect(status).toBe(400);
      neighbors.push(await neighbor());
    }
    for (const span of SPANS) {
      for (const option of ["unique_for", "expires_in", "debounce", "throttle"]) {
        await attempt(
          `select legwork.enqueue('note', '{}', ${option} => $1::interval, job_key => 'k${randomUUID()}')`,
          span,
        ).catch(() => undefined);
      }
      await attempt("select legwork.schedule('span ' || $1::text, 'note', every => $1::interval)", span);
      await attempt("select legwork.limit_rate(1, $1::interval, queue => 'other')", span);
      await attempt(
        `select legwork.start_workflow('w', jsonb_build_object('a', jsonb_build_object('task', 'note'),
         'b', jsonb_build_object('task', 'note', 'depends_on', jsonb_build_array('a'), 'delay', $1::text)))`,
        span,
      );
      neighbors.push(await neighbor());
    }
    for (const number of NUMBERS) {
      await attempt(
        "select legwork.schedule('priority ' || $1::text, 'note', every => '1 second', priority => $1::integer)",
        number,
      );
      await attempt(
        "select legwork.schedule('attempts ' || $1::text, 'note', every => '1 second', max_attempts => $1::integer)",
        number,
      );
      await attempt("select legwork.enqueue('note', '{}', priority => $1::integer)", number);
      await attempt("select legwork.enqueue('note', '{}', max_attempts => $1::integer)", number);
      await attempt("select legwork.limit_concurrency($1::integer, queue => 'other')", number);
      neighbors.push(await neighbor());
    }
    await allEnded();
    await expectUnharmed(neighbors);
    const fired = async (): Promise<number> =>
      (
        await pool.query(
          "select count(*)::int as n from legwork_private.schedule_occurrences where schedule = 'good' and state = 'enqueued'",
        )
      ).rows[0].n;
    const before = await fired();
    await until("the good schedule still fires", async () => (await fired()) >= before + 2);
    await expectAnswers([]);
  },
);
