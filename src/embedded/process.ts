import { spawnSync } from "node:child_process";
import { readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { LegworkError } from "../errors.ts";
import type { Logger } from "../log.ts";

/** Whom Postgres runs as when that is not this process's own user. */
export interface SystemUser {
  readonly uid: number;
  readonly gid: number;
}

/** What to give to child_process so that nothing of the user's environment or working directory reaches Postgres. */
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
 * Stops a Postgres that a killed process of ours has left behind on this cluster, and makes sure that no leftover
 * postmaster.pid prevents the next start. Whatever else has that process id by now is left alone.
 */
export async function stopOrphan(directory: string, log: Logger): Promise<void> {
  const path = join(directory, "postmaster.pid");
  const content = readIfThere(path);
  if (content === undefined) return;
  const pid = Number.parseInt(content, 10);
  if (!(pid > 0)) {
    // Emptied by a crash of the machine. Postgres would ask somebody to remove it.
    rmSync(path, { force: true });
    return;
  }
  if (isPostmaster(pid, directory)) {
    log.warn({ postgresPid: pid }, "stopping the Postgres that an earlier process has left running");
    await endProcess(pid, log);
  } else if (processStart(pid) !== undefined || isZombie(pid)) {
    // Postgres believes any living process of its user to be a server. Under an id that no process has, it goes by its
    // second check instead: whether somebody still holds the cluster's shared memory. So this never lets two servers in.
    writeFileSync(path, content.replace(/^\s*\d+/, String(2 ** 31 - 1)));
  }
}

/** Ends a Postgres: fast (running transactions are rolled back), after 10 s at once (the next start recovers). */
export async function endProcess(pid: number, log: Logger): Promise<void> {
  const started = processStart(pid);
  const steps = [
    ["SIGINT", 10_000],
    ["SIGQUIT", 10_000],
    ["SIGKILL", 5_000],
  ] as const;
  for (const [signal, patience] of steps) {
    if (started === undefined || processStart(pid) !== started) return;
    if (signal !== "SIGINT") log.warn({ postgresPid: pid, signal }, "Postgres has not stopped yet");
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
 * When a process was started, as a text to compare for equality; undefined when it does not run (a zombie does not).
 * The boot is part of it: pids and ticks since boot repeat from one boot to the next.
 */
export function processStart(pid: number): string | undefined {
  if (process.platform !== "linux") {
    const found = spawnSync("ps", ["-o", "stat=,lstart=", "-p", String(pid)], { encoding: "utf8" }).stdout.trim();
    return found === "" || found.startsWith("Z") ? undefined : found.replace(/^\S+\s+/, "");
  }
  const stat = readProcess(pid, "stat");
  if (stat === undefined) return undefined;
  // proc_pid_stat(5): the command may hold spaces and brackets; state is the 3rd field, start time the 22nd.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  if (fields[0] === "Z" || fields[0] === "X") return undefined;
  return `${readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim()}/${fields[19]}`;
}

/** The content of a text file, or undefined when there is none. */
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

/** A server on this cluster, not merely a living process: pids are reused. */
function isPostmaster(pid: number, directory: string): boolean {
  if (processStart(pid) === undefined) return false;
  if (process.platform !== "linux") {
    const { stdout } = spawnSync("ps", ["-o", "command=", "-p", String(pid)], { encoding: "utf8" });
    return stdout.includes("postgres") && stdout.includes(directory);
  }
  if (readProcess(pid, "comm")?.trim() !== "postgres") return false;
  try {
    // Its working directory is its cluster, wherever that has been moved to.
    const [theirs, ours] = [statSync(`/proc/${pid}/cwd`), statSync(directory)];
    return theirs.dev === ours.dev && theirs.ino === ours.ino;
  } catch {
    // Root without CAP_SYS_PTRACE, as in a container, may not look there. Should this miss a server whose cluster was
    // moved, its shared memory prevents a second one.
    const args = readProcess(pid, "cmdline")?.split("\0") ?? [];
    return args.includes("-D") && args[args.indexOf("-D") + 1] === directory;
  }
}

function isZombie(pid: number): boolean {
  return readProcess(pid, "stat") !== undefined && processStart(pid) === undefined;
}

/** A file of /proc/<pid>; undefined when the process is gone, also while it is being read (ESRCH). */
function readProcess(pid: number, file: "stat" | "comm" | "cmdline"): string | undefined {
  try {
    return readFileSync(`/proc/${pid}/${file}`, "utf8");
  } catch {
    return undefined;
  }
}
