import { readFileSync } from "node:fs";
import { Command, Option } from "commander";
import { BATCH_STATES } from "../../contract/states.ts";
import type { Batch } from "../../contract/workflows.ts";
import type { BatchFilter } from "../../workflows/batches.ts";
import { idArgument, idOf, listLimit } from "../option-values.ts";
import { type RemoteFlags, withOperations, withRemoteOptions } from "../options.ts";
import { color, elapsed, printJson, printTable, relativeTime } from "../output.ts";
import { parseTyped } from "../typed-json.ts";

const STATE_COLORS = { running: "blue", completed: "green", failed: "red" } as const;

interface Flags extends RemoteFlags {
  json?: boolean;
}

export function batchCommand(): Command {
  const command = new Command("batch").description("Start, list and show batches of jobs").addHelpText(
    "after",
    `
Examples:
  $ legwork batch start '[{"task": "mail", "payload": {"n": 1}}, {"task": "mail", "payload": {"n": 2}}]' --description 'November mails'
  $ legwork batch start - --callback '{"task": "report"}' < jobs.json
  $ legwork batch list --state running
  $ legwork batch show 8`,
  );
  for (const sub of [startCommand, listCommand, showCommand]) command.addCommand(sub().exitOverride());
  return command;
}

function startCommand(): Command {
  return withRemoteOptions(new Command("start"))
    .description("Enqueue a batch of jobs atomically and print its id")
    .argument("<jobs>", "Jobs as a JSON array; - reads them from stdin")
    .option("--description <text>", "Description shown in lists")
    .option("--callback <job>", "Job, as JSON, to run when all jobs have ended, in any state")
    .option("--tenant <name>", "Tenant that the batch belongs to")
    .option("--correlation-id <text>", "Id shared by all jobs of the batch")
    .option("--json", 'Print {"id": …}')
    .addHelpText(
      "after",
      `
Examples:
  $ legwork batch start '[{"task": "mail", "payload": {"n": 1}}, {"task": "mail", "payload": {"n": 2}}]'
  $ legwork batch start - --callback '{"task": "report"}' < jobs.json`,
    )
    .action(
      async (
        text: string,
        flags: Flags & { description?: string; callback?: string; tenant?: string; correlationId?: string },
      ) => {
        const jobs = parseTyped("jobs", text === "-" ? readFileSync(0, "utf8") : text, '[{"task": "a"}]');
        const callback = flags.callback === undefined ? undefined : parseTyped("callback", flags.callback, '{"task": "a"}');
        await withOperations(flags, async (operations) => {
          const { description, tenant, correlationId } = flags;
          const id = await operations.enqueueBatch(jobs, { description, callback, tenant, correlationId });
          if (flags.json === true) printJson({ id });
          else console.log(id);
        });
      },
    );
}

function listCommand(): Command {
  return withRemoteOptions(new Command("list"))
    .description("List batches, newest first")
    .addOption(new Option("--state <state>", "Only batches in this state").choices(BATCH_STATES))
    .option("--tenant <name>", "Only this tenant's batches")
    .option("--before <id>", "Only batches older than this one, for the next page", idOf("a batch"))
    .option("--limit <number>", "Number of batches, at most 500", listLimit, 20)
    .option("--json", "Print an array of complete rows")
    .addHelpText("after", "\nExamples:\n  $ legwork batch list\n  $ legwork batch list --state failed --tenant acme")
    .action(async (flags: Flags & BatchFilter & { limit: number }) => {
      await withOperations(flags, async (operations) => {
        const { state, tenant, before, limit } = flags;
        const batches = await operations.listBatches({ state, tenant, before, limit });
        if (flags.json === true) return printJson(batches);
        if (batches.length === 0) return console.log("No batches.");
        printTable(
          ["ID", "DESCRIPTION", "STATE", "JOBS", "PROGRESS", "STARTED", "TOOK"],
          batches.map((batch) => [
            batch.id,
            batch.description ?? "",
            color(STATE_COLORS[batch.state], batch.state),
            describeCounts(batch),
            `${batch.progress}%`,
            relativeTime(batch.createdAt),
            elapsed(batch.createdAt, batch.endedAt),
          ]),
          ["TOOK", "STARTED", "JOBS"],
        );
        if (batches.length === limit) console.log(`\nMore: legwork batch list --before ${batches.at(-1)?.id}`);
      });
    });
}

function showCommand(): Command {
  return withRemoteOptions(new Command("show"))
    .description("Show a batch's progress and the outcomes of its jobs")
    .argument("<id>", "Id of the batch", idArgument("batch"))
    .option("--json", "Print the complete row")
    .addHelpText("after", "\nExamples:\n  $ legwork batch show 8\n  $ legwork batch show 8 --json")
    .action(async (id: string, flags: Flags) => {
      await withOperations(flags, async (operations) => {
        const batch = await operations.getBatch(id);
        if (flags.json === true) return printJson(batch);
        const facts: [string, string | null][] = [
          ["jobs", `${batch.total}: ${describeParts(batch)}`],
          ["tenant", batch.tenant],
          ["started", relativeTime(batch.createdAt)],
          ["took", elapsed(batch.createdAt, batch.endedAt)],
          ["callback", batch.callbackJobId === null ? null : `job ${batch.callbackJobId}`],
        ];
        console.log(
          `${color("bold", `Batch ${batch.id}`)}  ${batch.description ?? ""}  ${color(STATE_COLORS[batch.state], batch.state)}  ${batch.progress}%`,
        );
        for (const [name, value] of facts) if (value !== null && value !== "") console.log(`  ${name.padEnd(12)}${value}`);
        console.log(`\nIts jobs: legwork jobs --correlation-id ${batch.correlationId}`);
      });
    });
}

function describeCounts(batch: Batch): string {
  const bad = Number(batch.failed) + Number(batch.cancelled) + Number(batch.expired);
  return `${batch.completed}/${batch.total}${bad === 0 ? "" : `, ${bad} not completed`}`;
}

function describeParts({ total, completed, failed, cancelled, expired }: Batch): string {
  const left = total - Number(completed) - Number(failed) - Number(cancelled) - Number(expired);
  const parts = { completed, failed, cancelled, expired, left };
  return Object.entries(parts)
    .filter(([, count]) => Number(count) > 0)
    .map(([name, count]) => `${count} ${name}`)
    .join(", ");
}
