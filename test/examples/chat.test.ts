import { spawn } from "node:child_process";
import { randomBytes, createECDH } from "node:crypto";
import { readdir, readFile, utimes } from "node:fs/promises";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";
import { beforeEach, describe, expect, it, onTestFinished } from "vitest";
import webPush from "web-push";
import { connection } from "../support/connections.ts";
import { testDatabase } from "../support/database.ts";
import { httpServer } from "../support/http-server.ts";
import { configure, TASKS } from "../support/job.ts";
import { smtpServer } from "../support/smtp-server.ts";
import { makeToken, rest, restToken, startRest } from "../support/rest.ts";
import { until } from "../support/until.ts";
import { directoryOf, workerOver } from "../support/worker.ts";
import { chatConfig } from "../../examples/chat/config.ts";
import { addJob, getJob, getQueueStats, pauseQueue, removeJob, resumeQueue } from "../../examples/chat/jobs.ts";
import { startChat } from "../../examples/chat/start.ts";

const CHAT = resolve(import.meta.dirname, "../../examples/chat");
const OWN = join(CHAT, "tasks");
const database = testDatabase();

beforeEach(async () => {
  await startChat(database.url);
  await database.pool.query(`
    select graphile_worker.permanently_fail_jobs(array(select id from legwork.jobs where finished_at is null), 'The test is over.');
    truncate chat.users, chat.messages, chat.logs, chat.cache restart identity`);
});

async function select(text: string, ...values: unknown[]): Promise<Record<string, unknown>[]> {
  return (await database.pool.query(text, values)).rows;
}

interface Handed {
  state: string;
  task: string;
  // oxlint-disable-next-line typescript/no-explicit-any -- each task has its own
  result: any;
  error: string | null;
}

/** Waits until the job that the given job enqueued has ended, and resolves to it. */
async function handedOver(id: string): Promise<Handed> {
  return await until(`the job that job ${id} enqueued has ended`, async () => {
    const { rows } = await database.pool.query<Handed>(
      `select task, state, result, error from legwork.jobs where parent_id = $1 and state in ('completed', 'failed')`,
      [id],
    );
    return rows[0];
  });
}

