import { readFileSync } from "node:fs";
import { Command } from "commander";
import { loadConfig } from "../../config.ts";
import { LegworkError, toError } from "../../errors.ts";
import { enqueue, type EnqueueOptions } from "../../jobs/enqueue.ts";
import { type CommonFlags, integer, positiveInteger, time, withCommonOptions, withDatabase } from "../options.ts";
import { printJson } from "../output.ts";

type Flags = CommonFlags & EnqueueOptions & { json?: boolean };

export function addCommand(): Command {
  return withCommonOptions(new Command("add"))
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
      const { databaseUrl, dataDir, logLevel, json, ...options } = flags;
      const { config } = await loadConfig({ databaseUrl, dataDir, logLevel });
      const parsed = parseJson(payload === "-" ? readFileSync(0, "utf8") : payload);
      await withDatabase(config, async (pool) => {
        const id = await enqueue(pool, task, parsed, options);
        if (json === true) printJson({ id });
        else console.log(id);
      });
    });
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new LegworkError("LW400", `The payload is not JSON: ${toError(error).message}.`, {
      hint: 'Put it in single quotes, for example \'{"userId": "42"}\'.',
    });
  }
}
