import { Writable } from "node:stream";
import pino from "pino";
import { beforeEach, describe, expect, it, onTestFinished } from "vitest";
import { getJob } from "../../src/jobs/read-jobs.ts";
import { MESSAGE_LIMIT } from "../../src/thrown.ts";
import { AttemptOutput, FIELDS_LIMIT } from "../../src/worker/attempt/attempt-output.ts";
import { HEAD_LINES, LINE_LIMIT, TAIL_LINES } from "../../src/worker/attempt/log-tail.ts";
import { DatabaseClock } from "../../src/worker/clock.ts";
import { BUFFERED_LINES, JobOutput } from "../../src/worker/attempt/job-output.ts";
import { startServer } from "../../src/server/server.ts";
import { testDatabase, testLog } from "../support/database.ts";
import { plainJobs } from "../support/plain-jobs.ts";
import { empty } from "../support/empty.ts";
import { until } from "../support/until.ts";
import { workerOver } from "../support/worker.ts";

const database = testDatabase();
const { add, ended } = plainJobs(database);

beforeEach(async () => {
  await database.pool.query("delete from graphile_worker._private_jobs");
  await empty(
    database.pool,
    "legwork_private.finished_jobs, legwork_private.failed_attempts, legwork_private.job_logs, legwork_private.job_progress",
  );
});

interface LogRow {
  level: string;
  message: string;
  attempt: number;
  fields: unknown;
  tenant: string | null;
}

/** The log lines of a job, once it has at least this many. */
async function lines(id: string, count: number): Promise<LogRow[]> {
  return await until(`job ${id} has ${count} lines`, async () => {
    const { rows } = await database.pool.query("select * from legwork.logs where job_id = $1 order by id", [id]);
    return rows.length >= count ? rows : undefined;
  });
}

async function progress(id: string): Promise<[number | null, string | null]> {
  const { progress: percent, progress_message: message } = await getJob(database.pool, id);
  return [percent, message];
}

/** A task file with this body of its run function. */
function task(body: string, options = ""): string {
  return `import { defineTask } from "legwork";
    export default defineTask({ ${options} run: async (payload, { progress, log, sql, signal, job }) => { ${body} } });`;
}

/** A logger that keeps its lines as text. */
function memoryLog(level: string): { log: pino.Logger; text(): string } {
  const written: string[] = [];
  const stream = new Writable({
    write(chunk, _encoding, done) {
      written.push(String(chunk));
      done();
    },
  });
  return { log: pino({ level }, stream), text: () => written.join("") };
}

describe("progress", () => {
  it("is visible while the job runs, and stays when the job has ended", async () => {
    await workerOver(database.url, {
      "steps.ts": task(`
        progress(40, "Reading");
        const go = async () => (await sql\`select from graphile_worker._private_tasks where identifier = 'go'\`).length > 0;
        while (!signal.aborted && !(await go()));
        progress({ message: "Writing" });
        progress(100);`),
    });
    const id = await add("steps");
    await until("the progress is recorded", async () => (await getJob(database.pool, id)).progress === 40);
    expect(await getJob(database.pool, id)).toMatchObject({ state: "running", progress: 40, progress_message: "Reading" });
    await database.pool.query(`select legwork_private.register_tasks('[{"name": "go"}]')`);
    await ended(id);
    await until("the last progress is recorded", async () => (await getJob(database.pool, id)).progress === 100);
    expect(await progress(id)).toEqual([100, "Writing"]);
  });

  it("of one attempt does not carry over to the next", async () => {
    await workerOver(database.url, { "again.ts": task(`if (job.attempts === 1) { progress(80); throw new Error("no"); }`) });
    const id = await add("again");
    await until("the progress is recorded", async () => (await getJob(database.pool, id)).progress === 80);
    await database.pool.query("update graphile_worker._private_jobs set run_at = now() where id = $1", [id]);
    await ended(id);
    expect(await progress(id)).toEqual([null, null]);
  });

  it.each([
    ["101", "progress: 101 is not a percentage."],
    ["-1", "progress: -1 is not a percentage."],
    ["NaN", "progress: NaN is not a percentage."],
    ["'half'", "progress: half is not a percentage."],
    ["null", "progress: null is not a percentage."],
    ["{ percent: 200 }", "progress: 200 is not a percentage."],
    ["1, 2", "progress: the message must be text, not a value of type number."],
  ])("of %s is rejected", async (parameters, message) => {
    await workerOver(database.url, { "wrong.ts": task(`progress(${parameters});`) });
    const id = await add("wrong", {}, ", max_attempts => 1");
    expect((await ended(id)).error).toBe(message);
    expect((await getJob(database.pool, id)).attempt_list).toMatchObject([{ error_code: "LW400" }]);
  });
});

