import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { chown, mkdir, readdir, rm, symlink, utimes, writeFile } from "node:fs/promises";
import { createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { beforeEach, describe, expect, it, onTestFinished } from "vitest";
import { enqueue } from "../../src/jobs/enqueue.ts";
import { testDatabase } from "../support/database.ts";
import { until } from "../support/until.ts";
import { directoryOf, workerOver } from "../support/worker.ts";
import { SAMPLE_USER, startProjects } from "../../examples/projects/start.ts";

const TASKS = resolve(import.meta.dirname, "../../examples/projects/tasks");
const database = testDatabase();

/** Clones are created in the temporary directory, so each test has its own. Jobs of earlier tests are ended, because a retry would clone into it too. */
beforeEach(async () => {
  await database.pool.query(
    "select graphile_worker.permanently_fail_jobs(array(select id from legwork.jobs where finished_at is null), 'The test is over.')",
  );
  const before = process.env.TMPDIR;
  const own = await directoryOf({});
  process.env.TMPDIR = own;
  return () => {
    if (before === undefined) delete process.env.TMPDIR;
    else process.env.TMPDIR = before;
  };
});

async function clones(): Promise<string[]> {
  return (await readdir(tmpdir())).filter((name) => name.startsWith("legwork-clone-"));
}

/** A git repository with one commit of the given files. */
async function repositoryOf(files: Record<string, string>): Promise<string> {
  const directory = await directoryOf(files);
  git(directory, "init", "--quiet", "--initial-branch=main");
  commit(directory);
  return directory;
}

function commit(directory: string): void {
  git(directory, "add", "--all");
  git(directory, "commit", "--quiet", "--allow-empty", "--message=Change");
}

function git(directory: string, ...parameters: string[]): string {
  const who = ["-c", "user.name=Test", "-c", "user.email=test@localhost", "-c", "core.hooksPath=/dev/null"];
  const env = { ...process.env, GIT_CONFIG_GLOBAL: "/dev/null", GIT_CONFIG_NOSYSTEM: "1" };
  return execFileSync("git", [...who, "-C", directory, ...parameters], { encoding: "utf8", env }).trim();
}

interface ProjectRow {
  id: string;
  name: string | null;
  task_count: number;
  completed_count: number;
  progress_percentage: string;
  found_plan_file: string | null;
  commit: string | null;
  processed_at: Date | null;
}

async function project(repositoryUrl: string): Promise<ProjectRow> {
  const { rows } = await database.pool.query<ProjectRow>("select * from projects.projects where repository_url = $1", [
    repositoryUrl,
  ]);
  return rows[0] as ProjectRow;
}

async function select(text: string, ...values: unknown[]): Promise<Record<string, unknown>[]> {
  return (await database.pool.query(text, values)).rows;
}

interface JobRow {
  id: string;
  state: string;
  attempts: number;
  result: Record<string, unknown> | null;
  error: string | null;
  parent_id: string | null;
  correlation_id: string | null;
  tenant: string | null;
}

/** The project's jobs of a task, the oldest first. */
async function jobs(projectId: string, task: string): Promise<JobRow[]> {
  const { rows } = await database.pool.query<JobRow>(
    `select id, state, attempts, result, error, parent_id, correlation_id, tenant from legwork.jobs
     where task = $1 and payload ->> 'projectId' = $2 order by id`,
    [task, projectId],
  );
  return rows;
}

/** Waits until this many jobs of the task have ended. Resolves to the last one. */
async function ended(projectId: string, task: string, count = 1): Promise<JobRow> {
  return await until(`${count} jobs of ${task} have ended`, async () => {
    const done = (await jobs(projectId, task)).filter(({ state }) => state === "completed" || state === "failed");
    return done.length >= count ? done.at(-1) : undefined;
  });
}

/** Starts the app with the repository as its sample and waits until it is processed, including its skills. */
async function processed(repositoryUrl: string): Promise<{ project: ProjectRow; processing: JobRow; skills: JobRow }> {
  await workerOver(database.url, [TASKS]);
  await startProjects(database.url, { PROJECTS_REPOSITORY: repositoryUrl });
  const { id } = await project(repositoryUrl);
  const processing = await ended(id, "project_processing");
  const skills = await ended(id, "skills_extraction");
  return { project: await project(repositoryUrl), processing, skills };
}

/** Starts the app and waits until an attempt at the sample project has failed. Resolves to its error. */
async function failure(repositoryUrl: string): Promise<{ id: string; error: string; state: string }> {
  await workerOver(database.url, [TASKS]);
  await startProjects(database.url, { PROJECTS_REPOSITORY: repositoryUrl });
  const { id } = await project(repositoryUrl);
  const job = await until("the job has failed", async () =>
    (await jobs(id, "project_processing")).find(({ error }) => error !== null),
  );
  return { id, error: job.error as string, state: job.state };
}

async function serverOf(listener: RequestListener): Promise<string> {
  const server = createServer(listener).listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}

const PLAN = `# Shop

- [x] Choose a name

## Checkout

- [ ] Take payments
  - [x] Cards
    1. [X] Visa
    2. [ ] *Mastercard* with \`3-D Secure\`
  - Wallets
    - [ ] Apple Pay
- no box
  - [x] Send a [receipt](https://example.org)

\`\`\`
- [ ] not a task but code
\`\`\`

Later
-----

* [x] Refunds
`;

describe("project_processing", () => {
  it("D2 a project's plan file becomes tasks and progress", async () => {
    const repository = await repositoryOf({ "PLAN.md": PLAN, "README.md": "- [ ] not this one" });
    const { project, processing } = await processed(pathToFileURL(repository).href);
    expect(processing).toMatchObject({
      state: "completed",
      attempts: 1,
      result: { tasks_count: 8, completed_count: 5, progress_percentage: 62.5, plan_file: "PLAN.md" },
      tenant: `projects-user-${SAMPLE_USER}`,
    });
    expect(project).toMatchObject({
      name: repository.split("/").at(-1),
      task_count: 8,
      completed_count: 5,
      progress_percentage: "62.50",
      found_plan_file: "PLAN.md",
      commit: git(repository, "rev-parse", "HEAD"),
      processed_at: expect.any(Date),
    });
    expect(
      await select("select title, done, section from projects.tasks where project_id = $1 order by position", project.id),
    ).toEqual([
      { title: "Choose a name", done: true, section: ["Shop"] },
      { title: "Take payments", done: false, section: ["Shop", "Checkout"] },
      { title: "Cards", done: true, section: ["Shop", "Checkout"] },
      { title: "Visa", done: true, section: ["Shop", "Checkout"] },
      { title: "Mastercard with 3-D Secure", done: false, section: ["Shop", "Checkout"] },
      { title: "Apple Pay", done: false, section: ["Shop", "Checkout"] },
      { title: "Send a receipt", done: true, section: ["Shop", "Checkout"] },
      { title: "Refunds", done: true, section: ["Shop", "Later"] },
    ]);
    expect(await clones()).toEqual([]);
  });

  it("D2 nested check boxes keep their parents", async () => {
    const repository = await repositoryOf({ "PLAN.md": PLAN });
    const { project } = await processed(repository);
    const rows = await select(
      `select t.title, t.depth, p.title as parent, t.line from projects.tasks t
       left join projects.tasks p on p.project_id = t.project_id and p.position = t.parent
       where t.project_id = $1 order by t.position`,
      project.id,
    );
    expect(rows.map(({ title, depth, parent, line }) => [title, depth, parent, line])).toEqual([
      ["Choose a name", 0, null, 3],
      ["Take payments", 0, null, 7],
      ["Cards", 1, "Take payments", 8],
      ["Visa", 2, "Cards", 9],
      ["Mastercard with 3-D Secure", 2, "Cards", 10],
      ["Apple Pay", 1, "Take payments", 12],
      ["Send a receipt", 0, null, 14],
      ["Refunds", 0, null, 23],
    ]);
  });

  it("D2 each start and each new URL processes the project again and replaces its tasks", async () => {
    const repository = await repositoryOf({ "PLAN.md": "- [ ] One\n- [ ] Two\n" });
    const { project: first } = await processed(repository);
    await writeFile(join(repository, "PLAN.md"), "- [x] Three\n");
    commit(repository);
    await startProjects(database.url, { PROJECTS_REPOSITORY: repository });
    await ended(first.id, "project_processing", 2);
    const titles = "select title, done from projects.tasks where project_id = $1 order by position";
    expect(await select(titles, first.id)).toEqual([{ title: "Three", done: true }]);
    expect(await project(repository)).toMatchObject({ id: first.id, task_count: 1, progress_percentage: "100.00" });

    const other = await repositoryOf({ "PLAN.md": "- [ ] Four\n" });
    await database.pool.query("update projects.projects set repository_url = $1 where id = $2", [other, first.id]);
    await ended(first.id, "project_processing", 3);
    expect(await select(titles, first.id)).toEqual([{ title: "Four", done: false }]);
    await ended(first.id, "skills_extraction", 3);
    // A job's own changes to the project do not enqueue another job.
    expect(await jobs(first.id, "project_processing")).toHaveLength(3);
  });

  it("D2 the processing that stored the tasks enqueues the skills job", async () => {
    const repository = await repositoryOf({ "PLAN.md": "- [ ] One\n" });
    const { processing, skills } = await processed(repository);
    expect(skills).toMatchObject({
      state: "completed",
      parent_id: processing.id,
      correlation_id: processing.id,
      tenant: `projects-user-${SAMPLE_USER}`,
    });
  });

  it.each([
    ["todo.md", { "todo.md": "- [ ] a", "README.md": "- [ ] b\n- [ ] c" }],
    ["README.md", { "PLAN.md": "Nothing to tick.", "README.md": "- [ ] b" }],
    ["docs/plans/q3.md", { "README.md": "Words.", "docs/plans/q3.md": "> - [ ] quoted" }],
    ["NOTES.md", { "NOTES.md": "1. [ ] numbered" }],
  ])("D2 the plan is found in %s", async (file, files) => {
    const repository = await repositoryOf(files);
    const { project, processing } = await processed(repository);
    expect(project).toMatchObject({ found_plan_file: file, task_count: 1 });
    expect(processing.result).toMatchObject({ plan_file: file, tasks_count: 1 });
  });

  it("D2 a named plan file takes precedence over the usual ones", async () => {
    const repository = await repositoryOf({ "PLAN.md": "- [ ] a", "work/plan.markdown": "- [x] b\n- [x] c" });
    const { project } = await processed(repository);
    await database.pool.query(
      "update projects.projects set plan_file = 'work/plan.markdown', refresh_requested_at = now() where id = $1",
      [project.id],
    );
    expect((await ended(project.id, "project_processing", 2)).result).toMatchObject({
      plan_file: "work/plan.markdown",
      tasks_count: 2,
    });
  });

  it("D2 a plan file outside the repository is not read", async () => {
    const outside = await directoryOf({ "secret.md": "- [ ] secret" });
    const repository = await repositoryOf({ "README.md": "Words." });
    await symlink(join(outside, "secret.md"), join(repository, "PLAN.md"));
    await symlink(outside, join(repository, "docs"));
    commit(repository);
    const { project } = await processed(repository);
    await database.pool.query("update projects.projects set plan_file = $1, refresh_requested_at = now() where id = $2", [
      join("..", "..", "..", outside, "secret.md"),
      project.id,
    ]);
    expect((await ended(project.id, "project_processing", 2)).result).toMatchObject({ plan_file: null, tasks_count: 0 });
    expect(await select("select from projects.tasks where project_id = $1", project.id)).toEqual([]);
  });

  it("D2 a repository without check boxes, and one without a commit, have no tasks and no progress", async () => {
    const repository = await repositoryOf({ "README.md": "Words.", "main.c": "int main;" });
    const { project, processing } = await processed(repository);
    const nothing = { tasks_count: 0, completed_count: 0, progress_percentage: 0, plan_file: null };
    expect(processing).toMatchObject({ state: "completed", result: nothing });
    expect(project).toMatchObject({ task_count: 0, progress_percentage: "0.00", found_plan_file: null });

    const empty = await directoryOf({});
    git(empty, "init", "--quiet");
    await database.pool.query("update projects.projects set repository_url = $1 where id = $2", [empty, project.id]);
    expect(await ended(project.id, "project_processing", 2)).toMatchObject({ state: "completed", result: nothing });
    await until(
      "the project was processed",
      async () => (await select("select from projects.projects where id = $1 and commit is null", project.id)).length > 0,
    );
  });

  it("D2 a checkout without a branch can be read", async () => {
    const repository = await repositoryOf({ "PLAN.md": "- [ ] One\n" });
    git(repository, "checkout", "--quiet", "--detach");
    expect((await processed(repository)).project.task_count).toBe(1);
  });

  it.skipIf(process.getuid?.() !== 0)("D2 a local repository of another user can be read", async () => {
    const repository = await repositoryOf({ "PLAN.md": "- [ ] One\n" });
    for (const path of [repository, join(repository, ".git")]) await chown(path, 65_534, 65_534);
    expect((await processed(pathToFileURL(repository).href)).project.task_count).toBe(1);
  });

  it("D2 the clone is removed if parsing fails", async () => {
    const repository = await repositoryOf({ "PLAN.md": "- [ ] One\n", "HUGE.md": "- [ ] x\n".repeat(40_000) });
    const { project: before } = await processed(repository);
    await database.pool.query("update projects.projects set plan_file = 'HUGE.md', refresh_requested_at = now() where id = $1", [
      before.id,
    ]);
    const job = await until("the second job has failed", async () =>
      (await jobs(before.id, "project_processing")).find(({ error }) => error !== null),
    );
    expect(job.error).toBe("The plan file HUGE.md is larger than 256 KiB.");
    expect(await clones()).toEqual([]);
    expect(await project(repository)).toMatchObject({ task_count: 1, found_plan_file: "PLAN.md" });
  });

  it("D2 a plan that cannot be stored leaves the previous tasks and progress", async () => {
    const repository = await repositoryOf({ "PLAN.md": "- [x] One\n" });
    const { project: before } = await processed(repository);
    await database.pool.query("alter table projects.tasks add constraint no_two check (title <> 'Two')");
    onTestFinished(async () => void (await database.pool.query("alter table projects.tasks drop constraint no_two")));
    await writeFile(join(repository, "PLAN.md"), "- [ ] One\n- [ ] Two\n");
    commit(repository);
    await startProjects(database.url, { PROJECTS_REPOSITORY: repository });
    const job = await until("the second job has failed", async () =>
      (await jobs(before.id, "project_processing")).find(({ error }) => error !== null),
    );
    expect(job.error).toContain("no_two");
    expect(await project(repository)).toMatchObject({
      task_count: 1,
      progress_percentage: "100.00",
      processed_at: before.processed_at,
    });
    expect(await select("select title, done from projects.tasks where project_id = $1", before.id)).toEqual([
      { title: "One", done: true },
    ]);
    expect(await jobs(before.id, "skills_extraction")).toHaveLength(1);
    expect(await clones()).toEqual([]);
  });

  it("D2 a worker that stops also ends git and removes the clone", async () => {
    const asked = Promise.withResolvers<void>();
    const closed = Promise.withResolvers<void>();
    const host = await serverOf((request) => {
      request.socket.once("close", () => closed.resolve());
      asked.resolve(); // Never responds.
    });
    const worker = await workerOver(database.url, [TASKS], { shutdownTimeout: 1_000 });
    await startProjects(database.url, { PROJECTS_REPOSITORY: `http://${host}/slow.git` });
    await asked.promise;
    expect(await clones()).toHaveLength(1);
    await worker.stop();
    await closed.promise;
    expect(await clones()).toEqual([]);
    const [job] = await jobs((await project(`http://${host}/slow.git`)).id, "project_processing");
    expect(job?.state).not.toBe("completed");
  });

  it("D2 the next run removes clones that a killed worker left behind", async () => {
    const old = join(tmpdir(), "legwork-clone-killed");
    const young = join(tmpdir(), "legwork-clone-working");
    for (const directory of [old, young]) {
      await mkdir(directory);
      await writeFile(join(directory, "file"), "");
    }
    await utimes(old, new Date(), new Date(Date.now() - 2 * 3_600_000));
    await processed(await repositoryOf({ "PLAN.md": "- [ ] One\n" }));
    expect(await clones()).toEqual(["legwork-clone-working"]);
    await rm(young, { recursive: true });
  });

  it("D2 an unknown repository fails with its URL in the error", async () => {
    const nowhere = join(tmpdir(), "no such repository");
    const { id, error } = await failure(nowhere);
    expect(error).toContain(`${nowhere} cannot be cloned: fatal: '${nowhere}' does not appear to be a git repository`);
    expect(await jobs(id, "skills_extraction")).toEqual([]);
    expect(await clones()).toEqual([]);
  });

  it("D2 credentials reach only the server that requests them", async () => {
    const seen = new Set<string | undefined>();
    const host = await serverOf((request, response) => {
      seen.add(request.headers.authorization);
      response
        .writeHead(request.headers.authorization === undefined ? 401 : 403, { "www-authenticate": "Basic realm=git" })
        .end();
    });
    const { id, error } = await failure(`http://s3cret:p4ss%40word@${host}/private.git`);
    expect([...seen]).toEqual([undefined, `Basic ${btoa("s3cret:p4ss@word")}`]);
    expect(error).toContain(`http://${host}/private.git cannot be cloned: `);
    const rows = await select(
      "select to_jsonb(a) as row from legwork.attempts a join legwork.jobs j on j.id = a.job_id where j.payload ->> 'projectId' = $1",
      id,
    );
    expect(rows.length).toBeGreaterThan(0);
    expect(JSON.stringify(rows)).not.toMatch(/s3cret|p4ss/);
  });

  it.each([
    ["a transport that runs a command", "ext::sh -c 'touch pwned'", "'ext::sh -c 'touch pwned'' is not a valid repository URL"],
    ["another transport", "fd::17", "'fd::17' is not a valid repository URL"],
    ["an option", "--upload-pack=touch pwned", "'--upload-pack=touch pwned' is not a valid repository URL"],
    ["an option as ssh's host", "ssh://-oProxyCommand=touch%20pwned/x", "is not a valid repository URL"],
    ["an option as ssh's user", "ssh://-oProxyCommand=x@host/x", "is not a valid repository URL"],
    ["an option in ssh's short form", "-oProxyCommand=x@host:x", "is not a valid repository URL"],
    ["a relative path", "../elsewhere", "'../elsewhere' is not a valid repository URL"],
    ["a file on another machine", "file://elsewhere/etc", "is not a valid repository URL"],
    ["another protocol, whose password is not shown", "ftp://user:s3cret@host/x", "This is not a valid repository URL"],
    [
      "a parameter, which git would show in the process list",
      "https://host/x.git?token=s3cret",
      "This is not a valid repository URL",
    ],
  ])("D2 %s as a URL is rejected at once", async (_what, address, message) => {
    const { error, state } = await failure(address);
    expect(state).toBe("failed");
    expect(error).toContain(message);
    expect(error).not.toContain("s3cret");
    expect(await readdir(tmpdir())).not.toContain("pwned");
  });

  it("D2 no code from a repository is run, and neither is code that the user's git configuration would run for it", async () => {
    const home = await directoryOf({ ".gitconfig": `[filter "evil"]\n\tsmudge = touch ${tmpdir()}/pwned; cat\n` });
    const before = process.env.HOME;
    process.env.HOME = home;
    onTestFinished(() => void (process.env.HOME = before));
    const repository = await repositoryOf({ "PLAN.md": "- [ ] One\n", ".gitattributes": "* filter=evil\n" });
    git(repository, "config", "uploadpack.packObjectsHook", `touch ${tmpdir()}/pwned; false`);
    await writeFile(join(repository, ".git/hooks/post-checkout"), `#!/bin/sh\ntouch ${tmpdir()}/pwned\n`, { mode: 0o755 });
    expect((await processed(repository)).project.task_count).toBe(1);
    expect(await readdir(tmpdir())).not.toContain("pwned");
  });

  it("D2 a plan made to keep the parser busy is abandoned, and the worker continues", async () => {
    const repository = await repositoryOf({ "PLAN.md": `- [ ] One\n\n${"[a](".repeat(60_000)}` });
    await workerOver(database.url, [TASKS]);
    await startProjects(database.url, { PROJECTS_REPOSITORY: repository });
    const { id } = await project(repository);
    const job = await until(
      "the job has failed",
      async () => (await jobs(id, "project_processing")).find(({ error }) => error !== null),
      25_000,
    );
    expect(job.error).toBe("The plan file PLAN.md cannot be read: parsing took longer than 10 seconds.");
    const [attempt] = await select("select error_name from legwork.attempts where job_id = $1", job.id);
    expect(attempt?.error_name).toBe("Error"); // Not WorkerLost.
    expect(await clones()).toEqual([]);
  });

  it("D2 a job for a deleted project fails at once", async () => {
    await workerOver(database.url, [TASKS]);
    const projectId = "00000000-0000-4000-8000-000000000000";
    await enqueue(database.pool, "project_processing", { projectId });
    expect(await ended(projectId, "project_processing")).toMatchObject({
      state: "failed",
      attempts: 1,
      error: `projectId: project ${projectId} does not exist.`,
    });
  });
});

describe("skills_extraction", () => {
  const SKILLS = "select kind, name, count, evidence from projects.skills where project_id = $1 order by kind, name";

  it("D3 skills are stored with their evidence", async () => {
    const repository = await repositoryOf({
      "package.json": JSON.stringify(
        { dependencies: { react: "19", "react-dom": "19" }, devDependencies: { vitest: "4" } },
        null,
        2,
      ),
      "web/package.json": '{"dependencies": {"react": "19"}}',
      "src/main.ts": "",
      "src/view.tsx": "",
      "node_modules/left-pad/index.js": "",
      Dockerfile: "FROM node:24\n",
    });
    const { project, skills } = await processed(repository);
    expect(skills).toMatchObject({ state: "completed", result: { skills_count: 6 } });
    expect(await select(SKILLS, project.id)).toEqual([
      {
        kind: "language",
        name: "TypeScript",
        count: 2,
        evidence: [
          { file: "src/main.ts", line: null, found: ".ts" },
          { file: "src/view.tsx", line: null, found: ".tsx" },
        ],
      },
      {
        kind: "library",
        name: "react",
        count: 2,
        evidence: [
          { file: "package.json", line: 3, found: '"react": "19",' },
          { file: "web/package.json", line: 1, found: '{"dependencies": {"react": "19"}}' },
        ],
      },
      { kind: "library", name: "react-dom", count: 1, evidence: [{ file: "package.json", line: 4, found: '"react-dom": "19"' }] },
      { kind: "library", name: "vitest", count: 1, evidence: [{ file: "package.json", line: 7, found: '"vitest": "4"' }] },
      { kind: "tool", name: "Docker", count: 1, evidence: [{ file: "Dockerfile", line: null, found: "Dockerfile" }] },
      {
        kind: "tool",
        name: "npm",
        count: 2,
        evidence: [
          { file: "package.json", line: null, found: "package.json" },
          { file: "web/package.json", line: null, found: "package.json" },
        ],
      },
    ]);
    const [row] = await select("select skills_processed_at from projects.projects where id = $1", project.id);
    expect(row?.skills_processed_at).toBeInstanceOf(Date);
    expect(await clones()).toEqual([]);
  });

  it("D3 each kind of manifest is read", async () => {
    const repository = await repositoryOf({
      "Cargo.toml":
        '[dependencies]\nserde = "1"\n[target."cfg(unix)".dependencies]\nnix = "0.30"\n[dev-dependencies.proptest]\nversion = "1"\n',
      "go.mod":
        "module x\n\nrequire github.com/jackc/pgx/v5 v5.7.0\n\nrequire (\n\tgolang.org/x/sync v0.10.0\n\tgolang.org/x/sys v0.1.0 // indirect\n)\n",
      "pyproject.toml":
        '[project]\ndependencies = ["fastapi>=0.100", "psycopg[binary]"]\n[dependency-groups]\ndev = ["pytest"]\n[tool.poetry.dependencies]\npython = "^3.12"\nhttpx = "*"\n',
      "requirements-dev.txt": "# tools\n-r requirements.txt\nruff==0.9 ; python_version > '3'\nhttps://example.org/x.whl\n",
      "composer.json": '{"require": {"php": ">=8", "laravel/framework": "^12"}}',
      Gemfile: 'source "https://rubygems.org"\ngem "rails", "~> 8"\n',
      ".github/workflows/ci.yml": "on: push\n",
      "deploy/main.tf": "",
    });
    const { project } = await processed(repository);
    const rows = await select(SKILLS, project.id);
    const names = (kind: string): string[] =>
      rows
        .filter((row) => row.kind === kind)
        .map((row) => String(row.name))
        .toSorted();
    expect(names("library")).toEqual(
      [
        "fastapi",
        "github.com/jackc/pgx/v5",
        "golang.org/x/sync",
        "httpx",
        "laravel/framework",
        "nix",
        "proptest",
        "psycopg",
        "pytest",
        "rails",
        "ruff",
        "serde",
      ].toSorted(),
    );
    expect(names("tool")).toEqual([
      "Bundler",
      "Cargo",
      "Composer",
      "GitHub Actions",
      "Go modules",
      "Python packaging",
      "Terraform",
      "pip",
    ]);
    expect(names("language")).toEqual(["HCL"]);
    expect(rows.find(({ name }) => name === "golang.org/x/sync")?.evidence).toEqual([
      { file: "go.mod", line: 6, found: "golang.org/x/sync v0.10.0" },
    ]);
  });

  it("D3 an invalid manifest still counts as evidence of its tool and affects nothing else", async () => {
    const repository = await repositoryOf({
      "package.json": "{ not json",
      "Cargo.toml": "[[[",
      "a.py": "",
      "requirements.txt": "flask\n",
    });
    const { project, skills } = await processed(repository);
    expect(skills.state).toBe("completed");
    const rows = await select(SKILLS, project.id);
    expect(rows.map(({ kind, name }) => `${String(kind)} ${String(name)}`)).toEqual([
      "language Python",
      "library flask",
      "tool Cargo",
      "tool npm",
      "tool pip",
    ]);
  });

  it("D3 the previous skills are replaced", async () => {
    const repository = await repositoryOf({ "a.py": "" });
    const { project } = await processed(repository);
    await rm(join(repository, "a.py"));
    await writeFile(join(repository, "a.go"), "");
    commit(repository);
    await startProjects(database.url, { PROJECTS_REPOSITORY: repository });
    await ended(project.id, "skills_extraction", 2);
    expect((await select(SKILLS, project.id)).map(({ name }) => name)).toEqual(["Go"]);
  });

  it("D3 files outside the repository are not read", async () => {
    const outside = await directoryOf({ "package.json": '{"dependencies": {"secret": "1"}}', "b.rs": "" });
    const repository = await repositoryOf({ "a.py": "" });
    await symlink(join(outside, "package.json"), join(repository, "package.json"));
    await symlink(outside, join(repository, "linked"));
    commit(repository);
    const { project } = await processed(repository);
    const rows = await select(SKILLS, project.id);
    expect(rows.map(({ kind, name }) => `${String(kind)} ${String(name)}`)).toEqual(["language Python", "tool npm"]);
  });
});

describe("startProjects", () => {
  it("D2 works before the first worker has started, and keeps the tasks that a worker has registered", async () => {
    const repository = await repositoryOf({ "PLAN.md": "- [ ] One\n" });
    await processed(repository);
    const tasks =
      "select name, description, payload_schema from legwork.tasks where name in ('project_processing', 'skills_extraction') order by name";
    const before = await select(tasks);
    expect(before.map(({ description }) => description)).toEqual([
      expect.stringContaining("plan file"),
      expect.stringContaining("languages"),
    ]);
    await Promise.all([
      startProjects(database.url, { PROJECTS_REPOSITORY: repository }),
      startProjects(database.url, { PROJECTS_REPOSITORY: repository }),
    ]);
    expect(await select(tasks)).toEqual(before);
    expect(await select("select from projects.projects where repository_url = $1", repository)).toHaveLength(1);
  });

  it("D2 uses this checkout as the sample, or the URL in PROJECTS_REPOSITORY", async () => {
    await startProjects(database.url, {});
    await startProjects(database.url, { PROJECTS_REPOSITORY: "https://example.org/named.git" });
    const checkout = pathToFileURL(`${resolve(import.meta.dirname, "../..")}/`).href;
    const rows = await select("select repository_url from projects.projects where repository_url = any ($1)", [
      checkout,
      "https://example.org/named.git",
    ]);
    expect(rows).toHaveLength(2);
    await expect(startProjects(database.url, { PROJECTS_PORT: "many" })).rejects.toThrow("PROJECTS_PORT");
  });
});
