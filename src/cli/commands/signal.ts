import { Command } from "commander";
import { type RemoteFlags, withOperations, withRemoteOptions } from "../options.ts";
import { printJson } from "../output.ts";
import { parseTyped } from "../typed-json.ts";

export function signalCommand(): Command {
  return withRemoteOptions(new Command("signal"))
    .description("send a job the signal that its task waits for; of each name the first one counts")
    .argument("<id>", "the job's id")
    .argument("<name>", "the signal's name")
    .argument("[payload]", "what goes with it, as JSON")
    .option("--json", 'print {"id": …, "signal": …, "counts": …}')
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
            : `Job ${id}: another signal '${name}' came before, or the wait for it has timed out. This one does not count.`,
        );
      });
    });
}
