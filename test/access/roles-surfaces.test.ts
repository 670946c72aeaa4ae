import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, it, onTestFinished } from "vitest";
import { listTokens } from "../../src/access/tokens.ts";
import { createLegwork, type Legwork, type LegworkOptions } from "../../src/embed.ts";
import { LegworkError } from "../../src/errors.ts";
import { listJobs } from "../../src/jobs/read-jobs.ts";
import { expectDocumented } from "../support/access-matrix.ts";
import { walkedCommands } from "../support/commands.ts";
import { type CliResult, legwork } from "../support/cli.ts";
import { testDatabase, testLog } from "../support/database.ts";
import { fillEveryState } from "../support/every-state.ts";
import { DATABASE_ROLES, type DatabaseRole, type RoleLogin, roleLogins } from "../support/role-logins.ts";
import { scaled } from "../support/slowness.ts";
import { directoryOf } from "../support/worker.ts";

const database = testDatabase();
const logins = roleLogins(database);
const loginOf = (role: DatabaseRole, kind: RoleLogin["kind"] = "plain"): RoleLogin =>
  logins.find((login) => login.role === role && login.kind === kind)!;

let filled: Awaited<ReturnType<typeof fillEveryState>>;
let headers: Record<string, string>;
let server: { url: string; stop(): Promise<void> };

beforeAll(async () => {
  const starting = startServer(loginOf("legwork_admin").url);
  filled = await fillEveryState(database.pool);
  const { rows } = await database.pool.query("select legwork.create_token('walk', 'admin') as token");
  headers = { authorization: `Bearer ${rows[0].token}`, "content-type": "application/json" };
  server = await starting;
});
afterAll(() => server.stop());

