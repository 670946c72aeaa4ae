import { beforeEach, describe, expect, it, onTestFinished } from "vitest";
import { createPool } from "../../src/db/pool.ts";
import { Live } from "../../src/server/graphql/live/topics.ts";
import { startServer } from "../../src/server/server.ts";
import { testDatabase, testLog } from "../support/database.ts";
import { empty } from "../support/empty.ts";
import { scaled } from "../support/slowness.ts";
import { tcpProxy } from "../support/tcp-proxy.ts";
import { until } from "../support/until.ts";
import { directoryOf, workerProcess } from "../support/worker.ts";

const database = testDatabase();

beforeEach(async () => {
  await database.pool.query("delete from graphile_worker._private_jobs");
  await empty(database.pool, "legwork_private.finished_jobs, legwork_private.failed_attempts, legwork_private.worker_processes");
  await database.pool.query("create table if not exists runs (job_id bigint, at timestamptz default clock_timestamp())");
  await empty(database.pool, "runs");
});

const TASKS = {
  "short.ts": `
    import { defineTask } from "legwork";
    export default defineTask({ run: async ({ ms }, { job, sql }) => {
      await sql\`insert into runs (job_id) values (\${job.id})\`;
      await new Promise((wake) => setTimeout(wake, ms ?? 0));
    } });`,
  "slow-statement.ts": `
    import { defineTask } from "legwork";
    export default defineTask({ retry: { attempts: 3, backoff: "fixed", delay: "100ms" }, run: async (_payload, { job, sql }) => {
      await sql\`insert into runs (job_id) values (\${job.id})\`;
      const [{ n }] = await sql\`select count(*)::int as n from runs where job_id = \${job.id}\`;
      if (n === 1) await sql\`select pg_sleep(300)\`;
    } });`,
};

async function addShort(jobs: number, ms = 0): Promise<void> {
  await database.pool.query(
    "select graphile_worker.add_job('short', json_build_object('ms', $2::int)) from generate_series(1, $1)",
    [jobs, ms],
  );
}

async function completed(): Promise<number> {
  const { rows } = await database.pool.query(
    "select count(*)::int as jobs from legwork_private.finished_jobs where state = 'completed'",
  );
  return rows[0].jobs;
}

describe("a pool whose connections have died silently", () => {
  it("rejects their statements within seconds and continues with new connections", async () => {
    const proxy = await tcpProxy(database.url);
    const pool = createPool(proxy.url, { log: testLog, max: 2, silentAfter: 300 });
    const client = await pool.connect();
    await client.query("begin");
    expect(proxy.silence()).toBe(1);
    await expect(client.query("select 1")).rejects.toThrow(/did not respond/);
    client.release(true);
    expect((await pool.query("select 1 as one")).rows).toEqual([{ one: 1 }]);
    await pool.end();
  });

  it("does not interrupt a statement that the server is executing, however long it takes", async () => {
    const proxy = await tcpProxy(database.url);
    const pool = createPool(proxy.url, { log: testLog, max: 2, silentAfter: 100 });
    const long = pool.query("select pg_sleep(3)");
    await until("the pool has checked the statement over another connection", () => proxy.opened >= 2);
    expect((await long).rows).toHaveLength(1);
    await pool.end();
  });

  it("ends although a connection does not close", async () => {
    const proxy = await tcpProxy(database.url);
    const pool = createPool(proxy.url, { log: testLog, max: 1 });
    await pool.query("select 1");
    proxy.silence();
    await pool.end();
  });
});

