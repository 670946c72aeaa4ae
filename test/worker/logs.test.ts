import { openSync, readdirSync, readFileSync, truncateSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import pino from "pino";
import { beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { hideSecretsInLine } from "../../src/hide-secrets.ts";
import { createLogger, type Logger, withoutSecrets } from "../../src/log.ts";
import { StderrDestination } from "../../src/stderr-destination.ts";
import { CompletedLines, fieldsOf } from "../../src/worker/graphile/completed-lines.ts";
import { workerLog } from "../../src/worker/worker-log.ts";
import { createPool } from "../../src/db/pool.ts";
import { cancelJob } from "../../src/jobs/cancel-job.ts";
import { databaseUrl, onServer, testDatabase } from "../support/database.ts";
import { plainJobs } from "../support/plain-jobs.ts";
import { until } from "../support/until.ts";
import { directoryOf, workerOver } from "../support/worker.ts";

const database = testDatabase();
const { add, ended, reaches } = plainJobs(database);

type Line = Record<string, unknown>;
type Writer = "worker" | "pino";

/** A log whose lines a test can read. */
function memoryLog(): { lines: Line[]; log: pino.Logger; line: (event: string, jobId?: string) => Promise<Line> } {
  const lines: Line[] = [];
  const formatters = { level: (level: string) => ({ level }) };
  const log = pino({ level: "info", formatters }, withoutSecrets({ write: (line) => void lines.push(JSON.parse(line)) }));
  const line = async (event: string, jobId?: string): Promise<Line> =>
    await until(`${event} is logged`, () =>
      lines.find((one) => one.event === event && (jobId === undefined || one.jobId === jobId)),
    );
  return { lines, log, line };
}

const TASKS = {
  "works.ts": `import { defineTask } from "legwork"; export default defineTask({ run: async () => 1 });`,
  "fails.ts": `import { defineTask } from "legwork"; export default defineTask({ run: async () => { throw new Error("boom"); } });`,
  "heeds.ts": `
    import { defineTask } from "legwork";
    export default defineTask({ run: (_payload, { signal }) => new Promise((_done, fail) => signal.addEventListener("abort", () => fail(signal.reason))) });`,
  "ignores.ts": `import { defineTask } from "legwork"; export default defineTask({ run: () => new Promise(() => undefined) });`,
  "late.ts": `import { defineTask } from "legwork"; export default defineTask({ run: async () => 1 });`,
};

describe("a worker's log", () => {
  const { lines, log, line } = memoryLog();
  beforeAll(async () => {
    // These jobs belong to another worker, which has died. One of them was in its third attempt.
    await database.pool.query(
      `insert into legwork_private.worker_processes (id, host, pid, concurrency, tasks, running, seen_at, suspected_at)
       values ('pool-dead', 'old-host', 77, 4, '{elsewhere}', '{}', now() - interval '1 minute', now() - interval '50 seconds')`,
    );
    for (const lost of [0, 2]) {
      const id = await add("elsewhere");
      await database.pool.query(
        "update graphile_worker._private_jobs set locked_by = 'pool-dead', locked_at = now() - interval '1 minute', attempts = $2 where id = $1",
        [id, lost + 1],
      );
      await database.pool.query("update legwork_private.worker_processes set running = running || $1::bigint", [id]);
      for (let attempt = 1; attempt <= lost; attempt++) {
        await database.pool.query(
          `insert into legwork_private.failed_attempts (job_id, attempt, task, queue, error_name, failed_at)
           values ($1, $2, 'elsewhere', 'default', 'WorkerLost', clock_timestamp())`,
          [id, attempt],
        );
      }
    }
  });

  it("distinguishes how jobs end, and names the jobs of a dead worker and the jobs that it returns to the queue when it stops", async () => {
    const worker = await workerOver(database.url, TASKS, { log, shutdownTimeout: 1_000 });
    const name = { worker: worker.id };
    expect(worker.id).toMatch(/^pool-/);
    await database.pool.query("select legwork.pause_task('late')");
    const { rows } = await database.pool.query(
      "select legwork.enqueue('late', expires_at => now() + interval '50 milliseconds') as id",
    );
    const done = await add("works");
    const related = (await database.pool.query("select legwork.enqueue('works', correlation_id => 'order-7') as id")).rows[0].id;
    const retried = await add("fails");
    const lost = await add("fails", {}, ", max_attempts => 1");
    const cancelled = await add("heeds");
    await reaches(cancelled, "running");
    await cancelJob(database.pool, cancelled, "wrong recipients");

    const completed = await line("job_completed", done);
    expect(completed).toMatchObject({ ...name, level: "info", task: "works", attempt: 1, durationMs: expect.any(Number) });
    expect(completed).not.toHaveProperty("correlationId");
    expect(await line("job_completed", related)).toMatchObject({ correlationId: "order-7" });
    expect(await line("job_failed", retried)).toMatchObject({
      ...name,
      level: "warn",
      final: false,
      attempt: 1,
      retryAt: expect.stringMatching(/^\d{4}-.*Z$/),
      err: { message: "boom", stack: expect.stringContaining("fails.ts") },
      msg: expect.stringMatching(/^Job failed and will be retried .*: boom$/),
    });
    const final = await line("job_failed", lost);
    expect(final).toMatchObject({ level: "error", final: true, msg: "Job failed for good: boom" });
    expect(final).not.toHaveProperty("retryAt");
    const stopped = await line("job_cancelled", cancelled);
    expect(stopped).toMatchObject({
      level: "info",
      by: "postgres",
      reason: "wrong recipients",
      msg: "Job cancelled by postgres.",
    });
    expect(stopped).not.toHaveProperty("err");
    expect(await line("job_expired")).toMatchObject({ level: "info", jobId: rows[0].id });
    expect(lines.filter((one) => [cancelled, rows[0].id].includes(one.jobId as string) && one.event === "job_failed")).toEqual(
      [],
    );

    const gone = await line("worker_lost");
    expect(gone).toMatchObject({ worker: worker.id, lostWorker: "pool-dead", lostHost: "old-host", lostPid: 77, jobs: 1 });
    const quarantined = await until("the quarantined job is logged", () =>
      lines.find((one) => one.lostWorker === "pool-dead" && one.jobId !== undefined),
    );
    expect(quarantined).toMatchObject({ event: "job_failed", level: "error", final: true, task: "elsewhere", attempt: 3 });
    expect(gone.jobIds).not.toContain(quarantined.jobId);

    const heeds = await add("heeds");
    const ignores = await add("ignores");
    for (const id of [heeds, ignores]) await reaches(id, "running");
    expect(worker.running().toSorted()).toEqual([heeds, ignores].toSorted());
    expect((await worker.stop()).toSorted()).toEqual([heeds, ignores].toSorted());
    expect(await line("job_given_back", heeds)).toMatchObject({ level: "info" });
    expect(await line("jobs_given_back")).toMatchObject({ level: "warn", jobs: 1, jobIds: [ignores] });
    expect(lines.filter(({ event, jobId }) => event === "job_failed" && [heeds, ignores].includes(jobId as string))).toEqual([]);
  });

  it("has one line when the database is lost and one when it is back", async () => {
    const memory = memoryLog();
    await workerOver(database.url, { "works.ts": TASKS["works.ts"] }, { log: memory.log, shutdownTimeout: 1_000 });
    await ended(await add("works"));
    const name = new URL(database.url).pathname.slice(1);
    const server = databaseUrl(database.url, "postgres");
    await onServer(server, async (client) => {
      await client.query(`alter database ${name} allow_connections false`);
      onTestFinished(
        async () => void (await onServer(server, (again) => again.query(`alter database ${name} allow_connections true`))),
      );
      await client.query(
        `select pg_terminate_backend(pid) from pg_stat_activity where datname = $1 and application_name ~ '^legwork (worker|tasks|lease|heartbeat|listener)'`,
        [name],
      );
      const lost = await memory.line("database_lost");
      expect(lost).toMatchObject({
        level: "error",
        // An open connection was ended, or a new one was refused.
        code: expect.stringMatching(/^(?:57P01|55000)$/),
        pools: { "legwork heartbeat": 1, "legwork lease": expect.any(Number) },
      });
      await client.query(`alter database ${name} allow_connections true`);
    });
    const back = await memory.line("database_back");
    expect(back).toMatchObject({ level: "info", awayMs: expect.any(Number) });
    await ended(await add("works"));
    const events = memory.lines.map(({ event }) => event);
    expect(events.filter((event) => /^(database|connections)_/.test(String(event)))).toEqual(["database_lost", "database_back"]);
    const withErrors = memory.lines.filter(({ level, err }) => level !== "info" && err !== undefined);
    expect(withErrors.map(({ event, msg, err }) => [event, msg, err])).toEqual([]);
  });
});

describe("secrets in the log", () => {
  it.each<[unknown, unknown]>([
    [{ password: "s3cret" }, { password: "[redacted]" }],
    [
      { a: [{ headers: { "x-api-key": "s3cret", Authorization: "s3cret", "set-cookie": ["s3cret"] } }] },
      { a: [{ headers: { "x-api-key": "[redacted]", Authorization: "[redacted]", "set-cookie": "[redacted]" } }] },
    ],
    [
      { clientSecret: "s3cret", access_token: "s3cret", pin: { token: 1234 } },
      { clientSecret: "[redacted]", access_token: "[redacted]", pin: { token: "[redacted]" } },
    ],
    [{ auth: { user: "ann", pass: "s3cret" } }, { auth: { user: "ann", pass: "[redacted]" } }],
    [{ err: { code: "ERR_INVALID_URL", input: "s3cret" } }, { err: { code: "ERR_INVALID_URL", input: "[redacted]" } }],
    [
      { msg: "at postgres://ann:s3@cret@db/x?sslpassword=s3cret now" },
      { msg: "at postgres://ann:[redacted]@db/x?sslpassword=[redacted] now" },
    ],
    [{ msg: "host=db password='s3 cret' user=ann" }, { msg: "host=db password=[redacted] user=ann" }],
    [
      { msg: 'sent {"token": "s3cret", "to": 1} with Bearer s3cret.abc' },
      { msg: 'sent {"token": "[redacted]", "to": 1} with Bearer [redacted]' },
    ],
    // These values are not secrets.
    [
      { tokens: 512, hasPassword: true, token: null, msg: "The token is invalid: https://a.b/c, mail a@b.c" },
      { tokens: 512, hasPassword: true, token: null, msg: "The token is invalid: https://a.b/c, mail a@b.c" },
    ],
  ])("%j", (fields, shown) => {
    expect(JSON.parse(hideSecretsInLine(JSON.stringify(fields)))).toEqual(shown);
  });

  it("are also hidden in the bindings of child loggers and in errors, and a line without secrets is unchanged", () => {
    const { lines, log } = memoryLog();
    const cause = Object.assign(new Error("no postgres://ann:s3cret@db"), { config: { headers: [{ cookie: "s3cret" }] } });
    log.child({ session: { token: "s3cret" } }).error({ err: new Error("It failed.", { cause }) });
    expect(lines).toHaveLength(1);
    expect(JSON.stringify(lines)).not.toContain("s3cret");
    const plain = '{"n":1.0,"big":12345678901234567890}\n';
    expect(hideSecretsInLine(plain)).toBe(plain);
    expect(hideSecretsInLine('{"big":12345678901234567890,"token":"t"}')).toContain("12345678901234567890");
  });
});

describe("the line of a completed job", () => {
  /** A logger that writes to a file, and a function that returns the text written since its last call. */
  const setUp = async (json = true): Promise<{ log: Logger; written: () => Promise<string> }> => {
    const file = join(await directoryOf({ log: "" }), "log");
    const destination = new StderrDestination(openSync(file, "a"));
    const written = async (): Promise<string> => {
      await destination.drained();
      const text = readFileSync(file, "utf8");
      truncateSync(file);
      return text;
    };
    return { log: createLogger({ level: "info", json, destination }), written };
  };
  const say = (log: Logger, by: Writer, one: object): void => {
    if (by === "pino") log.info(fieldsOf(one as never, 0.25), "Job completed.");
    else new CompletedLines(log).write([{ job: one as never, durationMs: 0.25 }]);
  };
  const job = (task: string, correlation: string | null): object => ({
    id: "12345678901234567",
    task_identifier: task,
    attempts: 3,
    flags: correlation === null ? null : { [`correlation:${correlation}`]: true },
  });
  // Depending on the length of the text, pino writes a lone surrogate escaped, or unchanged, which is not valid UTF-8.
  const timeless = (text: string): unknown => ({
    ...JSON.parse(text, (_key, value: unknown) => (typeof value === "string" ? value.toWellFormed() : value)),
    time: undefined,
  });

  it("is the same as pino's line for any text, even for a text with a secret", async () => {
    const { log, written } = await setUp();
    const odd = fc.oneof(
      fc.string({ unit: "binary" }),
      fc.string({
        unit: fc.constantFrom('"', "\\", "\n", "\0", "\u001f", "\u007f", "\u2028", "\u2029", "\ud800", "\udc00", "é", "😀", "x"),
      }),
      fc.constantFrom("token=abc", "postgres://me:secret@host/db", '{"password": "x"}', "send_token", "Bearer abcdefghijkl"),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(fc.tuple(odd, fc.option(odd), odd), { minLength: 50, maxLength: 100 }), async (cases) => {
        let calls = 0;
        const linesBy = async (by: Writer): Promise<string[]> => {
          for (const [task, correlation, binding] of cases) {
            const { log: own, name } = workerLog(log.child({ binding, token: "abc" }));
            name(binding);
            const { info } = own;
            own.info = ((...parameters: [object, string]) => {
              if (by === "worker") calls += 1;
              info.apply(own, parameters);
            }) as Logger["info"];
            say(own, by, job(task, correlation));
          }
          return (await written()).trimEnd().split("\n");
        };
        const byWorker = await linesBy("worker");
        const byPino = await linesBy("pino");
        // The worker calls each logger only once, to find out what it writes.
        expect(calls).toBe(cases.length);
        expect(byWorker.map(timeless)).toEqual(byPino.map(timeless));
        for (const line of byWorker) expect(JSON.parse(line).time).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
      }),
      { numRuns: 3 },
    );
  });

  it("respects options of child loggers, the format for a terminal, and a user's own logger", async () => {
    const { log, written } = await setUp();
    for (const child of [
      log.child({}, { msgPrefix: "[mine] " }),
      log.child({}, { redact: ["task"] }),
      log.child({}, { serializers: { task: (task: string) => task.toUpperCase() } }),
      log.child({}, { formatters: { log: (fields) => ({ ...fields, added: 1 }) } }),
      log.child({}, { level: "warn" }),
    ]) {
      say(child, "worker", job("works", "order-7"));
      const text = await written();
      say(child, "pino", job("works", "order-7"));
      const byPino = await written();
      expect(text === "" ? "" : timeless(text)).toEqual(byPino === "" ? "" : timeless(byPino));
    }
    const pretty = await setUp(false);
    say(pretty.log, "worker", job("works", null));
    expect(await pretty.written()).toMatch(/INFO.*Job completed\./);
    const { lines: own, log: memory } = memoryLog();
    new CompletedLines(memory).write([{ job: job("works", null) as never, durationMs: 1 }]);
    expect(own).toMatchObject([{ event: "job_completed", task: "works", durationMs: 1 }]);
  });

  it("has the worker's new id after a restart, and is written before a later warning", async () => {
    const { log, written } = await setUp();
    const { log: own, name } = workerLog(log);
    const completed = new CompletedLines(own);
    for (const id of ["pool-1", "pool-2"]) {
      name(id);
      completed.write([{ job: job("works", null) as never, durationMs: 1 }]);
      own.warn("A warning.");
    }
    const seen = (await written())
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line));
    expect(seen.map(({ worker, level }) => [worker, level])).toEqual([
      ["pool-1", "info"],
      ["pool-1", "warn"],
      ["pool-2", "info"],
      ["pool-2", "warn"],
    ]);
  });
});

