import { createClient } from "graphql-ws";
import { resolve } from "node:path";
import { Pool } from "pg";
import { afterEach, beforeEach, describe, expect, it, onTestFinished } from "vitest";
import { WebSocket } from "ws";
import { createProjectsServer } from "../../examples/projects/server.ts";
import { type Projects, SAMPLE_USER, startProjects } from "../../examples/projects/start.ts";
import { testDatabase } from "../support/database.ts";
import { answerAsGit } from "../support/git-http.ts";
import { gitRepository } from "../support/git-repository.ts";
import { httpServer } from "../support/http-server.ts";
import { TASKS } from "../support/job.ts";
import { makeToken, rest, startRest } from "../support/rest.ts";
import { until } from "../support/until.ts";
import { workerOver } from "../support/worker.ts";

const OWN = resolve(import.meta.dirname, "../../examples/projects/tasks");
const BOB = "00000000-0000-4000-8000-000000000002";
const NOBODY = "00000000-0000-4000-8000-00000000ffff";
const database = testDatabase();

let app: Projects;
let ann: string;
let bob: string;

beforeEach(async () => {
  app = await startProjects(database.url, { PROJECTS_PORT: "0", PROJECTS_REPOSITORY: "/nowhere" });
  // Ends all other jobs, so that only the test's own jobs remain.
  await database.pool.query(`
    select graphile_worker.permanently_fail_jobs(array(select id from legwork.jobs where finished_at is null), 'The test is over.');
    select legwork.discard_jobs('{"task": "project_processing"}');
    delete from projects.projects;
    delete from legwork_private.quota_keys;
    insert into projects.users (id, email) values ('${BOB}', 'bob@example.com') on conflict do nothing`);
  ann = await makeToken(database, "operator", `projects-user-${SAMPLE_USER}`);
  bob = await makeToken(database, "operator", `projects-user-${BOB}`);
});
afterEach(() => app.stop());

// oxlint-disable-next-line typescript/no-explicit-any -- rows of every query
async function select(text: string, ...values: unknown[]): Promise<any[]> {
  return (await database.pool.query(text, values)).rows;
}

interface Answer {
  status: number;
  headers: Headers;
  // oxlint-disable-next-line typescript/no-explicit-any -- each route has its own
  body: any;
}

async function ask(method: "GET" | "POST" | "DELETE", path: string, token?: string): Promise<Answer> {
  const response = await fetch(`${app.url}${path}`, {
    method,
    headers: token === undefined ? {} : { authorization: `Bearer ${token}` },
  });
  return { status: response.status, headers: response.headers, body: await response.json() };
}

/** Adds a project and cancels the job that adding it enqueues, so that only the test's jobs remain. */
async function addProject(repositoryUrl: string, userId = SAMPLE_USER): Promise<string> {
  const [{ id }] = await select(
    "insert into projects.projects (user_id, repository_url) values ($1, $2) returning id",
    userId,
    repositoryUrl,
  );
  await select("select legwork.cancel_job(id) from legwork.jobs where payload ->> 'projectId' = $1", id);
  return id;
}

async function repository(): Promise<string> {
  return await gitRepository({ "PLAN.md": "- [x] One\n- [x] Two\n- [ ] Three\n", "package.json": "{}" });
}

/** Waits until its user sees that a job has this status. */
// oxlint-disable-next-line typescript/no-explicit-any -- each job has its own
async function becomes(status: string, id: string, token = ann): Promise<any> {
  return await until(`job ${id} is ${status}`, async () => {
    const { body } = await ask("GET", `/jobs/${id}/status`, token);
    return body.status === status && body;
  });
}

/** Resolves to the job once it has completed and its last progress is recorded, which may take a second. */
// oxlint-disable-next-line typescript/no-explicit-any -- each job has its own
async function completes(id: string): Promise<any> {
  await becomes("completed", id);
  return await until(`the last progress of job ${id} is recorded`, async () => {
    const { body } = await ask("GET", `/jobs/${id}/status`, ann);
    return body.progress.percent === 100 && body;
  });
}

