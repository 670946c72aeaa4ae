import { execFileSync } from "node:child_process";
import { chownSync, existsSync } from "node:fs";
import { chmod, mkdir, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";
import { root } from "./fresh-project.ts";

const BINARIES = "/usr/lib/postgresql/15/bin";

export const hasPostgres15 = (): boolean => existsSync(join(BINARIES, "initdb"));

/** Starts Debian's Postgres 15 with TLS and a certificate from a private CA. */
export async function startPostgres15(): Promise<{ url: string; ca: string; stop(): void }> {
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
