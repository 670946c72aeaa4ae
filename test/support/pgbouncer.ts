import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";

/** Debian's user without privileges, because PgBouncer does not run as root. */
const NOBODY = 65_534;

export interface PgBouncer {
  /** The database's URL through PgBouncer. */
  readonly url: string;
  stop(): Promise<void>;
}

/** A PgBouncer in front of a database, with one user for all clients. `size` is its number of connections to Postgres. */
export async function pgBouncer(
  databaseUrl: string,
  options: { mode: "session" | "transaction" | "statement"; size?: number; settings?: readonly string[] },
): Promise<PgBouncer> {
  const target = new URL(databaseUrl);
  const port = await freePort();
  const directory = await mkdtemp(join(tmpdir(), "legwork-pgbouncer-"));
  await chmod(directory, 0o755);
  const file = join(directory, "pgbouncer.ini");
  const login = `user=${decodeURIComponent(target.username)} password='${decodeURIComponent(target.password)}'`;
  await writeFile(
    file,
    [
      "[databases]",
      `* = host=${target.hostname} port=${target.port} ${login}`,
      "[pgbouncer]",
      "listen_addr = 127.0.0.1",
      `listen_port = ${port}`,
      "unix_socket_dir =",
      "auth_type = any",
      `pool_mode = ${options.mode}`,
      `default_pool_size = ${options.size ?? 20}`,
      ...(options.settings ?? []),
      "",
    ].join("\n"),
    { mode: 0o644 },
  );
  const child = spawn("pgbouncer", [file], {
    env: { PATH: `${process.env.PATH}:/usr/sbin` },
    stdio: ["ignore", "ignore", "pipe"],
    ...(process.getuid?.() === 0 ? { uid: NOBODY, gid: NOBODY } : {}),
  });
  await once(child, "spawn").catch(() => {
    throw new Error("PgBouncer is not installed: apt-get install pgbouncer.");
  });
  const exited = once(child, "exit");
  let said = "";
  for await (const line of createInterface(child.stderr)) {
    said += `${line}\n`;
    if (line.includes("process up")) break;
  }
  if (child.exitCode !== null || !said.includes("process up")) throw new Error(`PgBouncer does not start:\n${said}`);
  // Discards the rest of its output, so that the process does not block.
  child.stderr.resume();
  target.hostname = "127.0.0.1";
  target.port = String(port);
  return {
    url: target.href,
    async stop() {
      child.kill("SIGKILL");
      await exited;
      await rm(directory, { recursive: true });
    },
  };
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, "close");
  return port;
}