describe("chat", () => {
  it("E1 each queue has the concurrency, attempts and backoff of its environment", async () => {
    expect(chatConfig({ CHAT_ENV: "production" }).queues.notification).toMatchObject({ concurrency: 10, retry: { attempts: 7 } });
    expect(() => chatConfig({ CHAT_ENV: "staging" })).toThrow("CHAT_ENV");
    await startChat(database.url, { CHAT_ENV: "production" });
    const limits = "select name, (limits -> 0 ->> 'max')::int as max from legwork.queues where limits is not null order by name";
    expect(await select(limits)).toEqual([
      { name: "cleanup", max: 2 },
      { name: "maintenance", max: 1 },
      { name: "notification", max: 10 },
      { name: "report", max: 3 },
    ]);
    await startChat(database.url, {});
    // A lock holds one job while it runs, and the others wait for it.
    const holder = await connection(database);
    await holder.query("begin; lock table chat.logs in access exclusive mode");
    await workerOver(database.url, [TASKS, OWN]);
    for (let n = 0; n < 3; n++)
      await database.pool.query(`select legwork.enqueue('retention/expire', '{"table": "chat.logs", "olderThan": "1 day"}')`);
    await until("one job runs", async () => {
      const [queue] = await select("select running::int, blocked::int from legwork.queues where name = 'cleanup'");
      return queue?.running === 1 && queue.blocked === 2;
    });
    await holder.query("rollback");
    await until("all jobs have run", async () => (await getQueueStats(database.pool, "cleanup")).completed === 3);
    // Nothing listens on that port, so the job is retried after a second, with five attempts in total.
    configure({ LEGWORK_SMS_URL: "http://127.0.0.1:9/" });
    const { rows } = await database.pool.query(
      `select legwork.enqueue('notify/sms', '{"to": "+4366012345678", "text": "Hi"}') as id`,
    );
    const attempt = await until(
      "an attempt has failed",
      async () =>
        (
          await select(
            "select retry_at - finished_at between '0.4 s' and '3 s' as soon from legwork.attempts where job_id = $1 and finished_at is not null and retry_at is not null",
            rows[0].id,
          )
        )[0],
    );
    expect(attempt).toEqual({ soon: true });
  });

  it("E3 jobs are added, found and removed, queues are paused and resumed, and the statistics follow", async () => {
    await pauseQueue(database.pool, "report");
    await workerOver(database.url, [TASKS, OWN]);
    const before = await getQueueStats(database.pool, "report");
    const since = new Date().toISOString();
    const removed = await addJob(database.pool, "report", { type: "usage", params: { since } });
    const later = await addJob(
      database.pool,
      "report",
      { type: "audit", params: { since } },
      { runAt: new Date(Date.now() + 3_600_000) },
    );
    expect(await getJob(database.pool, "report", removed)).toMatchObject({ task: "chat/report", state: "paused" });
    expect(await getJob(database.pool, "cleanup", removed)).toBeNull();
    expect(await getQueueStats(database.pool, "report")).toEqual({ ...before, waiting: 1, delayed: 1, paused: true });
    expect(await removeJob(database.pool, "report", removed)).toBe(true);
    expect(await removeJob(database.pool, "cleanup", later)).toBe(false);
    expect(await getJob(database.pool, "report", removed)).toMatchObject({ state: "cancelled" });
    await resumeQueue(database.pool, "report");
    expect(await getQueueStats(database.pool, "report")).toMatchObject({ waiting: 0, delayed: 1, paused: false });
  });

  it("E4 messages, logs and files are deleted by age", async () => {
    const files = await directoryOf({ "old.png": "x", "new.png": "x" });
    const old = new Date(Date.now() - 40 * 86_400_000);
    await utimes(join(files, "old.png"), old, old);
    configure({ CHAT_FILES: files, LEGWORK_ALLOWED_FOLDERS: files });
    await database.pool.query(`
      insert into chat.users (name) values ('Ann');
      insert into chat.messages (user_id, body, created_at) select 1, 'm' || n, now() - make_interval(days => n * 10) from generate_series(0, 9) n;
      insert into chat.logs (event, created_at) select 'e', now() - make_interval(days => n * 10) from generate_series(0, 9) n`);
    await workerOver(database.url, [TASKS, OWN]);
    const messages = await addJob(database.pool, "cleanup", { type: "messages", age: "45 days" });
    expect(await handedOver(messages)).toMatchObject({ task: "retention/expire", state: "completed", result: { deleted: 5 } });
    const logs = await addJob(database.pool, "cleanup", { type: "logs", age: "75 days" });
    expect(await handedOver(logs)).toMatchObject({ state: "completed", result: { deleted: 2 } });
    const onDisk = await addJob(database.pool, "cleanup", { type: "files", age: "30 days" });
    expect(await handedOver(onDisk)).toMatchObject({ task: "retention/files", result: { deleted: 1 } });
    expect(await readdir(files)).toEqual(["new.png"]);
  });

  it("E4 tables are vacuumed, the search index is rebuilt, and expired cache entries are deleted", async () => {
    await database.pool.query(
      `insert into chat.cache values ('old', '1', now() - interval '1 hour'), ('new', '2', now() + interval '1 hour')`,
    );
    await workerOver(database.url, [TASKS, OWN]);
    const vacuum = await handedOver(await addJob(database.pool, "maintenance", { type: "vacuum" }));
    expect(vacuum).toMatchObject({ task: "maintenance/vacuum", state: "completed" });
    const reindex = await handedOver(await addJob(database.pool, "maintenance", { type: "reindex" }));
    expect(reindex.result.indexes.map(({ index }: { index: string }) => index)).toContain("chat.messages_words");
    await handedOver(await addJob(database.pool, "maintenance", { type: "cache" }));
    expect(await select("select key from chat.cache")).toEqual([{ key: "new" }]);
  });

  it("E4 a user is notified by e-mail, push and SMS, through real servers", async () => {
    const smtp = await smtpServer();
    const http = await httpServer((response) => response.end('{"id": "sms-1"}'));
    const keys = webPush.generateVAPIDKeys();
    configure({
      LEGWORK_ALLOWED_ADDRESSES: "127.0.0.1",
      LEGWORK_SMTP_URL: smtp.url,
      LEGWORK_MAIL_FROM: "Chat <chat@example.com>",
      LEGWORK_SMS_URL: `${http.url}/sms`,
      LEGWORK_WEB_PUSH_SUBJECT: "mailto:ops@example.org",
      LEGWORK_WEB_PUSH_PUBLIC_KEY: keys.publicKey,
      LEGWORK_WEB_PUSH_PRIVATE_KEY: keys.privateKey,
    });
    const subscription = {
      endpoint: `${http.url}/push`,
      keys: { p256dh: createECDH("prime256v1").generateKeys("base64url"), auth: randomBytes(16).toString("base64url") },
    };
    await database.pool.query(
      "insert into chat.users (name, email, phone, push_subscription) values ('Ann', 'ann@example.org', '+4366012345678', $1), ('Bob', null, null, null)",
      [JSON.stringify(subscription)],
    );
    await workerOver(database.url, [TASKS, OWN]);
    for (const type of ["email", "push", "sms"]) {
      const id = await addJob(database.pool, "notification", { type, userId: 1, message: "Hello Ann" });
      expect(await handedOver(id)).toMatchObject({ task: `notify/${type}`, state: "completed" });
    }
    expect(smtp.mails).toMatchObject([{ to: ["ann@example.org"] }]);
    expect(http.asked.map(({ path }) => path)).toEqual(["/push", "/sms"]);
    const nobody = await addJob(database.pool, "notification", { type: "sms", userId: 2, message: "Hello Bob" });
    const job = await until("the job has failed", async () => {
      const found = await getJob(database.pool, "notification", nobody);
      return found?.state === "failed" && found;
    });
    expect(job).toMatchObject({ attempts: 1, error: "User 2 cannot be reached by sms." });
  });

  it("E4 usage, audit and performance are reported", async () => {
    configure({ LEGWORK_REPORTS_FOLDER: join(CHAT, "reports") });
    await database.pool
      .query(`insert into chat.users (name) values ('Ann'); insert into chat.messages (user_id, body) values (1, 'a'), (1, 'b');
      insert into chat.logs (event) values ('login'), ('login'), ('logout')`);
    await workerOver(database.url, [TASKS, OWN]);
    const since = new Date(Date.now() - 3_600_000).toISOString();
    const report = async (type: string): Promise<Handed> =>
      await handedOver(await addJob(database.pool, "report", { type, params: { since, format: "json" } }));
    expect(JSON.parse((await report("usage")).result.content)).toMatchObject([{ messages: "2", writers: "1" }]);
    expect(JSON.parse((await report("audit")).result.content)).toMatchObject([
      { event: "login", times: "2" },
      { event: "logout", times: "1" },
    ]);
    const performance = JSON.parse((await report("performance")).result.content) as { task: string; jobs: string }[];
    expect(performance.find(({ task }) => task === "chat/report")).toMatchObject({ jobs: expect.any(String) });
  });

  it.each([
    ["cleanup", { type: "rooms", age: "1 day" }, "type"],
    ["maintenance", { type: "vacuum", full: true }, "full"],
    ["notification", { type: "email", userId: "1", message: "x" }, "userId"],
    ["report", { type: "usage", params: { since: "yesterday" } }, "params.since"],
  ] as const)("E5 invalid data for %s is rejected before it runs, and the field is named", async (queue, data, field) => {
    await workerOver(database.url, [TASKS, OWN]);
    await expect(addJob(database.pool, queue, data)).rejects.toMatchObject({
      code: "LW422",
      message: expect.stringContaining(field),
    });
    // If the job is enqueued from SQL, the data is rejected when the job starts.
    const [row] = await select("select legwork.enqueue($1, $2) as id", `chat/${queue}`, JSON.stringify(data));
    const job = await until("the job has failed", async () => {
      const found = await getJob(database.pool, queue, String(row?.id));
      return found?.state === "failed" && found;
    });
    expect(job).toMatchObject({ attempts: 1, error: expect.stringContaining(field) });
  });

  it("E5 a user gets at most 20 notifications a minute", async () => {
    await workerOver(database.url, [TASKS, OWN]);
    // A user that no other test has notified.
    await database.pool.query("insert into chat.users (id, name) overriding system value values (77, 'Eve')");
    for (let n = 0; n < 22; n++) await addJob(database.pool, "notification", { type: "sms", userId: 77, message: `m${n}` });
    const counts = async (): Promise<{ failed: number; blocked: number }> => {
      const [row] = await select(
        "select count(*) filter (where state = 'failed')::int as failed, count(*) filter (where state = 'blocked')::int as blocked from legwork.jobs where task = 'chat/notification' and payload ->> 'message' is not null and created_at > now() - interval '1 minute' and (state = 'blocked' or error = 'User 77 cannot be reached by sms.')",
      );
      return row as { failed: number; blocked: number };
    };
    await until("20 jobs have run and 2 are waiting", async () => {
      const { failed, blocked } = await counts();
      return failed >= 20 && blocked === 2;
    });
  });

  it("E2 cleanup, maintenance and reports are scheduled in a time zone, and fire at their times", async () => {
    await startChat(database.url, { CHAT_TIMEZONE: "Europe/Berlin" });
    expect(await select("select name, cron, timezone from legwork.schedules where name like 'chat-%' order by name")).toEqual([
      { name: "chat-cleanup", cron: "0 0 * * *", timezone: "Europe/Berlin" },
      { name: "chat-maintenance", cron: "0 0 * * 0", timezone: "Europe/Berlin" },
      { name: "chat-report", cron: "0 0 1 * *", timezone: "Europe/Berlin" },
    ]);
    const [next] = await select(
      "select next_at, (next_at at time zone 'Europe/Berlin')::time::text as local from legwork.schedules where name = 'chat-cleanup'",
    );
    expect(next?.local).toBe("00:00:00");
    await database.pool.query("select legwork_private.fire_schedules($1, 100, 'chat-cleanup')", [next?.next_at]);
    expect(
      await select(
        "select task, payload ->> 'type' as type from legwork.jobs where task = 'chat/cleanup' and finished_at is null",
      ),
    ).toEqual([{ task: "chat/cleanup", type: "messages" }]);
    // An unknown time zone is rejected at the start.
    await expect(startChat(database.url, { CHAT_TIMEZONE: "Mars/Phobos" })).rejects.toMatchObject({ code: "LW400" });
    await startChat(database.url, {});
  });

  it("E5 a viewer cannot change anything, and every operation is in the audit log with its actor", async () => {
    const server = await startRest(database);
    onTestFinished(() => server.stop());
    const as = async (role: string): Promise<Record<string, string>> => ({
      authorization: `Bearer ${await makeToken(database, role)}`,
    });
    expect((await rest(server, "POST", "/queues/report/pause", { reason: "no" }, await as("viewer"))).status).toBe(403);
    expect((await rest(server, "POST", "/queues/report/pause", { reason: "yes" }, await as("operator"))).status).toBe(200);
    expect((await getQueueStats(database.pool, "report")).paused).toBe(true);
    await resumeQueue(database.pool, "report");
    const id = await addJob(database.pool, "report", { type: "usage", params: {} });
    await removeJob(database.pool, "report", id);
    const log = await select(
      "select surface, operation, target from legwork.audit_log where target in ('report', $1) and operation not like '%limit%' and operation not like '%retry%' order by id desc limit 3",
      id,
    );
    expect(log.map(({ surface, target }) => `${String(surface)} ${String(target)}`)).toEqual([
      `sql ${id}`,
      "sql report",
      "rest report",
    ]);
  });

  it("E6 the worker's log lines have a time, a correlation id, a level, an event and a job", async () => {
    const lines: Record<string, unknown>[] = [];
    const worker = spawn(
      process.execPath,
      ["bin/legwork.js", "worker", "--tasks", TASKS, "--tasks", OWN, "--crontab", "/dev/null"],
      {
        env: { ...process.env, DATABASE_URL: database.url, LEGWORK_LOG_LEVEL: "debug" },
        stdio: ["ignore", "ignore", "pipe"],
      },
    );
    onTestFinished(() => void worker.kill("SIGKILL"));
    createInterface({ input: worker.stderr }).on("line", (text) => lines.push(JSON.parse(text) as Record<string, unknown>));
    const id = await addJob(database.pool, "maintenance", { type: "cache" }, { correlationId: "corr-1" });
    const failing = await addJob(
      database.pool,
      "notification",
      { type: "sms", userId: 404, message: "x" },
      { correlationId: "corr-2" },
    );
    await pauseQueue(database.pool, "report");
    const line = async (event: string, jobId?: string): Promise<Record<string, unknown>> =>
      await until(event, async () => lines.find((one) => one.event === event && (jobId === undefined || one.jobId === jobId)));
    for (const event of ["job_started", "job_completed"]) {
      expect(await line(event, id)).toMatchObject({
        level: expect.any(String),
        time: expect.any(String),
        correlationId: "corr-1",
        task: "chat/maintenance",
      });
    }
    expect(await line("job_completed", id)).toMatchObject({ level: "info", attempt: 1, durationMs: expect.any(Number) });
    expect(await line("job_failed", failing)).toMatchObject({
      level: "error",
      final: true,
      correlationId: "corr-2",
      msg: expect.stringContaining("user 404 does not exist"),
    });
    expect(await line("queue_paused")).toMatchObject({ level: "info", queue: "report" });
    await resumeQueue(database.pool, "report");
    expect(await line("queue_resumed")).toMatchObject({ queue: "report" });
  });

  it("E7 counters, a run time histogram, queue sizes and workers are exported to Prometheus", async () => {
    await workerOver(database.url, [TASKS, OWN]);
    const server = await startRest(database);
    onTestFinished(() => server.stop());
    await database.pool.query("update legwork_private.duties set every = '200 ms', due_at = now()");
    const ended = await handedOver(await addJob(database.pool, "maintenance", { type: "cache" }));
    expect(ended.state).toBe("completed");
    await addJob(database.pool, "notification", { type: "sms", userId: 404, message: "x" });
    await addJob(database.pool, "report", { type: "usage", params: {} }, { runAt: new Date(Date.now() + 3_600_000) });
    const text = await until("both jobs are counted", async () => {
      const answer = await fetch(`${server.url}/metrics`, { headers: { authorization: `Bearer ${restToken}` } });
      const body = await answer.text();
      return (
        /legwork_jobs_completed_total\{task="chat\/maintenance"\} [1-9]/.test(body) &&
        /legwork_jobs_failed_total\{task="chat\/notification"\} [1-9]/.test(body) &&
        /legwork_queue_jobs\{queue="report",state="scheduled"\} 1/.test(body) &&
        body
      );
    });
    expect(text).toMatch(/legwork_job_run_seconds_bucket\{.*task="chat\/maintenance"/);
    expect(text).toMatch(/legwork_workers \d/);
  });

  it("E8 one command stops the queues, empties them and removes the schedules", async () => {
    await addJob(database.pool, "report", { type: "usage", params: {} }, { runAt: new Date(Date.now() + 3_600_000) });
    await addJob(database.pool, "cleanup", { type: "logs", age: "1 day" });
    await database.pool.query(await readFile(join(CHAT, "sql/roll_back.sql"), "utf8"));
    expect(await select("select name from legwork.schedules where name like 'chat-%'")).toEqual([]);
    expect(
      await select(
        "select id from legwork.jobs where queue in ('cleanup', 'maintenance', 'notification', 'report') and finished_at is null",
      ),
    ).toEqual([]);
    expect(await select("select name from legwork.queues where paused_at is not null order by name")).toEqual(
      ["cleanup", "maintenance", "notification", "report"].map((name) => ({ name })),
    );
    for (const queue of ["cleanup", "maintenance", "notification", "report"] as const) await resumeQueue(database.pool, queue);
  });
});
