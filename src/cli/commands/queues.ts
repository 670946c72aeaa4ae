import { Command } from "commander";
import type { LimitRow, WorkerRow } from "../../queues/read-queues.ts";
import type { Operations } from "../local-operations.ts";
import { type RemoteFlags, withOperations, withRemoteOptions } from "../options.ts";
import { repeatedly, type WatchFlags, withWatch } from "../watch.ts";
import { color, printJson, printTable, relativeTime, shorten } from "../output.ts";
import { jsonText } from "../visible.ts";

export function queuesCommand(): Command {
  return listing(
    "queues",
    "list the queues: what waits and runs, limits and pauses",
    ({ listQueues }) => listQueues(),
    "No queues.",
    (queues) =>
      printTable(
        ["QUEUE", "RUNNING", "PENDING", "BLOCKED", "PAUSED", "LATER", "OLDEST", "LIMITS", "STATE"],
        queues.map((queue) => [
          queue.name,
          queue.running,
          queue.pending,
          queue.blocked,
          queue.paused,
          queue.later,
          relativeTime(queue.oldest),
          (queue.limits ?? []).map(describeLimit).join(", "),
          queue.paused_at === null
            ? ""
            : color(
                "yellow",
                shorten(`paused by ${queue.paused_by} ${relativeTime(queue.paused_at)}${reason(queue.pause_reason)}`, 60),
              ),
        ]),
      ),
  );
}

export function workersCommand(): Command {
  return listing(
    "workers",
    "list the living workers with what they run",
    ({ listWorkers }) => listWorkers(),
    "No Legwork worker is alive.",
    (workers) =>
      printTable(
        ["WORKER", "HOST", "PID", "BUSY", "TASKS", "STARTED", "SEEN", "RUNNING"],
        workers.map((worker) => [
          worker.id,
          worker.host,
          String(worker.pid),
          `${worker.running.length}/${worker.concurrency}`,
          String(worker.tasks.length),
          relativeTime(worker.started_at),
          describeSeen(worker),
          shorten(worker.running.join(", "), 40),
        ]),
      ),
  );
}

/** When it was last seen, and what keeps it from working. */
function describeSeen(worker: WorkerRow): string {
  if (worker.suspected) return color("red", `silent, ${relativeTime(worker.seen_at)}`);
  if (worker.blocked_since === null || worker.blocked_since === undefined) return relativeTime(worker.seen_at);
  const jobs = worker.blocked_jobs ?? [];
  const whose = jobs.length === 0 ? "" : jobs.length === 1 ? ` in job ${jobs[0]}` : ` in one of ${shorten(jobs.join(", "), 40)}`;
  return color("yellow", `computing${whose} since ${relativeTime(worker.blocked_since)}`);
}

export function failedCommand(): Command {
  return listing(
    "failed",
    "list failed jobs that can be retried, grouped by what went wrong",
    ({ listFailedGroups }) => listFailedGroups(),
    "No failed jobs.",
    (groups) => {
      printTable(
        ["FINGERPRINT", "JOBS", "TASK", "LAST", "FIRST", "LAST ID", "LAST ERROR"],
        groups.map((group) => [
          group.fingerprint,
          group.jobs,
          shorten(group.task, 40),
          relativeTime(group.last_at),
          relativeTime(group.first_at),
          group.last_id,
          shorten(group.last_error ?? "", 70),
        ]),
      );
      console.log("\nRetry a group: legwork retry --fingerprint FINGERPRINT [--preview]");
    },
  );
}

export function tasksCommand(): Command {
  return listing(
    "tasks",
    "list the tasks that a worker has announced or that a job was made for",
    ({ listTasks }) => listTasks(),
    "No task is known yet: start a worker.",
    (tasks) =>
      printTable(
        ["TASK", "QUEUE", "LIMITS", "RETRY", "STATE", "DESCRIPTION"],
        tasks.map((task) => [
          task.name,
          task.queue,
          (task.limits ?? []).map(describeLimit).join(", "),
          task.retry === null ? "" : `${jsonText(task.retry.attempts ?? 25)} attempts`,
          task.paused_at === null ? "" : color("yellow", shorten(`paused by ${task.paused_by}${reason(task.pause_reason)}`, 40)),
          shorten(task.description ?? "", 60),
        ]),
      ),
  );
}

function listing<T>(
  name: string,
  description: string,
  read: (operations: Operations) => Promise<T[]>,
  none: string,
  print: (rows: T[]) => void,
): Command {
  return withWatch(withRemoteOptions(new Command(name)))
    .description(description)
    .option("--json", "print an array of whole rows")
    .addHelpText("after", `\nExamples:\n  $ legwork ${name}\n  $ legwork ${name} --json\n  $ legwork ${name} --watch 5s`)
    .action(async (flags: RemoteFlags & WatchFlags & { json?: boolean }) => {
      await withOperations(flags, (operations) =>
        repeatedly(flags, async () => {
          const rows = await read(operations);
          if (flags.json === true) printJson(rows);
          else if (rows.length === 0) console.log(none);
          else print(rows);
        }),
      );
    });
}

export function describeLimit({ kind, max, per, key }: LimitRow): string {
  return `${max} ${kind === "rate" ? `per ${per}` : "at a time"}${key === undefined ? "" : ` per ${key}`}`;
}

function reason(text: string | null): string {
  return text === null ? "" : `: ${text}`;
}
