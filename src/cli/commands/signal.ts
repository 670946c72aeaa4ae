import { Command } from "commander";
import { idArgument } from "../option-values.ts";
import { type RemoteFlags, withOperations, withRemoteOptions } from "../options.ts";
import { printJson } from "../output.ts";
import { parseTyped } from "../typed-json.ts";

export function signalCommand(): Command {
  return withRemoteOptions(new Command("signal"))
    .description("Send a signal to a job; only the first signal of each name counts")
    .argument("<id>", "Id of the job", idArgument("job"))
    .argument("<name>", "Name of the signal")
    .argument("[payload]", "JSON sent with the signal")
    .option("--json", 'Print {"id": …, "signal": …, "counts": …}')
    .addHelpText("after", `\nExamples:\n  $ legwork signal 42 approval\n  $ legwork signal 42 approval '{"by": "ada"}'`)
    .action(async (id: string, name: string, payload: string | undefined, flags: RemoteFlags & { json?: boolean }) => {
      const { json } = flags;
      const value = payload === undefined ? undefined : parseTyped("payload", payload, '{"by": "ada"}');
      await withOperations(flags, async (operations) => {
        const counts = await operations.sendSignal(id, name, value);
        if (json === true) return printJson({ id, signal: name, counts });
        console.log(
          counts
            ? `Job ${id}: signal '${name}' sent.`
            : `Job ${id}: signal '${name}' does not count, because one was already sent or the wait for it has timed out.`,
        );
      });
    });
}
