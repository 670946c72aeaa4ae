import type { Command } from "commander";
import { listingCommand } from "../listing.ts";
import { describeLimit, describeReason } from "../limits-and-pauses.ts";
import { color, printTable } from "../output.ts";
import { jsonText } from "../visible.ts";

export function tasksCommand(): Command {
  return listingCommand(
    "tasks",
    "List the tasks that a worker has registered or that a job was enqueued for",
    ({ listTasks }) => listTasks(),
    "No tasks are registered yet. Start a worker.",
    (tasks) =>
      printTable(
        ["TASK", "QUEUE", "LIMITS", "RETRY", "STATE", "DESCRIPTION"],
        tasks.map((task) => [
          task.name,
          task.queue,
          (task.limits ?? []).map(describeLimit).join(", "),
          task.retry === null ? "" : `${jsonText(task.retry.attempts ?? 25)} attempts`,
          task.pausedAt === null ? "" : color("yellow", `paused by ${task.pausedBy}${describeReason(task.pauseReason)}`),
          task.description ?? "",
        ]),
        ["RETRY", "LIMITS", "QUEUE"],
      ),
  );
}
