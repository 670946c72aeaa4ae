import { spawn } from "node:child_process";
import { createHash, randomBytes, randomUUID } from "node:crypto";
import {
  chownSync,
  closeSync,
  fchownSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readlinkSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
  type Stats,
} from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { LegworkError, toError } from "../errors.ts";
import type { Logger } from "../log.ts";
import { unusable, writeFileAtomically } from "./data-dir.ts";
import { SYSTEM_DIR, canEnter, makeSystemDirectory, postgresUser, reachableInstall } from "./install.ts";
import type { PostgresInstall } from "./install.ts";
import { hasCode, isolated, readIfThere, type SystemUser } from "./process.ts";

/** What a cluster's name is followed by until it is whole. */
const DRAFT = "-draft-";

/** A cluster that is ready to be served: where it lies, by which binaries and as whom. */
export interface Cluster {
  readonly directory: string;
  readonly install: PostgresInstall;
  /** Undefined: as ourselves. */
  readonly user: SystemUser | undefined;
  readonly password: string;
}

/**
 * Finds the cluster of a data directory, or makes it. It lies in `<data dir>/postgres`.
 *
 * Root needs care: Postgres refuses to run as root, and the user it runs as may be shut out of the place where the data
 * directory lies (/root, a private home). We never open up a directory of the user's. The cluster is then kept in a
 * directory of its own below SYSTEM_DIR, and `<data dir>/postgres` is a symbolic link to it, made first, so that an
 * interrupted start goes on in the same place. Removing the data directory leaves that cluster behind: we would rather
 * leave data that nobody wants than remove data that somebody does.
 *
 * Throws LW512 for a cluster that these binaries cannot serve or that belongs to another data directory.
 */
export async function openCluster(dataDir: string, found: PostgresInstall, log: Logger): Promise<Cluster> {
  const place = join(dataDir, "postgres");
  const link = linkTarget(place);
  if (link !== undefined) adoptLinkedCluster(dataDir, place, link);
  const existing = clusterAt(place, found.major);
  // An existing cluster is served as its owner, so that `sudo npm start` does not lock its user out.
  const user = process.getuid?.() !== 0 ? undefined : existing === undefined ? postgresUser() : ownerOf(place, existing);
  const inPlace = existing !== undefined || canEnter(dataDir, user);
  const directory = link ?? (inPlace ? place : linkToSystemDir(dataDir, place, log));
  if (!canEnter(dirname(directory), user)) {
    throw unusable(
      `The user that Postgres runs as (uid ${user?.uid}) cannot reach the cluster ${directory}.`,
      undefined,
      "Move the data directory to where that user may enter, or set DATABASE_URL.",
    );
  }
  removeDrafts(directory);
  const install = reachableInstall(found, user);
  const password = readPassword(dataDir, existing !== undefined);
  if (existing === undefined) {
    log.info({ directory, version: install.version }, "creating a Postgres cluster");
    await createCluster(directory, install, user, password);
  }
  return { directory, install, user, password };
}

/** The cluster in a place, undefined when there is none yet. Throws LW512 when it is not one that we can serve. */
function clusterAt(place: string, major: string): Stats | undefined {
  let entries: string[];
  try {
    entries = readdirSync(place);
  } catch (error) {
    if (hasCode(error, "ENOENT")) return undefined;
    throw unusable(`${place} cannot be read: ${toError(error).message}.`, error);
  }
  if (entries.length === 0) return undefined;
  const version = readIfThere(join(place, "PG_VERSION"))?.trim();
  if (version === major) return statSync(place);
  if (version === undefined) throw unusable(`${place} is not a Postgres cluster: it holds '${entries[0]}' and no PG_VERSION.`);
  throw unusable(
    `${place} is a cluster of Postgres ${version}; this is Postgres ${major}.`,
    undefined,
    `Dump it with Postgres ${version} and restore it into a new LEGWORK_DATA_DIR, or set DATABASE_URL to a Postgres ${version}.`,
  );
}

function ownerOf(place: string, { uid, gid }: Stats): SystemUser {
  if (uid !== 0) return { uid, gid };
  throw unusable(
    `${place} belongs to root, and Postgres does not run as root.`,
    undefined,
    `Run \`chown -RH postgres: ${place}\`.`,
  );
}

/** Where a symbolic link leads, whether or not something is there yet; undefined for anything else. */
function linkTarget(place: string): string | undefined {
  try {
    const target = resolve(dirname(place), readlinkSync(place));
    return join(realpathSync(dirname(target)), basename(target));
  } catch (error) {
    if (lstatSync(place, { throwIfNoEntry: false })?.isSymbolicLink() !== true) return undefined;
    throw unusable(
      `${place} leads to a place that cannot be reached: ${toError(error).message}.`,
      error,
      `Bring that place back, or remove ${place} and ${place}-password to begin with an empty database.`,
    );
  }
}