describe("a worker whose connections have all died silently", () => {
  it(
    "logs this, runs jobs again within 12 s, and ends on SIGTERM",
    async () => {
      const proxy = await tcpProxy(database.url);
      const worker = await workerProcess({ ...database, url: proxy.url }, await directoryOf(TASKS), {}, { stderr: "pipe" });
      let log = "";
      worker.stderr?.on("data", (data) => (log += data));
      await addShort(5);
      await until("jobs run", async () => (await completed()) === 5);
      expect(proxy.silence()).toBeGreaterThan(3);
      await addShort(5);
      await until("jobs run again", async () => (await completed()) === 10, 12_000);
      expect(log).toMatch(/connection did not respond/);
      // The connections die again, and this time the worker is stopped before it has recovered.
      proxy.silence();
      const stopped = performance.now();
      worker.kill("SIGTERM");
      await until("the worker has ended", () => worker.exitCode !== null || worker.signalCode !== null, 26_000);
      expect(performance.now() - stopped).toBeLessThan(scaled(26_000));
      expect(worker.exitCode).toBe(0);
    },
    scaled(60_000),
  );

  it(
    "ends no later than a second after its shutdown timeout while a job runs",
    async () => {
      const proxy = await tcpProxy(database.url);
      const worker = await workerProcess({ ...database, url: proxy.url }, await directoryOf(TASKS), {
        LEGWORK_SHUTDOWN_TIMEOUT: "1s",
      });
      await addShort(1, 60_000);
      await until("the job runs", async () => (await database.pool.query("select from runs")).rows.length === 1);
      proxy.silence();
      const stopped = performance.now();
      worker.kill("SIGTERM");
      await until("the worker has ended", () => worker.exitCode !== null || worker.signalCode !== null);
      // The scaled limit allows for processor time that other processes used.
      expect(performance.now() - stopped).toBeLessThan(scaled(3_000));
    },
    scaled(40_000),
  );

  it(
    "fails the attempt of a task whose statement gets no response, and runs another attempt",
    async () => {
      const proxy = await tcpProxy(database.url);
      await workerProcess({ ...database, url: proxy.url }, await directoryOf(TASKS));
      await database.pool.query("select graphile_worker.add_job('slow-statement', '{}')");
      await until("the job runs", async () => (await database.pool.query("select from runs")).rows.length === 1);
      await until("its statement is executing", async () => {
        const { rows } = await database.pool.query(
          "select pid from pg_stat_activity where query like '%pg_sleep(300)%' and state = 'active' and pid <> pg_backend_pid()",
        );
        return rows.length === 1;
      });
      expect(proxy.silence("legwork tasks")).toBeGreaterThan(0);
      // The server ends the statement, but the worker is not notified.
      await database.pool.query(
        "select pg_cancel_backend(pid) from pg_stat_activity where query like '%pg_sleep(300)%' and pid <> pg_backend_pid()",
      );
      await until("the job has completed", async () => (await completed()) === 1, 20_000);
      expect((await database.pool.query("select from legwork_private.failed_attempts")).rows).toHaveLength(1);
    },
    scaled(60_000),
  );
});

it(
  "a pause also applies to jobs that were fetched ahead if only the listening connection has died",
  async () => {
    const proxy = await tcpProxy(database.url);
    await workerProcess({ ...database, url: proxy.url }, await directoryOf(TASKS), {
      LEGWORK_CONCURRENCY: "2",
      LEGWORK_LOCAL_QUEUE_SIZE: "8",
    });
    await addShort(10, 1_500);
    await until("more jobs are fetched than run", async () => {
      const { rows } = await database.pool.query("select from graphile_worker._private_jobs where locked_at is not null");
      return rows.length > 5;
    });
    await until("two jobs run", async () => (await database.pool.query("select from runs")).rows.length === 2);
    expect(proxy.silence("legwork listener")).toBe(1);
    await database.pool.query("select legwork.pause_task('short')");
    const { rows } = await database.pool.query("select clock_timestamp() as at");
    await until("the running jobs have ended", async () => (await completed()) === 2);
    await until("the other jobs were returned to the queue", async () => {
      const left = await database.pool.query("select from graphile_worker._private_jobs where locked_at is not null");
      return left.rows.length === 0;
    });
    const late = await database.pool.query("select from runs where at > $1::timestamptz + interval '300 ms'", [rows[0].at]);
    expect(late.rows).toEqual([]);
    await database.pool.query("select legwork.resume_task('short')");
    await until("the other jobs have run", async () => (await completed()) === 10, 15_000);
  },
  scaled(40_000),
);

it(
  "a server whose connections have all died silently responds again within seconds, and stops in time",
  async () => {
    const proxy = await tcpProxy(database.url);
    const server = await startServer({
      databaseUrl: proxy.url,
      host: "127.0.0.1",
      port: 0,
      token: "a token of this test",
      log: testLog,
      shutdownTimeout: 1_000,
    });
    const ask = async (): Promise<number> => {
      const answer = await fetch(`${server.url}/api/v1/jobs`, { headers: { authorization: "Bearer a token of this test" } });
      await answer.body?.cancel();
      return answer.status;
    };
    expect(await ask()).toBe(200);
    proxy.silence();
    await until("the server responds again", async () => (await ask()) === 200, 12_000);
    proxy.silence();
    const hanging = ask().catch(() => undefined);
    const before = performance.now();
    await server.stop();
    // The scaled limit allows for processor time that other processes used.
    expect(performance.now() - before).toBeLessThan(scaled(4_000));
    await hanging;
  },
  scaled(40_000),
);

it(
  "a live view whose connections have died silently gets its data again",
  async () => {
    const proxy = await tcpProxy(database.url);
    const pool = createPool(proxy.url, { log: testLog, max: 2 });
    const live = new Live(pool, testLog);
    onTestFinished(async () => {
      await live.stop();
      await pool.end();
    });
    const watcher = live.watch({ kind: "overview" }, null);
    await watcher.next();
    proxy.silence();
    await addShort(1);
    const next = await Promise.race([
      watcher.next(),
      new Promise<undefined>((resolve) => setTimeout(() => resolve(undefined), scaled(15_000))),
    ]);
    expect(next).toMatchObject({ done: false });
  },
  scaled(40_000),
);
