import { readFileSync } from "node:fs";
import { Command, Option } from "commander";
import { ATTEMPTS, PRIORITIES } from "../../bounds.ts";
import type { Enqueued, EnqueueOptions } from "../../jobs/enqueue.ts";
import type { Operations } from "../operations/operations.ts";
import { durationText, periodText } from "../duration-text.ts";
import { duration, jobIdsOption, milliseconds, time, wholeNumber } from "../option-values.ts";
import { ownFlags, type RemoteFlags, withOperations, withRemoteOptions } from "../options.ts";
import { printJson, relativeTime } from "../output.ts";
import { printResult } from "../print-result.ts";
import { assertTogether } from "../together.ts";
import { parseTyped } from "../typed-json.ts";

type Flags = RemoteFlags & EnqueueOptions & { json?: boolean; wait?: boolean; timeout?: number };

export function addCommand(): Command {
  return withRemoteOptions(new Command("add"))
    .description("Enqueue a job and print its id")
    .argument("<task>", "Task to run")
    .argument("[payload]", "JSON passed to the task; - reads it from stdin", "{}")
    .option("--run-at <time>", "Earliest start, such as 2026-12-24T18:00:00Z (default: now)", time)
    .option("--priority <number>", "Priority; smaller numbers run first (default: 0)", wholeNumber(...PRIORITIES))
    .option("--job-key <key>", "Name of the job; replaces a waiting job with the same key")
    .option("--serial-key <key>", "Group of jobs that run one at a time, in order")
    .option(
      "--max-attempts <number>",
      "Number of attempts before the job fails permanently (default: 25)",
      wholeNumber(...ATTEMPTS),
    )
    .option("--tenant <name>", "Tenant that the job belongs to")
    .option("--correlation-id <text>", "Id shared by all jobs with the same cause")
    .option("--expires-at <time>", "Start deadline, after which the job expires", time)
    .option(
      "--unique-for <duration>",
      "Period during which an identical request prints this job's id instead of creating another job",
      duration(),
    )
    .option("--unique-key <key>", "Key that identifies identical requests for --unique-for (default: the payload)")
    .option("--debounce <duration>", "Delay before the start, restarted by every request with the same job key", duration())
    .option("--debounce-max <duration>", "Longest delay after the first request, with --debounce", duration())
    .option(
      "--throttle <duration>",
      "Period in which a job with this key starts only once; requests in between are merged",
      duration(),
    )
    .option("--rate-limit <number>", "Enqueue quota: requests accepted within --rate-per", wholeNumber())
    .option("--rate-per <duration>", "Period of --rate-limit, such as 1m", duration(1))
    .option("--rate-key <key>", "Key by which --rate-limit counts requests (default: the task)")
    .addOption(
      new Option(
        "--overlap <mode>",
        "Behavior while a job with this job key is running: start anyway or wait (default: allow)",
      ).choices(["allow", "serial"]),
    )
    .option("--depends-on <id>", "Job that must end first (repeatable)", jobIdsOption)
    .addOption(
      new Option("--on-dependency-failure <action>", "Action when a dependency does not complete (default: cancel)").choices([
        "cancel",
        "run",
      ]),
    )
    .option("--wait", "Wait for the job to end and print its result; exit with 1 unless it completes")
    .option(
      "--timeout <duration>",
      "How long to wait with --wait (default: 30s); after that, the job continues without the command",
      milliseconds(),
    )
    .option("--json", 'Print {"id": …, "created": …, "mergedBy": …}, with --wait also state, result, error and finishedAt')
    .addHelpText(
      "after",
      `
Examples:
  $ legwork add retention/expire '{"table": "sessions", "olderThan": "30 days"}'
  $ legwork add health/probe --run-at 2026-12-24T18:00:00Z
  $ echo '{"database": true}' | legwork add health/probe -
  $ legwork add health/probe '{"database": true}' --wait --timeout 10s`,
    )
    .action(async (task: string, payload: string, flags: Flags) => {
      const { json, wait, timeout, ...options } = ownFlags(flags);
      assertTogether(
        { ...options, wait, timeout },
        { timeout: "wait", uniqueKey: "uniqueFor", debounceMax: "debounce", ratePer: "rateLimit", rateKey: "rateLimit" },
      );
      const parsed = parseTyped("payload", payload === "-" ? readFileSync(0, "utf8") : payload);
      await withOperations(flags, async (operations) => {
        const enqueued = await operations.enqueueWithOutcome(task, parsed, options);
        if (wait === true) {
          // On stderr, because scripts read the result from stdout.
          if (json !== true) console.error(`Job ${enqueued.id}`);
          return await printResult(operations, enqueued.id, { timeout, json, more: enqueued });
        }
        if (json === true) return printJson(enqueued);
        console.log(enqueued.id);
        // On stderr, because scripts read the id from stdout.
        for (const sentence of await whatHappened(operations, enqueued, options)) console.error(sentence);
      });
    });
}

/** Notes for a request that has created no job, or a job that may not start yet. */
async function whatHappened(operations: Operations, { id, mergedBy }: Enqueued, options: EnqueueOptions): Promise<string[]> {
  const sentences: string[] = [];
  if (mergedBy === "uniqueFor") {
    sentences.push(
      `No job was created: an identical request enqueued job ${id} within the last ${periodText(String(options.uniqueFor))}.`,
    );
  } else if (mergedBy !== null) {
    const kept = options.jobKeyMode === "unsafe_dedupe";
    sentences.push(
      `No job was created: job ${id} has the same job key and ${kept ? "was kept as it is" : "now has this payload"}.`,
    );
  }
  if (options.throttle === undefined && options.debounce === undefined) return sentences;
  const { runAt } = await operations.getJob(id);
  if (runAt === null || runAt.getTime() <= Date.now()) return sentences;
  const why =
    options.throttle === undefined
      ? `every request postpones it by ${durationText(String(options.debounce))}`
      : `it starts at most once per ${periodText(String(options.throttle))}`;
  return [...sentences, `It can start ${relativeTime(runAt)}, at ${runAt.toISOString()}: ${why}.`];
}