it("a connection that the server closes while its pool ends is not reported as lost", async () => {
  const { lines, log, line } = memoryLog();
  const [ending, open] = ["ending", "open"].map((name) => createPool(database.url, { log, name }));
  const pids: number[] = [];
  const clients = await Promise.all([ending!.connect(), open!.connect()]);
  for (const client of clients) pids.push((await client.query("select pg_backend_pid() pid")).rows[0].pid);
  const ended = ending!.end();
  await database.pool.query("select pg_terminate_backend(pid) from unnest($1::int[]) pid", [pids]);
  await line("database_lost");
  for (const client of clients) client.release(true);
  await open!.query("select 1");
  await Promise.all([ended, open!.end()]);
  expect(lines.map(({ event, pools }) => [event, pools])).toEqual([
    ["database_lost", { open: 1 }],
    ["database_back", undefined],
  ]);
});

it("every event of the code is documented, and every documented event exists", () => {
  const files = (readdirSync("src", { recursive: true }) as string[]).filter(
    (file) => file.endsWith(".ts") && !file.startsWith("dashboard"),
  );
  const code = files.flatMap((file) =>
    [...readFileSync(join("src", file), "utf8").matchAll(/\bevent: "([a-z_]+)"|#tell\("([a-z_]+)"/g)].map(
      ([, one, other]) => one ?? other,
    ),
  );
  const page = readFileSync("docs/guides/logs.md", "utf8");
  const events = page.slice(page.indexOf("## Jobs"));
  const documented = [...events.matchAll(/^\| (`[^|]*`) \|/gm)].flatMap(([, names]) =>
    [...names!.matchAll(/`(\w+)`/g)].map(([, name]) => name),
  );
  expect(new Set(documented)).toEqual(new Set(code));
});
