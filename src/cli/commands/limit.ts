import { Command, InvalidArgumentError, Option } from "commander";
import { LegworkError } from "../../errors.ts";
import type { LimitTarget } from "../../queues/limits.ts";
import { counted } from "../../wording.ts";
import { periodText } from "../duration-text.ts";
import { duration, wholeNumber } from "../option-values.ts";
import { type RemoteFlags, withOperations, withRemoteOptions } from "../options.ts";
import { printDone } from "../output.ts";

interface Flags extends RemoteFlags {
  queue?: string;
  task?: string;
  key?: string;
  concurrency?: number;
  rate?: { max: number; per: string };
  drop?: "concurrency" | "rate";
  reset?: boolean;
  json?: boolean;
}

export function limitCommand(): Command {
  return withRemoteOptions(new Command("limit"))
    .description("Limit how many jobs of a queue or task run at the same time or start within a period")
    .option("--queue <name>", "Queue to limit")
    .option("--task <name>", "Task to limit")
    .option("--key <path>", "Payload path, such as userId or user.id; each value gets its own limit")
    .option("--concurrency <number>", "Jobs that run at the same time across all workers", wholeNumber(0))
    .option("--rate <number/duration>", "Jobs that start within a period, such as 100/1m", rate)
    .addOption(new Option("--drop <kind>", "Limit to remove").choices(["concurrency", "rate"]))
    .option("--reset", "Reset a task's limits to those that its definition declares")
    .option("--json", 'Print {"queue" or "task": …} with "reset", "dropped", "concurrency" or "rate": the change')
    .addHelpText(
      "after",
      `
Examples:
  $ legwork limit --queue mail --concurrency 5
  $ legwork limit --task notify/email --rate 100/1m --key userId
  $ legwork limit --queue mail --drop concurrency`,
    )
    .action(async (flags: Flags) => {
      const { queue, task, key, concurrency, rate, drop, reset } = flags;
      if ((queue === undefined) === (task === undefined)) {
        throw new LegworkError("LW400", "Specify a queue or a task.", { hint: "Add --queue mail or --task notify/email." });
      }
      if ([concurrency, rate, drop, reset].every((wish) => wish === undefined) || (reset === true && task === undefined)) {
        throw new LegworkError("LW400", "Specify a limit to set, remove or reset.", {
          hint: "Add --concurrency 5, --rate 100/1m, --drop concurrency or, for a task, --reset.",
        });
      }
      const target = { ...(queue === undefined ? { task } : { queue }), ...(key === undefined ? {} : { key }) } as LimitTarget;
      const name = queue === undefined ? `Task '${task}'` : `Queue '${queue}'`;
      const each = key === undefined ? "" : ` for each ${key}`;
      await withOperations(flags, async (operations) => {
        const done: Record<string, unknown> = { ...target };
        const lines: string[] = [];
        if (reset === true && task !== undefined) {
          await operations.resetLimits(task);
          done.reset = true;
          lines.push(`${name} now has the limits that its definition declares.`);
        }
        if (drop !== undefined) {
          const dropped = await operations.dropLimit(drop, target);
          done.dropped = dropped ? drop : null;
          lines.push(`${name} ${dropped ? "no longer has a" : "had no"} ${drop} limit${each}.`);
        }
        if (concurrency !== undefined) {
          await operations.limitConcurrency(concurrency, target);
          done.concurrency = concurrency;
          lines.push(`${name}: at most ${counted(concurrency, "job")} at a time${each}.`);
        }
        if (rate !== undefined) {
          await operations.limitRate(rate.max, rate.per, target);
          done.rate = rate;
          lines.push(`${name}: at most ${counted(rate.max, "start")} per ${periodText(rate.per)}${each}.`);
        }
        printDone(flags.json, done, lines.join("\n"));
      });
    });
}

function rate(value: string): { max: number; per: string } {
  const [, max = "", given = ""] = /^(-?\d+)\/(\w.*)$/.exec(value) ?? [];
  const per = /^\d/.test(given) ? given : `1${given}`;
  try {
    return { max: wholeNumber()(max), per: duration(1)(per) };
  } catch {
    throw new InvalidArgumentError("Expected a whole number above 0 and a duration, such as 100/1m.");
  }
}
