import { spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { beforeAll, expect, it, onTestFinished } from "vitest";
import { listTokens } from "../../src/access/tokens.ts";
import { createLegwork, type LegworkOptions } from "../../src/embed.ts";
import { LegworkError } from "../../src/errors.ts";
import { listJobs } from "../../src/jobs/read-jobs.ts";
import { expectDocumented } from "../support/access-matrix.ts";
import { walkedCommands } from "../support/commands.ts";
import { testDatabase, testLog } from "../support/database.ts";
import { fillEveryState } from "../support/every-state.ts";
import { DATABASE_ROLES, type DatabaseRole, type RoleLogin, roleLogins } from "../support/role-logins.ts";
import { directoryOf } from "../support/worker.ts";

const database = testDatabase();
const logins = roleLogins(database);
const loginOf = (role: DatabaseRole, kind: RoleLogin["kind"] = "plain"): RoleLogin =>
  logins.find((login) => login.role === role && login.kind === kind)!;

let filled: Awaited<ReturnType<typeof fillEveryState>>;
let token: string;
beforeAll(async () => {
  filled = await fillEveryState(database.pool);
  token = (await database.pool.query("select legwork.create_token('walk', 'admin') as token")).rows[0].token;
});

async function start(login: RoleLogin, options: LegworkOptions = {}) {
  const legwork = await createLegwork({ databaseUrl: login.url, log: testLog, port: 0, ...options });
  onTestFinished(() => legwork.stop());
  return legwork;
}

/** The command line in a process of its own, until it has logged a message that fits. */
async function commandUntil(parameters: readonly string[], databaseUrl: string, message: RegExp): Promise<string> {
  const script = fileURLToPath(new URL("../../bin/legwork.js", import.meta.url));
  const dataDir = await mkdtemp(join(tmpdir(), "legwork-roles-"));
  const child = spawn(process.execPath, [script, ...parameters, "--data-dir", dataDir], {
    env: { PATH: process.env.PATH, DATABASE_URL: databaseUrl },
    stdio: ["ignore", "ignore", "pipe"],
  });
  onTestFinished(async () => {
    child.kill("SIGKILL");
    await rm(dataDir, { recursive: true, force: true });
  });
  const lines: string[] = [];
  for await (const line of createInterface({ input: child.stderr })) {
    lines.push(line);
    const found = message.exec(line);
    if (found !== null) {
      child.stderr.resume();
      // The schema of GraphQL is the same for every login, so there is nothing to warn of.
      expect(lines.filter((one) => !one.startsWith("{"))).toEqual([]);
      return found[1] ?? "";
    }
  }
  throw new Error(`It ended, having said: ${lines.join("\n")}`);
}

it("`legwork server` starts as legwork_admin, and every page that it serves answers in every state", async () => {
  const url = await commandUntil(["server", "--port", "0"], loginOf("legwork_admin").url, /Listening on (http:\S+?)"/);
  const headers = { authorization: `Bearer ${token}`, "content-type": "application/json" };
  const statusOf = async (path: string): Promise<string> => {
    const response = await fetch(`${url}${path}`, { headers });
    return `${response.status} ${path}${response.ok ? "" : ` ${await response.text()}`}`;
  };
  const { paths } = (await (await fetch(`${url}/docs/json`)).json()) as { paths: Record<string, Record<string, unknown>> };
  const named = (path: string): string =>
    path
      .replace("/workflows/{id}", `/workflows/${filled.acme.runningFlow}`)
      .replace("/batches/{id}", `/batches/${filled.acme.batch}`)
      .replace("/workers/{id}", "/workers/w")
      .replace("{id}", filled.acme.awaiting[0] ?? "")
      .replace("/queues/{name}", "/queues/mail")
      .replace("/schedules/{name}", `/schedules/${filled.acme.schedule}`)
      .replace("/alert-rules/{name}", "/alert-rules/error_rate")
      .replace("{name}", "limited");
  const pages = Object.keys(paths).filter((path) => paths[path]?.get !== undefined);
  const asked = [...pages.map(named), "/ready", "/metrics", "/health/details"];
  expect(pages.length).toBeGreaterThan(20);
  const answers = await Promise.all(asked.map(statusOf));
  // What the database finds unhealthy is said with 503 there.
  expect(answers.filter((answer) => !answer.startsWith("200") && !answer.startsWith("503 /health/details"))).toEqual([]);
  const query = `{ jobs(first: 200) { nodes { id state } } queues(first: 50) { nodes { name blocked } } tasks(first: 50) { nodes { name limits } }
    workers(first: 50) { nodes { id } } workflows(first: 50) { nodes { id state } } schedules(first: 50) { nodes { name } }
    alerts(first: 50) { nodes { id silenced } } auditLog(first: 50) { nodes { id } } job(id: ${filled.acme.awaiting[1]}) { state } }`;
  const body = JSON.stringify({ query });
  const answer = (await (await fetch(`${url}/graphql`, { method: "POST", headers, body })).json()) as {
    errors?: unknown;
    data: { job: { state: string }; alerts: { nodes: { silenced: boolean }[] } };
  };
  expect(answer.errors).toBeUndefined();
  expect(answer.data.job.state).toBe("blocked");
  expect(answer.data.alerts.nodes.map(({ silenced }) => silenced)).toContain(true);
});

it("createLegwork with its defaults enqueues as legwork_enqueuer, and works as legwork_worker", async () => {
  const enqueuer = await start(loginOf("legwork_enqueuer"));
  const id = await enqueuer.enqueue("walked", { n: 1 }).catch((error: unknown) => error);
  expect(id).toMatchObject({ code: "LW404" });
  const tasks = await directoryOf({ "walked.ts": "export default async () => {};" });
  const worker = await start(loginOf("legwork_worker"), { worker: true, tasks: [tasks] });
  expect(worker.tasks).toEqual(["walked"]);
  expect(await enqueuer.enqueue("walked", { n: 1 })).toMatch(/^\d+$/);
});

it("what the login of a server or a program may not do is LW403 in TypeScript, REST and GraphQL", async () => {
  const login = loginOf("legwork_enqueuer");
  const legwork = await start(login, { server: "listen", token: "of the test" });
  const hint = "This needs the role legwork_admin: grant legwork_admin to this login. docs/access.md says what it may do.";
  const refusal = await listTokens(legwork.pool).catch((error: unknown) => error);
  expect(refusal).toBeInstanceOf(LegworkError);
  expect(refusal).toMatchObject({ code: "LW403", hint });
  const headers = { authorization: "Bearer of the test", "content-type": "application/json" };
  const page = await fetch(`${legwork.url}/api/v1/tokens`, { headers });
  expect([page.status, await page.json()]).toEqual([403, expect.objectContaining({ code: "LW403", hint })]);
  const body = JSON.stringify({ query: "{ auditLog(first: 1) { nodes { id } } }" });
  const answer = await (await fetch(`${legwork.url}/graphql`, { method: "POST", headers, body })).json();
  expect(answer).toMatchObject({ errors: [{ extensions: { code: "LW403", hint } }] });
});

it("a login without any role is told to ask for one", async () => {
  const name = loginOf("legwork_reader").name.replace("reader", "nobody");
  await database.pool.query(`create role ${name} login password 'of the test'`);
  onTestFinished(async () => void (await database.pool.query(`drop role ${name}`)));
  const url = new URL(database.url);
  url.username = name;
  url.password = "of the test";
  await expect(createLegwork({ databaseUrl: url.href, log: testLog })).rejects.toMatchObject({
    code: "LW403",
    hint: expect.stringContaining("Grant this login a role of Legwork"),
  });
});

it("every login that may not migrate learns that it has to be done, and by which command", async () => {
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

interface CommandOutcome {
  code: number;
  stdout: string;
  stderr: string;
}

/** Runs commands one after the other in one process, each with a login. */
async function session(asked: readonly { login: RoleLogin; run: readonly string[] }[]): Promise<CommandOutcome[]> {
  const script = fileURLToPath(new URL("../support/cli-session.ts", import.meta.url));
  const commands = asked.map(({ login, run }) => [...run, "--database-url", login.url]);
  const child = spawn(process.execPath, [script, JSON.stringify(commands)], {
    env: { PATH: process.env.PATH, LEGWORK_LOG_LEVEL: "warn" },
    stdio: ["ignore", "pipe", "inherit"],
  });
  const outcomes: CommandOutcome[] = [];
  for await (const line of createInterface({ input: child.stdout })) outcomes.push(JSON.parse(line));
  return outcomes;
}

it("a command does what its role may, and else says LW403 in one line with what to do", { timeout: 60_000 }, async () => {
  const commands = walkedCommands(filled);
  // An operator reads and enqueues too, so that it stands for the other confined logins.
  const walked = [
    ...DATABASE_ROLES.map((role) => loginOf(role)),
    loginOf("legwork_operator", "confined"),
    loginOf("legwork_admin", "confined"),
  ];
  const outcomes = new Map<RoleLogin, CommandOutcome[]>();
  // Two processes, because most of the time is spent in them.
  const halves = [walked.slice(0, 4), walked.slice(4)];
  await Promise.all(
    halves.map(async (half) => {
      const all = await session(half.flatMap((login) => commands.map(({ run }) => ({ login, run }))));
      for (const [index, login] of half.entries())
        outcomes.set(login, all.slice(index * commands.length, (index + 1) * commands.length));
    }),
  );
  const wrong: unknown[] = [];
  const table: string[][] = [];
  for (const [index, { name }] of commands.entries()) {
    const isRefused = (login: RoleLogin): boolean => outcomes.get(login)?.[index]?.stderr.includes("(LW403)") === true;
    for (const login of walked) {
      const { code, stderr } = outcomes.get(login)![index]!;
      const isRight = isRefused(login)
        ? code === 1 && /^legwork: .+ \(LW403\)\n {2}.+\n$/.test(stderr)
        : code !== 2 && (stderr === "" || /^legwork: .+ \(LW4\d\d\)\n/.test(stderr));
      if (!isRight) wrong.push([name, login.name, code, stderr]);
    }
    const confined = loginOf(name.startsWith("token") || name === "audit" ? "legwork_admin" : "legwork_operator", "confined");
    table.push([
      `\`legwork ${name}\``,
      ...DATABASE_ROLES.map((role) => {
        if (isRefused(loginOf(role))) return "";
        return role !== "legwork_worker" && isRefused(confined) ? "✓ all tenants" : "✓";
      }),
    ]);
  }
  expect(wrong).toEqual([]);
  expectDocumented("commands", ["command", ...DATABASE_ROLES.map((role) => role.slice("legwork_".length))], table);
  const jobsOf = (login: RoleLogin): string => outcomes.get(login)![0]!.stdout;
  expect(jobsOf(loginOf("legwork_operator", "confined"))).toContain(filled.acme.awaiting[0]);
  expect(await listJobs(loginOf("legwork_operator", "confined").client, {})).toEqual([]);
});
