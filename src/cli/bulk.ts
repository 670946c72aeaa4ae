import { setTimeout as delay } from "node:timers/promises";
import type { BulkAction } from "../contract/bulk-actions.ts";
import type { BulkActionKind, BulkFilter, BulkOptions } from "../jobs/bulk-actions.ts";
import { counted, formatNumber } from "../wording.ts";
import { assertKnownNames } from "./known-names.ts";
import type { Operations } from "./operations/operations.ts";
import { printIds, printJson, printTable } from "./output.ts";
import { ProgressBar } from "./progress-bar.ts";

/** The maximum number of jobs that one call changes. A bulk action changes larger numbers. */
const DIRECT = 1_000;
/** The maximum number of jobs that a preview counts. */
const MAX_PREVIEWED = 10_000;

/** The verb that follows the number of jobs. */
const DONE: Readonly<Record<BulkActionKind, string>> = {
  retry: "retried",
  discard: "discarded",
  cancel: "cancelled or signaled to stop",
  rerun: "rerun",
  priority: "reprioritized",
};

export interface BulkRequest {
  action: BulkActionKind;
  filter: BulkFilter;
  options: BulkOptions;
  preview: boolean;
  /** Start a bulk action and do not wait for it. */
  detach: boolean;
  json: boolean | undefined;
  /** The text to print when no jobs match. */
  none: string;
  /** Changes the jobs in one call, or only lists them with `preview`. Returns their ids. */
  direct: (options: { preview: boolean }) => Promise<string[]>;
}

/**
 * Changes all jobs that match: up to 1,000 in one call, more by a bulk action whose progress is shown until it ends. After Ctrl-C, workers and
 * servers continue the bulk action.
 */
export async function changeMatching(operations: Operations, request: BulkRequest): Promise<void> {
  const { action, filter, options, json, none } = request;
  const print = { done: DONE[action], json, none };
  if (request.preview) {
    const found = await request.direct({ preview: true });
    if (found.length === 0) await assertKnownNames(operations, filter);
    printIds(found, { ...print, preview: true });
    if (json !== true) await printPreview(operations, request, found.length);
    return;
  }
  if (!request.detach) {
    const { jobs, isCapped } = await operations.previewBulkAction(action, filter, options);
    if (jobs <= DIRECT && !isCapped) {
      const found = await request.direct({ preview: false });
      if (found.length === 0) await assertKnownNames(operations, filter);
      printIds(found, { ...print, preview: false });
      return;
    }
  }
  const id = await operations.startBulkAction(action, filter, options);
  if (!request.detach) {
    await follow(operations, id, json);
    return;
  }
  if (json === true) printJson(await operations.getBulkAction(id));
  else console.log(`Bulk action ${id} started.\n${howToGoOn(id)}`);
}

function howToGoOn(id: string): string {
  return `Workers and servers carry it out. To follow it: legwork bulk show ${id} --watch. To stop it: legwork bulk stop ${id}.`;
}

/** Prints the number of jobs by task, and a note if more jobs match than are listed. */
async function printPreview(operations: Operations, { action, filter, options }: BulkRequest, listed: number): Promise<void> {
  if (listed < 2) return;
  const { byTask, isCapped } = await operations.previewBulkAction(action, filter, options);
  if (isCapped)
    console.log(`Only the first ${formatNumber(MAX_PREVIEWED)} jobs are counted. All matching jobs would be changed.`);
  if (byTask.length < 2) return;
  console.log();
  printTable(
    ["TASK", "JOBS"],
    byTask.map(({ task, jobs }) => [task, formatNumber(jobs)]),
  );
}

/** Shows the progress of a bulk action until it ends, and then what it has changed. Exit code 1 if it failed or was stopped. */
async function follow(operations: Operations, id: string, json: boolean | undefined): Promise<void> {
  const bar = new ProgressBar();
  const onInterrupt = (): void => {
    bar.clear();
    process.stderr.write(`Bulk action ${id} continues without this command. ${howToGoOn(id)}\n`);
    process.exit(130);
  };
  process.once("SIGINT", onInterrupt);
  try {
    for (;;) {
      const wait = await operations.advanceBulkAction(id);
      const now = await operations.getBulkAction(id);
      if (now.state !== "running") {
        bar.clear();
        if (json === true) printJson(now);
        else for (const line of describeEnd(now)) console.log(line);
        if (now.state !== "completed") process.exitCode = 1;
        return;
      }
      bar.show(percentOf(now), `${describeCount(now)}${now.lastError === null ? "" : `: ${now.lastError}`}`);
      await delay(Math.min(wait, 1_000));
    }
  } finally {
    process.off("SIGINT", onInterrupt);
    bar.clear();
  }
}

/** "1,000 of 25,000 jobs", or without the total while the jobs are being counted. */
export function describeCount({ changed, total }: Pick<BulkAction, "changed" | "total">): string {
  return total === null ? `${formatNumber(changed)} jobs` : `${formatNumber(changed)} of ${counted(total, "job")}`;
}

export function percentOf({ changed, skipped, total }: Pick<BulkAction, "changed" | "skipped" | "total">): number | null {
  if (total === null) return null;
  return Math.min(100, (100 * (Number(changed) + Number(skipped))) / Math.max(1, Number(total)));
}

/** Describes what an ended bulk action has changed, and which jobs it could not change. */
export function describeEnd(ended: BulkAction): string[] {
  const changed = `${counted(ended.changed, "job")} ${DONE[ended.action]}`;
  const lines = [`${changed} (bulk action ${ended.id}${ended.state === "completed" ? "" : `, ${ended.state}`}).`];
  if (ended.lastError !== null) lines.push(ended.lastError);
  for (const [reason, jobs] of Object.entries(ended.skipReasons)) lines.push(`${counted(jobs, "job")} skipped: ${reason}`);
  return lines;
}
