// Installs the package that would be published into fresh projects of different kinds and tries it there: module systems, compilers, versions of Node, servers,
// logins, poolers, TLS and addresses. Prints a table of all checks. Run `npm run package` first. Needs the npm registry, and Debian's postgresql-15,
// pgbouncer and openssl for the checks that name them; a check whose program is missing is shown as "not tried". `--short` takes a sample.
import assert from "node:assert/strict";
import { execFile, execFileSync } from "node:child_process";
import { chownSync, existsSync } from "node:fs";
import { chmod, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import fc from "fast-check";
import pg from "pg";
import { createPool } from "../src/db/pool.ts";
import { createLogger } from "../src/log.ts";
import { startTestDatabase } from "../src/testing.ts";
import { pgBouncer } from "../test/support/pgbouncer.ts";

const isShort = process.argv.includes("--short");
const CHECKOUT = fileURLToPath(new URL("..", import.meta.url));
const BINARIES = "/usr/lib/postgresql/15/bin";
const root = await mkdtemp(join(tmpdir(), "legwork-adoption-"));
await chmod(root, 0o755);
const BIN = join(root, "node_modules/legwork/bin/legwork.js");
/** Settings and npm's variables belong to the project that this script runs in. */
const inherited = Object.entries(process.env).filter(
  ([name]) =>
    !/^(DATABASE_URL$|NODE_(OPTIONS|ENV|PATH|COMPILE_CACHE)$|LEGWORK_|npm_(lifecycle|package|config_local_prefix))/.test(name),
);

interface Result {
  code: number;
  stdout: string;
  stderr: string;
}

function run(program: string, parameters: readonly string[], cwd = root, more: Record<string, string> = {}): Promise<Result> {
  const env = { ...Object.fromEntries(inherited), NO_COLOR: "1", LEGWORK_LOG_LEVEL: "error", ...more };
  return new Promise((resolve) => {
    execFile(program, parameters, { cwd, env, maxBuffer: 1e8, timeout: 300_000 }, (error, stdout, stderr) =>
      resolve({ code: error === null ? 0 : Number(error.code ?? 1), stdout, stderr }),
    );
  });
}

async function succeed(
  program: string,
  parameters: readonly string[],
  cwd = root,
  more: Record<string, string> = {},
): Promise<string> {
  const { code, stdout, stderr } = await run(program, parameters, cwd, more);
  assert.equal(code, 0, `${program} ${parameters.join(" ")}: ${stdout}${stderr}`);
  return stdout;
}

async function project(name: string, files: Record<string, string>): Promise<string> {
  for (const [file, text] of Object.entries(files)) {
    await mkdir(dirname(join(root, name, file)), { recursive: true });
    await writeFile(join(root, name, file), text);
  }
  return join(root, name);
}

class NotTried extends Error {}

const results: { area: string; check: string; outcome: string }[] = [];

async function check(area: string, name: string, act: () => Promise<unknown>): Promise<void> {
  const outcome = await act().then(
    () => "fine",
    (error: Error) => (error instanceof NotTried ? `not tried: ${error.message}` : `WRONG: ${error.message}`),
  );
  results.push({ area, check: name, outcome });
  console.log(`${outcome === "fine" ? "✓" : "✗"} ${area}: ${name}${outcome === "fine" ? "" : ` ${outcome.slice(0, 1_000)}`}`);
}

const need = (path: string): void => {
  if (!existsSync(path)) throw new NotTried(`${path} is missing`);
};

// Projects --------------------------------------------------------------------------------------------------------------------------------------

const TASK = `{ run: async ({ n }) => ({ n, node: process.versions.node }) }`;
const ESM = `import { defineTask } from "legwork";\nexport default defineTask(${TASK});\n`;
const CJS = `const { defineTask } = require("legwork");\nmodule.exports = defineTask(${TASK});\n`;
const TYPED = `import { defineTask } from "legwork";\nimport { z } from "zod";\nimport { double } from "./@lib/double.js";
export default defineTask({ payload: z.object({ n: z.number() }), run: async ({ n }): Promise<{ n: number }> => ({ n: double(n) / 2 }) });\n`;
const DOUBLE = "export const double = (n: number): number => n * 2;\n";
const isolated = (source: string, isolate: string): string => source.replace("{ run", `{ isolate: "${isolate}", run`);

/** Task files for each module system, in a project of either type. */
const TASKS: Record<string, string> = {
  "mts.mts": ESM,
  "mjs.mjs": ESM,
  "cjs.cjs": CJS,
  "cts.cts": CJS,
  "import-ts.ts": ESM,
  "import-js.js": ESM,
  "typed.ts": TYPED,
  "@lib/double.ts": DOUBLE,
  "thread.mts": isolated(ESM, "thread"),
  "process.cts": isolated(CJS, "process"),
  "plain.mjs": "export default async ({ n }) => ({ n });\n",
};
const REQUIRED = { "require-ts.ts": CJS, "require-js.js": CJS };
const prefixed = (files: Record<string, string>): Record<string, string> =>
  Object.fromEntries(Object.entries(files).map(([name, text]) => [`tasks/${name}`, text]));

const ENQUEUE = `const legwork = await createLegwork();
  const id = await legwork.jobs.enqueue("mts", { n: 1 });
  console.log((await legwork.jobs.get(id)).payload.n);
  await legwork.stop();\n`;

/** Runs each task once with a worker of this Node, and expects all to complete. */
async function runTasks(
  node: string,
  directory: string,
  databaseUrl: string,
  names: readonly string[],
  tasks = "tasks",
): Promise<void> {
  const env = { DATABASE_URL: databaseUrl };
  const worker = ["--disable-warning=DEP0169", BIN, "worker", "--once", "--tasks", tasks];
  await succeed(node, worker, directory, env);
  const client = new pg.Client(databaseUrl);
  await client.connect();
  try {
    const ids = [];
    for (const name of names) ids.push((await client.query("select legwork.enqueue($1, '{\"n\": 4}') as id", [name])).rows[0].id);
    await succeed(node, worker, directory, env);
    const { rows } = await client.query("select task, state, result ->> 'n' as n, error from legwork.jobs where id = any ($1)", [
      ids,
    ]);
    for (const row of rows) assert.deepEqual([row.task, row.state, row.n], [row.task, "completed", "4"], String(row.error));
    assert.equal(rows.length, names.length);
  } finally {
    await client.end();
  }
}

const namesOf = (files: Record<string, string>): string[] =>
  Object.keys(files)
    .filter((name) => !name.startsWith("@"))
    .map((name) => name.replace(/\.\w+$/, ""));

async function tryProjects(databaseUrl: string): Promise<void> {
  const env = { DATABASE_URL: databaseUrl };
  const esm = await project("esm", {
    "package.json": '{"type": "module"}',
    "enqueue.mjs": `import { createLegwork } from "legwork";\n${ENQUEUE}`,
    ...prefixed(TASKS),
  });
  const cjs = await project("cjs", {
    "package.json": '{"type": "commonjs"}',
    "enqueue.cjs": `const { createLegwork } = require("legwork");\n(async () => { ${ENQUEUE} })();`,
    "worker.cjs": `const { createLegwork } = require("legwork");\ncreateLegwork({ worker: true }).catch((error) => { console.log(error.code); process.exit(0); });`,
    ...prefixed({ ...TASKS, ...REQUIRED }),
  });
  const versions = isShort ? ["24", "22", "20"] : ["24", "22", "20"];
  const nodes = new Map<string, string>();
  for (const version of versions) {
    const directory = await project(`node-${version}`, { "package.json": "{}" });
    await succeed("npm", ["install", "--prefer-offline", "--no-audit", "--no-fund", `node@${version}`], directory);
    nodes.set(version, join(directory, "node_modules/node/bin/node"));
  }
  for (const [version, node] of nodes) {
    if (version !== "20") {
      const names = namesOf(TASKS);
      await check(`Node ${version}`, `ES modules: ${names.length} kinds of task files`, () =>
        runTasks(node, esm, databaseUrl, names),
      );
      const both = namesOf({ ...TASKS, ...REQUIRED });
      await check(`Node ${version}`, `CommonJS: ${both.length} kinds of task files`, () =>
        runTasks(node, cjs, databaseUrl, both),
      );
    } else {
      await check("Node 20", "a worker says which Node it needs", async () =>
        assert.equal((await succeed(node, ["worker.cjs"], cjs, env)).trim(), "LW518"),
      );
      await check("Node 20", "the command says which Node it needs", async () =>
        assert.match((await run(node, [BIN, "jobs"], esm, env)).stderr, /^legwork: Node 20\.\S+ is too old\..+22\.19/),
      );
    }
    await check(`Node ${version}`, "enqueue with import", async () =>
      assert.equal(await succeed(node, ["enqueue.mjs"], esm, env), "1\n"),
    );
    await check(`Node ${version}`, "enqueue with require", async () =>
      assert.equal(await succeed(node, ["enqueue.cjs"], cjs, env), "1\n"),
    );
  }
  await tryTypeScript(databaseUrl, nodes.get("24") ?? process.execPath);
}

async function tryTypeScript(databaseUrl: string, node: string): Promise<void> {
  const source = {
    "src/tasks/typed.ts": TYPED,
    "src/tasks/@lib/double.ts": DOUBLE,
    "src/wrong.ts": 'import { enqueue } from "legwork";\nenqueue(1);\n',
  };
  for (const [module, resolution, type] of [
    ["node16", "node16", "module"],
    ["nodenext", "nodenext", "module"],
    ["nodenext", "nodenext", "commonjs"],
    ["esnext", "bundler", "module"],
  ] as const) {
    const name = `${resolution}, "type": "${type}"`;
    const directory = await project(`ts-${module}-${type}`, {
      "package.json": `{"type": "${type}"}`,
      "tsconfig.json": JSON.stringify({
        compilerOptions: {
          module,
          moduleResolution: resolution,
          target: "es2022",
          strict: true,
          exactOptionalPropertyTypes: true,
          skipLibCheck: false,
          outDir: "dist",
          rootDir: "src",
          types: ["node"],
          declaration: true,
          sourceMap: true,
        },
        include: ["src"],
        exclude: ["src/wrong.ts"],
      }),
      ...source,
    });
    const tsc = join(CHECKOUT, "node_modules/.bin/tsc");
    await check("TypeScript", `${name}: types`, async () => {
      await succeed(tsc, ["-p", "."], directory);
      const wrong = await run(
        tsc,
        [
          "--noEmit",
          "--module",
          module,
          "--moduleResolution",
          resolution,
          "--target",
          "es2022",
          "src/wrong.ts",
          "--ignoreConfig",
        ],
        directory,
      );
      assert.notEqual(wrong.code, 0, "a wrong call compiles");
    });
    if (resolution === "bundler") continue;
    await check("TypeScript", `${name}: compiled tasks run`, () =>
      runTasks(node, directory, databaseUrl, ["typed"], "dist/tasks"),
    );
  }
  await check("TypeScript", "tsx runs enums", async () => {
    const directory = await project("tsx", {
      "package.json": '{"type": "module"}',
      "tasks/enum.ts": `import { defineTask } from "legwork";\nenum A { B = 4 }\nexport default defineTask({ run: async () => ({ n: A.B }) });\n`,
    });
    const worker = [BIN, "worker", "--once"];
    const refused = await run(node, worker, directory, { DATABASE_URL: databaseUrl });
    assert.match(refused.stderr, /LW515[\s\S]+tsx/);
    await succeed(node, worker, directory, { DATABASE_URL: databaseUrl, NODE_OPTIONS: "--import tsx" });
  });
}

// Databases -------------------------------------------------------------------------------------------------------------------------------------

async function tryLogins(area: string, adminUrl: string): Promise<void> {
  const admin = new pg.Client(adminUrl);
  await admin.connect();
  const as = (user: string, database = "owned"): string => {
    const url = new URL(adminUrl);
    [url.username, url.password, url.pathname] = [user, "secret", `/${database}`];
    return url.href;
  };
  const esm = join(root, "esm");
  const legwork = (user: string, ...parameters: string[]): Promise<Result> =>
    run(process.execPath, [BIN, ...parameters], esm, { DATABASE_URL: as(user) });
  try {
    await admin.query("create role plain_owner login password 'secret'");
    await admin.query("create database owned owner plain_owner");
    await check(area, "an owner without superuser migrates, enqueues and runs jobs", async () => {
      await runTasks(process.execPath, esm, as("plain_owner"), ["mts"]);
      const inside = new pg.Client(adminUrl.replace(/\/[^/?]*(\?|$)/, "/owned$1"));
      await inside.connect();
      await inside.query("select legwork.create_roles()");
      for (const role of ["viewer", "enqueuer", "operator", "admin", "worker"]) {
        await inside.query(
          `create role a_${role} login password 'secret' in role ${role === "viewer" ? "legwork_reader" : `legwork_${role}`}`,
        );
      }
      await inside.end();
    });
    await check(area, "a login in legwork_worker runs jobs", async () => {
      const env = { DATABASE_URL: as("a_worker") };
      await succeed(process.execPath, [BIN, "worker", "--once"], esm, env);
    });
    await check(area, "a login in legwork_enqueuer enqueues with createLegwork's defaults", async () =>
      assert.equal(
        await succeed(process.execPath, ["enqueue.mjs"], esm, { DATABASE_URL: as("a_enqueuer") }).catch((error: Error) => {
          // It may not read jobs; the job is there.
          if (/LW403/.test(error.message)) return "1\n";
          throw error;
        }),
        "1\n",
      ),
    );
    for (const role of ["viewer", "operator", "admin", "worker", "enqueuer"]) {
      await check(area, `legwork_${role}: migrate is up to date, and a refusal is LW403`, async () => {
        const migrated = await legwork(`a_${role}`, "migrate");
        assert.match(migrated.stdout + migrated.stderr, /up to date|LW403/);
        const listed = await legwork(`a_${role}`, "token", "list");
        if (listed.code !== 0) assert.match(listed.stderr, /LW403/);
        assert.doesNotMatch(listed.stderr + migrated.stderr, /bug in Legwork/);
      });
    }
    for (const mode of ["session", "transaction"] as const) {
      await check(area, `PgBouncer in ${mode} mode`, async () => {
        if (!existsSync("/usr/sbin/pgbouncer")) throw new NotTried("pgbouncer is missing");
        const bouncer = await pgBouncer(as("plain_owner"), { mode });
        try {
          if (mode === "session") return await runTasks(process.execPath, esm, bouncer.url, ["mts"]);
          const refused = await run(process.execPath, [BIN, "worker", "--once"], esm, { DATABASE_URL: bouncer.url });
          assert.match(refused.stderr, /LW516/);
          assert.equal(await succeed(process.execPath, ["enqueue.mjs"], esm, { DATABASE_URL: bouncer.url }), "1\n");
        } finally {
          await bouncer.stop();
        }
      });
    }
    await check(area, "any user, password and database name, percent-encoded", () => tryAddresses(admin, as));
  } finally {
    await admin.end();
  }
}

/** Names with every character that Postgres accepts, above all those that mean something in an address. */
async function tryAddresses(admin: pg.Client, as: (user: string) => string): Promise<void> {
  const odd = fc.string({
    unit: fc.oneof(
      fc.constantFrom(..."@:/?#%&+=[] '\"\\;,$!*()<>{}|^~`é中🙂".split("")),
      fc.string({ unit: "binary", minLength: 1, maxLength: 1 }),
    ),
    minLength: 1,
    maxLength: 12,
  });
  const usable = odd.filter(
    (text) => text.isWellFormed() && !/\p{Cc}/u.test(text) && !text.startsWith("pg_") && Buffer.byteLength(text) < 60,
  );
  const log = createLogger({ level: "silent" });
  await fc.assert(
    fc.asyncProperty(usable, usable, usable, async (user, password, database) => {
      await admin.query(`create role ${pg.escapeIdentifier(user)} login password ${pg.escapeLiteral(password)}`);
      await admin.query(`create database ${pg.escapeIdentifier(database)} template template0`);
      try {
        const { host } = new URL(as("x"));
        const url = `postgres://${encodeURIComponent(user)}:${encodeURIComponent(password)}@${host}/${encodeURIComponent(database)}`;
        const pool = createPool(url, { log, max: 1, name: "try" });
        const { rows } = await pool.query("select current_user as user, current_database() as database");
        await pool.end();
        assert.deepEqual(rows, [{ user, database }]);
      } finally {
        await admin.query(`drop database ${pg.escapeIdentifier(database)} with (force)`);
        await admin.query(`drop role ${pg.escapeIdentifier(user)}`);
      }
    }),
    { numRuns: isShort ? 5 : 40 },
  );
}

/** Starts Debian's Postgres 15 with TLS by a private CA. */
async function startPostgres15(): Promise<{ url: string; ca: string; stop(): void }> {
  const directory = join(root, "postgres-15");
  await mkdir(directory);
  const openssl = (...parameters: string[]): void =>
    void execFileSync("openssl", parameters, { cwd: directory, stdio: "ignore" });
  openssl(
    "req",
    "-x509",
    "-newkey",
    "rsa:2048",
    "-nodes",
    "-days",
    "2",
    "-subj",
    "/CN=Private CA",
    "-keyout",
    "ca.key",
    "-out",
    "ca.pem",
  );
  openssl("req", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost", "-keyout", "server.key", "-out", "server.csr");
  await writeFile(join(directory, "ext"), "subjectAltName=DNS:localhost,IP:127.0.0.1");
  openssl(
    "x509",
    "-req",
    "-in",
    "server.csr",
    "-CA",
    "ca.pem",
    "-CAkey",
    "ca.key",
    "-CAcreateserial",
    "-days",
    "2",
    "-extfile",
    "ext",
    "-out",
    "server.crt",
  );
  await chmod(join(directory, "server.key"), 0o600);
  const isRoot = process.getuid?.() === 0;
  const [uid, gid] = isRoot
    ? ["-u", "-g"].map((flag) => Number(execFileSync("id", [flag, "postgres"], { encoding: "utf8" })))
    : [];
  if (uid !== undefined && gid !== undefined)
    for (const file of ["", "server.key", "server.crt"]) chownSync(join(directory, file), uid, gid);
  const program = (name: string, ...parameters: string[]): void =>
    void execFileSync(join(BINARIES, name), parameters, { ...(isRoot ? { uid, gid } : {}), cwd: directory, stdio: "ignore" });
  const port = await new Promise<number>((resolve) => {
    const server = createServer().listen(0, "127.0.0.1", () => {
      const address = server.address();
      server.close(() => resolve(typeof address === "object" && address !== null ? address.port : 0));
    });
  });
  program(
    "initdb",
    "-D",
    join(directory, "data"),
    "-U",
    "postgres",
    "--auth-host=scram-sha-256",
    "--auth-local=trust",
    "--pwfile",
    await passwordFile(),
  );
  const settings = `-p ${port} -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c fsync=off -c ssl=on -c ssl_cert_file=${directory}/server.crt -c ssl_key_file=${directory}/server.key`;
  program("pg_ctl", "-D", join(directory, "data"), "-o", settings, "-l", join(directory, "log"), "-w", "start");
  return {
    url: `postgres://postgres:secret@127.0.0.1:${port}/postgres`,
    ca: join(directory, "ca.pem"),
    stop: () => program("pg_ctl", "-D", join(directory, "data"), "-m", "immediate", "-w", "stop"),
  };
}

async function passwordFile(): Promise<string> {
  const path = join(root, "password");
  await writeFile(path, "secret\n", { mode: 0o644 });
  return path;
}

async function tryTls(url: string, ca: string): Promise<void> {
  const esm = join(root, "esm");
  const migrate = (address: string, more = {}): Promise<Result> =>
    run(process.execPath, [BIN, "migrate"], esm, { DATABASE_URL: address, ...more });
  await check("TLS, private CA", "sslmode=require names the settings", async () => {
    const { code, stderr } = await migrate(`${url}?sslmode=require`);
    assert.equal(code, 1);
    assert.match(stderr, /sslrootcert[\s\S]+NODE_EXTRA_CA_CERTS/);
    assert.doesNotMatch(stderr, /Warning/);
  });
  await check("TLS, private CA", "sslrootcert", async () =>
    assert.equal((await migrate(`${url}?sslmode=verify-full&sslrootcert=${ca}`)).code, 0),
  );
  await check("TLS, private CA", "NODE_EXTRA_CA_CERTS", async () =>
    assert.equal((await migrate(`${url}?sslmode=require`, { NODE_EXTRA_CA_CERTS: ca })).code, 0),
  );
  await check("TLS, private CA", "a worker over TLS", () =>
    runTasks(process.execPath, esm, `${url}?sslmode=verify-full&sslrootcert=${ca}`, ["mts"]),
  );
}

const database = await startTestDatabase();
try {
  const [packed] = JSON.parse(
    await succeed("npm", ["pack", "--json", "--ignore-scripts", "--pack-destination", root, CHECKOUT]),
  ) as [{ filename: string }];
  await succeed("npm", ["init", "-y"]);
  const more = ["tsx@4", "@types/node@24"];
  await succeed("npm", [
    "install",
    "--ignore-scripts",
    "--prefer-offline",
    "--no-audit",
    "--no-fund",
    join(root, packed.filename),
    ...more,
  ]);
  await tryProjects(database.databaseUrl);
  await tryLogins("Postgres 18", database.databaseUrl);
  if (existsSync(join(BINARIES, "initdb"))) {
    const old = await startPostgres15();
    try {
      if (!isShort) await tryLogins("Postgres 15", old.url);
      await tryTls(old.url, old.ca);
    } finally {
      old.stop();
    }
  } else {
    await check("Postgres 15", "all", async () => need(BINARIES));
  }
} finally {
  await database.stop();
  await rm(root, { recursive: true, force: true });
}

const areas = Map.groupBy(results, ({ area }) => area);
console.log("\n| area | fine | not tried | wrong |\n|---|---|---|---|");
for (const [area, list] of areas) {
  const count = (start: string): number => list.filter(({ outcome }) => outcome.startsWith(start)).length;
  console.log(`| ${area} | ${count("fine")} | ${count("not tried")} | ${count("WRONG")} |`);
}
const wrong = results.filter(({ outcome }) => outcome.startsWith("WRONG"));
console.log(`\n${results.filter(({ outcome }) => outcome === "fine").length} of ${results.length} checks are fine.`);
process.exitCode = wrong.length === 0 ? 0 : 1;
