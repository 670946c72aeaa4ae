import { spawnSync } from "node:child_process";
import { readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { LegworkError } from "../errors.ts";
import type { Logger } from "../log.ts";

/** The user that Postgres runs as, if it is not this process's user. */
export interface SystemUser {
  readonly uid: number;
  readonly gid: number;
}

/** Returns options for child_process that do not pass the user's environment and working directory on to Postgres. */
export function isolated(user: SystemUser | undefined): {
  cwd: string;
  env: NodeJS.ProcessEnv;
  uid?: number;
  gid?: number;
} {
  const { TZ } = process.env;
  return { ...user, cwd: "/", env: { PATH: "/usr/bin:/bin", LC_ALL: "C", ...(TZ === undefined ? {} : { TZ }) } };
}

/**
 * Stops a Postgres that a killed Legwork process left running on this cluster, and makes sure that no leftover
 * postmaster.pid prevents the next start. An unrelated process that has the process id now is left alone.
 */
export async function stopOrphan(directory: string, log: Logger): Promise<void> {
  const path = join(directory, "postmaster.pid");
  const content = readIfThere(path);
  if (content === undefined) return;
  const pid = Number.parseInt(content, 10);
  if (!(pid > 0)) {
    // Emptied by a crash of the host. Postgres would ask the user to remove it.
    rmSync(path, { force: true });
    return;
  }
  if (isPostmaster(pid, directory)) {
    log.warn({ event: "postgres_left_over", postgresPid: pid }, "Stopping the Postgres that an earlier process left running.");
    await endProcess(pid, log);
  } else if (processStart(pid) !== undefined || isZombie(pid)) {
    // If postmaster.pid names a running process of its user, Postgres assumes that this is a server. With an id that no process has, it relies on its
    // second check instead: whether a process still holds the cluster's shared memory. So this never allows two servers.
    writeFileSync(path, content.replace(/^\s*\d+/, String(2 ** 31 - 1)));
  }
}

/**
 * Stops a Postgres in fast mode, which rolls back running transactions. If it is still running after 10 s, switches to immediate mode, after which
 * the next start recovers, and finally kills it.
 */
export async function endProcess(pid: number, log: Logger): Promise<void> {
  const started = processStart(pid);
  const steps = [
    ["SIGINT", 10_000],
    ["SIGQUIT", 10_000],
    ["SIGKILL", 5_000],
  ] as const;
  for (const [signal, patience] of steps) {
    if (started === undefined || processStart(pid) !== started) return;
    if (signal !== "SIGINT")
      log.warn({ event: "postgres_still_running", postgresPid: pid, signal }, "Postgres has not stopped yet.");
    try {
      process.kill(pid, signal);
    } catch (error) {
      if (!hasCode(error, "ESRCH")) throw error;
    }
    for (const end = Date.now() + patience; Date.now() < end; await delay(10)) {
      if (processStart(pid) !== started) return;
    }
  }
  throw new LegworkError("LW503", `Postgres (process ${pid}) cannot be stopped.`);
}

/**
 * Returns when a process was started, as text to compare for equality; undefined if it is not running (a zombie is not).
 * The text includes the boot id, because process ids and start times (ticks since boot) may repeat after a reboot.
 */
export function processStart(pid: number): string | undefined {
  if (process.platform !== "linux") {
    const found = spawnSync("ps", ["-o", "stat=,lstart=", "-p", String(pid)], { encoding: "utf8" }).stdout.trim();
    return found === "" || found.startsWith("Z") ? undefined : found.replace(/^\S+\s+/, "");
  }
  const stat = readProcess(pid, "stat");
  if (stat === undefined) return undefined;
  // proc_pid_stat(5): the command may contain spaces and parentheses; state is the 3rd field, start time the 22nd.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  if (fields[0] === "Z" || fields[0] === "X") return undefined;
  return `${readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim()}/${fields[19]}`;
}

/** Returns the content of a text file, or undefined if it does not exist. */
export function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    if (hasCode(error, "ENOENT")) return undefined;
    throw error;
  }
}

export function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && "code" in error && error.code === code;
}

/** Whether a process is a server on this cluster, and not another process that reused its id. */
function isPostmaster(pid: number, directory: string): boolean {
  if (processStart(pid) === undefined) return false;
  if (process.platform !== "linux") {
    const { stdout } = spawnSync("ps", ["-o", "command=", "-p", String(pid)], { encoding: "utf8" });
    return stdout.includes("postgres") && stdout.includes(directory);
  }
  if (readProcess(pid, "comm")?.trim() !== "postgres") return false;
  try {
    // Its working directory is its cluster, even if that has been moved.
    const [theirs, ours] = [statSync(`/proc/${pid}/cwd`), statSync(directory)];
    return theirs.dev === ours.dev && theirs.ino === ours.ino;
  } catch {
    // Root without CAP_SYS_PTRACE, as in a container, cannot read the working directory. If this check misses a server whose cluster was moved, its
    // shared memory still prevents a second one.
    const args = readProcess(pid, "cmdline")?.split("\0") ?? [];
    return args.includes("-D") && args[args.indexOf("-D") + 1] === directory;
  }
}

function isZombie(pid: number): boolean {
  return readProcess(pid, "stat") !== undefined && processStart(pid) === undefined;
}

/** Reads a file of /proc/<pid>; undefined if the process is gone, even if it ends during the read (ESRCH). */
function readProcess(pid: number, file: "stat" | "comm" | "cmdline"): string | undefined {
  try {
    return readFileSync(`/proc/${pid}/${file}`, "utf8");
  } catch {
    return undefined;
  }
}
