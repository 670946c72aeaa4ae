import { Command, Option } from "commander";
import type { FailedFilter } from "../../jobs/failed-jobs.ts";
import { LegworkError } from "../../errors.ts";
import type { Operations } from "../operations/operations.ts";
import { changeMatching } from "../bulk.ts";
import { duration, jobIds, time } from "../option-values.ts";
import { ownFlags, type RemoteFlags, withOperations, withRemoteOptions } from "../options.ts";
import { forEachJob } from "../output.ts";

type Flags = RemoteFlags & Omit<FailedFilter, "ids"> & { all?: boolean; preview?: boolean; detach?: boolean; json?: boolean };

export function retryCommand(): Command {
  return withFilter(new Command("retry"))
    .description("Retry failed jobs now, or start waiting jobs before they are due")
    .addHelpText(
      "after",
      `
Examples:
  $ legwork retry 42
  $ legwork retry --task notify/email --error ECONNREFUSED --preview
  $ legwork retry --fingerprint 3f2a91c04d5e
  $ legwork retry --state failed --failed-since 2h --detach`,
    )
    .action(async (ids: string[], flags: Flags) => {
      await onFailedJobs(ids, flags, "retry", {
        one: (operations, id) => operations.retryJob(id),
        many: (operations, filter, options) => operations.retryJobs(filter, options),
      });
    });
}

export function discardCommand(): Command {
  return withFilter(new Command("discard"))
    .description("Discard failed jobs: they can no longer be retried, but stay in the history")
    .addHelpText("after", "\nExamples:\n  $ legwork discard 42\n  $ legwork discard --fingerprint 3f2a91c04d5e --preview")
    .action(async (ids: string[], flags: Flags) => {
      await onFailedJobs(ids, flags, "discard", {
        one: async (operations, id) => {
          await operations.discardJob(id);
          return "discarded";
        },
        many: (operations, filter, options) => operations.discardJobs(filter, options),
      });
    });
}

function withFilter(command: Command): Command {
  return withRemoteOptions(command)
    .argument("[ids...]", "Ids of the jobs; or use the options below to select failed jobs", jobIds, [])
    .addOption(
      new Option("--state <state>", "Accepted so that scripts can name the state; only failed jobs can be selected").choices([
        "failed",
      ]),
    )
    .option("--task <name>", "Only failed jobs of this task")
    .option("--queue <name>", "Only failed jobs of this queue")
    .option("--tenant <name>", "Only this tenant's failed jobs")
    .option("--fingerprint <group>", "Only failed jobs of this group; `legwork failed` lists the groups")
    .option("--error <text>", "Only failed jobs whose error contains this text")
    .option("--failed-after <time>", "Only jobs that failed at this time or later", time)
    .option("--failed-before <time>", "Only jobs that failed before this time", time)
    .option("--failed-since <duration>", "Only jobs that failed at most this long ago, such as 10m", duration())
    .option("--all", "All failed jobs")
    .option("--preview", "List the jobs without changing them")
    .option("--detach", "Start a bulk action and do not wait for it")
    .option("--json", "Print an array with an entry per changed job, or the bulk action for more than 1,000 jobs");
}

async function onFailedJobs(
  ids: readonly string[],
  flags: Flags,
  command: "retry" | "discard",
  operation: {
    one: (operations: Operations, id: string) => Promise<string>;
    many: (operations: Operations, filter: FailedFilter, options: { preview: boolean }) => Promise<string[]>;
  },
): Promise<void> {
  const { all, preview = false, detach = false, json, ...filter } = ownFlags(flags);
  const hasFilter = Object.keys(filter).length > 0;
  if (ids.length > 0 === (hasFilter || all === true)) {
    throw new LegworkError("LW400", "Select jobs by their ids, by options such as --task, or with --all.", {
      hint: `For example \`legwork ${command} 42\`, \`legwork ${command} --task notify/email\` or \`legwork ${command} --all --preview\`.`,
    });
  }
  const done = command === "retry" ? "retried" : "discarded";
  await withOperations(flags, async (operations) => {
    if (ids.length > 0 && !preview && !detach) {
      await forEachJob(ids, json, async (id) => {
        const state = await operation.one(operations, id);
        return { done: { state }, text: state === "discarded" ? state : `${done}: ${state}` };
      });
      return;
    }
    const chosen = ids.length > 0 ? { ids } : filter;
    await changeMatching(operations, {
      action: command,
      filter: chosen,
      options: {},
      preview,
      detach,
      json,
      none: "No failed jobs match.",
      direct: (options) => operation.many(operations, chosen, options),
    });
  });
}
