import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { chmod, mkdtemp, rm, stat } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import pg from "pg";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { legwork } from "./support/cli.ts";
import { testDatabase } from "./support/database.ts";
import { until } from "./support/until.ts";
import { directoryOf } from "./support/worker.ts";

const SCRIPT = fileURLToPath(new URL("../bin/legwork.js", import.meta.url));

interface Ready {
  databaseUrl: string;
  httpUrl: string;
  graphqlUrl: string;
  token: string;
  pid: number;
}

/** Runs `legwork up` in a separate process, like `npm start`. */
function up(dataDir: string, environment: Record<string, string> = {}, ...flags: string[]): ChildProcess {
  const { PATH = "", HOME = "" } = process.env;
  return spawn(process.execPath, [SCRIPT, "up", "--port", "0", "--data-dir", dataDir, ...flags], {
    env: { PATH, HOME, LEGWORK_LOG_LEVEL: "warn", ...environment },
    stdio: ["ignore", "ignore", "inherit"],
  });
}

const readyOf = (dataDir: string): Promise<Ready> =>
  until(
    `${dataDir}/ready.json exists`,
    () => {
      const path = join(dataDir, "ready.json");
      return existsSync(path) ? (JSON.parse(readFileSync(path, "utf8")) as Ready) : undefined;
    },
    30_000,
  );

const exitOf = (child: ChildProcess): Promise<number | null> =>
  new Promise((resolve) => child.once("exit", (code) => resolve(code)));

async function sql(ready: Ready, text: string, values: unknown[] = []): Promise<Record<string, unknown>[]> {
  const client = new pg.Client({ connectionString: ready.databaseUrl });
  await client.connect();
  try {
    return (await client.query(text, values)).rows;
  } finally {
    await client.end();
  }
}

async function graphql(ready: Ready, query: string): Promise<Record<string, never>> {
  const response = await fetch(ready.graphqlUrl, {
    method: "POST",
    headers: { "content-type": "application/json", authorization: `Bearer ${ready.token}` },
    body: JSON.stringify({ query }),
  });
  expect(response.status).toBe(200);
  return ((await response.json()) as { data: Record<string, never> }).data;
}

describe("legwork up with the embedded Postgres", () => {
  let dataDir = "";
  let child: ChildProcess;
  let ready: Ready;

  beforeAll(async () => {
    dataDir = await mkdtemp(join(tmpdir(), "legwork-up-"));
    // If the tests run as root, Postgres runs as another user, who needs access. Otherwise the cluster would be created elsewhere, and would stay
    // there.
    await chmod(dataDir, 0o755);
    child = up(dataDir);
    ready = await readyOf(dataDir);
  });
  afterAll(async () => {
    const exit = exitOf(child);
    if (child.exitCode === null && child.kill("SIGTERM")) await exit;
    await rm(dataDir, { recursive: true, force: true });
  });

  it("writes all URLs to ready.json, which only its owner can read", async () => {
    expect(ready).toEqual({
      databaseUrl: expect.stringMatching(/^postgres:\/\//),
      httpUrl: expect.stringMatching(/^http:\/\/127\.0\.0\.1:\d+/),
      graphqlUrl: expect.stringMatching(/\/graphql$/),
      token: expect.stringMatching(/^lw_.{32}$/),
      pid: child.pid,
    });
    expect((await stat(join(dataDir, "ready.json"))).mode & 0o777).toBe(0o600);
    expect((await fetch(`${ready.httpUrl.replace(/\/$/, "")}/health`)).status).toBe(200);
  });

  it("is found by `legwork dashboard`, which prints its URL with a token", async () => {
    const printed = await legwork(["dashboard", "--data-dir", dataDir]);
    expect(printed).toMatchObject({ code: 0, stdout: `${ready.httpUrl}/#token=${ready.token}\n` });
    const none = await legwork(["dashboard", "--data-dir", join(dataDir, "none")]);
    expect(none).toMatchObject({ code: 1, stderr: expect.stringContaining("LW503") });
  });

  it("clones and reads a real repository within seconds of its start", async () => {
    const done = await until(
      "both jobs have ended",
      async () => {
        const { jobs } = (await graphql(
          ready,
          '{ jobs(first: 50, filter: { queue: { equalTo: "default" } }) { nodes { id task state result } } }',
        )) as unknown as {
          jobs: { nodes: { task: string; state: string; result: Record<string, unknown> }[] };
        };
        const ended = jobs.nodes.filter(
          (job) => ["project_processing", "skills_extraction"].includes(job.task) && job.state === "completed",
        );
        return ended.length >= 2 ? ended : undefined;
      },
      20_000,
    );
    expect(done.find((job) => job.task === "project_processing")?.result).toMatchObject({ plan_file: "PLAN.md" });
    expect((await sql(ready, "select count(*)::int as tasks from projects.tasks"))[0]?.tasks).toBeGreaterThan(0);
    const listed = await legwork(["jobs", "--task", "project_processing", "--data-dir", dataDir]);
    expect(listed).toMatchObject({ code: 0, stdout: expect.stringContaining("completed") });
  });

  it("runs a job added in psql, and GraphQL shows it completed with its times", async () => {
    await sql(ready, "create table if not exists sessions (id int, created_at timestamptz)");
    await sql(ready, "insert into sessions values (1, now() - interval '40 days'), (2, now())");
    const [added] = await sql(
      ready,
      `select id from graphile_worker.add_job('retention/expire', '{"table": "sessions", "olderThan": "30 days"}')`,
    );
    const job = await until("the job has completed", async () => {
      const { job: found } = (await graphql(
        ready,
        `{ job(id: "${String(added?.id)}") { state result startedAt finishedAt } }`,
      )) as unknown as {
        job: { state: string; result: unknown; startedAt: string; finishedAt: string };
      };
      return found.state === "completed" ? found : undefined;
    });
    expect(job.result).toMatchObject({ deleted: 1 });
    expect(Date.parse(job.finishedAt)).toBeGreaterThanOrEqual(Date.parse(job.startedAt));
    expect(await sql(ready, "select id from sessions")).toEqual([{ id: 2 }]);
  });

  it("rejects a wrong password in one line that does not show it", async () => {
    const url = new URL(ready.databaseUrl);
    url.password = "guessed";
    const result = await legwork(["jobs"], { DATABASE_URL: url.href });
    expect(result).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/^legwork: The server at 127\.0\.0\.1:\d+ rejects user 'postgres'\. \(LW503\)\n.*\n$/),
    });
    expect(result.stderr).not.toContain("guessed");
  });

  it("rejects a second start on the same data directory, and names its owner", async () => {
    const second = await legwork(["up", "--port", "0", "--data-dir", dataDir]);
    expect(second).toMatchObject({ code: 1, stderr: expect.stringContaining(String(child.pid)) });
    expect(existsSync(join(dataDir, "ready.json"))).toBe(true);
  });

  it("loses no rows when it is killed with SIGKILL and started again", async () => {
    const [waiting] = await sql(ready, "select legwork.enqueue('health/probe', run_at => now() + interval '1 hour') as id");
    const before = await sql(ready, "select id, state, result from legwork_private.finished_jobs order by id");
    const exit = exitOf(child);
    child.kill("SIGKILL");
    await exit;
    child = up(dataDir);
    const old = ready.pid;
    ready = await until(
      "legwork up is ready again",
      async () => {
        const now = await readyOf(dataDir);
        return now.pid === old ? undefined : now;
      },
      30_000,
    );
    const after = await sql(
      ready,
      "select id, state, result from legwork_private.finished_jobs where id = any ($1) order by id",
      [before.map((row) => row.id)],
    );
    expect(after).toEqual(before);
    expect(await sql(ready, "select state from legwork.jobs where id = $1", [waiting?.id])).toEqual([{ state: "scheduled" }]);
  });

  it("ends with code 0 on SIGTERM, removes ready.json and stops its Postgres", async () => {
    const exit = exitOf(child);
    child.kill("SIGTERM");
    expect(await exit).toBe(0);
    expect(existsSync(join(dataDir, "ready.json"))).toBe(false);
    await expect(sql(ready, "select 1")).rejects.toMatchObject({ code: "ECONNREFUSED" });
  });
});

