import type { Named } from "./function-calls.ts";

export interface WalkedCommand {
  /** The name of the command in docs/reference/access-matrix.md. */
  name: string;
  run: string[];
}

/** The commands that query the database, each in a form that reaches its operation. A test records which database roles may run each command. */
export function walkedCommands({ acme, alert, silence }: Named): WalkedCommand[] {
  const { jobs, runningFlow, failedFlow, batch, schedule, token, awaiting } = acme;
  const steps = JSON.stringify([{ name: "s", task: "free" }]);
  const commands: [name: string, ...run: string[]][] = [
    ["jobs", "jobs", "--limit", "200"],
    ["job", "job", jobs.completed],
    ["explain", "explain", jobs.blocked],
    ["failed", "failed"],
    ["queues", "queues"],
    ["tasks", "tasks"],
    ["workers", "workers"],
    ["workflow list", "workflow", "list"],
    ["workflow show", "workflow", "show", failedFlow],
    ["batch list", "batch", "list"],
    ["batch show", "batch", "show", batch],
    ["schedule list", "schedule", "list"],
    ["schedule show", "schedule", "show", schedule],
    ["schedule preview NAME", "schedule", "preview", schedule],
    ["schedule preview --cron", "schedule", "preview", "--cron", "0 3 * * *"],
    ["stats", "stats"],
    ["overview", "overview"],
    ["health", "health"],
    ["alerts", "alerts", "--all"],
    ["alerts --rules", "alerts", "--rules"],
    ["doctor", "doctor"],
    ["migrate", "migrate"],
    ["add", "add", "free", "{}"],
    ["workflow start", "workflow", "start", "w", steps],
    ["batch start", "batch", "start", JSON.stringify([{ task: "free" }])],
    ["backup", "backup", "people", "--folder", "people"],
    ["cancel", "cancel", jobs.pending],
    ["retry", "retry", jobs.failed],
    ["discard", "discard", jobs.failed],
    ["rerun", "rerun", jobs.cancelled],
    ["priority", "priority", jobs.scheduled, "--to", "5"],
    ["signal", "signal", awaiting[0] ?? "", "go"],
    ["limit", "limit", "--task", "free", "--concurrency", "1"],
    ["workers quiet", "workers", "quiet", "host:1"],
    ["workers drain", "workers", "drain", "w"],
    ["workers resume", "workers", "resume", "w"],
    ["pause", "pause", "mail"],
    ["resume", "resume", "mail"],
    ["stop --all", "stop", "--all"],
    ["resume --all", "resume", "--all"],
    ["schedule add", "schedule", "add", "new", "free", "--every", "1h"],
    ["schedule disable", "schedule", "disable", schedule],
    ["schedule enable", "schedule", "enable", schedule],
    ["schedule run", "schedule", "run", schedule],
    ["workflow cancel", "workflow", "cancel", runningFlow],
    ["workflow retry", "workflow", "retry", failedFlow],
    ["alerts --ack", "alerts", "--ack", alert],
    ["alerts --silence", "alerts", "--silence", "1h", "--rule", "error_rate"],
    ["token list", "token", "list"],
    ["token create", "token", "create", "--name", `walk-${silence}`],
    ["token revoke", "token", "revoke", token],
    ["audit", "audit"],
    ["roles create", "roles", "create"],
  ];
  return commands.map(([name, ...run]) => ({ name, run }));
}
