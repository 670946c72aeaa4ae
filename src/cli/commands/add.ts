import { readFileSync } from "node:fs";
import { Command, Option } from "commander";
import type { EnqueueOptions } from "../../jobs/enqueue.ts";
import {
  collect,
  integer,
  positiveInteger,
  ownFlags,
  type RemoteFlags,
  time,
  withOperations,
  withRemoteOptions,
} from "../options.ts";
import { printJson } from "../output.ts";
import { parseTyped } from "../typed-json.ts";

type Flags = RemoteFlags & EnqueueOptions & { json?: boolean };

export function addCommand(): Command {
  return withRemoteOptions(new Command("add"))
    .description("enqueue a job and print its id")
    .argument("<task>", "the task to run")
    .argument("[payload]", "what the task is given, as JSON; - reads it from stdin", "{}")
    .option("--run-at <time>", "when it may start, such as 2026-12-24T18:00:00Z (now)", time)
    .option("--priority <number>", "smaller runs first (0)", integer)
    .option("--job-key <key>", "replaces the job with this key that still waits")
    .option("--serial-key <key>", "jobs with the same serial key run one at a time")
    .option("--max-attempts <number>", "(25)", positiveInteger)
    .option("--tenant <name>", "whose job it is")
    .option("--correlation-id <id>", "shared by everything that comes from one cause")
    .option("--expires-at <time>", "end the job as expired if it has not started by then", time)
    .option("--unique-for <duration>", "for that long the same request makes no other job and prints this one's id")
    .option("--unique-key <key>", "what makes requests the same for --unique-for (the payload)")
    .option("--debounce <duration>", "each request with this job key moves the start that far ahead")
    .option("--debounce-max <duration>", "but not further than this after the first request")
    .option("--throttle <duration>", "one start per job key in that time; requests between are merged")
    .option("--rate-limit <number>", "refuse more requests than this within --rate-per", positiveInteger)
    .option("--rate-per <duration>", "the time that --rate-limit counts in")
    .option("--rate-key <key>", "what --rate-limit counts by (the task)")
    .addOption(
      new Option("--overlap <how>", "serial waits for a running job with this job key (allow)").choices(["allow", "serial"]),
    )
    .option("--depends-on <id>", "a job that has to end before; may be given again", collect)
    .addOption(
      new Option("--on-dependency-failure <what>", "when one of them does not complete (cancel)").choices(["cancel", "run"]),
    )
    .option("--json", 'print {"id": …}')
    .addHelpText(
      "after",
      `
Examples:
  $ legwork add retention/expire '{"table": "sessions", "olderThan": "30 days"}'
  $ legwork add health/probe --run-at 2026-12-24T18:00:00Z
  $ echo '{"database": true}' | legwork add health/probe -`,
    )
    .action(async (task: string, payload: string, flags: Flags) => {
      const { json, ...options } = ownFlags(flags);
      const parsed = parseTyped("payload", payload === "-" ? readFileSync(0, "utf8") : payload);
      await withOperations(flags, async (operations) => {
        const id = await operations.enqueue(task, parsed, options);
        if (json === true) printJson({ id });
        else console.log(id);
      });
    });
}