describe("legwork up on an existing database", () => {
  const database = testDatabase();
  const tasks = (): Promise<string> => directoryOf({ "tasks/hello.mjs": "export default async () => 'hello';" });

  async function started(...flags: string[]): Promise<{ child: ChildProcess; ready: Ready; dataDir: string }> {
    const dataDir = await mkdtemp(join(tmpdir(), "legwork-up-"));
    const child = up(dataDir, { DATABASE_URL: database.url }, ...flags);
    onTestFinished(async () => {
      const exit = exitOf(child);
      if (child.exitCode === null && child.kill("SIGTERM")) await exit;
      await rm(dataDir, { recursive: true, force: true });
    });
    return { child, ready: await readyOf(dataDir), dataDir };
  }

  it("starts no Postgres of its own, and runs the tasks in --tasks instead of the configured ones", async () => {
    const { ready, dataDir } = await started("--tasks", `${await tasks()}/tasks`);
    expect(ready.databaseUrl).toBe(database.url);
    expect(existsSync(join(dataDir, "postgres"))).toBe(false);
    // The examples are not installed in an existing database.
    expect(await sql(ready, "select from pg_namespace where nspname in ('demo', 'chat', 'projects')")).toEqual([]);
    const [added] = await sql(ready, "select id from graphile_worker.add_job('hello')");
    await until("the job has completed", async () => {
      const [job] = await sql(ready, "select state, result from legwork.jobs where id = $1", [added?.id]);
      return job?.state === "completed" && job.result === "hello";
    });
  });

  it("reports that its port is taken", async () => {
    const server = createServer().listen(0, "127.0.0.1");
    onTestFinished(() => void server.close());
    const { port } = (await until("the port is taken", () => server.address())) as { port: number };
    const dataDir = await directoryOf({});
    const result = await legwork(["up", "--port", String(port), "--data-dir", dataDir], { DATABASE_URL: database.url });
    expect(result).toMatchObject({ code: 1, stderr: expect.stringContaining("(LW513)") });
    expect(result.stderr).toContain(String(port));
    expect(existsSync(join(dataDir, "ready.json"))).toBe(false);
  });

  it("rejects a data directory of another program, and leaves it alone", async () => {
    const dataDir = await directoryOf({ "thesis.txt": "mine" });
    const result = await legwork(["up", "--data-dir", dataDir], { DATABASE_URL: database.url });
    expect(result).toMatchObject({ code: 1, stderr: expect.stringContaining("(LW512)") });
    expect(readFileSync(join(dataDir, "thesis.txt"), "utf8")).toBe("mine");
  });
});