/** Prepares a directory of the data directory's own below SYSTEM_DIR and links the cluster's place to it. */
function linkToSystemDir(dataDir: string, place: string, log: Logger): string {
  const prefix = `${createHash("sha256").update(dataDir).digest("hex").slice(0, 12)}-`;
  try {
    makeSystemDirectory(SYSTEM_DIR);
    const earlier = readdirSync(SYSTEM_DIR).filter((name) => name.startsWith(prefix));
    if (earlier.length > 0) {
      const directories = earlier.map((name) => join(SYSTEM_DIR, name));
      log.warn({ directories }, "clusters of removed data directories are still here; remove what nobody needs");
    }
    const home = join(realpathSync(SYSTEM_DIR), prefix + randomUUID().slice(0, 8));
    makeSystemDirectory(home);
    writeFileAtomically(join(home, "data-dir"), dataDir, 0o600);
    symlinkSync(join(home, "postgres"), place);
    log.info({ directory: home }, "the user 'postgres' cannot enter the data directory; its cluster is kept elsewhere");
    return join(home, "postgres");
  } catch (error) {
    throw unusable(
      `The user 'postgres' cannot enter ${dataDir}, and ${SYSTEM_DIR} cannot be used: ${toError(error).message}.`,
      error,
    );
  }
}

/**
 * A data directory that was moved keeps its linked cluster. One that was copied must not share it with the original:
 * each would take the other's server for a leftover and stop it. A link that the user made is the user's business.
 */
function adoptLinkedCluster(dataDir: string, place: string, target: string): void {
  const record = join(dirname(target), "data-dir");
  let owner: string | undefined;
  try {
    owner = readIfThere(record);
  } catch (error) {
    throw unusable(`The cluster ${target} belongs to another user: ${toError(error).message}.`, error);
  }
  if (owner === undefined || owner === dataDir) return;
  if (linkTarget(join(owner, "postgres")) === target) {
    throw unusable(
      `${place} leads to the cluster of another data directory, ${owner}.`,
      undefined,
      `Remove ${place} and ${place}-password to begin with an empty database.`,
    );
  }
  writeFileAtomically(record, dataDir, 0o600);
}

/** The superuser's password. Only the user who runs Legwork can read the file, from its first byte on. */
function readPassword(dataDir: string, clusterExists: boolean): string {
  const path = join(dataDir, "postgres-password");
  const known = readIfThere(path)?.trim();
  if (known) return known;
  if (clusterExists)
    throw unusable(
      `${path} is missing or empty, and its cluster cannot be opened without it.`,
      undefined,
      `Restore ${path}, or set LEGWORK_DATA_DIR to a new directory.`,
    );
  const password = randomBytes(24).toString("base64url");
  writeFileAtomically(path, `${password}\n`, 0o600);
  return password;
}

/** Removes what interrupted starts have left; where an initdb still writes, the start after this one does. */
function removeDrafts(directory: string): void {
  const parent = dirname(directory);
  for (const name of readdirSync(parent)) {
    if (!name.startsWith(basename(directory) + DRAFT)) continue;
    try {
      rmSync(join(parent, name), { recursive: true, force: true });
    } catch {
      // It is in nobody's way.
    }
  }
}

/**
 * Makes a cluster next to its place and moves it there when it is whole, so that an interrupted initdb leaves nothing
 * behind but a directory that a later start removes.
 */
async function createCluster(
  directory: string,
  install: PostgresInstall,
  user: SystemUser | undefined,
  password: string,
): Promise<void> {
  const draft = `${directory}${DRAFT}${randomUUID()}`;
  mkdirSync(draft, { mode: 0o700 });
  if (user !== undefined) chownSync(draft, user.uid, user.gid);
  try {
    const passwordFile = join(draft, "password");
    const file = openSync(passwordFile, "wx", 0o600);
    try {
      if (user !== undefined) fchownSync(file, user.uid, user.gid);
      writeFileSync(file, password);
    } finally {
      closeSync(file);
    }
    await run(join(install.root, "bin", "initdb"), user, [
      `--pgdata=${join(draft, "cluster")}`,
      "--username=postgres",
      `--pwfile=${passwordFile}`,
      "--auth=scram-sha-256",
      "--encoding=UTF8",
      // Postgres's own C.UTF-8: the same order on every machine, whatever locales it has installed.
      "--locale=C",
      "--locale-provider=builtin",
      "--builtin-locale=C.UTF-8",
    ]);
    renameSync(join(draft, "cluster"), directory);
  } finally {
    rmSync(draft, { recursive: true, force: true, maxRetries: 5 });
  }
}

async function run(command: string, user: SystemUser | undefined, args: string[]): Promise<void> {
  const child = spawn(command, args, { ...isolated(user), stdio: ["ignore", "ignore", "pipe"] });
  let errors = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => (errors += text));
  const code = await new Promise<number | string>((done) => {
    child.once("error", (error) => done(error.message));
    child.once("close", (status, signal) => done(status ?? signal ?? "unknown"));
  });
  if (code === 0) return;
  const line = errors.split("\n").findLast((text) => /error|fatal/i.test(text)) ?? errors.trim().split("\n").at(-1);
  throw new LegworkError("LW503", `The embedded Postgres cannot make its cluster: ${line || `${command} ended with ${code}`}`, {
    hint: "Set DATABASE_URL to use a Postgres of yours instead.",
  });
}