/** Starts `legwork server` as a separate process. Resolves once it listens. */
async function startServer(databaseUrl: string): Promise<typeof server> {
  const script = fileURLToPath(new URL("../../bin/legwork.js", import.meta.url));
  const dataDir = await mkdtemp(join(tmpdir(), "legwork-roles-"));
  const child = spawn(process.execPath, [script, "server", "--port", "0", "--data-dir", dataDir], {
    env: { PATH: process.env.PATH, DATABASE_URL: databaseUrl },
    stdio: ["ignore", "ignore", "pipe"],
  });
  const closed = once(child, "close");
  const stop = async (): Promise<void> => {
    child.kill("SIGKILL");
    await closed;
    await rm(dataDir, { recursive: true, force: true });
  };
  const lines: string[] = [];
  for await (const line of createInterface({ input: child.stderr })) {
    lines.push(line);
    const url = /Listening on (http:[^"]+)"/.exec(line)?.[1];
    if (url === undefined) continue;
    child.stderr.resume();
    // The server prints no warnings, for example about what this login cannot see.
    expect(lines.filter((one) => !one.startsWith("{"))).toEqual([]);
    return { url, stop };
  }
  throw new Error(`The server exited with this output: ${lines.join("\n")}`);
}

async function start(login: RoleLogin, options: LegworkOptions = {}): Promise<Legwork> {
  const legwork = await createLegwork({ databaseUrl: login.url, log: testLog, ...options });
  onTestFinished(() => legwork.stop());
  return legwork;
}

async function graphql(query: string): Promise<unknown> {
  const response = await fetch(`${server.url}/graphql`, { method: "POST", headers, body: JSON.stringify({ query }) });
  return await response.json();
}

it("`legwork server` starts as legwork_admin, and every page that it serves works with jobs in every state", async () => {
  const { paths } = (await (await fetch(`${server.url}/docs/json`)).json()) as { paths: Record<string, Record<string, unknown>> };
  const { acme } = filled;
  const { rows: started } = await database.pool.query(`select legwork.start_bulk_action('retry', '{"task": "free"}') as id`);
  const bulkAction: string = started[0].id;
  const named = (path: string): string =>
    path
      .replace("/workflows/{id}", `/workflows/${acme.runningFlow}`)
      .replace("/bulk-actions/{id}", `/bulk-actions/${bulkAction}`)
      .replace("/batches/{id}", `/batches/${acme.batch}`)
      .replace("/workers/{id}", "/workers/w")
      .replace("{id}", acme.awaiting[0] ?? "")
      .replace("/queues/{name}", "/queues/mail")
      .replace("/schedules/{name}", `/schedules/${acme.schedule}`)
      .replace("/alert-rules/{name}", "/alert-rules/error_rate")
      .replace("{name}", "limited");
  const pages = Object.keys(paths).filter((path) => paths[path]?.get !== undefined);
  expect(pages.length).toBeGreaterThan(20);
  // A worker with a heartbeat in the last ten seconds.
  await database.pool.query("select legwork_private.worker_beat('w', 'host', 1, 4, '{free}', '{}')");
  const ready = await fetch(`${server.url}/ready`, { headers });
  expect({ status: ready.status, text: await ready.text() }).toMatchObject({ status: 200 });
  const answers = await Promise.all(
    [...pages.map(named), "/metrics", "/health/details"].map(async (path) => {
      const response = await fetch(`${server.url}${path}`, { headers });
      return { path, status: response.status, text: await response.text() };
    }),
  );
  // `/health/details` responds with 503 if the system is unhealthy.
  const isWrong = ({ path, status }: { path: string; status: number }): boolean =>
    status !== 200 && !(path === "/health/details" && status === 503);
  expect(answers.filter(isWrong)).toEqual([]);
});

it("GraphQL as legwork_admin works with jobs in every state", async () => {
  const answer = (await graphql(`{ jobs(first: 200) { nodes { id state } } queues(first: 50) { nodes { name blocked } }
    tasks(first: 50) { nodes { name limits } } workers(first: 50) { nodes { id } } workflows(first: 50) { nodes { id state } }
    schedules(first: 50) { nodes { name } } alerts(first: 50) { nodes { id silenced } } auditLog(first: 50) { nodes { id } }
    job(id: ${filled.acme.awaiting[1]}) { state } }`)) as {
    errors?: unknown;
    data: { job: { state: string }; alerts: { nodes: { silenced: boolean }[] } };
  };
  expect(answer.errors).toBeUndefined();
  expect(answer.data.job.state).toBe("blocked");
  expect(answer.data.alerts.nodes.map(({ silenced }) => silenced)).toContain(true);
});

it("createLegwork with its defaults enqueues as legwork_enqueuer and runs jobs as legwork_worker", async () => {
  const enqueuer = await start(loginOf("legwork_enqueuer"));
  await expect(enqueuer.jobs.enqueue("walked", { n: 1 })).rejects.toMatchObject({ code: "LW404" });
  const tasks = await directoryOf({ "walked.ts": "export default async () => {};" });
  const worker = await start(loginOf("legwork_worker"), { worker: true, tasks: [tasks] });
  expect(worker.taskNames).toEqual(["walked"]);
  expect(await enqueuer.jobs.enqueue("walked", { n: 1 })).toMatch(/^\d+$/);
});

it("an operation that a login may not use is LW403 in TypeScript, REST and GraphQL", async () => {
  const hint =
    "This needs the role legwork_admin: grant legwork_admin to this login. docs/guides/access.md explains what it may do.";
  const refusal = await listTokens(loginOf("legwork_enqueuer").client).catch((error: unknown) => error);
  expect(refusal).toBeInstanceOf(LegworkError);
  expect(refusal).toMatchObject({ code: "LW403", hint });
  await database.pool.query("revoke select on legwork.audit_log, legwork_private.audit_log_page from legwork_admin");
  try {
    const page = await fetch(`${server.url}/api/v1/audit-log`, { headers });
    expect([page.status, await page.json()]).toEqual([403, expect.objectContaining({ code: "LW403", hint })]);
    expect(await graphql("{ auditLog(first: 1) { nodes { id } } }")).toMatchObject({
      errors: [{ extensions: { code: "LW403", hint } }],
    });
  } finally {
    await database.pool.query("select legwork_private.grant_roles()");
  }
});

it("an error for a login without a role says that it needs one", async () => {
  const name = loginOf("legwork_reader").name.replace("reader", "stranger");
  await database.pool.query(`create role ${name} login password 'of the test'`);
  onTestFinished(async () => void (await database.pool.query(`drop role ${name}`)));
  const url = new URL(database.url);
  url.username = name;
  url.password = "of the test";
  await expect(createLegwork({ databaseUrl: url.href, log: testLog })).rejects.toMatchObject({
    code: "LW403",
    hint: expect.stringContaining("Grant this login a Legwork role"),
  });
});

it("every login that may not migrate gets an error with the command to run", async () => {
  const { rows } = await database.pool.query(
    "delete from legwork.migrations where id = (select max(id) from legwork.migrations) returning *",
  );
  const [{ id, name, checksum }] = rows;
  try {
    for (const login of logins) {
      await expect(createLegwork({ databaseUrl: login.url, log: testLog })).rejects.toMatchObject({
        code: "LW511",
        message: `The database lacks the migration ${name}, and this login does not own the schema legwork.`,
        hint: "Run `legwork migrate` as its owner first.",
      });
    }
  } finally {
    await database.pool.query("insert into legwork.migrations (id, name, checksum) values ($1, $2, $3)", [id, name, checksum]);
  }
});

/** Runs commands one after the other, each with a login. */
async function session(asked: readonly { login: RoleLogin; run: readonly string[] }[]): Promise<CliResult[]> {
  const results: CliResult[] = [];
  for (const { login, run } of asked) results.push(await legwork([...run, "--database-url", login.url]));
  return results;
}

it("a command does what its role allows, or returns LW403 in one line with a fix", { timeout: scaled(120_000) }, async () => {
  const commands = walkedCommands(filled);
  // An operator also reads and enqueues, so it represents the other confined logins.
  const [operator, admin] = [loginOf("legwork_operator", "confined"), loginOf("legwork_admin", "confined")];
  const isForAdmins = (name: string): boolean => name.startsWith("token") || name === "audit";
  const asked = [...DATABASE_ROLES.map((role) => loginOf(role)), operator, admin].flatMap((login) =>
    commands.filter(({ name }) => login !== admin || isForAdmins(name)).map(({ name, run }) => ({ login, name, run })),
  );
  // The commands are split between two processes, because running them takes most of this test's time.
  const half = Math.ceil(asked.length / 2);
  const answers = (await Promise.all([session(asked.slice(0, half)), session(asked.slice(half))])).flat();
  const outcomeOf = (login: RoleLogin, name: string): CliResult =>
    answers[asked.findIndex((one) => one.login === login && one.name === name)]!;
  const isRefused = (login: RoleLogin, name: string): boolean => outcomeOf(login, name).stderr.includes("(LW403)");
  const wrong = asked.filter(({ login, name }) => {
    const { code, stderr } = outcomeOf(login, name);
    return isRefused(login, name)
      ? code !== 1 || !/^legwork: .+ \(LW403\)\nhint: .+\n$/.test(stderr)
      : code === 2 || (stderr !== "" && !/^legwork: .+ \(LW4\d\d\)\n/.test(stderr));
  });
  expect(wrong.map(({ login, name }) => [name, login.name, outcomeOf(login, name)])).toEqual([]);
  // `legwork doctor` reports a missing right as a finding, not as an error.
  const isUnable = (login: RoleLogin, name: string): boolean =>
    isRefused(login, name) || outcomeOf(login, name).stdout.includes("This login may not call legwork.doctor()");
  const cellOf = (name: string, role: DatabaseRole): string => {
    if (isUnable(loginOf(role), name)) return "";
    const isForAll = role !== "legwork_worker" && isRefused(isForAdmins(name) ? admin : operator, name);
    return isForAll ? "✓ all tenants" : "✓";
  };
  const table = commands.map(({ name }) => [`\`legwork ${name}\``].concat(DATABASE_ROLES.map((role) => cellOf(name, role))));
  expectDocumented("commands", ["command", ...DATABASE_ROLES.map((role) => role.slice("legwork_".length))], table);
  // A confined login reads its jobs from other views, which the command line selects automatically.
  expect(outcomeOf(operator, "jobs").stdout).toContain(filled.acme.awaiting[0]);
  expect(await listJobs(operator.client, { limit: 50 })).toEqual([]);
});
