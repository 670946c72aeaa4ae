import { existsSync } from "node:fs";
import { readdir, readFile } from "node:fs/promises";
import { describe, expect, it, onTestFinished } from "vitest";
import { operationsOn } from "../src/api/operations.ts";
import { waitingJobsOn } from "../src/api/waiting-jobs.ts";
import { ERRORS } from "../src/errors.ts";
import { ResultWaits } from "../src/jobs/result-waits.ts";
import { legwork } from "./support/cli.ts";
import { testDatabase, testLog } from "./support/database.ts";
import { runExample } from "./support/documented-examples.ts";
import { rest, startRest } from "./support/rest.ts";

const database = testDatabase();
/** For the requests in docs/reference/rest.md, which need a database with no other job than job 42. */
const restDatabase = testDatabase();
const read = (path: string): Promise<string> => readFile(new URL(`../${path}`, import.meta.url), "utf8");

it("docs/reference/errors.md lists every code with its meaning, status and exit code", async () => {
  const rows = [...(await read("docs/reference/errors.md")).matchAll(/^\| (LW\d+) \| (.+?) \| (\d+) \| (\d) \|$/gm)];
  const listed = Object.fromEntries(
    rows.map(([, code, title, status, exitCode]) => [code, { title, status: Number(status), exitCode: Number(exitCode) }]),
  );
  expect(listed).toEqual(ERRORS);
});

it("docs/reference/dependencies.md has a line for every dependency and for nothing else", async () => {
  const manifest = JSON.parse(await read("package.json"));
  const names = Object.keys({ ...manifest.dependencies, ...manifest.optionalDependencies, ...manifest.devDependencies });
  const listed = [...(await read("docs/reference/dependencies.md")).matchAll(/^\| `([^`]+)` \|/gm)].map((match) => match[1]);
  expect(new Set(listed)).toEqual(new Set(names));
  expect(listed).toHaveLength(names.length);
});

it("docs/guides/frameworks.md shows the code that scripts/try-frameworks.ts tries", async () => {
  const folder = new URL("adoption/frameworks/", import.meta.url);
  const parts = ["express", "fastify", "nest", "next/app/api", "next/lib", "next/pages"];
  const below = await Promise.all(parts.map((part) => readdir(new URL(part, folder), { recursive: true, withFileTypes: true })));
  const files = below
    .flat()
    .filter((entry) => entry.isFile())
    .map(({ parentPath, name }) => `${parentPath}/${name}`);
  const linesOf = (text: string): string[] => text.split("\n").map((line) => line.trim());
  const paths = [...files, new URL("database.ts", folder), new URL("next/next.config.mjs", folder)];
  const tried = new Set(linesOf((await Promise.all(paths.map((path) => readFile(path, "utf8")))).join("\n")));
  const blocks = [...(await read("docs/guides/frameworks.md")).matchAll(/```(?:typescript|js)\n\/\/ .+\n([\s\S]+?)```/g)];
  expect(blocks.length).toBeGreaterThanOrEqual(10);
  for (const [, code = ""] of blocks) for (const line of linesOf(code)) expect(tried).toContain(line);
});

it("docs/reference/configuration.md names every variable and its flag", async () => {
  const page = await read("docs/reference/configuration.md");
  const source =
    (await read("src/config.ts")) + (await read("tasks/@lib/settings.ts")).replaceAll(/^ {2}(LEGWORK_\w+):/gm, ': "$1"');
  const variables = [...source.matchAll(/: "((?:LEGWORK|DATABASE)_\w+)"/g)].map((match) => match[1]);
  expect(variables.length).toBeGreaterThan(8);
  for (const variable of variables) expect(page).toContain(`\`${variable}\``);
  const help = await Promise.all(["up", "worker"].map(async (command) => (await legwork([command, "--help"])).stdout));
  for (const [flag] of page.matchAll(/--[a-z][a-z-]+/g)) expect(help.join("")).toContain(flag);
});

