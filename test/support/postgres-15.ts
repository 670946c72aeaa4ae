import { execFileSync } from "node:child_process";
import { chownSync, existsSync, mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir, userInfo } from "node:os";
import { join } from "node:path";
import type { TestProject } from "vitest/node";
import { prepareTemplate } from "./database.ts";

/** Where Debian keeps the server programs of Postgres 15. */
export const BINARIES = "/usr/lib/postgresql/15/bin";

/** The oldest supported Postgres, from Debian's binaries. If they are missing, this project's tests fail with a message that says so. */
export default async function setup(project: TestProject): Promise<() => void> {
  if (!existsSync(join(BINARIES, "initdb"))) {
    if (process.env.CI) throw new Error(`CI needs ${BINARIES}; .ci/run installs the package postgresql-15.`);
    project.provide("serverUrl", "");
    project.provide("template", "");
    return () => {};
  }
  const directory = mkdtempSync(join(tmpdir(), "legwork-test-15-"));
  // Postgres does not run as root.
  const user = userInfo().uid === 0 ? serverUser() : undefined;
  if (user !== undefined) chownSync(directory, user.uid, user.gid);
  const program = (name: string, ...parameters: string[]): void => {
    execFileSync(join(BINARIES, name), parameters, { ...user, cwd: directory, stdio: "ignore" });
  };
  const data = join(directory, "data");
  const port = await freePort();
  program("initdb", "-D", data, "-U", "postgres", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync");
  const settings = `-p ${port} -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c fsync=off -c synchronous_commit=off -c full_page_writes=off -c jit=off -c max_connections=200`;
  program("pg_ctl", "-D", data, "-o", settings, "-l", join(directory, "log"), "-w", "start");
  const stop = (): void => {
    program("pg_ctl", "-D", data, "-m", "immediate", "-w", "stop");
    rmSync(directory, { recursive: true, force: true });
  };
  try {
    const url = `postgres://postgres@127.0.0.1:${port}/postgres`;
    project.provide("serverUrl", url);
    project.provide("template", await prepareTemplate(url));
  } catch (error) {
    stop();
    throw error;
  }
  return stop;
}

function serverUser(): { uid: number; gid: number } {
  const id = (flag: string): number => Number(execFileSync("id", [flag, "postgres"], { encoding: "utf8" }));
  return { uid: id("-u"), gid: id("-g") };
}

async function freePort(): Promise<number> {
  return await new Promise((resolve, reject) => {
    const server = createServer().once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });
}