describe("a task's log lines", () => {
  it("are stored with the job from level info on, in each of pino's call forms, whatever log level the process has", async () => {
    await workerOver(
      database.url,
      {
        "says.ts": task(`
          log.debug("not kept");
          log.info("one %s %d", "two", 3);
          log.warn({ step: 1, nothing: undefined }, "with %s", "fields");
          log.error(new RangeError("too far"));
          log.error({ err: new TypeError("odd") }, "It was odd.");
          log.error({ err: new TypeError("odd") });
          log.child({ part: "a" }).info({ n: 1 }, "from a child");
          log.info({ big: 10n });
          const circle = {}; circle.self = circle;
          log.info(circle, "in circles");
          log.info({ password: "p", db: { password: "hidden" }, token: "hidden" }, "censored");
          log.info("a\\0b\\ud800 %j", { x: "\\0" });
          log.info({ "k\\0": "\\ud800" }, "");
          log.fatal("the end");`),
      },
      { log: pino({ level: "silent" }) },
    );
    const { rows } = await database.pool.query("select legwork.enqueue('says', tenant => 'acme') as id");
    const found = await lines(rows[0].id, 12);
    expect(found.map(({ level, message }) => `${level} ${message}`)).toEqual([
      "info one two 3",
      "warn with fields",
      "error too far",
      "error It was odd.",
      "error odd",
      "info from a child",
      "info ",
      "info in circles",
      "info censored",
      String.raw`info a${"\uFFFD"}b${"\uFFFD"} {"x":"\u0000"}`,
      "info ",
      "fatal the end",
    ]);
    expect(found.map(({ fields }) => fields)).toMatchObject([
      null,
      { step: 1 },
      { err: { type: "RangeError", message: "too far", stack: expect.stringContaining("says.ts") } },
      { err: { type: "TypeError" } },
      { err: { message: "odd" } },
      { part: "a", n: 1 },
      { big: "10" },
      { "legwork:cut": "These fields cannot be written as JSON." },
      { password: "[redacted]", db: { password: "[redacted]" }, token: "[redacted]" },
      null,
      { "k\uFFFD": "\uFFFD" },
      null,
    ]);
    expect(new Set(found.map(({ tenant, attempt }) => `${tenant} ${attempt}`))).toEqual(new Set(["acme 1"]));
  });

  it("are visible while the job runs", async () => {
    await workerOver(database.url, {
      "long.ts": task(`log.info("begun"); await new Promise((resolve) => signal.addEventListener("abort", resolve));`),
    });
    const id = await add("long");
    expect(await lines(id, 1)).toMatchObject([{ message: "begun", level: "info" }]);
    expect(await getJob(database.pool, id)).toMatchObject({ state: "running" });
  });

  it("are limited in size and number, and marked where they are cut", async () => {
    await workerOver(database.url, {
      "talks.ts": task(`
        log.info("x".repeat(12345));
        log.info({ big: "y".repeat(10000) }, "big fields");
        log.info("z".repeat(${MESSAGE_LIMIT}));
        for (let n = 4; n <= ${LINE_LIMIT} + 1_234; n++) {
          log.info("line %d", n);
          // The lines are stored in several statements, so that some are stored and then deleted again.
          if (n % 500 === 0) await new Promise((wake) => setTimeout(wake, 300));
        }`),
    });
    const id = await add("talks");
    await ended(id);
    const found = await until("the last line is stored", async () => {
      const stored = await lines(id, LINE_LIMIT);
      return stored.at(-1)?.message === `line ${LINE_LIMIT + 1_234}` && stored.length === LINE_LIMIT + 1 && stored;
    });
    expect(found[0]?.message).toHaveLength(MESSAGE_LIMIT);
    expect(found[0]?.message).toMatch(/x… cut, 12,345 characters$/);
    expect(found[1]?.fields).toMatchObject({ "legwork:cut": { bytes: 10_010, start: expect.stringMatching(/^\{"big":"yyy/) } });
    expect(JSON.stringify(found[1]?.fields).length).toBeLessThan(FIELDS_LIMIT);
    expect(found[2]?.message).toBe("z".repeat(MESSAGE_LIMIT));
    const kept = found.map(({ message }) => message);
    expect(kept.slice(HEAD_LINES - 1, HEAD_LINES + 2)).toEqual([
      `line ${HEAD_LINES}`,
      "… 1,234 lines in between were not kept.",
      `line ${LINE_LIMIT + 1_234 - TAIL_LINES + 1}`,
    ]);
    expect(found[HEAD_LINES]).toMatchObject({ level: "warn", fields: { "legwork:cut": { lines: 1_234 } } });
    // Each line is stored once, and in order.
    const numbers = kept.slice(HEAD_LINES + 1).map((message) => Number(message.replace("line ", "")));
    expect(numbers).toEqual(Array.from({ length: TAIL_LINES }, (_, n) => LINE_LIMIT + 1_234 - TAIL_LINES + 1 + n));
  });

  it("that are written just before the worker stops are stored", async () => {
    const worker = await workerOver(database.url, { "quick.ts": task(`log.info("said"); progress(50);`) });
    const id = await add("quick");
    await ended(id);
    await worker.stop();
    expect(await lines(id, 1)).toMatchObject([{ message: "said" }]);
    expect(await progress(id)).toEqual([50, null]);
  });

  it("do not include the worker's own messages", async () => {
    const worker = await workerOver(database.url, { "quiet.ts": task(""), "fails.ts": task(`throw new Error("no");`) });
    await ended(await add("quiet"));
    await ended(await add("fails", {}, ", max_attempts => 1"));
    await worker.stop();
    expect((await database.pool.query("select * from legwork.logs")).rows).toEqual([]);
    expect((await database.pool.query("select * from legwork_private.job_progress")).rows).toEqual([]);
  });
});

describe("a database that rejects log lines", () => {
  /** The output of one attempt of a job, over a pool that fails with the error in `broken`, if there is one. */
  async function attempt(broken: { with: Error | undefined }): Promise<{ id: string; attempt: AttemptOutput }> {
    const pool = new Proxy(database.pool, {
      get: (target, property) =>
        property === "query" && broken.with !== undefined
          ? () => Promise.reject(broken.with)
          : Reflect.get(target, property, target),
    });
    const output = new JobOutput({ pool, log: testLog });
    onTestFinished(() => output.stop());
    const id = await add("none");
    const job = { id, task: "none", attempts: 1, tenant: null } as unknown as AttemptOutput["job"];
    return { id, attempt: new AttemptOutput(job, { output, clock: new DatabaseClock() }, undefined) };
  }

  it("receives them later", async () => {
    const broken = { with: Object.assign(new Error("gone"), { code: "57P01" }) as Error | undefined };
    const { id, attempt: said } = await attempt(broken);
    said.log("info", "first", undefined);
    said.progress(10);
    said.log("info", "second", undefined);
    broken.with = undefined;
    said.log("info", "third", undefined);
    expect((await lines(id, 3)).map(({ message }) => message)).toEqual(["first", "second", "third"]);
  });

  it("receives the newest lines if there are too many to buffer, and marks how many are missing", async () => {
    const id = await add("none");
    const output = new JobOutput({ pool: database.pool, log: testLog });
    const job = { id, task: "none", attempts: 1, tenant: null } as unknown as AttemptOutput["job"];
    const clock = new DatabaseClock();
    // There are eleven attempts, because one attempt may not write that many lines.
    for (let turn = 0; turn < 11; turn++) {
      const said = new AttemptOutput({ ...job, attempts: turn + 1 }, { output, clock }, undefined);
      for (let line = 0; line < LINE_LIMIT; line++) said.log("info", `${turn}.${line}`, undefined);
    }
    const last = new AttemptOutput({ ...job, attempts: 99 }, { output, clock }, undefined);
    last.log("info", "the last", undefined);
    await output.stop();
    const found = await lines(id, 1);
    expect(found.length).toBeLessThanOrEqual(BUFFERED_LINES + 2);
    expect(found.at(-1)).toMatchObject({ message: "the last" });
    expect(found[0]).toMatchObject({ level: "warn", attempt: 1, message: "… 1,000 lines could not be stored." });
    expect(found[1]).toMatchObject({ level: "warn", attempt: 2, message: "… 1 line could not be stored." });
    expect(found[2]?.message).toBe("1.1");
  });

  it("because of one line still stores other jobs' lines, and marks the missing line", async () => {
    const output = new JobOutput({ pool: database.pool, log: testLog });
    onTestFinished(() => output.stop());
    const [bad, good] = [await add("none"), await add("none")];
    const attemptOf = (id: string): AttemptOutput =>
      new AttemptOutput(
        { id, task: "none", attempts: 1, tenant: null } as unknown as AttemptOutput["job"],
        { output, clock: new DatabaseClock() },
        undefined,
      );
    const [said, others] = [attemptOf(bad), attemptOf(good)];
    for (let n = 0; n < 20; n++) others.log("info", `before ${n}`, undefined);
    said.log("info", "too large", { n: (JSON as unknown as { rawJSON: (text: string) => unknown }).rawJSON("1e200000") });
    output.keep(said, `{"job_id": ${bad}, "attempt": 1, "at": 1, "level": "info", "message": "x", "fields": 1e200000}`);
    others.log("info", "after", undefined);
    others.progress(1e-320);
    said.progress(40);
    expect((await lines(good, 21)).map(({ message }) => message)).toEqual([
      ...Array.from({ length: 20 }, (_, n) => `before ${n}`),
      "after",
    ]);
    said.log("info", "the next one", undefined);
    expect((await lines(bad, 3)).map(({ message }) => message)).toContain("… 1 line could not be stored.");
    expect((await getJob(database.pool, bad)).progress).toBeNull();
    const { rows } = await database.pool.query("select percent from legwork_private.job_progress order by job_id");
    expect(rows).toEqual([{ percent: 40 }, { percent: 0 }]);
  });

  it("because of a value in one batch still receives the next batch", async () => {
    const broken = { with: Object.assign(new Error("bad text"), { code: "22P05" }) as Error | undefined };
    const { id, attempt: said } = await attempt(broken);
    said.log("info", "refused", undefined);
    await until("the first batch was rejected", async () => {
      said.log("info", "taken", undefined);
      broken.with = undefined;
      const { rows } = await database.pool.query("select from legwork.logs where job_id = $1", [id]);
      return rows.length > 0;
    });
  });
});

describe("a task that redacts", () => {
  const SECRETS = ["secret-mail@example.com", "secret phone", "4111222233334444", "secret-lower"];
  const ALL = [...SECRETS, "SECRET-LOWER", "other secret", "secret-mail%40"];
  const PAYLOAD = {
    email: SECRETS[0],
    user: { phone: SECRETS[1], name: "kept" },
    cards: [{ number: Number(SECRETS[2]) }],
    code: "SECRET-LOWER",
  };
  const OPTIONS = `redact: ["email", "user.phone", "cards.*.number", "code", "given"],`;
  const SAYS = `
    progress(50, "Mail to " + payload.email);
    log.debug("debug " + payload.email);
    log.info("mail to %s", payload.email);
    log.info({ payload, email: payload.email, given: "other secret" }, "with fields");
    log.child({ to: payload.email }).warn(Object.assign(new Error("for " + payload.user.phone), { request: { body: JSON.stringify(payload) } }));
    log.error("url https://x/?to=%s and %d", encodeURIComponent(payload.email), payload.cards[0].number);
    log.info(payload.code);`;

  it("leaves no redacted values in any table, view, log or response, and is retried with its original payload", async () => {
    const memory = memoryLog("debug");
    const worker = await workerOver(
      database.url,
      {
        "good.ts": `import { defineTask } from "legwork"; import { z } from "zod";
          export default defineTask({ ${OPTIONS}
            payload: z.looseObject({ code: z.string().toLowerCase() }),
            run: async (payload, { progress, log }) => { ${SAYS}
              return { email: payload.email, text: "sent to " + payload.email, given: "other secret", card: payload.cards, payload, pad: "x".repeat(payload.pad ?? 0) }; } });`,
        "bad.ts": task(
          `${SAYS}
          const cause = new Error("cause " + payload.email);
          throw Object.assign(new TypeError("no mail to " + payload.email + " " + JSON.stringify(payload), { cause }), { detail: "Key (" + payload.email + ")", config: { payload } });`,
          OPTIONS,
        ),
        "nice.ts": task(`log.info("fine"); return 7;`, OPTIONS),
      },
      { log: memory.log },
    );
    const good = await add("good", PAYLOAD);
    const large = await add("good", { ...PAYLOAD, pad: 300_000 });
    const bad = await add("bad", PAYLOAD, ", max_attempts => 1");
    const retrying = await add("bad", PAYLOAD);
    expect(await ended(await add("nice", PAYLOAD))).toMatchObject({ result: 7, payload: { user: { name: "kept" } } });
    expect(await ended(good)).toMatchObject({
      payload: { email: "[redacted]", user: { phone: "[redacted]", name: "kept" }, cards: [{ number: "[redacted]" }] },
      result: { email: "[redacted]", text: "sent to [redacted]", given: "[redacted]", card: [{ number: "[redacted]" }] },
    });
    expect((await ended(large)).result).toMatchObject({ "legwork:cut": { start: expect.stringContaining("[redacted]") } });
    expect((await ended(bad)).error).toMatch(/^no mail to \[redacted\] \{"email":"\[redacted\]"/);
    await until("the job has failed once", async () => (await getJob(database.pool, retrying)).state === "retrying");
    await until("all lines are stored", async () => {
      const { rows } = await database.pool.query("select count(*)::int as lines from legwork.logs");
      return rows[0].lines >= 21;
    });
    await worker.stop();

    const { rows: relations } = await database.pool.query(
      `select oid::regclass::text as name from pg_class
       where relnamespace in ('legwork'::regnamespace, 'legwork_private'::regnamespace) and relkind in ('r', 'p', 'v') and not relispartition
         -- graphile-worker's own table has the payload until the job has ended.
         and relname <> 'graphile_jobs'`,
    );
    expect(relations.length).toBeGreaterThan(8);
    for (const { name } of relations) {
      const { rows } = await database.pool.query(`select r::text as row from ${name} r where r::text ~ $1`, [ALL.join("|")]);
      expect({ name, rows }).toEqual({ name, rows: [] });
    }
    const told = memory.text();
    expect(told).toContain("mail to [redacted]");
    expect(told).toContain("Job failed for good: no mail to [redacted]");
    for (const secret of ALL) expect(told).not.toContain(secret);
    expect((await lines(good, 5)).map(({ message }) => message)).toEqual([
      "mail to [redacted]",
      "with fields",
      "for [redacted]",
      "url https://x/?to=[redacted] and [redacted]",
      "[redacted]",
    ]);
    expect(await progress(good)).toEqual([50, "Mail to [redacted]"]);

    const server = await startServer({ databaseUrl: database.url, host: "127.0.0.1", port: 0, token: "t", log: testLog });
    onTestFinished(() => server.stop());
    const response = await fetch(server.graphqlUrl, {
      method: "POST",
      headers: { "content-type": "application/json", authorization: "Bearer t" },
      body: JSON.stringify({
        query: `{ jobs { nodes { payload result error progress progressMessage
          attempts { nodes { errorMessage errorStack } } } } }`,
      }),
    });
    const answer = await response.text();
    expect(answer).toContain("Mail to [redacted]");
    for (const secret of ALL) expect(answer).not.toContain(secret);

    const { rows } = await database.pool.query("select payload from graphile_worker._private_jobs where id = $1", [retrying]);
    expect(rows).toEqual([{ payload: PAYLOAD }]);
  });
});
