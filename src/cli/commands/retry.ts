import { Command } from "commander";
import { loadConfig } from "../../config.ts";
import { discardJob, discardJobs } from "../../jobs/discard-job.ts";
import type { FailedFilter } from "../../jobs/failed-jobs.ts";
import { retryJob, retryJobs } from "../../jobs/retry-job.ts";
import { LegworkError } from "../../errors.ts";
import { type CommonFlags, time, withCommonOptions, withDatabase } from "../options.ts";
import { forEachJob, printIds } from "../output.ts";

type Flags = CommonFlags & Omit<FailedFilter, "ids"> & { all?: boolean; preview?: boolean; json?: boolean };

export function retryCommand(): Command {
  return withFilter(new Command("retry"))
    .description("let jobs start now: failed ones again, waiting ones without waiting for their time")
    .addHelpText(
      "after",
      `
Examples:
  $ legwork retry 42
  $ legwork retry --task notify/email --error ECONNREFUSED --preview
  $ legwork retry --fingerprint 3f2a91c04d5e`,
    )
    .action(async (ids: string[], flags: Flags) => {
      await onFailedJobs(ids, flags, "retried", {
        one: async (pool, id) => await retryJob(pool, id),
        many: retryJobs,
      });
    });
}

export function discardCommand(): Command {
  return withFilter(new Command("discard"))
    .description("give up failed jobs: they cannot be retried any more and stay in the history")
    .addHelpText("after", "\nExamples:\n  $ legwork discard 42\n  $ legwork discard --fingerprint 3f2a91c04d5e --preview")
    .action(async (ids: string[], flags: Flags) => {
      await onFailedJobs(ids, flags, "discarded", {
        one: async (pool, id) => {
          await discardJob(pool, id);
          return "discarded";
        },
        many: discardJobs,
      });
    });
}

function withFilter(command: Command): Command {
  return withCommonOptions(command)
    .argument("[ids...]", "the jobs' ids; or name failed jobs by the options below")
    .option("--task <name>", "failed jobs of this task")
    .option("--queue <name>", "failed jobs of this queue")
    .option("--tenant <name>", "failed jobs of this tenant")
    .option("--fingerprint <group>", "failed jobs of this group; `legwork failed` lists the groups")
    .option("--error <text>", "failed jobs whose error contains this")
    .option("--failed-after <time>", "jobs that failed at this time or later", time)
    .option("--failed-before <time>", "jobs that failed before this time", time)
    .option("--all", "every failed job")
    .option("--preview", "only say which")
    .option("--json", "print an array");
}

async function onFailedJobs(
  ids: readonly string[],
  flags: Flags,
  done: string,
  operation: {
    one: (pool: Parameters<typeof retryJob>[0], id: string) => Promise<string>;
    many: typeof retryJobs;
  },
): Promise<void> {
  const { databaseUrl, dataDir, logLevel, all, preview, json, ...filter } = flags;
  const hasFilter = Object.keys(filter).length > 0;
  if ((ids.length > 0 ? 1 : 0) + (hasFilter ? 1 : 0) + (all === true ? 1 : 0) !== 1) {
    throw new LegworkError("LW400", "Name jobs by their ids, by what they have in common, or --all.", {
      hint: "For example `legwork retry 42`, `legwork retry --task notify/email` or `legwork retry --all --preview`.",
    });
  }
  const { config } = await loadConfig({ databaseUrl, dataDir, logLevel });
  await withDatabase(config, async (pool) => {
    if (ids.length > 0 && preview !== true) {
      await forEachJob(ids, json, async (id) => {
        const state = await operation.one(pool, id);
        return { state, text: state === "discarded" ? state : `${done}: ${state}` };
      });
      return;
    }
    const found = await operation.many(pool, ids.length > 0 ? { ids } : filter, { preview: preview === true });
    printIds(found, { done, preview: preview === true, json, none: "No failed job fits." });
  });
}
