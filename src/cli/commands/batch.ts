import { readFileSync } from "node:fs";
import { Command, Option } from "commander";
import { BATCH_STATES } from "../../contract/states.ts";
import type { Batch } from "../../contract/workflows.ts";
import type { BatchFilter } from "../../workflows/batches.ts";
import { positiveInteger, type RemoteFlags, withOperations, withRemoteOptions } from "../options.ts";
import { color, elapsed, printJson, printTable, relativeTime, shorten } from "../output.ts";
import { parseTyped } from "../typed-json.ts";

const STATE_COLORS = { running: "blue", completed: "green", failed: "red" } as const;

interface Flags extends RemoteFlags {
  json?: boolean;
}

export function batchCommand(): Command {
  const command = new Command("batch").description("enqueue many jobs as one, list and show such batches").addHelpText(
    "after",
    `
Examples:
  $ legwork batch start '[{"task": "mail", "payload": {"n": 1}}, {"task": "mail", "payload": {"n": 2}}]' --description 'mails of november'
  $ legwork batch start - --callback '{"task": "report"}' < jobs.json
  $ legwork batch list --state running
  $ legwork batch show 8`,
  );
  for (const sub of [startCommand, listCommand, showCommand]) command.addCommand(sub().exitOverride());
  return command;
}

function startCommand(): Command {
  return withRemoteOptions(new Command("start"))
    .description("enqueue the jobs, all or none, and print the batch's id")
    .argument("<jobs>", "the jobs, as a JSON array; - reads them from stdin")
    .option("--description <text>", "what it is, for those who read the list")
    .option("--callback <job>", "a job, as JSON, that runs when all have ended, however they ended")
    .option("--tenant <name>", "whose it is")
    .option("--correlation-id <id>", "shared by all its jobs")
    .option("--json", 'print {"id": …}')
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
    .description("list batches, newest first")
    .addOption(new Option("--state <state>", "only those in this state").choices(BATCH_STATES))
    .option("--tenant <name>", "only this tenant's")
    .option("--before <id>", "only those older than this one: the next page")
    .option("--limit <number>", "how many, at most 500", (value) => Math.min(positiveInteger(value), 500), 20)
    .option("--json", "print an array of whole rows")
    .action(async (flags: Flags & BatchFilter & { limit: number }) => {
      await withOperations(flags, async (operations) => {
        const { state, tenant, before, limit } = flags;
        const batches = await operations.listBatches({ state, tenant, before, limit });
        if (flags.json === true) return printJson(batches);
        if (batches.length === 0) return console.log("No batches.");
        printTable(
          ["id", "description", "state", "jobs", "done", "started", "took"],
          batches.map((batch) => [
            batch.id,
            shorten(batch.description ?? "", 60),
            color(STATE_COLORS[batch.state], batch.state),
            describeCounts(batch),
            `${batch.progress} %`,
            relativeTime(batch.createdAt),
            elapsed(batch.createdAt, batch.endedAt),
          ]),
        );
        if (batches.length === limit) console.log(`\nMore: legwork batch list --before ${batches.at(-1)?.id}`);
      });
    });
}

function showCommand(): Command {
  return withRemoteOptions(new Command("show"))
    .description("show a batch: how far it is, what of it failed, and how to find its jobs")
    .argument("<id>", "the batch's id")
    .option("--json", "print the whole row")
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
          `${color("bold", `Batch ${batch.id}`)}  ${batch.description ?? ""}  ${color(STATE_COLORS[batch.state], batch.state)}  ${batch.progress} %`,
        );
        for (const [name, value] of facts) if (value !== null && value !== "") console.log(`  ${name.padEnd(12)}${value}`);
        console.log(`\nIts jobs: legwork jobs --correlation-id ${batch.correlationId}`);
      });
    });
}

function describeCounts(batch: Batch): string {
  const bad = Number(batch.failed) + Number(batch.cancelled) + Number(batch.expired);
  return `${batch.completed}/${batch.total}${bad === 0 ? "" : `, ${bad} not`}`;
}

function describeParts({ total, completed, failed, cancelled, expired }: Batch): string {
  const left = total - Number(completed) - Number(failed) - Number(cancelled) - Number(expired);
  const parts = { completed, failed, cancelled, expired, left };
  return Object.entries(parts)
    .filter(([, count]) => Number(count) > 0)
    .map(([name, count]) => `${count} ${name}`)
    .join(", ");
}