/** A repository over HTTP that responds once its gate has been opened. */
async function gatedRepository(): Promise<{ url: string; open: () => void }> {
  const directory = await repository();
  const gate = Promise.withResolvers<void>();
  const { url } = await httpServer(async (response, asked) => {
    await gate.promise;
    response.end(answerAsGit(response, asked, directory));
  });
  return { url: `${url}/.git`, open: gate.resolve };
}

const MOMENT = expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d.*Z$/);

describe("projects", () => {
  it("D1 a job's record has its type, project, user, status, priority, times, result, error and retries", async () => {
    const projectId = await addProject(await repository());
    const { body } = await ask("POST", `/projects/${projectId}/refresh`, ann);
    const queued = {
      id: body.job_id,
      type: "refresh",
      status: "queued",
      project_id: projectId,
      user_id: SAMPLE_USER,
      priority: "high",
      created_at: MOMENT,
      started_at: null,
      completed_at: null,
      result: null,
      error: null,
      retry_count: 0,
      max_retries: 3,
      progress: { percent: null, message: null },
    };
    expect((await ask("GET", `/jobs/${body.job_id}/status`, ann)).body).toEqual(queued);
    await workerOver(database.url, [TASKS, OWN]);
    expect(await completes(body.job_id)).toEqual({
      ...queued,
      status: "completed",
      started_at: MOMENT,
      completed_at: MOMENT,
      result: { tasks_count: 3, completed_count: 2, progress_percentage: 66.67, plan_file: "PLAN.md" },
      progress: { percent: 100, message: "Done" },
    });
    // Jobs that no user requested have the other types, and the normal priority.
    await select("update projects.projects set refresh_requested_at = now() where id = $1", projectId);
    const records = await until("all jobs have completed", async () => {
      const rows = await select(
        "select type, status, priority, user_id, result from projects.jobs where project_id = $1 and status <> 'cancelled' order by id",
        projectId,
      );
      return rows.length === 4 && rows.every(({ status }) => status === "completed") && rows;
    });
    expect(records.map(({ type, priority, user_id }) => [type, priority, user_id])).toEqual([
      ["refresh", "high", SAMPLE_USER],
      ["skills_extraction", "normal", SAMPLE_USER],
      ["project_processing", "normal", SAMPLE_USER],
      ["skills_extraction", "normal", SAMPLE_USER],
    ]);
    expect(records[1].result).toEqual({ skills_count: 1 });
    // A failed attempt sets the error but does not end the job while attempts are left.
    const lost = await addProject("/nowhere");
    const failing = (await ask("POST", `/projects/${lost}/refresh`, ann)).body.job_id;
    const retried = await until("an attempt has failed", async () => {
      const { body: record } = await ask("GET", `/jobs/${failing}/status`, ann);
      return record.error !== null && record;
    });
    expect(retried).toMatchObject({ error: expect.stringContaining("/nowhere cannot be cloned"), completed_at: null });
  });

  it("D4 progress is visible while a job runs, by polling and by a subscription, and only to its own user", async () => {
    const { url, open } = await gatedRepository();
    const projectId = await addProject(url);
    const legwork = await startRest(database);
    onTestFinished(() => legwork.stop());
    await workerOver(database.url, [TASKS, OWN]);
    const { body } = await ask("POST", `/projects/${projectId}/refresh`, ann);
    const watch = (token: string): { job: Record<string, unknown> | null }[] => {
      const seen: { job: Record<string, unknown> | null }[] = [];
      const client = createClient({
        url: legwork.graphqlUrl.replace(/^http/, "ws"),
        webSocketImpl: WebSocket,
        connectionParams: { authorization: `Bearer ${token}` },
        retryAttempts: 0,
      });
      onTestFinished(() => client.dispose());
      client.subscribe<{ job: Record<string, unknown> | null }>(
        {
          query: "subscription ($id: BigInt!) { job(id: $id) { state progress progressMessage } }",
          variables: { id: body.job_id },
        },
        { next: ({ data }) => void (data && seen.push(data)), error: () => undefined, complete: () => undefined },
      );
      return seen;
    };
    const [anns, bobs] = [watch(ann), watch(bob)];
    await until("the clone has begun", async () => {
      const { body: record } = await ask("GET", `/jobs/${body.job_id}/status`, ann);
      return (
        record.status === "processing" && record.progress.percent === 10 && record.progress.message === "Cloning the repository"
      );
    });
    const during = { state: "running", progress: 10, progressMessage: "Cloning the repository" };
    await until("the subscriber has received the progress", () =>
      anns.some(({ job }) => job?.progressMessage === during.progressMessage),
    );
    expect(anns).toContainEqual({ job: during });
    open();
    expect(await completes(body.job_id)).toMatchObject({ progress: { percent: 100, message: "Done" } });
    await until("the subscriber has received the end", () => anns.at(-1)?.job?.progress === 100);
    expect(anns.at(-1)).toEqual({ job: { state: "completed", progress: 100, progressMessage: "Done" } });
    await until("the other subscriber has received a message", () => bobs.length > 0);
    expect(bobs.every(({ job }) => job === null)).toBe(true);
  });

  it("D5 a refresh is queued before other jobs, and the sixth request within five minutes is rejected with the time to wait", async () => {
    const projectId = await addProject(await repository());
    const other = await addProject(await repository());
    // An automatic job is enqueued first.
    const [{ id: early }] = await select(
      "insert into projects.projects (user_id, repository_url) values ($1, $2) returning id",
      BOB,
      await repository(),
    );
    // All requests are sent at once: the database counts them.
    const answers = await Promise.all(
      Array.from({ length: 8 }, (_one, index) => ask("POST", `/projects/${index % 2 === 0 ? projectId : other}/refresh`, ann)),
    );
    const accepted = answers.filter(({ status }) => status === 202);
    expect(accepted).toHaveLength(5);
    for (const { body } of accepted) {
      expect(body).toEqual({
        job_id: expect.stringMatching(/^\d+$/),
        status: "queued",
        message: "Project refresh queued",
      });
    }
    const refused = answers.filter(({ status }) => status === 429);
    expect(refused).toHaveLength(3);
    for (const { headers, body } of refused) {
      expect(body.error.code).toBe("LW429");
      expect(Number(headers.get("retry-after"))).toBeGreaterThan(290);
      expect(Number(headers.get("retry-after"))).toBeLessThanOrEqual(300);
    }
    // A rejected request leaves no rows, and another user has a separate quota.
    expect(await select("select from projects.refreshes")).toHaveLength(5);
    const bobs = await addProject(await repository(), BOB);
    expect((await ask("POST", `/projects/${bobs}/refresh`, bob)).status).toBe(202);
    // When the window has passed, requests are accepted again.
    await select("update legwork_private.quota_requests set requested_at = requested_at - interval '301 seconds'");
    expect((await ask("POST", `/projects/${projectId}/refresh`, ann)).status).toBe(202);
    await workerOver(database.url, [TASKS, OWN], { concurrency: 1, localQueueSize: 0 });
    const [normal] = await until("the automatic job has completed", async () => {
      const rows = await select("select started_at from projects.jobs where project_id = $1 and status = 'completed'", early);
      return rows.length > 0 && rows;
    });
    const asked = await select(
      `select project_id, count(*)::int as refreshes, min(started_at) as started_at from projects.jobs
       where type = 'refresh' and created_at > now() - interval '1 minute' and project_id = any ($1) group by project_id`,
      [projectId, other, bobs],
    );
    expect(asked).toHaveLength(3);
    expect(asked.reduce((total, { refreshes }) => total + refreshes, 0)).toBe(7);
    // Only the first refresh of each project is compared. The next ones wait for its end, and until then, the worker may take another job.
    for (const { started_at } of asked) expect(started_at.getTime()).toBeLessThan(normal.started_at.getTime());
  });

  it("D5 a project's jobs, the queue, a retry and a cancellation have the specified responses and status codes", async () => {
    const projectId = await addProject("/nowhere");
    const before = (await ask("GET", "/jobs/queue-status", ann)).body;
    // The next ids are 999 and 1000, which must not be compared as text.
    await select("select setval(pg_get_serial_sequence('graphile_worker._private_jobs', 'id'), 998)");
    const first = (await ask("POST", `/projects/${projectId}/refresh`, ann)).body.job_id;
    const second = (await ask("POST", `/projects/${projectId}/refresh`, ann)).body.job_id;
    const { status, body: listed } = await ask("GET", `/projects/${projectId}/jobs`, ann);
    expect(status).toBe(200);
    expect(listed.map(({ id }: { id: string }) => id).slice(0, 2)).toEqual([second, first]);
    expect(listed[0]).toEqual((await ask("GET", `/jobs/${second}/status`, ann)).body);
    // A waiting job can be cancelled, even twice. Other ended jobs cannot be cancelled, and only failed jobs can be retried.
    expect(await ask("DELETE", `/jobs/${second}`, ann)).toMatchObject({
      status: 200,
      body: { job_id: second, status: "cancelled", message: "Job cancelled" },
    });
    expect((await ask("GET", `/jobs/${second}/status`, ann)).body).toMatchObject({ status: "cancelled", completed_at: MOMENT });
    expect((await ask("DELETE", `/jobs/${second}`, ann)).status).toBe(200);
    expect(await ask("POST", `/jobs/${second}/retry`, ann)).toMatchObject({
      status: 409,
      body: { error: { code: "LW409", message: expect.stringContaining("cancelled") } },
    });
    expect((await ask("POST", `/jobs/${first}/retry`, ann)).status).toBe(409);
    const after = (await ask("GET", "/jobs/queue-status", ann)).body;
    expect(after).toEqual({ ...before, pending: before.pending + 1, cancelled: before.cancelled + 1, total: before.total + 2 });
    // A failed job keeps its id when it is retried, and gets all its attempts again.
    await select("select graphile_worker.permanently_fail_jobs(array[$1::bigint], 'The disk is full.')", first);
    expect((await ask("GET", `/jobs/${first}/status`, ann)).body).toMatchObject({ status: "failed", error: "The disk is full." });
    expect(await ask("POST", `/jobs/${first}/retry`, ann)).toMatchObject({
      status: 202,
      body: { job_id: first, status: "queued", message: "Job queued for retry" },
    });
    await select(
      "update projects.projects set plan_file = null, repository_url = $1 where id = $2",
      await repository(),
      projectId,
    );
    await workerOver(database.url, [TASKS, OWN]);
    expect(await becomes("completed", first)).toMatchObject({ error: null, result: { tasks_count: 3 } });
    expect(await ask("DELETE", `/jobs/${first}`, ann)).toMatchObject({ status: 409, body: { error: { code: "LW409" } } });
    // A running job is aborted.
    const { url } = await gatedRepository();
    await select("update projects.projects set repository_url = $1 where id = $2", url, projectId);
    const [{ id: running }] = await select("select max(id) as id from projects.jobs where project_id = $1", projectId);
    await becomes("processing", running);
    expect(await ask("DELETE", `/jobs/${running}`, ann)).toMatchObject({ status: 202, body: { status: "processing" } });
    await becomes("cancelled", running);
  });

  it("D5 another user's project and job are not found, and an invalid id is named", async () => {
    const projectId = await addProject(await repository());
    const { body } = await ask("POST", `/projects/${projectId}/refresh`, ann);
    const routes = [
      ["POST", `/projects/${projectId}/refresh`],
      ["GET", `/projects/${projectId}/jobs`],
      ["GET", `/jobs/${body.job_id}/status`],
      ["POST", `/jobs/${body.job_id}/retry`],
      ["DELETE", `/jobs/${body.job_id}`],
    ] as const;
    const elsewhere = await makeToken(database, "operator", "another-app");
    for (const [method, path] of routes) {
      expect((await ask(method, path)).status).toBe(401);
      expect((await ask(method, path, `lw_${"0".repeat(64)}`)).status).toBe(401);
      expect((await ask(method, path, elsewhere)).status).toBe(403);
      const refused = await ask(method, path, bob);
      expect(refused.status).toBe(404);
      // The message is the same as for an unknown id.
      const nowhere = await ask(method, path.replace(projectId, NOBODY).replace(body.job_id, "999999999"), bob);
      expect(refused.body.error.message.replace(projectId, NOBODY).replace(body.job_id, "999999999")).toBe(
        nowhere.body.error.message,
      );
    }
    expect((await ask("GET", `/jobs/${body.job_id}/status`, ann)).body.status).toBe("queued");
    expect((await ask("GET", "/jobs/queue-status", bob)).body.pending).toBe(0);
    expect((await ask("GET", "/projects", bob)).body).toEqual([]);
    const viewer = await makeToken(database, "viewer", `projects-user-${SAMPLE_USER}`);
    expect((await ask("GET", `/projects/${projectId}/jobs`, viewer)).status).toBe(200);
    expect((await ask("POST", `/projects/${projectId}/refresh`, viewer)).status).toBe(403);
    expect((await ask("DELETE", `/jobs/${body.job_id}`, viewer)).status).toBe(403);
    for (const path of ["/jobs/0/status", "/jobs/x/status", `/jobs/${"9".repeat(30)}/status`, "/projects/1/jobs"]) {
      expect(await ask("GET", path, ann)).toMatchObject({
        status: 400,
        body: { error: { code: "LW400", message: expect.stringMatching(/^(job|project)_id: /) } },
      });
    }
    expect((await ask("GET", "/elsewhere", ann)).status).toBe(404);
  });

  it("D5 Legwork's own REST API does not let a user read another user's project", async () => {
    const projectId = await addProject(await repository());
    const server = await startRest(database);
    onTestFinished(() => server.stop());
    await workerOver(database.url, [TASKS, OWN]);
    for (const task of ["project_processing", "skills_extraction"]) {
      const made = await rest(server, "POST", "/jobs", { task, payload: { projectId } }, { authorization: `Bearer ${bob}` });
      expect(made.status).toBe(201);
      expect(await becomes("failed", made.body.id, bob)).toMatchObject({
        retry_count: 0,
        error: expect.stringContaining("does not belong to"),
      });
    }
    expect((await ask("GET", `/projects/${projectId}/jobs`, ann)).body.map(({ status }: { status: string }) => status)).toEqual([
      "cancelled",
    ]);
  });

  it("D6 the page has a refresh button, its status and its history, and loads only its own files", async () => {
    const page = await fetch(`${app.url}/`);
    expect(page.status).toBe(200);
    const policy = page.headers.get("content-security-policy") ?? "";
    expect(policy).toContain("default-src 'none'");
    expect(policy).not.toMatch(/unsafe|\*|https?:/);
    expect(page.headers.get("x-content-type-options")).toBe("nosniff");
    const html = await page.text();
    expect(html).toContain('<html lang="en">');
    // The page has nothing that the policy would block: no inline script, style or event handler.
    expect(html).not.toMatch(/<style|\sstyle=|\son[a-z]+=|javascript:/i);
    expect([...html.matchAll(/<script[^>]*>([^<]*)/g)].map(([, inline]) => inline)).toEqual([""]);
    const parts = [...html.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, path]) => String(path));
    expect(parts).toEqual(["/page.css", "/page.js"]);
    const [style, script] = await Promise.all(parts.map((path) => fetch(`${app.url}${path}`)));
    expect(style?.headers.get("content-type")).toBe("text/css; charset=utf-8");
    expect(script?.headers.get("content-type")).toBe("text/javascript; charset=utf-8");
    const code = (await script?.text()) ?? "";
    // Every element that the script uses is in the page, and every field has a label.
    const ids = new Set([...html.matchAll(/\sid="([^"]+)"/g)].map(([, id]) => id));
    for (const [, id] of code.matchAll(/element\("([^"]+)"\)/g)) expect(ids).toContain(id);
    for (const [, id] of html.matchAll(/<(?:input|select)[^>]*\sid="([^"]+)"/g)) expect(html).toContain(`<label for="${id}"`);
    expect(html).toMatch(/<button id="refresh"[^>]*>Refresh</);
    expect(html).toContain('role="status"');
    expect(html).toMatch(/<progress [^>]*aria-label=/);
    expect(code).not.toMatch(/innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(/);
    // The page requests the projects and the history. After a refresh, it polls the job until it has ended, and then reads the history again.
    const directory = await repository();
    const projectId = await addProject(`file://user:s3cret@localhost${directory}`);
    await select("update projects.projects set repository_url = $1, name = null where id = $2", directory, projectId);
    await workerOver(database.url, [TASKS, OWN]);
    const { body: projects } = await ask("GET", "/projects", ann);
    expect(projects).toMatchObject([{ id: projectId, processed_at: null }]);
    expect(JSON.stringify(projects)).not.toContain(directory);
    const { body: accepted } = await ask("POST", `/projects/${projectId}/refresh`, ann);
    await becomes("completed", accepted.job_id);
    const [project] = (await ask("GET", "/projects", ann)).body;
    expect(project).toMatchObject({ task_count: 3, completed_count: 2, progress_percentage: 66.67, plan_file: "PLAN.md" });
    expect((await ask("GET", `/projects/${projectId}/jobs`, ann)).body).toContainEqual(
      expect.objectContaining({ id: accepted.job_id, type: "refresh", status: "completed" }),
    );
  });

  it("D7 health reports the queue, stuck jobs, workers and the database, but no user or project", async () => {
    expect(await ask("GET", "/health/jobs")).toMatchObject({
      status: 503,
      body: { status: "unhealthy", workers: 0, database_connected: true },
    });
    const { url, open } = await gatedRepository();
    const projectId = await addProject(url);
    await workerOver(database.url, [TASKS, OWN]);
    const { body } = await ask("POST", `/projects/${projectId}/refresh`, ann);
    await becomes("processing", body.job_id);
    const healthy = await ask("GET", "/health/jobs");
    expect(healthy).toMatchObject({
      status: 200,
      body: {
        status: "healthy",
        queue_status: { pending: 0, processing: 1 },
        stuck_jobs: 0,
        workers: 1,
        database_connected: true,
      },
    });
    expect(JSON.stringify(healthy.body)).not.toMatch(new RegExp(`${SAMPLE_USER}|${projectId}`));
    // Simulates that an hour has passed.
    await select(
      "update graphile_worker._private_jobs set locked_at = locked_at - interval '61 minutes' where id = $1",
      body.job_id,
    );
    expect(await ask("GET", "/health/jobs")).toMatchObject({ status: 200, body: { status: "degraded", stuck_jobs: 1 } });
    open();
    await becomes("completed", body.job_id);
    expect((await ask("GET", "/health/jobs")).body).toMatchObject({ status: "healthy", stuck_jobs: 0 });
    // The database cannot be reached.
    const gone = new Pool({ connectionString: "postgres://user@127.0.0.1:1/none" });
    const server = await createProjectsServer(gone);
    onTestFinished(async () => {
      await server.close();
      await gone.end();
    });
    const answer = await server.inject("/health/jobs");
    expect(answer.statusCode).toBe(503);
    expect(answer.json()).toEqual({
      status: "unhealthy",
      database_connected: false,
      error: expect.not.stringContaining("127.0.0.1"),
    });
  });

  it("D7 the cleanup schedule deletes records older than 30 days, and Legwork's history deletes the jobs", async () => {
    const projectId = await addProject(await repository());
    await select(
      `insert into projects.refreshes (job_id, project_id, requested_by, requested_at) values
        (-1, $1, 'old', now() - interval '31 days'), (-2, $1, 'young', now() - interval '29 days')`,
      projectId,
    );
    expect(await select("select sentence, task from legwork.schedules where name = 'projects/clean-up'")).toEqual([
      { sentence: expect.stringContaining("03:30"), task: "retention/expire" },
    ]);
    await workerOver(database.url, [TASKS, OWN]);
    const [{ id }] = await select("select legwork.run_schedule('projects/clean-up') as id");
    const job = await until(
      "the job has ended",
      async () => (await select("select * from legwork_private.finished_jobs where id = $1", id))[0],
    );
    expect(job).toMatchObject({ state: "completed", result: { deleted: 1 } });
    expect(await select("select requested_by from projects.refreshes where project_id = $1", projectId)).toEqual([
      { requested_by: "young" },
    ]);
    expect(await select("select value from legwork.settings where name = 'history_retention'")).toEqual([{ value: "30 days" }]);
  });
});