it("links in the README and the documentation lead to files and headings that exist", async () => {
  const root = new URL("..", import.meta.url);
  const pages = [
    "README.md",
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    ...(await readdir(new URL("docs", root), { recursive: true })).filter(isPage).map((name) => `docs/${name}`),
  ];
  const broken: string[] = [];
  for (const page of pages) {
    for (const [, target = ""] of (await read(page)).matchAll(/\]\((?!https?:)([^)\s]+)\)/g)) {
      const { pathname, hash } = new URL(target, new URL(page, root));
      const linked = await readFile(pathname, "utf8").catch(() => undefined);
      if (linked === undefined || (hash !== "" && !anchorsOf(linked).includes(hash))) broken.push(`${page}: ${target}`);
    }
  }
  expect(broken).toEqual([]);
});

it("ARCHITECTURE.md names files and functions that exist, in at most 150 lines", async () => {
  const page = await read("ARCHITECTURE.md");
  const paths = [...page.matchAll(/`((?:sql|src|test|scripts|docs|tasks|examples|bench)\/[\w./-]*)`/g)].map(
    ([, path]) => path ?? "",
  );
  expect(paths.length).toBeGreaterThan(60);
  expect(paths.filter((path) => !existsSync(new URL(`../${path}`, import.meta.url)))).toEqual([]);
  const objects = [...page.matchAll(/`(legwork(?:_private)?\.\w+)(?:\(\))?`/g)].map(([, name]) => name ?? "");
  const { rows } = await database.pool.query(
    `select name from unnest($1::text[]) name where to_regclass(name) is null
       and not exists (select from pg_proc where format('%s.%s', pronamespace::regnamespace, proname) = name)`,
    // `legwork.actor` is a setting, not an object.
    [objects.filter((name) => name !== "legwork.actor")],
  );
  expect(rows).toEqual([]);
  expect(page.trimEnd().split("\n").length).toBeLessThanOrEqual(150);
});

/** Excludes docs/.vitepress, which holds the configuration and output of the site. */
const isPage = (name: string): boolean => /^(?!\.vitepress\/).+\.md$/.test(name);

