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

/** The suffix of a cluster's directory until it is complete. */
const DRAFT = "-draft-";

/** A cluster that is ready to be started: its directory, binaries and system user. */
export interface Cluster {
  readonly directory: string;
  readonly install: PostgresInstall;
  /** The user that Postgres runs as; undefined for the current user. */
  readonly user: SystemUser | undefined;
  readonly password: string;
}

/**
 * Finds the cluster of a data directory, or creates it, in `<data dir>/postgres`.
 *
 * Running as root needs special care: Postgres refuses to run as root, and the user that it runs as may not have access to the location of the data
 * directory (/root, a private home directory). Legwork never loosens permissions of a user's directory. Instead it keeps the cluster in a separate
 * directory below SYSTEM_DIR, and `<data dir>/postgres` is a symbolic link to it. The link is created first, so that an interrupted start continues
 * in the same place. Removing the data directory leaves that cluster behind: leaving unneeded data is better than deleting needed data.
 *
 * Throws LW512 for a cluster that these binaries cannot run, or that belongs to another data directory.
 */
export async function openCluster(dataDir: string, found: PostgresInstall, log: Logger): Promise<Cluster> {
  const place = join(dataDir, "postgres");
  const link = linkTarget(place);
  if (link !== undefined) adoptLinkedCluster(dataDir, place, link);
  const existing = clusterAt(place, found.major);
  // An existing cluster runs as its owner, so that `sudo npm start` does not lock out its user.
  const user = process.getuid?.() !== 0 ? undefined : existing === undefined ? postgresUser() : ownerOf(place, existing);
  const inPlace = existing !== undefined || canEnter(dataDir, user);
  const directory = link ?? (inPlace ? place : linkToSystemDir(dataDir, place, log));
  if (!canEnter(dirname(directory), user)) {
    throw unusable(
      `The user that Postgres runs as (uid ${user?.uid}) has no access to the cluster ${directory}.`,
      undefined,
      "Move the data directory to a location that this user has access to, or set DATABASE_URL.",
    );
  }
  removeDrafts(directory);
  const install = reachableInstall(found, user);
  const password = readPassword(dataDir, existing !== undefined);
  if (existing === undefined) {
    log.info({ event: "cluster_created", directory, version: install.version }, "Creating a Postgres cluster.");
    await createCluster(directory, install, user, password);
  }
  return { directory, install, user, password };
}

/** Returns the cluster in a directory, undefined if it does not exist yet. Throws LW512 if these binaries cannot run it. */
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
  if (version === undefined) throw unusable(`${place} is not a Postgres cluster: it contains '${entries[0]}' but no PG_VERSION.`);
  throw unusable(
    `${place} is a cluster of Postgres ${version}; this is Postgres ${major}.`,
    undefined,
    `Dump it with Postgres ${version} and restore it into a new LEGWORK_DATA_DIR, or set DATABASE_URL to a Postgres ${version}.`,
  );
}

function ownerOf(place: string, { uid, gid }: Stats): SystemUser {
  if (uid !== 0) return { uid, gid };
  throw unusable(
    `${place} belongs to root, but Postgres does not run as root.`,
    undefined,
    `Run \`chown -RH postgres: ${place}\`.`,
  );
}

/** Returns the target of a symbolic link, even if it does not exist yet; undefined for anything else. */
function linkTarget(place: string): string | undefined {
  try {
    const target = resolve(dirname(place), readlinkSync(place));
    return join(realpathSync(dirname(target)), basename(target));
  } catch (error) {
    if (lstatSync(place, { throwIfNoEntry: false })?.isSymbolicLink() !== true) return undefined;
    throw unusable(
      `The link ${place} leads to an inaccessible directory: ${toError(error).message}.`,
      error,
      `Restore that directory, or remove ${place} and ${place}-password to start with an empty database.`,
    );
  }
}

/** Creates a directory for the cluster below SYSTEM_DIR, and makes the cluster's location in the data directory a link to it. */
function linkToSystemDir(dataDir: string, place: string, log: Logger): string {
  const prefix = `${createHash("sha256").update(dataDir).digest("hex").slice(0, 12)}-`;
  try {
    makeSystemDirectory(SYSTEM_DIR);
    const earlier = readdirSync(SYSTEM_DIR).filter((name) => name.startsWith(prefix));
    if (earlier.length > 0) {
      const directories = earlier.map((name) => join(SYSTEM_DIR, name));
      log.warn(
        { event: "clusters_left_over", directories },
        "Clusters of removed data directories still exist. Remove those that are no longer needed.",
      );
    }
    const home = join(realpathSync(SYSTEM_DIR), prefix + randomUUID().slice(0, 8));
    makeSystemDirectory(home);
    writeFileAtomically(join(home, "data-dir"), dataDir, 0o600);
    symlinkSync(join(home, "postgres"), place);
    log.info(
      { event: "cluster_elsewhere", directory: home },
      "The user 'postgres' has no access to the data directory, so the cluster is kept elsewhere.",
    );
    return join(home, "postgres");
  } catch (error) {
    throw unusable(
      `The user 'postgres' has no access to ${dataDir}, and ${SYSTEM_DIR} cannot be used: ${toError(error).message}.`,
      error,
    );
  }
}

/**
 * A data directory that was moved keeps its linked cluster. A copied data directory must not share the cluster with the original: each would treat
 * the other's server as a leftover and stop it. A link that the user created is left alone.
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
      `${place} links to the cluster of another data directory, ${owner}.`,
      undefined,
      `Remove ${place} and ${place}-password to start with an empty database.`,
    );
  }
  writeFileAtomically(record, dataDir, 0o600);
}

/** Returns the superuser's password. Only the user who runs Legwork can read the file, from the moment it is created. */
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

/** Removes directories that interrupted starts left. If an initdb is still writing, the next start removes its directory. */
function removeDrafts(directory: string): void {
  const parent = dirname(directory);
  for (const name of readdirSync(parent)) {
    if (!name.startsWith(basename(directory) + DRAFT)) continue;
    try {
      rmSync(join(parent, name), { recursive: true, force: true });
    } catch {
      // A leftover directory does no harm.
    }
  }
}

/**
 * Creates a cluster in a temporary directory and moves it into place when it is complete, so that an interrupted initdb leaves only
 * a directory that a later start removes.
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
      // Postgres's own C.UTF-8 sorts the same on every host, whichever locales are installed.
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
  throw new LegworkError("LW503", `The embedded Postgres cannot create its cluster: ${line || `${command} ended with ${code}`}`, {
    hint: "Set DATABASE_URL to use your own Postgres instead.",
  });
}
