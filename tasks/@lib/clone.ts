import { spawn } from "node:child_process";
import { once } from "node:events";
import { lstat, mkdir, mkdtemp, readdir, rm, stat, writeFile } from "node:fs/promises";
import { isIP } from "node:net";
import { devNull, tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { PayloadError } from "legwork";
import ms from "ms";
import { assertAllowed, checkedAddresses } from "./guarded-fetch.ts";
import { decoded, parseRepositoryUrl, type Protocol, shownOf, type Repository } from "./repository-url.ts";

/** How often the size of a growing clone is measured (ms). */
const SIZE_LOOK_MS = 200;

/** A clone older than this (ms) was left behind by a killed worker, because no job uses a clone for that long. */
const ABANDONED_AFTER_MS = 60 * 60_000;

const DIRECTORY_PREFIX = "legwork-clone-";

/** The maximum length of git's error message (characters). */
const REASON_LIMIT = 500;

export interface Clone {
  /** The directory with the repository's files. */
  readonly directory: string;
  /** The commit of these files; null for a repository without commits. */
  readonly commit: string | null;
}

export interface CloneOptions {
  readonly signal: AbortSignal;
  /** The allowed protocols of repository URLs. */
  readonly protocols: readonly Protocol[];
  /**
   * Whether git may connect only to public addresses and those in LEGWORK_ALLOWED_ADDRESSES. git then connects to exactly the IP address that was
   * checked (git 2.37 or newer), follows no redirects and uses no proxy.
   */
  readonly guarded: boolean;
  /** The time limit for cloning (ms). */
  readonly timeLimit: number;
  /** The largest size of repository and files together (bytes). The size is measured five times a second, so the limit can be exceeded briefly. */
  readonly maxBytes: number;
}

/**
 * Clones the newest commit of a repository, does the work and always removes the clone, even if cloning or the work fails.
 *
 * Nothing from the repository is ever run: no hooks, no filters, no submodules. Symbolic links become plain files, and neither
 * the machine's nor the user's git configuration is read. Credentials in the repository URL are passed to git in a file, so they do not appear in
 * process lists, errors or the clone. When the signal aborts, git is killed and its files are removed before this rejects. Throws a PayloadError for
 * a repository URL that is invalid or not allowed, and an Error with the URL if git cannot clone it.
 */
export async function withClone<T>(address: string, options: CloneOptions, work: (clone: Clone) => Promise<T>): Promise<T> {
  const { signal, protocols } = options;
  const repository = parseRepositoryUrl(address);
  if (!protocols.includes(repository.protocol)) {
    throw new PayloadError(`${repository.shown} was not cloned: the protocol ${repository.protocol} is not allowed.`, {
      hint: `Allowed: ${protocols.join(", ")}. Set LEGWORK_GIT_PROTOCOLS in the worker's environment to change this.`,
    });
  }
  const route = options.guarded ? await checkedRoute(repository) : { settings: [], ssh: "" };
  await removeAbandoned();
  const home = await mkdtemp(join(tmpdir(), DIRECTORY_PREFIX));
  try {
    const directory = join(home, "repository");
    const git = await isolatedGit(repository, home, options, route);
    const cloned = new AbortController();
    const tooLarge = watchSize(home, options.maxBytes, cloned.signal);
    const cloning = git(
      "clone",
      "--quiet",
      "--depth=1",
      "--single-branch",
      "--no-tags",
      "--template=",
      "--",
      repository.url,
      directory,
    );
    try {
      await Promise.race([cloning, tooLarge]);
    } catch (error) {
      git.stop();
      await cloning.catch(() => undefined);
      if (error instanceof TooLarge) throw new PayloadError(`${repository.shown} is larger than ${options.maxBytes} bytes.`);
      throw error;
    } finally {
      cloned.abort();
    }
    const commit = await git("-C", directory, "rev-parse", "--quiet", "--verify", "HEAD").catch(() => null);
    signal.throwIfAborted();
    return await work({ directory, commit });
  } finally {
    await rm(home, { recursive: true, force: true, maxRetries: 3 });
  }
}

/** Removes clones that killed workers have left behind. */
async function removeAbandoned(): Promise<void> {
  const names = await readdir(tmpdir());
  for (const name of names.filter((entry) => entry.startsWith(DIRECTORY_PREFIX))) {
    const path = join(tmpdir(), name);
    const { mtimeMs } = await stat(path).catch(() => ({ mtimeMs: Infinity }));
    if (Date.now() - mtimeMs > ABANDONED_AFTER_MS) await rm(path, { recursive: true, force: true }).catch(() => undefined);
  }
}

class TooLarge extends Error {}

/** Rejects with a TooLarge when the directory exceeds the limit; never resolves. */
async function watchSize(directory: string, maxBytes: number, signal: AbortSignal): Promise<never> {
  while (!signal.aborted) {
    let bytes = 0;
    const entries = await readdir(directory, { recursive: true, withFileTypes: true }).catch(() => []);
    for (const entry of entries) {
      if (signal.aborted) break;
      if (entry.isFile()) bytes += (await lstat(join(entry.parentPath, entry.name)).catch(() => undefined))?.size ?? 0;
      if (bytes > maxBytes) throw new TooLarge();
    }
    await delay(SIZE_LOOK_MS, undefined, { signal }).catch(() => undefined);
  }
  return await new Promise<never>(() => undefined);
}

interface Route {
  /** Lines for the http section of git's configuration. */
  settings: string[];
  /** Options for ssh. */
  ssh: string;
}

/** Resolves the host to IP addresses, checks that they are allowed, and makes git connect to the first. */
async function checkedRoute({ protocol, url, path }: Repository): Promise<Route> {
  if (path !== undefined) return { settings: [], ssh: "" };
  const { host, port } = hostOf(url, protocol);
  assertAllowed(host);
  // The host becomes part of a command line.
  if (isIP(host) === 0 && !/^[a-z0-9][a-z0-9.-]*$/i.test(host)) throw new PayloadError(`'${host}' is not a valid host name.`);
  const [first] = isIP(host) === 0 ? await checkedAddresses(host) : [{ address: host }];
  const address = first?.address ?? host;
  const settings = ["\tfollowRedirects = false", "\tproxy ="];
  if (isIP(host) === 0) settings.push(`\tcurloptResolve = ${host}:${port}:${address.includes(":") ? `[${address}]` : address}`);
  const alias = port === "22" ? host : `[${host}]:${port}`;
  return { settings, ssh: ` -o 'HostName=${address}' -o 'HostKeyAlias=${alias}' -o ProxyCommand=none -o ProxyJump=none` };
}

function hostOf(url: string, protocol: Protocol): { host: string; port: string } {
  const short = protocol === "ssh" && !url.startsWith("ssh:") ? /@([^:]+):/.exec(url)?.[1] : undefined;
  if (short !== undefined) return { host: short, port: "22" };
  const { hostname, port } = new URL(url);
  const usual = protocol === "https" ? "443" : protocol === "http" ? "80" : "22";
  return { host: hostname.replaceAll(/^\[|\]$/g, ""), port: port || usual };
}

interface Git {
  (...parameters: string[]): Promise<string>;
  /** Kills the running git. */
  stop(): void;
}

/**
 * Returns a Git runner with its own configuration file. Only a file also configures the other end of a local clone, which ignores settings from the
 * environment and would reject a repository that belongs to another user.
 */
async function isolatedGit(repository: Repository, home: string, options: CloneOptions, route: Route): Promise<Git> {
  const config = join(home, "gitconfig");
  const lines = [
    "[core]",
    `\thooksPath = ${devNull}`,
    `\tattributesFile = ${devNull}`,
    "\tsymlinks = false",
    "\tfsmonitor = false",
    "[protocol]",
    "\tallow = never",
    `[protocol "${repository.protocol}"]`,
    "\tallow = always",
    "[submodule]",
    "\trecurse = false",
    "[gc]",
    "\tauto = 0",
    "[http]",
    "\tlowSpeedLimit = 1000",
    "\tlowSpeedTime = 30",
    ...route.settings,
  ];
  if (repository.path !== undefined) {
    lines.push("[safe]", ...[repository.path, join(repository.path, ".git")].map((path) => `\tdirectory = ${quoted(path)}`));
  }
  if (repository.credentials !== undefined) {
    const file = join(home, "credentials");
    const { username, password } = repository.credentials;
    const { protocol, host } = new URL(repository.url);
    await writeFile(file, `${protocol}//${username}:${password}@${host}\n`, { mode: 0o600 });
    lines.push("[credential]", `\thelper = ${quoted(`store --file='${file.replaceAll("'", String.raw`'\''`)}'`)}`);
  }
  await writeFile(config, `${lines.join("\n")}\n`, { mode: 0o600 });
  const inherited = Object.entries(process.env).filter(([name]) => !/^(GIT_|SSH_ASKPASS|LC_|LANG)/.test(name));
  const environment = {
    ...Object.fromEntries(inherited),
    LC_ALL: "C",
    GIT_CONFIG_NOSYSTEM: "1",
    GIT_CONFIG_GLOBAL: config,
    GIT_ATTR_NOSYSTEM: "1",
    GIT_ALLOW_PROTOCOL: repository.protocol,
    GIT_TERMINAL_PROMPT: "0",
    // git must not prompt for a password or for trusting a host.
    GIT_SSH_COMMAND: `ssh -o BatchMode=yes -o ConnectTimeout=15${route.ssh}`,
  };
  await mkdir(join(home, "work"));
  const stopped = new AbortController();
  const git = (...parameters: string[]): Promise<string> =>
    runGit(parameters, { cwd: join(home, "work"), environment, repository, stopped: stopped.signal, ...options });
  return Object.assign(git, { stop: () => stopped.abort() });
}

/** Quotes a value for git's configuration. */
function quoted(value: string): string {
  return `"${value.replaceAll(/["\\]/g, String.raw`\$&`).replaceAll("\n", String.raw`\n`)}"`;
}

interface RunOptions {
  cwd: string;
  environment: NodeJS.ProcessEnv;
  repository: Repository;
  signal: AbortSignal;
  stopped: AbortSignal;
  timeLimit: number;
}

/**
 * Runs git and resolves to its output. Rejects only after git has ended. No library is used, because git starts other processes (ssh,
 * git-remote-https, index-pack) that must end with git. git therefore gets its own process group, which is killed as a whole.
 */
async function runGit(
  parameters: readonly string[],
  { cwd, environment, repository, signal, stopped, timeLimit }: RunOptions,
): Promise<string> {
  const timeout = AbortSignal.timeout(timeLimit);
  const ended = AbortSignal.any([signal, timeout, stopped]);
  ended.throwIfAborted();
  const child = spawn("git", parameters, { cwd, env: environment, detached: true, stdio: ["ignore", "pipe", "pipe"] });
  const kill = (): void => {
    try {
      // SIGKILL, because the clone is removed anyway.
      if (child.pid !== undefined) process.kill(-child.pid, "SIGKILL");
    } catch {
      // git has just exited on its own.
    }
  };
  ended.addEventListener("abort", kill);
  let output = "";
  let complaint = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => (output = (output + text).slice(0, 10_000)));
  child.stderr.setEncoding("utf8").on("data", (text: string) => (complaint = (complaint + text).slice(-10_000)));
  const failure = (reason: string): Error => new Error(`${repository.shown} cannot be cloned: ${reason}`);
  try {
    const [code] = (await once(child, "close")) as [number | null];
    signal.throwIfAborted();
    if (timeout.aborted) throw failure(`git took longer than ${ms(timeLimit, { long: true })}.`);
    if (code !== 0) throw failure(reasonOf(complaint, repository));
    return output.trim();
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT")
      throw failure("git is not installed on this machine.");
    throw error;
  } finally {
    ended.removeEventListener("abort", kill);
  }
}

/** Returns the lines of git's error output with the reason, without credentials and queries. */
function reasonOf(complaint: string, { credentials }: Repository): string {
  const lines = complaint.split("\n").filter((line) => /^(fatal|error|remote|ssh): ?\S/.test(line));
  let reason = (lines.length > 0 ? lines : complaint.split("\n")).join(" ").trim().slice(0, REASON_LIMIT);
  reason = reason.replaceAll(/[a-z]+:\/\/[^\s'"]+/gi, (url) => (URL.canParse(url) ? shownOf(new URL(url)) : "a URL"));
  for (const secret of [credentials?.username, credentials?.password]) {
    if (secret) reason = reason.replaceAll(secret, "[redacted]").replaceAll(decoded(secret), "[redacted]");
  }
  return reason || "git gave no reason.";
}
