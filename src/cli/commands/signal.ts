import { Command } from "commander";
import { loadConfig } from "../../config.ts";
import { LegworkError, toError } from "../../errors.ts";
import { sendSignal } from "../../jobs/send-signal.ts";
import { type CommonFlags, withCommonOptions, withDatabase } from "../options.ts";
import { printJson } from "../output.ts";

export function signalCommand(): Command {
  return withCommonOptions(new Command("signal"))
    .description("send a job the signal that its task waits for; of each name the first one counts")
    .argument("<id>", "the job's id")
    .argument("<name>", "the signal's name")
    .argument("[payload]", "what goes with it, as JSON")
    .option("--json", 'print {"id": …, "signal": …, "counts": …}')
    .addHelpText("after", `\nExamples:\n  $ legwork signal 42 approval\n  $ legwork signal 42 approval '{"by": "ada"}'`)
    .action(async (id: string, name: string, payload: string | undefined, flags: CommonFlags & { json?: boolean }) => {
      const { json, ...common } = flags;
      const value = payload === undefined ? undefined : parse(payload);
      const { config } = await loadConfig(common);
      await withDatabase(config, async (pool) => {
        const counts = await sendSignal(pool, id, name, value);
        if (json === true) return printJson({ id, signal: name, counts });
        console.log(
          counts
            ? `Job ${id}: signal '${name}' sent.`
            : `Job ${id}: another signal '${name}' came before, or the wait for it has timed out. This one does not count.`,
        );
      });
    });
}

function parse(payload: string): unknown {
  try {
    return JSON.parse(payload);
  } catch (error) {
    throw new LegworkError("LW400", `The payload is not JSON: ${toError(error).message}.`, {
      hint: `In a shell it stands in single quotes: '{"by": "ada"}'.`,
    });
  }
}