/** The headings of a page in the form of link anchors: in lower case, without punctuation, with hyphens. */
function anchorsOf(page: string): string[] {
  return [...page.matchAll(/^#+ (.+)$/gm)].map(
    ([, heading = ""]) =>
      `#${heading
        .toLowerCase()
        .replaceAll(/[^\p{L}\p{N} _-]/gu, "")
        .replaceAll(" ", "-")}`,
  );
}

describe("the SQL of the documentation runs", () => {
  const documents = [
    "README.md",
    "docs/reference/sql.md",
    "docs/guides/enqueueing.md",
    "docs/guides/life-of-a-job.md",
    "docs/guides/limits.md",
    "docs/guides/schedules.md",
    "docs/guides/steps.md",
    "docs/guides/workflows.md",
    "docs/guides/access.md",
    "docs/reference/metrics.md",
    "docs/guides/alerts.md",
    "docs/guides/on-call.md",
  ];
  it.each(documents)("%s", async (path) => {
    await database.pool.query("drop table if exists users");
    await database.pool.query("create table users (id int, email text)");
    await database.pool.query(
      `select legwork_private.register_tasks('[{"name": "a"}, {"name": "b"}, {"name": "hello"}, {"name": "notify/email", "queue": "notification"}, {"name": "notify/welcome", "queue": "mail"}, {"name": "crm/sync"}, {"name": "health/probe"}, {"name": "retention/expire"}, {"name": "maintenance/backup"}]')`,
    );
    // The jobs that the pages refer to: 42 is waiting, and 43 has failed.
    await database.pool.query(`delete from graphile_worker._private_jobs`);
    await database.pool.query(
      `insert into graphile_worker._private_jobs (id, task_id, attempts) overriding system value
       select n, t.id, 0 from graphile_worker._private_tasks t, unnest(array[42, 43]) n where t.identifier = 'a'`,
    );
    await database.pool.query("select graphile_worker.permanently_fail_jobs(array[43])");
    await database.pool.query("select setval(pg_get_serial_sequence('graphile_worker._private_jobs', 'id'), 1000)");
    // The objects that the explain examples refer to: a schedule, workflow 7 and a worker.
    await database.pool.query("select legwork.schedule('daily-report', 'a', cron => '@daily')");
    if ((await database.pool.query("select from legwork.workflows where id = 7")).rowCount === 0) {
      await database.pool.query("select setval('legwork_private.run_ids', 6)");
      await database.pool.query(`select legwork.start_workflow('night', '{"load": {"task": "a"}}')`);
    }
    await database.pool.query(
      "insert into legwork_private.worker_processes (id, host, pid, concurrency, tasks, seen_at) values ('worker-1f2e3d', 'h', 1, 1, '{}', 'infinity') on conflict do nothing",
    );
    const blocks = [...(await read(path)).matchAll(/```sql\n([\s\S]+?)```/g)].map((match) => match[1] ?? "");
    expect(blocks.length).toBeGreaterThan(0);
    for (const block of blocks)
      await database.pool.query(block.replace("insert into users …;", "insert into users values (1, 'a@b.c');"));
  });
});

it("the TypeScript of docs/guides/enqueueing.md runs", async () => {
  await database.pool.query("drop table if exists users");
  await database.pool.query("create table users (id int, email text)");
  await database.pool.query(
    `select legwork_private.register_tasks('[{"name": "notify/email"}, {"name": "notify/welcome"}, {"name": "crm/sync"}]')`,
  );
  const blocks = [...(await read("docs/guides/enqueueing.md")).matchAll(/```ts\n([\s\S]+?)```/g)].map((match) => match[1] ?? "");
  expect(blocks.length).toBeGreaterThan(2);
  const client = await database.pool.connect();
  onTestFinished(() => client.release());
  // These ids differ from those in the tests above, because jobs of those tests may still be waiting for others.
  await database.pool.query("select setval(pg_get_serial_sequence('graphile_worker._private_jobs', 'id'), 5000)");
  // Completes the jobs whose results the page awaits.
  const completing = setInterval(
    () =>
      void database.pool.query(
        "select graphile_worker.complete_jobs(array(select id from legwork.jobs where id > 5000 and task = 'notify/welcome' and finished_at is null))",
      ),
    50,
  );
  const waits = new ResultWaits(database.pool, testLog);
  onTestFinished(async () => {
    clearInterval(completing);
    await waits.stop();
  });
  const legwork = { ...operationsOn(database.pool), jobs: waitingJobsOn(database.pool, waits), with: operationsOn };
  for (const block of blocks) await runExample(block, { legwork, client });
});

it("the requests in docs/reference/rest.md succeed", async () => {
  await restDatabase.pool.query(
    `select legwork_private.register_tasks('[{"name": "notify/email", "queue": "notification"}, {"name": "report/daily"}, {"name": "a"}]')`,
  );
  // Job 42 is inserted directly, and no other job may get its id.
  await restDatabase.pool.query("select setval(pg_get_serial_sequence('graphile_worker._private_jobs', 'id'), 1000)");
  await restDatabase.pool.query(
    "insert into graphile_worker._private_jobs (id, task_id) overriding system value select 42, t.id from graphile_worker._private_tasks t where t.identifier = 'a'",
  );
  const server = await startRest(restDatabase);
  onTestFinished(() => server.stop());
  const page = (await read("docs/reference/rest.md")).replaceAll("\\\n", "");
  const requests = [...page.matchAll(/^curl -s "\$LEGWORK_URL\/api\/v1(\S+)"(.*)$/gm)];
  expect(requests.length).toBeGreaterThan(20);
  for (const [line, path = "", options = ""] of requests) {
    const body = /-d '(.*)'/.exec(options)?.[1];
    const method = /-X (\w+)/.exec(options)?.[1] ?? (body === undefined ? "GET" : "POST");
    const key = /Idempotency-Key: ([\w-]+)/.exec(options)?.[1];
    const { status, text } = await rest(server, method, path, body, key === undefined ? {} : { "idempotency-key": key });
    expect([line, status < 300 ? "" : text]).toEqual([line, ""]);
  }
});
